"""Are a run's probabilities right? Reliability diagrams, calibration errors, the Brier score.

In:  a trust record.   Out: drawings, a sentence, a table.
Knows nothing of HTML; every number comes from `evaluation.reliability`.
"""

from moulage.evaluation.examination import Examination
from moulage.evaluation.reliability import Reliability
from moulage.pages import tables, words
from moulage.pages.document import Drawing
from moulage.pages.figures.reliability import draw_reliability, lowest_of
from moulage.pages.records import TrustRecord
from moulage.pages.tables import Cell, Column, Table


def diagrams(record: TrustRecord) -> tuple[Drawing, ...]:
    """Draw stated probabilities against how often they came true, before temperature and after."""
    found, lowest = record.found, lowest_of(record.found.before, record.found.after)
    n = words.counted(found.n_images, "test image")
    return tuple(
        Drawing(
            svg=draw_reliability(one, name=f"reliability-{when}", title=title, lowest=lowest),
            caption=f"{title}: a dot is one of {len(one.bins)} bins of equally many images "
            "(equal probabilities share one), its "
            f"line the 95 % interval over {record.leak.unit}s ({n}). Dashed: probabilities that "
            "are right.",
        )
        for when, title, one in (
            ("before", "Before temperature", found.before),
            ("after", f"After temperature {found.temperature:.2f}", found.after),
        )
    )


def calibration_sentence(found: Examination) -> str:
    """Say how far probabilities are off, and how far right ones would seem to be."""
    after = found.after
    verdict = "lies within" if after.ece <= after.limit else "exceeds"
    return (
        f"The expected calibration error is {words.score(after.ece)} after temperature "
        f"({words.score(found.before.ece)} before). A classifier whose probabilities were all "
        f"right would show {words.score(after.expected)} on these images, and less than "
        f"{words.score(after.limit)} in 95 of 100 test parts; what is measured {verdict} that."
    )


def calibration_table(record: TrustRecord) -> Table:
    """Return each diagnosis' calibration error and its Brier score in parts."""
    found = record.found
    rows = [
        (
            tables.text(diagnosis.code, note=diagnosis.name),
            *_errors(found.by_diagnosis[diagnosis.code]),
            *(
                tables.score(getattr(found.brier[diagnosis.code], part))
                for part in ("score", "reliability", "resolution", "uncertainty")
            ),
        )
        for diagnosis in record.diagnoses
    ]
    return Table(
        caption="Each diagnosis' probability against how often it is so, after temperature. Brier "
        "score = reliability − resolution + uncertainty, and what bins hide.",
        columns=(
            Column(name="diagnosis", is_number=False),
            *(Column(name=name, group="calibration error") for name in ("ECE", "expected", "95 %")),
            *(
                Column(name=name, group="Brier score")
                for name in ("all", "reliability", "resolution", "uncertainty")
            ),
        ),
        rows=tuple(rows),
    )


def _errors(found: Reliability) -> tuple[Cell, Cell, Cell]:
    return tables.score(found.ece), tables.score(found.expected), tables.score(found.limit)
