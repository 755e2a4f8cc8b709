"""What the tables of pairs say where nothing is compared, and where p is only bounded."""

import math
from dataclasses import replace

import numpy as np
import pytest

from moulage.evaluation.intervals import Interval
from moulage.pages import verdicts
from moulage.pages.records import RunRecord, StudyRecord
from moulage.pages.results import ACCURACY
from moulage.pages.standing import Leak, Standing, standing_of
from moulage.pages.tables import Table

FEW = {"n_replicates": 20, "n_permutations": 99}


def said_of(table: Table) -> list[list[str]]:
    return [[f"{cell.text} {cell.note}".strip() for cell in row] for row in table.rows]


def standing_of_runs(*runs: RunRecord) -> Standing:
    return standing_of(StudyRecord(name="s", description="", runs=runs), **FEW)


def named(run: RunRecord, name: str, *, seed: int = 0, added: float = 0.0) -> RunRecord:
    """The same run as another experiment's, its logits moved towards the truth."""
    logits = run.predictions.logits + added * np.eye(7)[run.predictions.labels]
    return replace(
        run,
        experiment=replace(run.experiment, name=name, seed=seed),
        predictions=replace(run.predictions, logits=logits.astype(np.float32)),
    )


def test_experiments_of_other_seeds_have_no_run_in_common(run: RunRecord) -> None:
    """Their test images are the same, so nothing may be said of those."""
    standing = standing_of_runs(run, named(run, "b"), named(run, "c", seed=1))
    matrix = verdicts.matrices(("exp1", "b", "c"), standing)[0]
    assert said_of(matrix)[0][3] == said_of(matrix)[2][1] == "no run in common"
    assert said_of(matrix)[0][1] == "—"
    for table in (matrix, verdicts.pair_table(standing.pairs)):
        assert "over the seeds that both have" in table.caption


@pytest.mark.parametrize(("added", "said"), [(6.0, "≤ 0.010"), (0.0, "1.000")])
def test_a_p_value_that_no_permutation_reaches_is_a_bound(
    run: RunRecord, added: float, said: str
) -> None:
    standing = standing_of_runs(run, named(run, "b", added=added))
    pairs = said_of(verdicts.pair_table(standing.pairs))
    assert [row[5] for row in pairs] == [said, said]
    matrix = verdicts.matrices(("exp1", "b"), standing)[0]
    assert said_of(matrix)[0][2].endswith(f"p {said}")


def test_a_leak_without_bounds_says_so() -> None:
    nan = math.nan
    interval = Interval(value=0.1, low=nan, high=nan, standard_error=nan, n_effective=nan)
    leak = Leak(
        experiment="photo",
        honest="exp1",
        kind="image",
        measure=ACCURACY,
        interval=interval,
        is_paired=False,
    )
    assert said_of(verdicts.leak_table([leak]))[0][2:4] == ["+10.0", "no bounds"]
