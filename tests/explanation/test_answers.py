import numpy as np
import pytest

from moulage.errors import ConfigError, DataError, ShapeError
from moulage.explanation import answers as module
from moulage.explanation.answers import Answers, ask
from moulage.explanation.masks import all_masks

PIXELS = np.full((4, 6, 3), 200, np.uint8)
SEGMENTS = np.repeat(np.arange(3), 2)[None].repeat(4, axis=0)
BLACK = np.zeros_like(PIXELS)


def brightness(copies: np.ndarray) -> np.ndarray:
    share = copies.mean(axis=(1, 2, 3)) / 255
    return np.stack([share, 1 - share], axis=1)


@pytest.mark.parametrize("batch", [1, 3, 8, 100])
def test_answers_do_not_depend_on_the_batch(batch: int) -> None:
    sizes: list[int] = []

    def classify(copies: np.ndarray) -> np.ndarray:
        sizes.append(len(copies))
        return brightness(copies)

    answers = ask(
        classify, PIXELS, covered=BLACK, segments=SEGMENTS, masks=all_masks(3), batch=batch
    )
    np.testing.assert_allclose(answers.of(0), all_masks(3).sum(axis=1) / 3 * 200 / 255)
    assert max(sizes) == min(batch, 8)
    assert sum(sizes) == 8


def test_memory_holds_few_copies_of_a_large_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 3 * PIXELS.nbytes)
    sizes: list[int] = []

    def classify(copies: np.ndarray) -> np.ndarray:
        sizes.append(len(copies))
        return brightness(copies)

    ask(classify, PIXELS, covered=BLACK, segments=SEGMENTS, masks=all_masks(3))
    assert sizes == [3, 3, 2]


def test_faulty_classifiers_are_refused() -> None:
    def put(classify: object) -> None:
        ask(classify, PIXELS, covered=BLACK, segments=SEGMENTS, masks=all_masks(3))  # type: ignore[arg-type]

    with pytest.raises(DataError, match="finite probabilities; got NaN or infinity for 8 of 8"):
        put(lambda copies: np.full((len(copies), 2), np.nan))
    with pytest.raises(ShapeError, match=r"must return shape \(n, K\) with n = 8; got \(8,\)"):
        put(lambda copies: np.zeros(len(copies)))
    with pytest.raises(ShapeError, match=r"got \(1, 2\)"):
        put(lambda copies: np.zeros((1, 2)))


def test_masks_and_diagnoses_must_be_known() -> None:
    with pytest.raises(ShapeError, match=r"with S = 3; got \(4, 2\)"):
        ask(brightness, PIXELS, covered=BLACK, segments=SEGMENTS, masks=all_masks(2))
    answers = Answers(masks=all_masks(1), probabilities=np.full((2, 7), 1 / 7))
    with pytest.raises(ConfigError, match=r"`diagnosis` must lie in \[0, 7\).*got 7"):
        answers.of(7)
    with pytest.raises(ConfigError, match="got -1"):
        answers.of(-1)
