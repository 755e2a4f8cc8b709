"""What all masks would have been answered, told from a few: on how many threads."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from moulage.explanation import interpolation
from moulage.explanation.designs import designed_masks


def test_small_matrices_are_solved_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    learn = interpolation.learn_rates

    def watched(*given: object, **named: object) -> object:
        seen.extend(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")
        return learn(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(interpolation, "learn_rates", watched)
    masks = designed_masks(6, 32)
    likely = 0.2 + 0.1 * masks[:, 0]
    answers = np.stack([likely, 1 - likely], axis=1)
    with threadpool_limits(limits=2, user_api="blas"):
        interpolation.surrogate_from_few(masks, probabilities=answers, diagnosis=0)
    assert seen
    assert set(seen) == {1}
