import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances

from moulage.errors import ConfigError, DataError
from moulage.explanation.answers import Answers, ask
from moulage.explanation.designs import designed_masks
from moulage.explanation.fills import cover
from moulage.explanation.lime import explain, explain_answers
from moulage.explanation.masks import all_masks, row_of


def nonlinear(kept: np.ndarray) -> np.ndarray:
    """Saturating, with terms of all orders: as a network answers."""
    rng = np.random.default_rng(7)
    pull = kept @ rng.normal(0.4, 0.8, 10) + 2 * kept[:, 2] * kept[:, 5] - kept[:, 0] * kept[:, 1]
    return 1 / (1 + np.exp(1.0 - pull))


def test_sampled_is_the_published_method(blocks, answering, pairs) -> None:
    pixels, segments = blocks
    classify = answering(pairs, segments)
    found = explain(
        classify,
        pixels,
        segments,
        diagnosis=1,
        method="sampled",
        n_evaluations=200,
        fill="black",
        rng=np.random.default_rng(42),
    )
    data = found.answers.masks.astype(int)
    copies = np.stack([np.where(row[segments][..., None] == 1, pixels, 0) for row in data])
    distances = pairwise_distances(data, data[:1], metric="cosine").ravel()
    near = np.sqrt(np.exp(-(distances**2) / 0.25**2))
    values = classify(copies)[:, 1]
    reference = Ridge(alpha=1).fit(data, values, sample_weight=near)
    np.testing.assert_allclose(found.weights, reference.coef_, rtol=1e-6)
    assert found.intercept == pytest.approx(reference.intercept_, rel=1e-6)
    assert found.score == pytest.approx(reference.score(data, values, near), rel=1e-6)
    assert found.n_evaluations == 200


# What lime 0.2.0.1 says of `patterned` at `photograph` by 150 masks: weights, intercept, score. The
# test after the next asks it where it is installed (`pip install 'moulage[bench]'`).
BY_LIME = {
    "mean": (
        (0.067696767660, -0.096023338702, 0.112565956196, 0.152176128968, -0.070483303386,
         -0.104029377337, -0.028689294732, 0.384894296661, -0.071466556840, 0.182206020870),
        -0.009755856896,
        0.900599624010,
    ),
    "black": (
        (-0.116178110510, 0.049337920579, 0.128237383407, 0.113639244112, -0.353792962713,
         -0.205054114575, -0.079090872128, 0.447433956288, -0.037130933554, 0.143329895365),
        0.479593765169,
        0.928874506121,
    ),
}  # fmt: skip


def photograph(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(42).integers(0, 256, (*shape, 3)).astype(np.uint8)


def patterned(copies: np.ndarray) -> np.ndarray:
    """Two diagnoses that every pixel counts for, not evenly."""
    pattern = np.random.default_rng(43).normal(size=copies.shape[1:])
    found = 1 / (1 + np.exp(-((copies / 255) ** 2 * pattern).sum(axis=(1, 2, 3))))
    return np.stack([1 - found, found], axis=1)


@pytest.mark.parametrize("fill", BY_LIME)
def test_sampled_says_what_the_lime_package_says(fill: str, blocks) -> None:
    segments = blocks[1]
    pixels = photograph(segments.shape)
    drawing = np.random.RandomState(0)
    drawing.randint(0, high=1000)  # lime draws the seed of a segmentation that is not used
    masks = drawing.randint(0, 2, 150 * 10).reshape(150, 10).astype(bool)
    masks[0] = True
    covered = cover(pixels, segments, fill=fill)
    answers = ask(patterned, pixels, covered=covered, segments=segments, masks=masks)
    ours = explain_answers(answers, segments, diagnosis=1, method="sampled")
    weights, intercept, score = BY_LIME[fill]
    np.testing.assert_allclose(ours.weights, weights, atol=1e-9)
    assert ours.intercept == pytest.approx(intercept, abs=1e-9)
    assert ours.score == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize(("fill", "hide_color"), [("mean", None), ("black", 0)])
def test_the_lime_package_still_says_so(fill: str, hide_color: int | None, blocks) -> None:
    lime_image = pytest.importorskip("lime.lime_image", reason="the lime package is not installed")
    segments = blocks[1]
    theirs = lime_image.LimeImageExplainer(random_state=0).explain_instance(
        photograph(segments.shape),
        patterned,
        labels=(1,),
        hide_color=hide_color,
        top_labels=None,
        num_samples=150,
        segmentation_fn=lambda _: segments,
    )
    weights, intercept, score = BY_LIME[fill]
    by_number = dict(theirs.local_exp[1])
    np.testing.assert_allclose([by_number[i] for i in range(10)], weights, atol=1e-9)
    assert theirs.intercept[1] == pytest.approx(intercept, abs=1e-9)
    assert theirs.score == pytest.approx(score, abs=1e-9)


def test_exact_recovers_a_linear_function(blocks, answering) -> None:
    pixels, segments = blocks
    truth = np.linspace(-0.04, 0.05, 10)
    classify = answering(lambda kept: 0.4 + kept @ truth, segments)
    found = explain(classify, pixels, segments, diagnosis=0, method="exact", fill="black")
    np.testing.assert_allclose(found.weights, truth, atol=1e-9)
    assert found.intercept == pytest.approx(0.4, abs=1e-9)
    assert found.score == pytest.approx(1, abs=1e-9)
    assert found.probability == pytest.approx(0.4 + truth.sum())
    assert found.n_evaluations == 1024
    assert not found.standard_errors.any()


def test_designed_recovers_a_linear_function(blocks, answering) -> None:
    pixels, segments = blocks
    truth = np.linspace(-0.04, 0.05, 10)
    classify = answering(lambda kept: 0.4 + kept @ truth, segments)
    found = explain(classify, pixels, segments, diagnosis=0, n_evaluations=32, fill="black")
    np.testing.assert_allclose(found.weights, truth, atol=1e-6)


def test_designed_is_near_exact_where_superpixels_act_together(blocks, answering) -> None:
    pixels, segments = blocks
    classify = answering(nonlinear, segments)
    exact, few = (
        explain(classify, pixels, segments, diagnosis=0, method=method, fill="black")
        for method in ("exact", "designed")
    )
    assert few.n_evaluations == 128
    assert spearmanr(exact.weights, few.weights)[0] > 0.98
    assert set(exact.top(4)) == set(few.top(4))
    misses = np.abs(few.weights - exact.weights) / few.standard_errors
    assert misses.max() < 4
    assert few.score == pytest.approx(exact.score, abs=0.02)


def test_designed_asks_all_masks_where_there_are_few(answering) -> None:
    pixels = np.full((3, 6, 3), 90, np.uint8)
    segments = np.repeat(np.arange(6), 1)[None].repeat(3, axis=0)
    classify = answering(lambda kept: 0.2 + 0.5 * kept[:, 0] * kept[:, 3], segments)
    designed = explain(classify, pixels, segments, diagnosis=0, fill="black")
    exact = explain(classify, pixels, segments, diagnosis=0, fill="black", method="exact")
    assert designed.n_evaluations == 64
    np.testing.assert_allclose(designed.weights, exact.weights, atol=1e-12)


def test_twenty_superpixels_can_be_explained_by_design() -> None:
    pixels = np.full((4, 20, 3), 200, np.uint8)
    segments = np.arange(20)[None].repeat(4, axis=0)
    truth = np.random.default_rng(42).normal(0, 0.02, 20)

    def classify(copies: np.ndarray) -> np.ndarray:
        kept = copies[:, 0, :, 0] > 0
        found = 0.5 + kept @ truth + 0.02 * kept[:, 3] * kept[:, 4]
        return np.stack([found, 1 - found], axis=1)

    found = explain(classify, pixels, segments, diagnosis=0, fill="black")
    expected = truth + 0.01 * np.isin(np.arange(20), (3, 4))
    np.testing.assert_allclose(found.weights, expected, atol=5e-3)


@pytest.mark.parametrize("method", ["sampled", "exact", "designed"])
def test_superpixels_may_be_renumbered(method: str, blocks, answering) -> None:
    pixels, segments = blocks
    table = answering(nonlinear, segments)
    order = np.random.default_rng(0).permutation(10)
    masks = {
        "sampled": all_masks(10)[np.r_[1023, 0:400]],
        "exact": all_masks(10),
        "designed": designed_masks(10, 128),
    }[method]
    covered = np.zeros_like(pixels)
    answers = ask(table, pixels, covered=covered, segments=segments, masks=masks)
    moved = Answers(masks=masks[:, order], probabilities=answers.probabilities)
    first = explain_answers(answers, segments, diagnosis=0, method=method)
    second = explain_answers(moved, segments, diagnosis=0, method=method)
    np.testing.assert_allclose(second.weights, first.weights[order], atol=1e-5)


def test_one_superpixel_and_one_colour_have_an_answer(answering) -> None:
    pixels = np.full((4, 4, 3), 128, np.uint8)
    one = np.zeros((4, 4), np.int64)
    classify = answering(lambda kept: 0.3 + 0.6 * kept[:, 0], one)
    found = explain(classify, pixels, one, diagnosis=0, method="exact", fill="black")
    assert found.weights == pytest.approx([0.6])
    even = explain(classify, pixels, one, diagnosis=0, fill="mean")
    assert even.weights == pytest.approx([0])
    assert np.isnan(even.score)


def test_the_most_probable_diagnosis_is_explained_unless_another_is_named(blocks) -> None:
    pixels, segments = blocks
    constant = np.array([0.2, 0.5, 0.3])
    found = explain(lambda copies: np.tile(constant, (len(copies), 1)), pixels, segments)
    assert found.diagnosis == 1
    assert found.probability == 0.5
    np.testing.assert_allclose(found.weights, 0, atol=1e-9)
    assert np.isfinite(found.standard_errors).all()


def test_one_asking_serves_every_diagnosis(blocks, answering) -> None:
    pixels, segments = blocks
    first = explain(answering(nonlinear, segments), pixels, segments, diagnosis=0, fill="black")
    second = explain_answers(first.answers, segments, diagnosis=1, method="designed")
    np.testing.assert_allclose(second.weights, -first.weights, atol=1e-4)


def test_the_same_generator_gives_the_same_explanation(blocks, answering) -> None:
    pixels, segments = blocks
    classify = answering(nonlinear, segments)
    found = [
        explain(
            classify,
            pixels,
            segments,
            diagnosis=0,
            method="sampled",
            n_evaluations=60,
            fill="black",
            rng=np.random.default_rng(seed),
        ).weights
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_probabilities_of_nought_and_one_are_no_obstacle(blocks, answering) -> None:
    pixels, segments = blocks
    classify = answering(lambda kept: (kept[:, 2] & kept[:, 7]).astype(float), segments)
    exact = explain(classify, pixels, segments, diagnosis=0, method="exact", fill="black")
    few = explain(classify, pixels, segments, diagnosis=0, fill="black")
    assert set(few.top(2)) == {2, 7}
    np.testing.assert_allclose(few.weights, exact.weights, atol=0.02)


def test_faulty_arguments_are_refused_in_a_sentence(blocks, answering) -> None:
    pixels, segments = blocks
    classify = answering(nonlinear, segments)

    def refused(match: str, kind: type[Exception] = ConfigError, **changes: object) -> None:
        with pytest.raises(kind, match=match):
            explain(**{"classify": classify, "pixels": pixels, "segments": segments} | changes)

    refused(r"`diagnosis` must lie in \[0, 2\)", diagnosis=5, n_evaluations=12)
    refused("must be one of sampled, exact, designed; got 'shap'", method="shap")
    refused("must have an `rng`", method="sampled")
    refused("got one and 1", method="sampled", rng=np.random.default_rng(0), n_evaluations=1)
    refused(r"must be 2\^S = 1024", method="exact", n_evaluations=100)
    refused("at least S", n_evaluations=5)
    refused(
        "finite probabilities", DataError, classify=lambda copies: np.full((len(copies), 2), np.nan)
    )


@pytest.mark.slow
def test_intervals_of_sampled_cover_the_exact_weights(pairs) -> None:
    masks = all_masks(10)
    table = np.stack([pairs(masks), 1 - pairs(masks)], axis=1)
    segments = np.arange(10)[None]
    whole = Answers(masks=masks, probabilities=table)
    exact = explain_answers(whole, segments, diagnosis=0, method="exact").weights
    covered = []
    for seed in range(500):
        drawn = np.random.default_rng(seed).integers(0, 2, (1000, 10)).astype(bool)
        drawn[0] = True
        answers = Answers(masks=drawn, probabilities=table[row_of(drawn)])
        low, high = explain_answers(answers, segments, diagnosis=0, method="sampled").intervals.T
        covered.append((low <= exact) & (exact <= high))
    assert 0.92 <= np.mean(covered) <= 0.98
    assert np.mean(covered, axis=0).min() > 0.9
