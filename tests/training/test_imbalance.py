from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from moulage.evaluation.priors import move_prior
from moulage.training.batches import Place
from moulage.training.imbalance import Treatment, soften

COUNTS = np.array([60, 30, 10])
PLACE = Place(seed=1, phase=0, epoch=0)
KINDS: Any = ["none", "class_weight", "oversample", "augment", "focal", "logit_adjustment"]


@pytest.fixture
def scores() -> Tensor:
    return torch.randn(20, 3, generator=torch.Generator().manual_seed(42)).double()


LABELS = torch.arange(20) % 3
HARD = torch.nn.functional.one_hot(LABELS, 3).double()


def test_class_weights_make_torchs_weighted_loss_up_to_its_mean(scores: Tensor) -> None:
    treatment = Treatment(kind="class_weight")
    weights = torch.tensor(100 / (3 * COUNTS))
    theirs = torch.nn.functional.cross_entropy(scores, LABELS, weight=weights, reduction="sum")
    ours = treatment.loss(scores, HARD, COUNTS)
    torch.testing.assert_close(ours, theirs / 20)
    np.testing.assert_allclose(treatment.weights(COUNTS), weights.numpy())


def test_without_a_treatment_the_loss_is_torchs_for_hard_and_soft_targets(scores: Tensor) -> None:
    soft = torch.softmax(torch.randn(20, 3, generator=torch.Generator().manual_seed(1)), 1).double()
    for targets in (HARD, soft):
        theirs = torch.nn.functional.cross_entropy(scores, targets)
        torch.testing.assert_close(Treatment().loss(scores, targets, COUNTS), theirs)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logit_adjustment_adds_tau_log_prior(scores: Tensor, tau: float) -> None:
    moved = scores + tau * torch.log(torch.tensor(COUNTS / 100))
    theirs = torch.nn.functional.cross_entropy(moved, LABELS)
    ours = Treatment(kind="logit_adjustment", tau=tau).loss(scores, HARD, COUNTS)
    torch.testing.assert_close(ours, theirs)


def test_focal_damps_by_the_formula_and_at_gamma_zero_not_at_all(scores: Tensor) -> None:
    p = torch.softmax(scores, 1).gather(1, LABELS[:, None])[:, 0]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    torch.testing.assert_close(Treatment(kind="focal").loss(scores, HARD, COUNTS), expected)
    plain = Treatment().loss(scores, HARD, COUNTS)
    torch.testing.assert_close(Treatment(kind="focal", gamma=0.0).loss(scores, HARD, COUNTS), plain)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("certainty", [2.0, 18.0, 200.0])
def test_focal_has_a_slope_however_sure_an_answer_is(gamma: float, certainty: float) -> None:
    scores = torch.tensor([[certainty, 0.0, 0.0]], requires_grad=True)
    Treatment(kind="focal", gamma=gamma).loss(scores, HARD[:1], COUNTS).backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert scores.grad[0, 0] <= 0 <= scores.grad[0, 1]


def test_effective_weights_follow_the_formula_and_average_to_one() -> None:
    weights = Treatment(kind="class_weight", scheme="effective", beta=0.9).weights(COUNTS)
    raw = 0.1 / (1 - 0.9**COUNTS)
    np.testing.assert_allclose(weights / weights[0], raw / raw[0])
    assert weights @ COUNTS == pytest.approx(COUNTS.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_an_absent_class_leaves_loss_gradient_and_prior_finite(kind: Any, scores: Tensor) -> None:
    counts = np.array([60, 0, 10])
    treatment = Treatment(kind=kind)
    scores.requires_grad_(True)
    present = torch.where(LABELS == 1, 0, LABELS)
    targets = torch.nn.functional.one_hot(present, 3).double()
    loss = treatment.loss(scores, targets, counts)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(scores.grad).all()
    prior = treatment.trained_prior(counts)
    assert np.isfinite(prior).all()
    assert prior.sum() == pytest.approx(1)
    assert prior.min() > 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "focal"])  # not a proper loss
def test_the_trained_prior_is_where_the_loss_is_least_without_any_sign(kind: Any) -> None:
    """Constant scores that minimise the expected loss have the trained prior as softmax."""
    treatment = Treatment(kind=kind)
    rows, labels = np.arange(100), np.repeat(np.arange(3), COUNTS)
    drawn = labels[treatment.epoch(rows, labels, PLACE).rows]
    targets = torch.nn.functional.one_hot(torch.from_numpy(drawn), 3).double()
    scores = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=200, tolerance_grad=1e-10)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = treatment.loss(scores.expand(len(targets), -1), targets, COUNTS)
        loss.backward()
        return loss

    optimizer.step(closure)
    found = torch.softmax(scores.detach(), 1)[0].numpy()
    np.testing.assert_allclose(found, treatment.trained_prior(COUNTS), atol=0.01)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.4])
@pytest.mark.parametrize(
    "treatment",
    [
        Treatment(),
        Treatment(kind="class_weight"),
        Treatment(kind="class_weight", scheme="effective", beta=0.99),
        Treatment(kind="oversample"),
        Treatment(kind="oversample", length="majority"),
        Treatment(kind="augment"),
        *(Treatment(kind="logit_adjustment", tau=tau) for tau in (0.5, 1.0, 2.0)),
    ],
    ids=str,
)
def test_a_classifier_that_sees_nothing_says_the_natural_prior_whatever_was_smoothed(
    treatment: Treatment, label_smoothing: float
) -> None:
    """Constant scores that minimise the loss, after the shift; one class is never seen."""
    counts = np.array([700, 150, 90, 40, 20, 0])
    labels = np.repeat(np.arange(6), counts)
    drawn = labels[treatment.epoch(np.arange(1000), labels, PLACE).rows]
    hard = np.bincount(drawn, minlength=6) / len(drawn)
    targets = torch.from_numpy(soften(hard, counts, label_smoothing))[None]
    scores = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [scores], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = treatment.loss(scores, targets, counts)
        loss.backward()
        return loss

    optimizer.step(closure)
    shift = treatment.prior_shift(counts, label_smoothing=label_smoothing)
    found = torch.softmax(scores.detach() + torch.from_numpy(shift), 1)[0].numpy()
    np.testing.assert_allclose(found, counts / 1000, atol=1e-4)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0, 2.5, 3.0, 8.0])
@pytest.mark.parametrize("counts", [[600, 300, 100, 0], [6705, 0, 115, 0], [9000, 1, 500, 10]])
def test_putting_the_natural_prior_back_undoes_an_adjustment_of_any_strength(
    tau: float, counts: list[int]
) -> None:
    """What was trained against scores + tau · log prior is moved by as much, up to a constant."""
    images = np.array(counts)
    present, natural = images > 0, images / images.sum()
    trained = Treatment(kind="logit_adjustment", tau=tau).trained_prior(images)
    shift = move_prior(np.zeros((1, 4)), trained=trained, natural=natural)[0]
    rest = shift[present] - tau * np.log(natural[present])
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)
    assert (shift[~present] < shift[present].max() - 15 * min(tau, 1)).all()


@pytest.mark.parametrize("tau", [0.5, 1.0, 3.0])
def test_a_class_that_training_lacks_stays_improbable_after_it(tau: float) -> None:
    """The adjusted loss holds an absent class down, so training leaves its score where it was."""
    counts, rng = np.array([600, 300, 100, 0]), np.random.default_rng(42)
    labels = np.repeat(np.arange(4), counts)
    inputs = torch.from_numpy(rng.normal(size=(1000, 3)) + np.eye(4)[labels][:, :3])
    targets = torch.nn.functional.one_hot(torch.from_numpy(labels), 4).double()
    treatment = Treatment(kind="logit_adjustment", tau=tau)
    weights = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = treatment.loss(inputs @ weights[:3] + weights[3], targets, counts)
        loss.backward()
        return loss

    optimizer.step(closure)
    scores = (inputs @ weights[:3] + weights[3]).detach().numpy()
    trained = treatment.trained_prior(counts)
    natural = torch.from_numpy(move_prior(scores, trained=trained, natural=counts / 1000))
    means = torch.softmax(natural, dim=1).mean(dim=0).numpy()
    np.testing.assert_allclose(means, counts / 1000, atol=2e-3)
    assert means[3] < 1e-4


def test_oversampling_draws_each_class_equally_and_keeps_the_epochs_length() -> None:
    labels = np.repeat(np.arange(3), COUNTS)
    rows = np.arange(1000, 1100)
    sample = Treatment(kind="oversample").epoch(rows, labels, PLACE)
    drawn = np.bincount(labels[sample.rows - 1000])
    assert drawn.tolist() == [33, 33, 33]
    pairs = set(zip(sample.rows.tolist(), sample.copies.tolist(), strict=True))
    assert len(pairs) == len(sample), "every copy of an image has a number of its own"
    gapped = np.repeat([0, 1, 3], COUNTS)
    sample = Treatment(kind="oversample").epoch(rows, gapped, PLACE)
    drawn = np.bincount(gapped[sample.rows - 1000])
    assert drawn.tolist() == [33, 33, 0, 33], "a class that is absent takes no share"
    longest = Treatment(kind="oversample", length="majority").epoch(rows, labels, PLACE)
    assert np.bincount(labels[longest.rows - 1000]).tolist() == [60, 60, 60]


def test_a_view_is_turned_for_the_classes_that_need_so_many_copies() -> None:
    """Sixty, thirty and ten: to reach sixty the second class needs two views, the third six."""
    treatment = Treatment(kind="augment")
    labels = np.repeat(np.arange(3), COUNTS)
    sample = treatment.epoch(np.arange(100), labels, PLACE)
    assert sample.views is not None
    for view in range(8):
        shown = np.bincount(labels[sample.rows[sample.views == view]], minlength=3) > 0
        assert treatment.turned(COUNTS, view).tolist() == shown.tolist()
    assert not Treatment(kind="oversample").turned(COUNTS, 1).any()


def test_augmenting_fills_minorities_with_the_next_views() -> None:
    labels = np.repeat(np.arange(3), COUNTS)
    treatment = Treatment(kind="augment")
    sample = treatment.epoch(np.arange(100), labels, PLACE)
    assert np.bincount(labels[sample.rows]).tolist() == [60, 60, 60]
    assert sample.views is not None
    assert sample.views[labels[sample.rows] == 0].max() == 0
    assert set(sample.views[labels[sample.rows] == 2].tolist()) == set(range(6))
