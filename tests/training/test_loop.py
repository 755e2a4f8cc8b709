import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics
from torch import Tensor

from moulage.errors import RunError
from moulage.networks.classifier import Classifier
from moulage.networks.tensors import write_tensors
from moulage.training import loop
from moulage.training.augmentation import Augmentation
from moulage.training.batches import ActivationSource, PixelSource, Place, Sample
from moulage.training.checkpoint import CHECKPOINT, Keeper, State, read_state
from moulage.training.imbalance import Treatment, TreatmentKind
from moulage.training.loop import Job, logits_of, prepare, run_phases, train_step
from moulage.training.phases import Phase

HEAD = Phase(name="frozen", train_from="head", epochs=2, batch=5, learning_rate=1e-2)
ALL = Phase(name="fine-tuned", train_from="all", epochs=2, batch=5, learning_rate=1e-3)
POLISH = replace(HEAD, name="polish", clip_norm=0.05)
# One of everything that draws, remembers or averages.
RICH = (
    replace(HEAD, schedule="one_cycle", warmup=0.3, average=0.9, patience=2, optimizer="adamw"),
    replace(
        ALL,
        schedule="one_cycle",
        warmup=0.3,
        average=0.9,
        patience=2,
        optimizer="adamw",
        weight_decay=0.05,
        clip_norm=1.0,
        label_smoothing=0.1,
    ),
)
RICH_AUGMENTATION = Augmentation(
    flips=True, turns=True, rotation=20.0, scale=(0.8, 1.1), brightness=0.2, mixup=0.4, cutmix=1.0
)


class KilledError(Exception):
    """What a test throws in place of SIGKILL."""


def killer(at: int) -> Callable[[str, int, int], None]:
    """Return a progress callback that throws at the step numbered `at`, counted from 1."""
    seen: list[int] = []

    def progress(what: str, done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == at:
            raise KilledError

    return progress


def outcome(studio: Any) -> dict[str, bytes]:
    """The bytes of every predictions file."""
    return {path.name: path.read_bytes() for path in sorted(studio.folder.glob("*.parquet"))}


def rows_of(state: State) -> list[dict[str, Any]]:
    """The history without what depends on the clock."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in state.history]


def below(classifier: Classifier, boundary: int) -> dict[str, Tensor]:
    above = classifier.state_above(boundary)
    return {k: v.clone() for k, v in classifier.state_dict().items() if k not in above}


def quiet(what: str, done: int, total: int) -> None:
    """Report progress to nobody."""


def rich_job(
    studio: Any,
    progress: Callable[[str, int, int], None] = quiet,
    kind: TreatmentKind = "class_weight",
) -> Job:
    """Return a job with everything switched on that draws, remembers or averages."""
    treatment = Treatment(kind=kind)
    job: Job = studio.job(augmentation=RICH_AUGMENTATION, treatment=treatment, progress=progress)
    return job


@pytest.fixture
def each_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let epochs of a few milliseconds leave a checkpoint, as those of seconds do."""
    monkeypatch.setattr(loop, "_CHECKPOINT_APART_S", 0.0)


@pytest.mark.usefixtures("each_epoch_is_kept")
def test_a_run_killed_in_any_epoch_ends_in_the_same_bytes(studio_in: Any, tmp_path: Path) -> None:
    whole = studio_in(tmp_path / "whole")
    state = run_phases(rich_job(whole), RICH)
    assert sorted(outcome(whole)) == ["fine-tuned.parquet", "frozen.parquet"]
    assert len(state.history) == 4
    for at in (2, 4, 9, 11):
        killed = studio_in(tmp_path / f"killed-{at}")
        with pytest.raises(KilledError, match=r"^$"):
            run_phases(rich_job(killed, killer(at)), RICH)
        assert rows_of(run_phases(rich_job(killed), RICH)) == rows_of(state), at
        assert outcome(killed) == outcome(whole), at


@pytest.mark.parametrize("kind", ["class_weight", "oversample", "augment"])
def test_a_run_killed_at_every_step_again_and_again_ends_in_the_same_bytes(
    studio_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: TreatmentKind
) -> None:
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY_S", 0.0)
    whole, killed = studio_in(tmp_path / "whole"), studio_in(tmp_path / "killed")
    steps: list[str] = []
    state = run_phases(rich_job(whole, lambda what, done, total: steps.append(what), kind), RICH)
    for _ in steps[1:]:  # each life takes two steps and keeps the first
        with pytest.raises(KilledError, match=r"^$"):
            run_phases(rich_job(killed, killer(2), kind), RICH)
    assert rows_of(run_phases(rich_job(killed, quiet, kind), RICH)) == rows_of(state)
    assert outcome(killed) == outcome(whole)


def test_ends_of_epochs_leave_no_checkpoint_where_one_was_kept_seconds_before(
    studio_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[int, int]] = []
    keep = Keeper.keep

    def note(keeper: Keeper, state: State) -> None:
        kept.append((state.phase, state.epoch))
        keep(keeper, state)

    monkeypatch.setattr(Keeper, "keep", note)
    run_phases(studio_in(tmp_path / "quick").job(), (HEAD, ALL))
    assert kept == [(1, 0), (2, 0)], "two epochs of milliseconds a phase"
    kept.clear()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_CHECKPOINT_APART_S", 0.0)
        run_phases(studio_in(tmp_path / "slow").job(), (HEAD, ALL))
    assert kept == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]
    assert outcome(studio_in(tmp_path / "quick")) == outcome(studio_in(tmp_path / "slow"))


@pytest.mark.usefixtures("each_epoch_is_kept")
def test_a_run_killed_between_two_phases_ends_in_the_same_bytes(
    studio_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = studio_in(tmp_path / "whole")
    state = run_phases(whole.job(), (HEAD, ALL, POLISH))
    writers = {"start": loop.write_tensors, "state": Keeper.keep}
    for victim, at in (("start", 1), ("state", 3), ("state", 6), ("state", 7)):
        killed, n_calls = studio_in(tmp_path / f"{victim}{at}"), []

        def stumble(
            *given: Any, victim: str = victim, at: int = at, n: list[int] = n_calls
        ) -> None:
            n.append(1)
            if len(n) == at:
                raise KilledError
            writers[victim](*given)

        with monkeypatch.context() as patch:
            place, name = (loop, "write_tensors") if victim == "start" else (Keeper, "keep")
            patch.setattr(place, name, stumble)
            with pytest.raises(KilledError, match=r"^$"):
                run_phases(killed.job(), (HEAD, ALL, POLISH))
        again = run_phases(killed.job(), (HEAD, ALL, POLISH))
        assert rows_of(again) == rows_of(state), (victim, at)
        assert outcome(killed) == outcome(whole), (victim, at)


def test_torchs_generator_is_afterwards_as_it_was_after_an_exception_too(studio: Any) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with pytest.raises(KilledError, match=r"^$"):
        run_phases(studio.job(progress=killer(2)), (HEAD, ALL))
    assert torch.equal(torch.get_rng_state(), before)
    run_phases(studio.job(), (HEAD, ALL))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_thread_that_draws_meanwhile_changes_nothing(
    studio_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, beside = studio_in(tmp_path / "alone"), studio_in(tmp_path / "beside")
    expected = rows_of(run_phases(alone.job(), (HEAD, ALL)))
    drawn: list[Tensor] = []
    for kind in (ActivationSource, PixelSource):

        def disturbed(source: Any, *given: Any, read: Any = kind.drawn) -> Tensor:
            thread = threading.Thread(target=lambda: drawn.append(torch.rand(1)))
            thread.start()
            thread.join()  # between the step's seed and its dropout
            return torch.as_tensor(read(source, *given))

        monkeypatch.setattr(kind, "drawn", disturbed)
    assert rows_of(run_phases(beside.job(), (HEAD, ALL))) == expected
    assert outcome(beside) == outcome(alone)
    assert len(drawn) == 2 * 2 * 3, "a step of two phases of two epochs"


def gradients_of_a_step(job: Job, phase: Phase) -> Tensor:
    """Take a step on five images and return the gradients that the weights moved by."""
    state = State()
    state.begin_phase(0)
    step = prepare(job, phase, state)
    train_step(step, state, Sample.once(np.arange(5)), Place(seed=5, phase=0, epoch=0))
    given = [p.grad.flatten() for p in job.classifier.parameters() if p.grad is not None]
    return torch.cat(given)


def test_gradients_are_scaled_down_to_the_bound_and_left_alone_below_it(studio: Any) -> None:
    whole = gradients_of_a_step(studio.job(), ALL)
    norm = float(whole.double().norm())
    below = gradients_of_a_step(studio.job(), replace(ALL, clip_norm=2 * norm))
    assert torch.equal(below, whole)
    clipped = gradients_of_a_step(studio.job(), replace(ALL, clip_norm=norm / 4))
    torch.testing.assert_close(clipped, whole / 4, rtol=1e-4, atol=1e-9)


def test_a_phase_clips_what_it_trains_and_keeps_no_gradient_of_the_phase_before(
    studio: Any,
) -> None:
    fresh, worn = studio.job(), studio.job()
    head = replace(HEAD, clip_norm=1e-3)
    alone = gradients_of_a_step(fresh, head)
    gradients_of_a_step(worn, replace(ALL, learning_rate=0.0, batchnorm="fixed"))
    worn.classifier.load_state_dict(studio.job().classifier.state_dict())
    assert torch.equal(gradients_of_a_step(worn, head), alone)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 2  # the top byte of a weight
    path.write_bytes(content)


def exchange(path: Path) -> None:
    write_tensors(path, {"another": torch.zeros(3)})


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        (CHECKPOINT, flip, "other bytes than were written"),
        ("start-1.safetensors", flip, "other bytes than were written"),
        ("start-1.safetensors", Path.unlink, "no such file"),
        ("start-1.safetensors", lambda path: path.write_bytes(b""), "header too small"),
        ("start-1.safetensors", exchange, "got 'Error(s) in loading state_dict for Classifier'"),
    ],
    ids=["state-flipped", "start-flipped", "start-gone", "start-empty", "start-anothers"],
)
def test_a_run_whose_files_changed_says_which_and_its_cure_gives_the_same_bytes(
    studio_in: Any, tmp_path: Path, name: str, spoil: Callable[[Path], object], told: str
) -> None:
    whole, killed = studio_in(tmp_path / "whole"), studio_in(tmp_path / "killed")
    run_phases(whole.job(), (HEAD, ALL))
    with pytest.raises(KilledError, match=r"^$"):
        run_phases(killed.job(progress=killer(10)), (HEAD, ALL))
    spoil(killed.folder / name)
    with pytest.raises(RunError, match=re.escape(f"{name}` must be as this run wrote it")) as fault:
        run_phases(killed.job(), (HEAD, ALL))
    state = killed.folder / CHECKPOINT
    assert told in str(fault.value)
    assert f"Delete `{state}` and run the same command again" in str(fault.value)
    assert "\n" not in str(fault.value)
    state.unlink()
    run_phases(killed.job(), (HEAD, ALL))
    assert outcome(killed) == outcome(whole)


def test_what_lies_below_the_boundary_keeps_every_bit(studio: Any) -> None:
    job = studio.job()
    boundary = job.classifier.boundary("blocks.1")
    before = below(job.classifier, boundary)
    assert any("running_var" in name for name in before)
    phase = replace(ALL, train_from="blocks.1", learning_rate=1e-2)
    run_phases(job, (phase,))
    after = below(job.classifier, boundary)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("policy", "moves"), [("update", True), ("fixed", False)])
def test_batchnorm_policy_decides_whether_the_backbones_statistics_follow(
    studio: Any, policy: Any, moves: bool
) -> None:
    job = studio.job()
    run_phases(job, (replace(ALL, batchnorm=policy, epochs=1),))
    network = job.classifier.network.state_dict()
    fresh = studio.job().classifier.network.state_dict()
    means = [name for name in network if name.endswith("running_mean")]
    assert all(torch.equal(network[name], fresh[name]) != moves for name in means)
    head = job.classifier.head.state_dict()
    assert head["4.running_mean"].abs().max() > 0, "the head's statistics always follow"


def log_loss(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the mean log loss of unscaled scores, by scikit-learn."""
    shares = torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()
    return float(metrics.log_loss(labels, shares, labels=range(shares.shape[1])))


@pytest.mark.usefixtures("each_epoch_is_kept")
@pytest.mark.parametrize(("monitor", "epochs"), [("loss", 8), ("calibrated_loss", 5)])
def test_the_best_weights_of_an_epoch_are_kept_not_the_last(
    studio: Any, monitor: Any, epochs: int
) -> None:
    digests: list[str] = []
    phase = replace(HEAD, epochs=epochs, learning_rate=0.3)
    job = studio.job(monitor=monitor)
    keep = loop._keep

    def spy(step: Any, state: State, keeper: Keeper) -> None:
        digests.append(step.job.classifier.digest())
        keep(step, state, keeper)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_keep", spy)
        state = run_phases(job, (phase,))
    losses = [row[f"validation_{monitor}"] for row in state.history]
    assert int(np.argmin(losses)) < len(losses) - 1, "the case needs a best before the last"
    assert job.classifier.digest() == digests[int(np.argmin(losses))]
    assert state.best_loss == min(losses)


def test_the_calibrated_loss_is_that_at_the_best_temperature(studio: Any) -> None:
    job = studio.job(monitor="calibrated_loss")
    state = run_phases(job, (replace(HEAD, epochs=1, learning_rate=0.3),))
    source, rows = job.source_at(len(job.classifier.stages)), job.validation_rows
    logits = logits_of(
        job.classifier, source, len(job.classifier.stages), rows, machine=job.machine
    )
    (row,) = state.history
    grid = [log_loss(logits / t, job.labels[rows]) for t in np.geomspace(0.05, 20, 4001)]
    assert row["validation_calibrated_loss"] == pytest.approx(min(grid), abs=1e-5)
    assert row["validation_calibrated_loss"] < row["validation_loss"] - 0.01
    assert row["validation_loss"] == pytest.approx(log_loss(logits, job.labels[rows]))


def test_a_phase_that_gains_nothing_leaves_the_weights_it_began_with(studio: Any) -> None:
    job = studio.job()
    ruinous = replace(ALL, learning_rate=5.0, epochs=2)
    state = run_phases(job, (HEAD, ruinous))
    assert state.best_phase == 0, "the case needs a second phase without gain"
    (_, after_first), (_, after_second) = studio.ends
    assert after_second == after_first == job.classifier.digest()
    assert state.best_loss == min(row["validation_loss"] for row in state.history)


def test_a_head_phase_after_fine_tuning_computes_its_activations_anew(studio: Any) -> None:
    job = studio.job()
    n_stages = len(job.classifier.stages)
    polish = replace(HEAD, name="polish")
    weak, strong = replace(HEAD, learning_rate=1e-6), replace(ALL, learning_rate=1e-2, epochs=4)
    run_phases(job, (weak, strong, polish))
    assert studio.boundaries == [n_stages, 0, n_stages]
    assert studio.ends[0][1] != studio.ends[1][1]
    cached = list((studio.folder.parent / "cache" / "activations").glob("[!.]*"))
    assert len(cached) == 2


def test_activations_train_a_head_as_pixels_below_a_frozen_backbone_do(studio: Any) -> None:
    job = studio.job()
    boundary = job.classifier.boundary("head")
    from_disk, rows = job.source_at(boundary), np.arange(6)
    images = job.source_at(0).plain(rows)
    job.classifier.eval()
    with torch.inference_mode():
        through = job.classifier.logits(images, 0)
        short = job.classifier.logits(from_disk.plain(rows), boundary)
    torch.testing.assert_close(short, through, rtol=1e-4, atol=1e-5)


def test_patience_ends_a_phase_that_no_longer_gains(studio: Any) -> None:
    state = run_phases(studio.job(), (replace(HEAD, epochs=30, learning_rate=0.5, patience=2),))
    losses = [row["validation_loss"] for row in state.history]
    assert len(losses) < 30
    assert int(np.argmin(losses)) == len(losses) - 3, "two epochs without gain, then the end"


def pretend_losses(monkeypatch: pytest.MonkeyPatch, *losses: float) -> None:
    """Let each epoch in turn have one of these losses on validation."""
    left = iter(losses)
    row = dict.fromkeys(("validation_accuracy", "validation_balanced_accuracy"), 0.5)
    monkeypatch.setattr(loop, "_measure", lambda step: {"validation_loss": next(left), **row})


def test_a_better_epoch_gives_patience_a_new_start(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_losses(monkeypatch, 1.0, 2.0, 0.5, 2.0, 2.0, 2.0, 2.0)
    state = run_phases(studio.job(), (replace(HEAD, epochs=7, patience=2),))
    assert len(state.history) == 5, "worse, better, worse, worse"


def test_the_training_loss_is_the_mean_over_images_however_large_their_batches(
    studio: Any,
) -> None:
    told: list[list[float]] = []

    class Told(Treatment):
        def loss(self, scores: Tensor, targets: Tensor, counts: Any) -> Tensor:
            told.append(
                torch.nn.functional.cross_entropy(scores, targets, reduction="none").tolist()
            )
            return super().loss(scores, targets, counts)

    state = run_phases(studio.job(treatment=Told()), (replace(HEAD, epochs=1, learning_rate=0.3),))
    assert [len(batch) for batch in told] == [5, 5, 4]
    assert state.history[0]["train_loss"] == pytest.approx(np.mean(np.concatenate(told)), rel=1e-5)


@pytest.mark.usefixtures("each_epoch_is_kept")
def test_a_loss_that_is_no_number_ends_in_one_sentence_and_keeps_the_checkpoint(
    studio: Any,
) -> None:
    class Poisoned(Treatment):
        def loss(self, scores: Tensor, targets: Tensor, counts: Any) -> Tensor:
            return scores.sum() * float("nan")

    run_phases_until = replace(HEAD, epochs=4)
    with pytest.raises(KilledError, match=r"^$"):
        run_phases(studio.job(progress=killer(7)), (run_phases_until,))
    before = (studio.folder / CHECKPOINT).read_bytes()
    message = (
        r"^The training loss must be finite; got nan in phase `frozen`, epoch 3, step 1, at a "
        r"learning rate of 0\.01\. Lower `learning_rate`"
    )
    with pytest.raises(RunError, match=message):
        run_phases(studio.job(treatment=Poisoned()), (run_phases_until,))
    assert (studio.folder / CHECKPOINT).read_bytes() == before
    assert read_state(studio.folder / CHECKPOINT).epoch == 2


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_an_interrupt_waits_for_the_step_and_keeps_it(studio: Any, at: int) -> None:
    seen: list[str] = []

    def press(what: str, done: int, total: int) -> None:
        seen.append(what)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_phases(studio.job(progress=press), (HEAD,))
    assert signal.getsignal(signal.SIGINT) == handler
    state = read_state(studio.folder / CHECKPOINT)
    assert 3 * state.epoch + state.step == at


@pytest.mark.parametrize("at", [3, 6])
def test_a_run_that_stopped_after_an_epochs_last_step_tells_the_rate_of_that_step(
    studio_in: Any, tmp_path: Path, at: int
) -> None:
    phase = replace(HEAD, schedule="cosine")
    whole = run_phases(studio_in(tmp_path / "whole").job(), (phase,))
    seen: list[str] = []

    def press(what: str, done: int, total: int) -> None:
        seen.append(what)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGINT)

    studio = studio_in(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        run_phases(studio.job(progress=press), (phase,))
    again = run_phases(studio.job(), (phase,))
    rates = [[row["learning_rate"] for row in state.history] for state in (whole, again)]
    assert rates[0] == rates[1]
    assert rates[0][0] > rates[0][1]


def test_an_interrupt_while_an_epoch_is_measured_keeps_the_epoch(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = loop._measure

    def press(step: Any) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGINT)
        return measure(step)

    monkeypatch.setattr(loop, "_measure", press)
    with pytest.raises(KeyboardInterrupt):
        run_phases(studio.job(), (HEAD,))
    state = read_state(studio.folder / CHECKPOINT)
    assert (state.epoch, state.step, len(state.history)) == (1, 0, 1)


def test_an_interrupt_while_activations_are_computed_is_heard_at_once(studio: Any) -> None:
    def press(boundary: int) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the interrupt was not heard")

    # A shell's background jobs are started deaf to interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        run_phases(studio.job(source_at=press), (HEAD,))
    signal.signal(signal.SIGINT, before)


def test_the_average_covers_weights_and_running_statistics(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_losses(monkeypatch, 2.0, 1.0)
    phase = replace(ALL, average=0.5, epochs=2)
    job = studio.job()
    start = {name: t.detach().clone() for name, t in job.classifier.state_above(0).items()}
    seen = [start]

    def note(what: str, done: int, total: int) -> None:
        seen.append({k: t.detach().clone() for k, t in job.classifier.state_above(0).items()})

    run_phases(replace(job, progress=note), (phase,))
    kept = job.classifier.state_above(0)
    for name in ("network.bn1.running_var", "network.conv_stem.weight", "head.2.bias"):
        average = seen[0][name].double()
        for done, live in enumerate(seen[1:]):
            decay = min(0.5, (1 + done) / (10 + done))
            average = decay * average + (1 - decay) * live[name].double()
        torch.testing.assert_close(kept[name].double(), average, rtol=1e-5, atol=1e-7)
        assert not torch.equal(kept[name], seen[-1][name])


def test_smoothed_targets_and_class_weights_give_the_loss_of_the_formula(studio: Any) -> None:
    job = studio.job(treatment=Treatment(kind="class_weight"))
    rows = np.array([0, 1, 2, 3])
    targets = loop._targets(job, replace(HEAD, label_smoothing=0.3), rows)
    expected = np.full((4, 3), 0.1)
    expected[np.arange(4), job.labels[rows]] += 0.7
    np.testing.assert_allclose(targets.numpy(), expected, rtol=1e-6)


def test_the_validation_loss_is_plain_cross_entropy_at_the_natural_prior(studio: Any) -> None:
    treatment, counts = Treatment(kind="class_weight"), np.array([9, 3, 2])
    job = studio.job(treatment=treatment, counts=counts)
    state = run_phases(job, (replace(HEAD, epochs=1),))
    shift = np.log(counts / 14 * 3)  # natural over even, which the weights make it
    rows = job.validation_rows
    with torch.inference_mode():
        scores = job.classifier.eval()(job.source_at(0).plain(rows), 0).double()
    loss = torch.nn.functional.cross_entropy(
        scores + torch.from_numpy(shift), torch.from_numpy(job.labels[rows])
    )
    assert state.history[0]["validation_loss"] == pytest.approx(float(loss), rel=1e-4)


def test_training_accuracy_is_that_at_the_natural_prior(studio: Any) -> None:
    counts = np.array([10**6, 1, 1])
    job = studio.job(treatment=Treatment(kind="class_weight"), counts=counts)
    state = run_phases(job, (replace(HEAD, epochs=1),))
    naevi = float((job.labels[job.train_rows] == 0).mean())
    assert state.history[0]["train_accuracy"] == pytest.approx(naevi)


def test_each_phase_has_the_natural_prior_put_back_after_its_own_smoothing(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, shifts = np.array([9, 3, 2]), []

    def note(phase: Phase, source: Any) -> None:
        shifts.append(job.classifier.prior_shift.numpy().copy())

    job = studio.job(counts=counts, on_phase_end=note)
    soft = replace(HEAD, name="soft", label_smoothing=0.3)
    pretend_losses(monkeypatch, 4.0, 3.0, 2.0, 1.0, 5.0)
    run_phases(job, (HEAD, soft, replace(ALL, epochs=1)))
    np.testing.assert_allclose(shifts[0], 0, atol=1e-7)
    natural = counts / 14
    expected = np.log(natural) - np.log(0.7 * natural + 0.1)
    for shift in shifts[1:]:  # the third phase gains nothing, so the second's weights are kept
        np.testing.assert_allclose(shift, expected, rtol=1e-5)


def test_smoothing_gives_nothing_to_a_class_that_training_lacks(studio: Any) -> None:
    job = studio.job(counts=np.array([9, 0, 5]))
    targets = loop._targets(job, replace(HEAD, label_smoothing=0.3), np.array([0, 2]))
    np.testing.assert_allclose(targets.numpy(), [[0.85, 0, 0.15], [0.15, 0, 0.85]], rtol=1e-6)


def test_training_images_are_drawn_again_each_epoch_and_alike_for_the_same_seed(
    studio_in: Any, tmp_path: Path
) -> None:
    augmentation = Augmentation(flips=True, turns=True)
    rows = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        job = studio_in(tmp_path / name).job(seed=seed, augmentation=augmentation)
        rows[name] = rows_of(run_phases(job, (HEAD,)))
    assert rows["a"] == rows["b"]
    assert rows["a"] != rows["c"]
