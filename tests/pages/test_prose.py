"""Sentences made from a record."""

from dataclasses import replace

import numpy as np
import pytest

from moulage.evaluation.calibration import COLDEST, HOTTEST
from moulage.pages import prose
from moulage.pages.records import RunRecord, StudyRecord
from moulage.pages.results import results_of


@pytest.fixture(scope="module")
def story(run: RunRecord) -> str:
    return " ".join(prose.story(run, results_of(run.predictions, "test")))


@pytest.mark.parametrize(
    "said",
    [
        "by lesion and stratified by diagnosis",
        "a new head that flattens the last maps (hidden layers: 1 layer, size 128;",
        "squashed to 128 × 128 pixels; pixels scaled to [−1, 1].",
        "Training took 2 phases and 21 min 57 s",
        "“frozen” trained the new head alone (2,622,727 of 4,880,967 parameters) for 10 epochs at "
        "a learning rate of 0.001 by Adam in batches of 128",
        "“fine-tuning” trained every layer",
    ],
)
def test_the_story_tells_the_recipe(story: str, said: str) -> None:
    assert said in story


def test_the_kept_phase_and_epoch_are_told(run: RunRecord) -> None:
    def told(**changes: object) -> str:
        changed = replace(run, **changes)
        return prose.story(changed, results_of(run.predictions, "test"))[2]

    losses = np.full(20, 0.9)
    losses[[12, 15]] = 0.5
    history = run.history.assign(validation_loss=losses)
    assert told(history=history).endswith(
        "The weights with the lowest validation loss of all phases were kept: those of "
        "fine-tuning, epoch 3."
    ), "of equal losses the first was kept"
    assert told(history=history, first_end=run.predictions).endswith(
        "No epoch of fine-tuning had a lower validation loss; the weights of the phase before were "
        "kept."
    )
    assert told(history=run.history.iloc[:0]).endswith("of all phases were kept.")


def test_epochs_of_many_runs_are_told_as_a_range(run: RunRecord) -> None:
    def of(*best: int) -> str:
        at = [run.history.assign(validation_loss=np.arange(20) != place) for place in best]
        return prose.best_epochs([replace(run, history=one) for one in at])

    assert of(1, 1) == "frozen, epoch 2"
    assert of(1, 4, 11) == "frozen, epochs 2 and 5; fine-tuning, epoch 2"
    assert of(1, 4, 7) == "frozen, epochs 2 to 8"
    assert prose.best_epochs([replace(run, history=run.history.iloc[:0])]) == ""


def test_the_story_counts_what_is_there(run: RunRecord, story: str) -> None:
    frame = run.catalogue.frame
    assert f"{len(frame):,} photographs of {frame['lesion_id'].nunique()} lesions" in story
    for part in ("train", "validation", "test"):
        assert f"{(run.split.parts == part).sum():,} images for {part}" in story


def test_nothing_is_claimed_of_lesions_where_none_is_known(run: RunRecord) -> None:
    split = replace(run.split, lesion_ids=run.split.image_ids)
    alone, test = replace(run, split=split), results_of(run.predictions, "test")
    story = " ".join(prose.story(alone, test))
    assert "photographs of unknown lesions with" in story
    assert "split photograph by photograph, since no two have one lesion id" in story
    assert "all photographs of one lesion" not in story
    assert "test photographs of unknown lesions its accuracy" in prose.lead(alone, test)


def test_a_block_is_named_as_a_boundary(run: RunRecord) -> None:
    partial = replace(run.experiment.phases[0], train_from="blocks.5", optimizer="", batch_size=0)
    said = prose.phase(partial)
    assert "everything from blocks.5 upward" in said
    assert said.endswith("at a learning rate of 0.001")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (1.0, "It was left at 1: where it is fitted no image was wrong"),
        (
            20.0,
            "chose the epoch. It is the highest that is tried: beyond it the loss still falls.",
        ),
        (0.05, "It is the lowest that is tried"),
        (1.3, "also chose the epoch."),
    ],
)
def test_no_temperature_is_called_fitted_that_was_not(
    run: RunRecord, found: float, said: str
) -> None:
    told = prose.temperature(replace(run, predictions=replace(run.predictions, temperature=found)))
    assert said in told
    assert ("It was fitted" in told) == (found != 1)
    assert ("tried" in told) == (found in (COLDEST, HOTTEST))


@pytest.mark.parametrize(
    ("n_views", "said"),
    [(8, "8 views of the image, turned by quarters and mirrored;"), (2, "2 views"), (1, "")],
)
def test_views_that_are_averaged_are_told(run: RunRecord, n_views: int, said: str) -> None:
    averaging = replace(run, experiment=replace(run.experiment, n_views=n_views))
    told = prose.story(averaging, results_of(run.predictions, "test"))[1]
    assert said in told
    assert ("mean over" in told) == (n_views > 1)
    assert ("mirrored" in told) == (n_views > 4)


def test_a_split_from_a_file_has_no_seed(run: RunRecord) -> None:
    test = results_of(run.predictions, "test")
    assert "as a given file says: " in prose.story(replace(run, split_kind="file"), test)[0]


def test_a_study_counts_its_splits_once(study: StudyRecord) -> None:
    assert prose.study_summary(study, n_experiments=2) == (
        "2 experiments on Synthetic lesions, 4 runs on 3 splits. 1 experiment could not be run; "
        "the reasons stand below."
    )


def test_looks_are_the_last_of_each_split_and_name_it(study: StudyRecord) -> None:
    counts = (1, 3, 2, 4)
    runs = [
        replace(run, n_looks=n, ledger=f"Looked at {n} times.")
        for run, n in zip(study.runs, counts, strict=True)
    ]
    digests = [run.split.digest[:8] for run in runs]
    assert digests[0] == digests[3]
    facts = {name: said for name, said, _ in prose.study_facts(replace(study, runs=tuple(runs)))}
    assert facts["looks at the test part"] == (
        f"Split {digests[0]} (grouped, seed 0): Looked at 4 times. "
        f"Split {digests[1]} (grouped, seed 1): Looked at 3 times. "
        f"Split {digests[2]} (grouped, seed 2): Looked at 2 times."
    )
    assert prose.looks(runs[:1]) == "Looked at 1 times."
    alike = [replace(run, ledger="Looked at once.") for run in runs[:2]]
    assert prose.looks(alike) == (
        f"Split {digests[0]} (grouped, seed 0) and {digests[1]} (grouped, seed 1): Looked at once."
    )


def test_a_weighted_network_is_also_told_by_its_plain_argmax(run: RunRecord) -> None:
    test = results_of(run.predictions, "test")
    weighted = replace(run, experiment=replace(run.experiment, imbalance=prose.WEIGHTED))
    plain = f"by this plain argmax the accuracy is {test.balanced.values['accuracy']:.3f}."
    assert prose.story(weighted, test)[-1].endswith(plain)
    assert "argmax" not in prose.story(run, test)[-1]
