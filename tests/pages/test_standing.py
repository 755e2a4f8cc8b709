"""What a study's experiments are held against, and what is said of it."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moulage.evaluation.comparison import Difference
from moulage.evaluation.intervals import Interval
from moulage.evaluation.metrics import summary
from moulage.evaluation.spread import Spread
from moulage.pages import prose
from moulage.pages.account import account_of
from moulage.pages.advice import advice_of
from moulage.pages.comparison import comparison_table
from moulage.pages.recipes import cost_drawings
from moulage.pages.records import RunRecord, StudyRecord
from moulage.pages.results import ACCURACY, AUROC, BALANCED
from moulage.pages.standing import Pair, Standing, Tuned, standing_of
from moulage.pages.study import study_page
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
    flat = replace(Predictions.take(before, np.arange(len(before))), classifier_digest="before")
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


def test_fine_tuning_that_changed_no_weight_shows_no_gain(
    run: RunRecord, tables_of: Callable[[str], dict[str, list[list[str]]]]
) -> None:
    """The same weights read from caches and from pixels: what differs is rounding."""
    shaken = again(run, "x", noise=0.2).predictions
    assert shaken.classifier_digest == run.predictions.classifier_digest
    history = run.history.assign(validation_loss=np.where(run.history.index == 8, 0.1, 0.9))
    kept = replace(run, first_end=shaken, history=history)
    study = study_of(kept)
    standing = standing_of(study, **FEW)
    assert (standing.tuned, standing.untuned) == ((), ("exp1",))
    assert said_of(study, standing)["What fine-tuning bought"] == (
        "Kept weights against the end of the first phase. exp1: no epoch of fine-tuning had a "
        "lower validation loss; the weights of the phase before were kept (frozen, epoch 9)."
    )
    page = study_page(study, standing, comparison_table(study))
    (bought,) = (t for caption, t in tables_of(page).items() if "phases after" in caption)
    assert bought[1][:6] == ["exp1", "frozen, epoch 9", *["—"] * 4]
    assert bought[1][6] == prose.NOT_TUNED
    (ends,) = (t for caption, t in tables_of(page).items() if caption.startswith("Where each"))
    assert [row[1:3] for row in ends[2:]] == [
        ["frozen", "frozen, epoch 9"],
        ["fine-tuning", "frozen, epoch 9"],
    ]
    assert account_of(study, standing, comparison_table(study))["not_tuned"] == ["exp1"]


def test_of_two_runs_the_one_that_fine_tuning_left_alone_adds_nothing(run: RunRecord) -> None:
    other = again(run, "exp1", noise=0.5)
    moved = replace(other.predictions, classifier_digest="moved")
    second = replace(other, experiment=replace(run.experiment, seed=1), first_end=moved)
    first = replace(run, first_end=again(run, "x", noise=0.2).predictions)
    both = standing_of(study_of(first, second), **FEW).tuned[0].difference.interval.value
    alone = standing_of(study_of(second), **FEW).tuned[0].difference.interval.value
    assert both == pytest.approx(alone / 2)


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


def test_how_large_a_difference_would_be_shown_depends_on_the_size_of_the_family(
    run: RunRecord,
) -> None:
    """Three pairs: normal quantiles of 1 - 0.05 / 6 and of 0.8, times the median error."""
    runs = (again(run, "one"), again(run, "other", noise=0.4), again(run, "third", noise=0.8))
    standing = standing_of(study_of(*runs), **FEW)
    errors = [
        pair.difference.interval.standard_error
        for pair in standing.pairs
        if pair.measure == BALANCED
    ]
    assert len(errors) == 3
    points = 100 * (2.3940 + 0.8416) * np.median(errors)
    said = said_of(study_of(*runs), standing)["What these data cannot tell"]
    assert (
        f"a true difference of about {points:.1f} points in balanced accuracy would be shown in "
        "four of five such studies"
    ) in said


def test_of_equals_the_smallest_is_taken(run: RunRecord) -> None:
    dear = tuple(replace(phase, n_total=20_000_000) for phase in run.experiment.phases)
    pair = (again(run, "dear", phases=dear), again(run, "cheap", noise=0.05))
    standing = standing_of(study_of(*pair), **FEW)
    advice = advice_of(study_of(*pair), standing, comparison_table(study_of(*pair)))
    assert advice.chosen == "cheap"
    said = dict(advice.paragraphs)
    assert "From cheap (4,880,967) to dear (20,000,000)" in said["What more parameters bought"]
    assert said["What more parameters bought"].endswith(", not beyond chance.")
    assert run.ledger in said["What these data cannot tell"]
    assert "one split was used" in said["What these data cannot tell"]


def test_size_is_not_credited_with_what_else_differs(run: RunRecord) -> None:
    def of_size(name: str, n_total: int, **changes: object) -> RunRecord:
        phases = tuple(replace(phase, n_total=n_total) for phase in run.experiment.phases)
        return again(run, name, noise=0.05, phases=phases, **changes)

    small = of_size("small", 1_000_000, settings={"views": None})
    other = {"weights": "none", "imbalance": "focal", "settings": {"views": 8}}
    huge = of_size("huge", 9_000_000, **other)

    def said(*runs: RunRecord) -> str:
        study = study_of(*runs)
        return said_of(study, standing_of(study, **FEW))["What more parameters bought"]

    assert said(small, huge).endswith(
        "beyond chance; they differ in pretraining, treatment of the imbalance and views too, so "
        "size alone is not what this shows."
    )
    wide = of_size("wide", 2_000_000, hidden=(512,), settings={"views": None})
    assert said(small, wide, huge).startswith("From small (1,000,000) to wide (2,000,000)")
    assert "differ" not in said(small, wide, huge), "alike but for its hidden layers"


def test_the_highest_mean_over_other_seeds_is_not_the_highest_on_shared_ones(
    run: RunRecord,
) -> None:
    dear = tuple(replace(phase, n_total=20_000_000) for phase in run.experiment.phases)
    wide = again(run, "wide", noise=0.4, phases=dear)
    sharp = wide.predictions.logits + 9 * np.eye(7, dtype=np.float32)[run.predictions.labels]
    lucky = replace(
        wide,
        experiment=replace(wide.experiment, seed=1),
        predictions=replace(run.predictions, logits=sharp),
    )
    study = study_of(again(run, "narrow"), wide, lucky)
    standing = standing_of(study, **FEW)
    means = [standing.spread(name, BALANCED).interval.value for name in ("narrow", "wide")]
    assert means[0] < means[1]
    said = said_of(study, standing)["Which to take"]
    assert (
        "The highest mean over its own runs is that of wide; on the seeds that both have the "
        "difference from narrow is −0.0" in said
    )
    assert (
        "balanced accuracy on the seeds that both have −0.0"
        in (said_of(study, standing)["What more parameters bought"])
    )


def test_where_a_baseline_may_be_as_good_that_is_said_first(run: RunRecord) -> None:
    pair = (again(run, "a"), again(run, "b", noise=0.2))

    def which(baseline: Predictions) -> str:
        with_it = [replace(one, baselines={"simple": baseline}) for one in pair]
        study = replace(study_of(*with_it), baselines={"simple": (baseline,)})
        return said_of(study, standing_of(study, **FEW))["Which to take"]

    score = summary(run.predictions.of("test"), rule="balanced").values["balanced_accuracy"]
    as_good = which(run.predictions)
    assert as_good.startswith(
        "No experiment was shown to beat the baseline simple, whose balanced accuracy is "
        f"{score:.3f} ("
    )
    assert "The one to take would be " in as_good
    assert which(run.baselines["majority diagnosis"]).startswith("Take ")


def test_an_unbeaten_baseline_that_another_beats_is_no_ones_but_the_chosens(run: RunRecord) -> None:
    dear = tuple(replace(phase, n_total=20_000_000) for phase in run.experiment.phases)
    study = study_of(again(run, "small"), again(run, "large", phases=dear))
    tested = standing_of(study, **FEW)
    spread = Spread(metric="", values=(0.5,), interval=interval(0.5), between_runs=math.nan)
    beside = (difference("small", "simple", p=0.4), difference("large", "simple", p=0.01))
    simple = {("simple", "balanced"): {"balanced_accuracy": spread}}
    standing = replace(tested, spreads={**tested.spreads, **simple}, beside=beside)
    better = Pair(measure=BALANCED, difference=difference("large", "small", p=0.01))
    said = said_of(study, replace(standing, pairs=(better,)))["Which to take"]
    assert said.startswith("Take large (20,000,000 parameters, ")
    assert said_of(study, standing)["Which to take"].startswith(
        "small was not shown to beat the baseline simple, whose balanced accuracy is 0.500 (0.400"
    )


def difference(first: str, second: str, *, p: float) -> Difference:
    return Difference(
        metric="balanced_accuracy",
        first=first,
        second=second,
        interval=interval(0.2),
        p_value=p,
        p_family=p,
        n_lesions=40,
    )


def interval(value: float) -> Interval:
    return Interval(
        value=value, low=value - 0.1, high=value + 0.1, standard_error=0.05, n_effective=40.0
    )


def test_what_an_interval_shows_and_the_corrected_test_does_not_names_the_correction(
    run: RunRecord,
) -> None:
    study = study_of(run)
    standing = standing_of(study, **FEW)

    def said(found: Difference) -> str:
        tuned = Tuned(experiment="exp1", measure=ACCURACY, difference=found)
        return said_of(study, replace(standing, tuned=(tuned,)))["What fine-tuning bought"]

    one = difference("a", "b", p=0.09)
    assert said(one).endswith("), not beyond chance after Holm’s correction, p 0.090.")
    assert said(replace(one, interval=interval(0.05))).endswith("), not beyond chance.")
    assert said(replace(one, p_family=0.01)).endswith("), beyond chance.")


def test_experiments_of_about_one_size_are_not_compared_by_size(run: RunRecord) -> None:
    a_little = tuple(replace(phase, n_total=phase.n_total + 544) for phase in run.experiment.phases)
    pair = (again(run, "a"), again(run, "b", phases=a_little, noise=0.1))
    study = study_of(*pair)
    standing, frame = standing_of(study, **FEW), comparison_table(study)
    said = said_of(study, standing)["What more parameters bought"]
    assert said == (
        "Nothing can be said: all experiments are about equally large, with 4,880,967 to "
        "4,881,511 parameters."
    )
    assert ["time" in one.caption for one in cost_drawings(frame, standing)] == [True]


def test_baselines_of_a_dishonest_split_do_not_stand_for_those_of_the_honest(
    run: RunRecord,
) -> None:
    honest, good = run.baselines["majority diagnosis"], run.predictions
    leaky = replace(
        again(run, "leak"),
        split_kind="leaky",
        split=replace(run.split, parts=run.split.parts[::-1]),
    )
    theirs = replace(good, split_digest=leaky.split.digest)
    study = replace(study_of(run, leaky), baselines={"simple": (honest, theirs)})
    expected = summary(honest.of("test")).values["accuracy"]
    assert standing_of(study, **FEW).spread("simple", ACCURACY).values == (expected,)


def test_each_backbones_treatments_are_held_against_its_own_untreated(run: RunRecord) -> None:
    runs = [
        again(run, f"{imbalance} {backbone}", imbalance=imbalance, backbone=backbone, noise=0.1)
        for backbone in ("mobilenetv2_100", "densenet201")
        for imbalance in ("none", "focal")
    ]
    standing = standing_of(study_of(*runs), **FEW)
    assert {
        (one.difference.first, one.difference.second) for one in standing.treated if one.difference
    } == {(f"{each} {b}", f"none {b}") for b in ("mobilenetv2_100", "densenet201")
          for each in ("none", "focal")}  # fmt: skip


def test_lesions_of_all_splits_and_one_seed_in_several_are_told(study: StudyRecord) -> None:
    folds = [replace(one, experiment=replace(one.experiment, seed=0)) for one in study.runs[:2]]
    tests = [one.predictions.of("test") for one in folds]
    rare = [set(test.lesion_ids[test.labels == 3].tolist()) for test in tests]
    assert rare[0] - rare[1], "the splits test other lesions"
    both = study_of(*folds)
    said = said_of(both, standing_of(both, **FEW))["What these data cannot tell"]
    assert f"df ({len(rare[0] | rare[1])})" in said
    assert "one seed was trained" in said
    assert "one split was used" not in said


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
