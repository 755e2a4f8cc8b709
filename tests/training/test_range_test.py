"""The range test: rates that climb evenly, a loss that falls and breaks, an honest suggestion."""

from typing import Any

import numpy as np
import pytest
import torch

from moulage.errors import ConfigError, RunError
from moulage.training import loop, range_test
from moulage.training.phases import Phase
from moulage.training.range_test import RangeTest, run_range_test, smooth

HEAD = Phase(name="frozen", train_from="head", epochs=1, batch=5)


def made(losses: list[float], *, diverged: bool = False) -> RangeTest:
    rates = np.geomspace(1e-6, 1.0, len(losses))
    return RangeTest(
        phase="p", start=losses[0], rates=rates, losses=np.array(losses), diverged=diverged
    )


def test_rates_climb_by_one_factor_from_a_millionth_to_the_highest(studio: Any) -> None:
    found = run_range_test(studio.job(), HEAD, highest=0.01, n_steps=20)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-8, 0.01, 20), rtol=1e-6)
    assert len(found.losses) == 20
    assert not found.diverged


def test_the_same_job_gives_the_same_losses(studio: Any) -> None:
    first, again = (run_range_test(studio.job(), HEAD, highest=0.1, n_steps=12) for _ in range(2))
    assert np.array_equal(first.losses, again.losses)


def test_torchs_generator_is_afterwards_as_it_was(studio: Any) -> None:
    before = torch.get_rng_state()
    run_range_test(studio.job(), HEAD, highest=0.1, n_steps=12)
    assert torch.equal(torch.get_rng_state(), before)


def test_rates_beyond_reason_break_the_training_and_end_it(studio: Any) -> None:
    everything = Phase(name="all", train_from="all", epochs=1, batch=5)
    found = run_range_test(studio.job(), everything, highest=1e6, n_steps=40)
    assert found.diverged
    assert 0 < len(found.losses) < 40
    assert len(found.rates) == len(found.losses)


def test_a_range_that_begins_beyond_reason_is_refused(studio: Any) -> None:
    everything = Phase(name="all", train_from="all", epochs=1, batch=5)
    with pytest.raises(RunError, match=r"got none at 1e\+24, its lowest\. Lower the highest rate"):
        run_range_test(studio.job(), everything, highest=1e30, n_steps=10)


def test_nothing_is_written(studio: Any) -> None:
    job = studio.job()
    run_range_test(job, HEAD, highest=0.1, n_steps=12)
    assert list(job.folder.iterdir()) == []


def test_smoothing_is_the_mean_of_the_past_weighted_by_its_age() -> None:
    losses = np.array([1.0, 3.0, 2.0])
    by_hand = [1.0, (0.7 * 1 + 3) / 1.7, (0.49 * 1 + 0.7 * 3 + 2) / 2.19]
    np.testing.assert_allclose(smooth(losses), by_hand, rtol=1e-12)


def test_the_suggestion_is_a_tenth_of_the_rate_at_the_lowest_loss() -> None:
    losses = [2.0] * 5 + [1.0] * 20 + [9.0] * 6
    found = made(losses, diverged=True)
    assert found.lowest_at == found.rates[int(np.argmin(smooth(np.array(losses))))]
    assert found.suggested == pytest.approx(found.lowest_at / 10)
    assert not found.still_fell


def test_a_loss_that_falls_to_the_end_is_said_to() -> None:
    assert made(np.linspace(3, 1, 30).tolist()).still_fell
    assert not made(np.linspace(1, 3, 30).tolist()).still_fell


def test_a_loss_that_no_rate_lowers_is_said_to() -> None:
    assert made([1.0] * 20 + [5.0] * 10).never_fell
    assert not made([1.0] * 10 + [0.9] * 20).never_fell


def test_the_loss_is_that_of_the_same_images_after_every_step(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_seen = []

    def note(classifier: Any, source: Any, boundary: int, rows: Any, **machine: Any) -> Any:
        rows_seen.append(rows.tolist())
        return loop.logits_of(classifier, source, boundary, rows, **machine)

    monkeypatch.setattr(range_test, "logits_of", note)
    job = studio.job()
    found = run_range_test(job, HEAD, highest=1e-9, n_steps=10)
    assert rows_seen == [job.validation_rows.tolist()] * 11
    np.testing.assert_allclose(found.losses[0], found.start, rtol=1e-2)


def test_statistics_have_met_the_data_before_the_first_loss(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    means = []

    def note(classifier: Any, *words: Any, **machine: Any) -> Any:
        means.append(classifier.network.bn1.running_mean.clone())
        return loop.logits_of(classifier, *words, **machine)

    monkeypatch.setattr(range_test, "logits_of", note)
    everything = Phase(name="all", train_from="all", epochs=1, batch=14)
    run_range_test(studio.job(), everything, highest=1e-9, n_steps=10)
    assert means[0].norm() > 0
    assert (means[1] - means[0]).norm() < 0.02 * means[0].norm()


def test_the_table_has_a_row_a_step() -> None:
    lines = made([2.0, 1.0, 0.5]).as_csv().splitlines()
    assert lines[0] == "learning_rate,loss,smoothed_loss"
    assert lines[1] == "1e-06,2,2"
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("highest", "n_steps"), [(0.0, 50), (-1.0, 50), (float("nan"), 50), (1.0, 9)]
)
def test_too_few_steps_or_no_rate_are_refused(studio: Any, highest: float, n_steps: int) -> None:
    with pytest.raises(ConfigError, match="A range test must have at least 10 steps"):
        run_range_test(studio.job(), HEAD, highest=highest, n_steps=n_steps)
