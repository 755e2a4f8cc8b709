"""What a study's experiments are held against, and what is said of it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moulage.evaluation.metrics import summary
from moulage.pages.account import account_of
from moulage.pages.advice import advice_of
from moulage.pages.comparison import comparison_table
from moulage.pages.records import RunRecord, StudyRecord
from moulage.pages.results import ACCURACY, AUROC, BALANCED
from moulage.pages.standing import Standing, standing_of
from moulage.pages.verdicts import treatment_table
from moulage.predictions import Predictions

FEW = {"n_replicates": 60, "n_permutations": 99}


def again(run: RunRecord, name: str, *, noise: float = 0.0, **changes: object) -> RunRecord:
    """The same run under another name, its logits shaken; experiment's fields in `changes`."""
    rng = np.random.default_rng(len(name))
    logits = run.predictions.logits + noise * rng.normal(size=run.predictions.logits.shape)
    return replace(
        run,
        name=f"{name}-seed{run.experiment.seed}",
        experiment=replace(run.experiment, name=name, **changes),
        predictions=replace(run.predictions, logits=logits.astype(np.float32)),
    )


def study_of(*runs: RunRecord) -> StudyRecord:
    return StudyRecord(name="s", description="", runs=runs)


def said_of(study: StudyRecord, standing: Standing) -> dict[str, str]:
    return dict(advice_of(study, standing, comparison_table(study)).paragraphs)


def test_treatments_are_held_against_none_under_the_balanced_rule(run: RunRecord) -> None:
    runs = (
        again(run, "none", imbalance="none"),
        again(run, "focal", imbalance="focal", noise=0.1),
        again(run, "deep", imbalance="focal", hidden=(512,)),
    )
    standing = standing_of(study_of(*runs), **FEW)
    assert [(one.experiment, one.rule) for one in standing.treated] == [
        *(("none", "natural"), ("none", "balanced"), ("focal", "natural"), ("focal", "balanced"))
    ], "another head is another recipe"
    assert standing.treated[1].difference is None
    natural = standing.treated[0].difference
    assert natural is not None
    scores = [
        summary(run.predictions.of("test"), rule=rule).values["balanced_accuracy"]
        for rule in ("natural", "balanced")
    ]
    assert natural.interval.value == pytest.approx(scores[0] - scores[1])
    assert natural.p_family >= natural.p_value
    said = said_of(study_of(*runs), standing)["What treating the imbalance bought"]
    assert said.startswith("Against none under the balanced rule")


def test_a_leak_is_paired_where_the_test_images_are_the_same(run: RunRecord) -> None:
    tested = run.predictions.of("test")
    sharp = np.where(np.eye(7)[tested.labels] > 0, tested.logits + 4, tested.logits)
    leaky = replace(
        again(run, "leak"),
        split_kind="leaky",
        predictions=replace(tested, logits=sharp.astype(np.float32)),
    )
    others = run.predictions.parts == "validation"
    elsewhere = replace(run.predictions, parts=np.where(others, "test", "train"))
    by_image = replace(again(run, "photo"), split_kind="image", predictions=elsewhere)
    standing = standing_of(study_of(run, leaky, by_image), **FEW)
    found = {(leak.experiment, leak.measure): leak for leak in standing.leaks}
    assert found["leak", ACCURACY].is_paired
    assert not found["photo", ACCURACY].is_paired
    assert set(found) == {(n, m) for n in ("leak", "photo") for m in (ACCURACY, BALANCED, AUROC)}
    interval = found["leak", ACCURACY].interval
    assert interval.low > 0, "four nats towards the truth are a leak indeed"
    pairs = {(pair.difference.first, pair.difference.second) for pair in standing.pairs}
    assert pairs == {("exp1", "leak")}, "other images are not compared"
    study = study_of(run, leaky, by_image)
    advice = advice_of(study, standing, comparison_table(study))
    assert advice.chosen == "exp1", "a leaky experiment is never recommended"
    said = " ".join(said for heading, said in advice.paragraphs if heading == "What a leak buys")
    assert f"leak against exp1: {100 * interval.value:+.1f} points of accuracy" in said
    assert "photo against exp1: " in said


def test_of_twelve_experiments_a_clearly_better_one_beats_all(run: RunRecord) -> None:
    tested = run.predictions.of("test")
    sharp = np.where(np.eye(7)[tested.labels] > 0, tested.logits + 4, tested.logits)
    best = replace(again(run, "best"), predictions=replace(tested, logits=sharp.astype(np.float32)))
    runs = [again(run, "x" * (1 + number), noise=0.3) for number in range(11)]
    study = study_of(*runs, best)
    standing = standing_of(study, n_replicates=20)
    for measure in (ACCURACY, BALANCED):
        pairs = [pair.difference for pair in standing.pairs if pair.measure == measure]
        assert len(pairs) == 66
        against = [one for one in pairs if one.second == "best"]
        assert [one.verdict for one in against] == ["worse"] * 11
        assert all(one.is_least and one.p_family < 0.05 for one in against)


def test_fine_tuning_is_measured_against_the_first_phases_end(run: RunRecord) -> None:
    before = replace(run.predictions, logits=(run.predictions.logits * 0.2).astype(np.float32))
    flat = Predictions.take(before, np.arange(len(before)))
    tuned = replace(run, first_end=flat)
    standing = standing_of(study_of(tuned), **FEW)
    assert [one.measure for one in standing.tuned] == [ACCURACY, BALANCED]
    expected = (
        summary(run.predictions.of("test")).values["accuracy"]
        - summary(flat.of("test")).values["accuracy"]
    )
    assert standing.tuned[0].difference.interval.value == pytest.approx(expected)
    assert (
        "exp1: accuracy (natural rule)"
        in said_of(study_of(tuned), standing)["What fine-tuning bought"]
    )


def test_of_equally_small_ones_the_better_is_taken_however_long_it_took(run: RunRecord) -> None:
    slow = tuple(replace(phase, seconds=9000.0) for phase in run.experiment.phases)
    pair = (again(run, "slow", phases=slow), again(run, "quick", noise=0.4))
    standing = standing_of(study_of(*pair), **FEW)
    values = [standing.spread(name, BALANCED).interval.value for name in ("slow", "quick")]
    assert values[0] > values[1]
    assert advice_of(study_of(*pair), standing, comparison_table(study_of(*pair))).chosen == "slow"


def test_the_last_look_at_a_test_part_is_told(run: RunRecord) -> None:
    pair = [
        replace(again(run, name), n_looks=n, ledger=f"looked at {n} times")
        for name, n in (("b", 7), ("a", 12))
    ]
    standing = standing_of(study_of(*pair), **FEW)
    said = said_of(study_of(*pair), standing)["What these data cannot tell"]
    assert said.endswith("looked at 12 times")


def test_of_equals_the_smallest_is_taken(run: RunRecord) -> None:
    dear = tuple(replace(phase, n_total=20_000_000) for phase in run.experiment.phases)
    pair = (again(run, "dear", phases=dear), again(run, "cheap", noise=0.05))
    standing = standing_of(study_of(*pair), **FEW)
    advice = advice_of(study_of(*pair), standing, comparison_table(study_of(*pair)))
    assert advice.chosen == "cheap"
    said = dict(advice.paragraphs)
    assert "From cheap (4,880,967) to dear (20,000,000)" in said["What more parameters bought"]
    assert "That is within the luck of the lesions." in said["What more parameters bought"]
    assert run.ledger in said["What these data cannot tell"]
    assert "one split was used" in said["What these data cannot tell"]


def test_exact_tests_stand_beside_the_permutations(standing: Standing) -> None:
    for pair in standing.pairs:
        assert len(pair.exact) == 1, "one run of both shares a place"
        assert 0 <= pair.exact[0] <= 1


def test_the_account_holds_every_number_and_no_nan(study: StudyRecord, standing: Standing) -> None:
    account = account_of(study, standing, comparison_table(study))
    assert json.loads(json.dumps(account, allow_nan=False)) == account
    scores = {(one["classifier"], one["metric"], one["rule"]): one for one in account["scores"]}
    kept = scores["exp1", "accuracy", "natural"]
    assert len(kept["runs"]) == 3
    assert kept["interval"][0] < kept["value"] < kept["interval"][1]
    assert scores["small", "accuracy", "natural"]["between_runs"] is None
    assert [pair["verdict"] for pair in account["pairs"]] == [
        pair.difference.verdict for pair in standing.pairs
    ]
    assert account["looks"]["exp1-seed0"] == study.runs[0].ledger
    assert account["advice"]["take"] in ("exp1", "small")


def test_a_study_without_test_images_stands_nowhere(run: RunRecord) -> None:
    trained = replace(run.predictions, parts=np.full(len(run.predictions), "train"))
    study = study_of(replace(run, predictions=trained))
    standing = standing_of(study, **FEW)
    assert standing.spreads == {}
    assert advice_of(study, standing, comparison_table(study)).chosen is None


def test_only_what_differs_in_its_treatment_alone_is_a_treatment(run: RunRecord) -> None:
    def setting(name: str, imbalance: str, **settings: Any) -> RunRecord:
        one = again(run, name, imbalance=imbalance)
        said = {"dropout": 0.5, "imbalance": {"kind": imbalance}, **settings}
        return replace(one, experiment=replace(one.experiment, settings=said))

    runs = (
        setting("none", "none"),
        setting("focal", "focal"),
        setting("other-norms", "focal", batchnorm="fixed"),
        setting("with-age", "none", covariates=["age"]),
    )
    standing = standing_of(study_of(*runs), **FEW)
    assert {one.experiment for one in standing.treated} == {"none", "focal"}


def test_a_treatment_that_shares_no_run_with_the_reference_is_not_called_one(
    run: RunRecord,
) -> None:
    elsewhere = again(run, "weighted", imbalance="class weights", seed=1)
    runs = (elsewhere, again(run, "none", imbalance="none"), again(run, "focal", imbalance="focal"))
    standing = standing_of(study_of(*runs), **FEW)
    assert [one.experiment for one in standing.treated if one.is_reference] == ["none"]
    table = treatment_table(standing)
    said = {(row[0].text, row[1].text): row[-1].text for row in table.rows}
    assert said["none", "balanced"] == "the reference"
    assert said["weighted", "natural"] == said["weighted", "balanced"] == "no run in common"
    told = said_of(study_of(*runs), standing)["What treating the imbalance bought"]
    assert told.startswith("Against none under the balanced rule")
