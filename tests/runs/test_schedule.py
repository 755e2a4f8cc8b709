import json
import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from moulage.actions import compare
from moulage.catalogue import read_catalogue
from moulage.dossier import study_record
from moulage.errors import ConfigError, DataError, LeakageError, MoulageError, RunError
from moulage.evaluation.calibration import fit_temperature
from moulage.evaluation.decisions import decide
from moulage.files import alone_at
from moulage.networks.classifier import build_network
from moulage.networks.tensors import write_tensors
from moulage.predictions import Predictions, read_predictions
from moulage.runs import experiment, schedule
from moulage.runs.baselines import NAMES, read_baselines
from moulage.runs.config import StudyConfig
from moulage.runs.folder import pooled_below, read_layout
from moulage.runs.pooled import pool
from moulage.runs.schedule import Outcome, run_study
from moulage.split import read_split, write_split
from moulage.splits.leakage import shared_groups

TINY = {
    "name": "tiny",
    "backbone": "test_efficientnet",
    "weights": "random",
    "hidden": [4],
    "phases": [{"name": "frozen", "train_from": "head", "epochs": 1, "batch": 16}],
}


def run(study: StudyConfig, out: Path, *, fresh: bool = False) -> Outcome:
    return run_study(study, out=out, only=(), fresh=fresh, progress=lambda what, done, total: None)


def bytes_below(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_run_from_a_block_on_notes_what_is_familiar_without_another_pass(
    study_of: Any, casts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moulage.networks.activations.impressions_of", None)
    phase = {"name": "tuned", "train_from": "blocks.4", "epochs": 1, "batch": 16}
    study = study_of(casts, experiment=[{**TINY, "phases": [phase]}])
    (found,) = run(study, tmp_path).finished
    n_test = (read_split(found.path / "split.csv").parts == "test").sum()
    assert len(pd.read_csv(found.path / "unfamiliarity.csv")) == n_test > 0


def test_runs_side_by_side_are_those_of_one_thread_each(
    study_of: Any, casts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = [{**TINY, "name": name, "seeds": [0, 1]} for name in ("a", "b")]
    recipes[1] |= {"imbalance": "augment", "augmentation": {"turns": True}}
    threads = {n: {"threads": n, "precision": "float32"} for n in (1, 2)}
    n_threads = torch.get_num_threads()
    in_turn = run(study_of(casts, experiment=recipes, machine=threads[1]), tmp_path / "turn")
    told: list[tuple[str, int, int]] = []
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path / "cache"))
    at_once = run_study(
        study_of(casts, experiment=recipes, machine=threads[2]),
        out=tmp_path / "once",
        only=(),
        fresh=False,
        progress=lambda *step: told.append(step),
        n_jobs=2,
    )
    assert torch.get_num_threads() == n_threads, "whoever calls next finds them as they were"
    names = ["a-seed0", "a-seed1", "b-seed0", "b-seed1"]
    for outcome in (in_turn, at_once):
        assert [found.path.name for found in outcome.finished] == names
    for one, other in zip(in_turn.finished, at_once.finished, strict=True):
        assert other.study()["resolved"]["threads"] == 1
        assert other.study()["machine"]["threads"] == 1
        kept = ("predictions.parquet", "classifier.safetensors", "trust.json")
        for name in (*kept, "familiarity.safetensors", "unfamiliarity.csv"):
            assert (one.path / name).read_bytes() == (other.path / name).read_bytes()
    assert "activations" in {what for what, _, _ in told}, "computed before the processes start"
    assert [step for step in told if step[0] == "runs"] == [("runs", n, 4) for n in (1, 2, 3, 4)]
    split = read_split(at_once.finished[0].path / "split.csv")
    assert read_baselines(at_once.folder / "baselines-split0", split.digest)


def test_the_longest_of_several_runs_at_once_begin_first(
    study_of: Any, casts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long one that began last would end alone; of equally long ones the file's order counts."""
    begun: list[str] = []

    def side_by_side(calls: Any, **_: Any) -> list[Any]:
        begun.extend(name for name, _ in calls)
        return [call() for _, call in calls]

    monkeypatch.setattr(schedule, "side_by_side", side_by_side)
    recipes = [{**TINY, "name": "plain", "seeds": [0, 1]}, {**TINY, "name": "filled"}]
    recipes[1] |= {"imbalance": "augment"}
    outcome = run_study(
        study_of(casts, experiment=recipes),
        out=tmp_path,
        only=(),
        fresh=False,
        progress=lambda *step: None,
        n_jobs=2,
    )
    assert begun == ["filled-seed0", "plain-seed0", "plain-seed1"]
    assert [run.path.name for run in outcome.finished] == [*begun[1:], begun[0]]


def test_experiments_without_weights_are_left_out_side_by_side_too(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    recipes = [{**TINY, "name": "lacks", "weights": "imagenet"}, {**TINY, "name": "has"}]
    study = study_of(casts, experiment=recipes)
    asked: dict[str, Any] = {"out": tmp_path, "only": (), "fresh": False, "n_jobs": 2}
    outcome = run_study(study, progress=lambda *step: None, **asked)
    assert [found.path.name for found in outcome.finished] == ["has-seed0"]
    assert [name for name, _ in outcome.not_run] == ["lacks"]
    again = run_study(study, progress=lambda *step: None, **asked)
    assert again.finished == outcome.finished
    run_study(study, progress=lambda *step: None, **{**asked, "only": ("has",)})
    assert read_layout(outcome.folder).not_run == outcome.not_run, "not asked for, not forgotten"


def test_no_runs_at_once_are_refused(study_of: Any, casts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`jobs` must be at least 1; got 0"):
        run_study(
            study_of(casts),
            out=tmp_path,
            only=(),
            fresh=False,
            progress=lambda *step: None,
            n_jobs=0,
        )


def test_a_study_leaves_run_folders_baselines_and_predictions_of_every_image(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    outcome = run(study_of(casts), tmp_path)
    (finished,) = outcome.finished
    assert {path.name for path in finished.path.iterdir()} == {
        "catalogue.parquet",
        "classifier.json",
        "classifier.safetensors",
        "familiarity.safetensors",
        "history.csv",
        "ledger.json",
        "metrics.json",
        "predictions-frozen.parquet",
        "predictions.parquet",
        "split.csv",
        "study.toml",
        "trust.json",
        "unfamiliarity.csv",
    }
    catalogue = read_catalogue(finished.path / "catalogue.parquet")
    split = read_split(finished.path / "split.csv")
    predictions = read_predictions(finished.path / "predictions.parquet")
    assert predictions.image_ids.tolist() == catalogue.image_ids.tolist()
    assert predictions.labels.tolist() == catalogue.labels.tolist()
    assert predictions.parts.tolist() == split.parts.tolist()
    assert not shared_groups(split)
    train = predictions.labels[predictions.parts == "train"]
    np.testing.assert_allclose(predictions.prior, np.bincount(train, minlength=7) / len(train))
    assert predictions.split_digest == split.digest
    baselines = read_baselines(outcome.folder / "baselines-split0", split.digest)
    assert tuple(baselines) == NAMES
    metrics = finished.metrics()
    test = predictions.of("test")
    accuracy = np.mean(decide(logits=test.logits, prior=test.prior, rule="natural") == test.labels)
    assert metrics["parts"]["test"]["natural"]["accuracy"] == pytest.approx(accuracy)
    assert metrics["run"]["n_looks"] == 1
    certainty = metrics["certainty"]
    low, high = certainty["intervals"]["natural"]["accuracy"]
    assert low <= accuracy <= high
    assert certainty["by_lesion"]["natural"]["n_images"] == len(np.unique(test.lesion_ids))
    assert certainty["thresholds_from"] == "validation"
    assert set(certainty["questions"]) == {"melanoma", "malignant"}
    asked = certainty["questions"]["malignant"]
    assert asked["diagnoses"] == ["akiec", "bcc", "mel"]
    assert (
        asked["by_image"]["sensitivity_at_specificity_90"]["n"] == asked["by_image"]["n_positives"]
    )
    history = pd.read_csv(finished.path / "history.csv")
    assert history["phase"].tolist() == ["frozen"]


def test_the_same_study_again_changes_no_byte(study_of: Any, casts: Path, tmp_path: Path) -> None:
    run(study_of(casts), tmp_path)
    before = bytes_below(tmp_path / "small")
    run(study_of(casts), tmp_path)
    assert bytes_below(tmp_path / "small") == before


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    study = study_of(casts, experiment=[{**TINY, "seeds": [0, 1]}])
    once, again = (run(study, tmp_path / name) for name in ("once", "again"))
    first, second = (
        [(found.path / "predictions.parquet").read_bytes() for found in outcome.finished]
        for outcome in (once, again)
    )
    assert first == second
    assert first[0] != first[1]


def test_a_run_that_another_process_is_at_is_waited_for_and_said(
    study_of: Any, casts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    place = tmp_path / "small" / "tiny-seed0"
    with ThreadPoolExecutor(1) as pool, alone_at(place):
        outcome = pool.submit(run, study_of(casts), tmp_path)
        wait_for(lambda: f"at work on {place}" in caplog.text)
        assert not outcome.done()
        assert not place.exists()
        shutil.copytree(run(study_of(casts), tmp_path / "other").finished[0].path, place)
        kept = bytes_below(place)
    (found,) = outcome.result().finished
    assert bytes_below(found.path) == kept, "what the other process left is what stands"


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_changed_experiment_is_refused_and_fresh_starts_over(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    run(study_of(casts), tmp_path)
    other = study_of(casts, experiment=[{**TINY, "dropout": 0.1}])
    with pytest.raises(ConfigError, match=r"other values of experiment\.0\.dropout in"):
        run(other, tmp_path)
    (finished,) = run(other, tmp_path, fresh=True).finished
    assert finished.study()["experiment"][0]["dropout"] == 0.1


def test_a_run_is_of_its_pixels_and_its_table_wherever_they_lie(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    moved, other = tmp_path / "moved", tmp_path / "other"
    for copy in (moved, other):
        shutil.copytree(casts, copy, copy_function=shutil.copyfile)  # other times of the files
    name = "HAM10000_metadata.csv"
    table = pd.read_csv(other / name, dtype=str)
    (finished,) = run(study_of(casts), tmp_path).finished
    assert run(study_of(moved), tmp_path).finished == (finished,)
    table.assign(age="40").to_csv(other / name, index=False)
    with pytest.raises(ConfigError, match=r"dataset\.digest \(the table of images, or their diag"):
        run(study_of(other), tmp_path)
    table.to_csv(other / name, index=False)
    one, another, *_ = sorted(other.rglob("*.jpg"))
    shutil.copyfile(another, one)
    with pytest.raises(ConfigError, match=r"images\.digest \(their pixels\)"):
        run(study_of(other), tmp_path)


def test_a_run_that_goes_on_from_other_weights_is_refused(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "mine.safetensors"
    phase = {**TINY["phases"][0], "epochs": 2}
    study = study_of(casts, experiment=[{**TINY, "weights": str(weights), "phases": [phase]}])

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("frozen 2"):
            raise KeyboardInterrupt

    write_tensors(weights, build_network("test_efficientnet", seed=0).state_dict())
    with pytest.raises(KeyboardInterrupt):
        run_study(study, out=tmp_path, only=(), fresh=False, progress=stop)
    write_tensors(weights, build_network("test_efficientnet", seed=1).state_dict())
    with pytest.raises(RunError, match=r"got weights [0-9a-f]{12} \(here [0-9a-f]{12}\) in"):
        run(study, tmp_path)
    (finished,) = run(study, tmp_path, fresh=True).finished
    assert finished.is_finished


def test_baselines_are_those_of_the_images_and_of_the_first_experiment(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    def fitted(folder: Path) -> bytes:
        return (folder / "baselines-split0" / "pooled-activations-regression.parquet").read_bytes()

    recipes = [TINY, {**TINY, "name": "other", "backbone": "MobileNetV3Small"}]
    asked: dict[str, Any] = {"out": tmp_path, "fresh": True, "progress": lambda *step: None}
    study = study_of(casts, experiment=recipes)
    alone = fitted(run_study(study, only=("other",), **asked).folder)
    assert fitted(run_study(study, only=("tiny",), **asked).folder) == alone
    larger = study_of(casts, experiment=recipes, images={"size": 48})
    assert fitted(run_study(larger, only=("tiny",), **asked).folder) != alone


def test_another_size_is_another_look_at_the_test_part(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    looks = [
        run(study_of(casts, images={"size": size}), tmp_path / str(n)).finished[0].metrics()
        for n, size in enumerate((32, 48, 32))
    ]
    assert [found["run"]["n_looks"] for found in looks] == [1, 2, 2]


def test_what_is_refused_is_refused_before_anything_is_computed_side_by_side(
    study_of: Any, casts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = {**TINY, "name": "last"}
    run(study_of(casts, experiment=[last]), tmp_path)
    changed = study_of(casts, experiment=[TINY, {**last, "dropout": 0.1}])

    def compute(*_: Any, **__: Any) -> None:
        raise AssertionError("too early")

    monkeypatch.setattr(schedule, "fill_caches", compute)
    with pytest.raises(ConfigError, match=r"other values of experiment\.0\.dropout in"):
        run_study(
            changed, out=tmp_path, only=(), fresh=False, progress=lambda *step: None, n_jobs=2
        )
    assert not (tmp_path / changed.name / "tiny-seed0").exists()


def test_caches_are_filled_with_the_studys_threads_however_many_run_at_once(
    study_of: Any, casts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(*_: Any, threads: int, **__: Any) -> None:
        raise RunError(f"with {threads}")

    monkeypatch.setattr(schedule, "fill_caches", compute)
    study = study_of(casts, machine={"threads": 2})
    with pytest.raises(RunError, match="with 2"):
        run_study(study, out=tmp_path, only=(), fresh=False, progress=lambda *step: None, n_jobs=8)


def test_experiments_without_weights_are_left_out_with_the_reason(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    absent = {**TINY, "name": "absent", "backbone": "densenet201", "weights": "imagenet"}
    outcome = run(study_of(casts, experiment=[absent, TINY]), tmp_path)
    assert [found.path.name for found in outcome.finished] == ["tiny-seed0"]
    ((name, reason),) = outcome.not_run
    assert name == "absent"
    assert "DenseNet201" in reason
    with pytest.raises(RunError, match="DenseNet201"):
        run(study_of(casts, experiment=[absent]), tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"machine": {"device": "cuda:99"}}, "`device` must be one of this machine's"),
        ({"experiment": [{**TINY, "backbone": "densenet20"}]}, "Did you mean 'densenet201'"),
        ({}, "must be writable .*MOULAGE_DATA moves the records"),
    ],
)
def test_a_run_that_cannot_be_here_leaves_no_folder(
    study_of: Any,
    casts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    says: str,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOULAGE_DATA", str(tmp_path / "file"))
    with pytest.raises(MoulageError, match=says):
        run(study_of(casts, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_leak_is_refused_unless_it_is_asked_for(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    (finished,) = run(study_of(casts, split={"kind": "leaky"}), tmp_path / "a").finished
    leaky = read_split(finished.path / "split.csv")
    assert shared_groups(leaky)
    predictions = read_predictions(finished.path / "predictions.parquet")
    assert len(predictions) == len(leaky) > 60
    (finished,) = run(study_of(casts, split={"kind": "image"}), tmp_path / "b").finished
    by_image = read_split(finished.path / "split.csv")
    assert shared_groups(by_image)
    write_split(by_image, tmp_path / "split.csv")
    from_file = {"kind": "file", "file": str(tmp_path / "split.csv")}
    with pytest.raises(LeakageError, match="A lesion must lie in one part only"):
        run(study_of(casts, split=from_file), tmp_path / "c")


def test_minorities_are_filled_up_with_views_of_their_own_images_only(
    study_of: Any, casts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[int, int] = {}
    original = experiment.activations_at

    def listen(*given: Any, **named: Any) -> Any:
        if named.get("rows") is not None:
            asked[named["view"]] = len(named["rows"])
        return original(*given, **named)

    monkeypatch.setattr(experiment, "activations_at", listen)
    (found,) = run(
        study_of(casts, experiment=[{**TINY, "imbalance": "augment"}]), tmp_path
    ).finished
    split = read_split(found.path / "split.csv")
    assert asked, "the majority alone is shown as it is"
    assert max(asked.values()) < len(split.rows_of("train"))
    assert 0 not in asked, "every image is needed as it is, for validation and test"


def test_one_study_holds_an_honest_split_and_a_leaky_one(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    leak = {**TINY, "name": "leak", "split": "leaky"}
    outcome = run(study_of(casts, experiment=[TINY, leak]), tmp_path)
    honest, leaky = outcome.finished
    splits = [read_split(found.path / "split.csv") for found in (honest, leaky)]
    assert [bool(shared_groups(split)) for split in splits] == [False, True]
    kept = read_layout(outcome.folder)
    record = study_record([leaky, honest], name="study", layout=kept)
    assert [one.experiment.name for one in record.runs] == ["tiny", "leak"], "the file's order"
    tested = [sorted(split.image_ids[split.rows_of("test")]) for split in splits]
    assert tested[0] == tested[1], "the leak adds the test images to training, and no more"
    folder = honest.path.parent
    assert {path.name for path in folder.glob("baselines-*")} == {
        "baselines-split0",
        "baselines-leaky-split0",
    }


def test_a_split_file_is_followed_row_by_row(study_of: Any, casts: Path, tmp_path: Path) -> None:
    (finished,) = run(study_of(casts, split={"seeds": [5]}), tmp_path / "a").finished
    made = read_split(finished.path / "split.csv")
    shuffled = np.random.default_rng(42).permutation(len(made))
    write_split(
        replace(
            made,
            image_ids=made.image_ids[shuffled],
            lesion_ids=made.lesion_ids[shuffled],
            parts=made.parts[shuffled],
        ),
        tmp_path / "split.csv",
    )
    from_file = {"kind": "file", "file": str(tmp_path / "split.csv")}
    (again,) = run(study_of(casts, split=from_file), tmp_path / "b").finished
    parts = [
        dict(zip(p.image_ids.tolist(), p.parts.tolist(), strict=True))
        for p in (read_predictions(r.path / "predictions.parquet") for r in (finished, again))
    ]
    assert parts[0] == parts[1]
    assert read_split(again.path / "split.csv").digest == made.digest


def test_unreadable_images_are_refused_or_left_out_and_listed(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    shutil.copytree(casts, tmp_path / "broken")
    victim = sorted((tmp_path / "broken").rglob("*.jpg"))[7]
    victim.write_bytes(b"")
    with pytest.raises(DataError, match=f"1 that are not.*{victim.name}"):
        run(study_of(tmp_path / "broken"), tmp_path / "a")
    skipping = {"size": 32, "unreadable": "skip"}
    (finished,) = run(study_of(tmp_path / "broken", images=skipping), tmp_path / "b").finished
    predictions = read_predictions(finished.path / "predictions.parquet")
    assert victim.stem not in predictions.image_ids
    assert len(predictions) == len(pd.read_csv(casts / "HAM10000_metadata.csv")) - 1
    assert any(victim.name in note for note in finished.metrics()["run"]["notes"])


def test_folds_are_pooled_so_that_each_image_is_predicted_once_out_of_fold(
    study_of: Any, casts: Path, tmp_path: Path
) -> None:
    outcome = run(study_of(casts, split={"folds": 3}), tmp_path)
    assert len(outcome.finished) == 3
    (folder,) = outcome.pooled
    assert folder.name == "tiny-seed0-pooled"
    pooled = read_predictions(folder / "predictions.parquet")
    catalogue = read_catalogue(outcome.finished[0].path / "catalogue.parquet")
    assert pooled.image_ids.tolist() == catalogue.image_ids.tolist()
    assert set(pooled.parts.tolist()) == {"test"}
    for finished in outcome.finished:
        fold = read_predictions(finished.path / "predictions.parquet").of("test")
        rows = np.flatnonzero(np.isin(pooled.image_ids, fold.image_ids))
        ours, theirs = (
            p.logits.astype(float) - np.log(np.maximum(p.prior, 1e-9))
            for p in (pooled.take(rows), fold)
        )
        trained = (fold.prior > 0) & (pooled.prior > 0)
        difference = (ours - theirs)[:, trained]
        np.testing.assert_allclose(difference - difference[:, :1], 0, atol=1e-4)
        assert np.isin(fold.image_ids, pooled.image_ids).all()
    assert (folder / "metrics.json").is_file()
    assert pooled_below(outcome.folder) == ("tiny-seed0-pooled",)
    page = compare(outcome.folder).read_text()
    assert "stand in tiny-seed0-pooled/metrics.json." in page
    content = json.loads((outcome.folder / "comparison.json").read_text())
    assert content["pooled"] == ["tiny-seed0-pooled"]


def fold_of(parts: list[str], logits: list[list[float]], prior: list[float]) -> Predictions:
    names = np.array([f"i{row}" for row in range(len(parts))])
    return Predictions(
        image_ids=names,
        lesion_ids=names,
        parts=np.array(parts),
        labels=np.arange(len(parts), dtype=np.int64) % 2,
        logits=np.array(logits, dtype=np.float32),
        diagnoses=("nv", "mel"),
        prior=np.array(prior),
    )


def test_pooling_moves_each_fold_to_the_prior_of_the_whole_by_pencil() -> None:
    scores = [[2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [3.0, 0.0]]
    first = fold_of(["test", "train", "validation", "test"], scores, [0.75, 0.25])
    second = fold_of(["validation", "test", "test", "train"], scores, [0.5, 0.5])
    pooled = pool([second, first])
    assert pooled.image_ids.tolist() == ["i0", "i1", "i2", "i3"]
    np.testing.assert_allclose(pooled.prior, [0.5, 0.5])
    shift = np.log([0.5 / 0.75, 0.5 / 0.25])
    np.testing.assert_allclose(pooled.logits[0], [2 + shift[0], shift[1]], rtol=1e-6)
    np.testing.assert_allclose(pooled.logits[1], [0, 1], rtol=1e-6)
    np.testing.assert_allclose(pooled.logits[3], [3 + shift[0], shift[1]], rtol=1e-6)


def test_pooling_fits_its_temperature_where_each_fold_did() -> None:
    rng = np.random.default_rng(42)
    names = ["test", "validation", "calibration", "train", "train"] * 40
    truths = np.arange(len(names)) % 2
    logits = (rng.normal(0, 3, (len(names), 2)) + 2 * np.eye(2)[truths]).tolist()
    folds = [fold_of(names, logits, [0.5, 0.5])]
    for part in ("calibration", "validation"):
        fitted = folds[0].of(part)
        expected = fit_temperature(labels=fitted.labels, logits=fitted.logits)
        assert pool(folds).temperature == pytest.approx(expected)
        elsewhere = np.where(folds[0].parts == "calibration", "train", folds[0].parts)
        folds = [replace(folds[0], parts=elsewhere)]


def test_a_full_disk_ends_in_one_sentence_and_the_same_study_goes_on(
    study_of: Any, casts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = run(study_of(casts), tmp_path / "calm").finished[0].path
    replace_ = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name == "classifier.safetensors":
            raise OSError(28, "No space left on device")
        return replace_(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(MoulageError, match=r"No space left on device'\. Free space"):
            run(study_of(casts), tmp_path / "full")
    assert (tmp_path / "full" / "small" / "tiny-seed0" / "checkpoint.safetensors").is_file()
    full = run(study_of(casts), tmp_path / "full").finished[0].path
    assert bytes_below(full)["predictions.parquet"] == bytes_below(calm)["predictions.parquet"]
