import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from moulage.evaluation.examination import Strangers, examine
from moulage.evaluation.intervals import Interval
from moulage.evaluation.subgroups import Gap, Subgroup
from moulage.evaluation.trust import Asked, fit_trust
from moulage.pages.composition import leak_of, leak_sentence
from moulage.pages.panels import gap_sentences
from moulage.pages.records import RunRecord, TrustRecord
from moulage.pages.trust import trust_page
from moulage.pages.words import WHY_NO_BOUNDS
from moulage.splits.leakage import train_on_test

Read = Callable[[str], dict[str, list[list[str]]]]


@pytest.fixture(scope="module")
def record(run: RunRecord) -> TrustRecord:
    trust = fit_trust(
        run.predictions.of("validation"),
        asked=Asked(cost={"mel": {"nv": 20.0}}),
        malignant=[one.code for one in run.catalogue.diagnoses if one.is_malignant],
        note="Sets and thresholds were fitted on the validation part.",
        rng=np.random.default_rng(0),
    )
    test = run.predictions.of("test")
    frame = run.catalogue.frame.set_index("image_id").loc[test.image_ids.tolist()]
    return TrustRecord(
        name=run.name,
        study=run.study,
        diagnoses=run.catalogue.diagnoses,
        trust=trust,
        found=examine(trust, test, frame),
        leak=leak_of(run.split),
    )


def test_every_table_says_what_was_measured(record: TrustRecord, tables_of: Read) -> None:
    html = trust_page(record)
    tables = tables_of(html)
    shares = next(rows for caption, rows in tables.items() if "aim to hold the truth" in caption)
    every = record.found.sets[1].covered[0]
    assert shares[2][1:3] == [f"{every.share:.3f}", f"{every.mean_size:.2f}"]
    ((caption, costs),) = (one for one in tables.items() if "What decisions cost" in one[0])
    assert f"(n = {record.found.n_images} test images)" in caption
    assert [row[0] for row in costs[1:]] == ["natural", "balanced", "cost"]
    assert f"{record.found.after.ece:.3f}" in html
    assert "kept no measure of how familiar" in html
    assert "shown by <code>predict</code>" in html
    assert "Malignant (akiec, bcc and mel): found cases" in html


def test_the_page_is_whole_and_never_says_nan(record: TrustRecord) -> None:
    html = trust_page(record)
    assert html.count("<svg") == 2 + 1 + 4 + 2
    assert not re.search(r"\bnan\b", html.lower())
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "Not a medical device" in html
    assert "is in every set by diagnosis" in html or "are in every set by diagnosis" in html


def test_small_groups_are_named_at_the_top(record: TrustRecord) -> None:
    assert "Hollow: fewer than 30 lesions" in trust_page(record)


def test_a_leak_is_the_first_note(record: TrustRecord, run: RunRecord) -> None:
    leak = leak_of(train_on_test(run.split))
    page = trust_page(replace(record, leak=leak))
    first = re.search(r"<strong>Note\.</strong> (.*?)</p>", page)
    assert first is not None
    assert first.group(1) == leak_sentence(leak)
    assert "more than one part" not in trust_page(record)


def test_nothing_is_claimed_of_lesions_where_none_is_known(
    record: TrustRecord, run: RunRecord, tables_of: Read
) -> None:
    leak = leak_of(replace(run.split, lesion_ids=run.split.image_ids))
    page = trust_page(replace(record, leak=leak))
    assert f"{record.found.n_images} test images of unknown lesions; sets aim" in page
    assert (
        re.findall(r"over lesions|lesions in brackets|fewer than 30 lesions|a lesion,", page) == []
    )
    for rows in tables_of(page).values():
        assert not {"lesions", "n lesions"} & set(rows[0])
        assert len({len(row) for row in rows[-2:]}) == 1


def test_a_gap_without_an_interval_claims_no_chance(record: TrustRecord) -> None:
    def said(low: float) -> str:
        interval = Interval(
            value=0.2, low=low, high=low + 0.2, standard_error=0.1, n_effective=40.0
        )
        gap = Gap(metric="auroc_malignant", best="male", worst="female", interval=interval)
        (sentence,) = gap_sentences(replace(record.found, gaps={"sex": (gap,)}), "sex")
        return sentence

    assert said(0.1).endswith("more than chance explains.")
    assert said(-0.1).endswith("which chance could explain.")
    assert said(float("nan")).endswith(
        "(no bounds), without an interval, since one of the two is perfect or stands on one lesion."
    )


def answered(name: str, *, n_images: int, n_wrong: int, n_lesions: int) -> Subgroup:
    share = Interval(
        value=n_wrong / n_images, low=0.1, high=0.9, standard_error=0.1, n_effective=9.0
    )
    return Subgroup(
        name=name,
        n_images=n_images,
        n_lesions=n_lesions,
        metrics={"answered": replace(share, value=1.0), "risk": share, "risk_answered": share},
        carriers=dict.fromkeys(("answered", "risk", "risk_answered"), n_lesions),
    )


def test_the_warning_names_malignant_diagnoses_however_few_and_never_the_safe(
    record: TrustRecord,
) -> None:
    groups = (
        answered("nv", n_images=90, n_wrong=0, n_lesions=80),
        answered("bkl", n_images=50, n_wrong=10, n_lesions=40),
        answered("df", n_images=2, n_wrong=2, n_lesions=2),
        answered("mel", n_images=5, n_wrong=5, n_lesions=5),
    )

    def said(*groups: Subgroup) -> str:
        page = trust_page(
            replace(record, found=replace(record.found, abstained_by_diagnosis=groups))
        )
        return "".join(re.findall(r"Confidence is not safety[^<]*", page))

    assert said(*groups) == (
        "Confidence is not safety. Answered, and still called something else: all 5 images of mel "
        "(too few to generalise) and 10 of 50 images of bkl (0.100 to 0.900)."
    )
    assert said(groups[0]) == ""


def test_strangers_are_counted_and_what_none_is_has_no_risk(record: TrustRecord) -> None:
    share = Interval(value=0.075, low=0.02, high=0.2, standard_error=0.04, n_effective=9.0)
    found = Strangers(
        n_images=40,
        unfamiliar=share,
        risk_strange=replace(share, value=math.nan, low=math.nan),
        risk_other=share,
        auroc_wrong=0.55,
        auroc_unsure=0.7,
    )
    examined = replace(record.found, strangers=found)
    page = trust_page(replace(record, found=replace(examined, n_images=40)))
    assert "3 of 40 test images are called unfamiliar." in page
    drawn = trust_page(replace(record, found=replace(examined, n_images=2006)))
    assert "Of 40 test images drawn of 2,006, 3 are called unfamiliar." in drawn
    assert "what is usual, not defined (n = 0) are decided wrongly; of the others, 0.075 (" in page


def test_one_answered_image_is_answered(record: TrustRecord) -> None:
    one = replace(record.found.abstained, n_answered=1)
    page = trust_page(replace(record, found=replace(record.found, abstained=one)))
    assert re.search(r"1 of \d+ test images is answered", page)


def test_kinds_of_confirmation_have_names(record: TrustRecord, tables_of: Read) -> None:
    page = trust_page(record)
    assert "histopathology" in page
    assert not re.search(r"\bhisto\b", page)
    assert f"No bounds: {WHY_NO_BOUNDS}." in page


def test_where_none_is_answered_the_tile_says_so(record: TrustRecord) -> None:
    none = replace(record.found.abstained, n_answered=0)
    page = trust_page(replace(record, found=replace(record.found, abstained=none)))
    assert '<dd class="beside">none is answered</dd>' in page


def test_where_no_confidence_keeps_the_risk_the_page_says_how_many_it_takes(
    record: TrustRecord,
) -> None:
    def said(**changes: object) -> str:
        trust = replace(record.trust, answer_from=math.inf, **changes)
        page = trust_page(replace(record, trust=trust))
        (found,) = re.findall(r"No confidence kept the risk[^<]*", page)
        return found.partition("dermatologist.")[2]

    assert said(n_lesions=9) == ""
    assert said(n_lesions=8) == (
        " It was fitted on 8 lesions, and that takes at least 9 lesions, all decided rightly."
    )
    assert said(asked=Asked(risk=0.0)) == " No number of images can show that none is ever wrong."


def test_a_diagnosis_named_malignant_is_not_named_twice(record: TrustRecord) -> None:
    trust = replace(record.trust, malignant=("malignant",))
    page = trust_page(replace(record, trust=trust))
    assert "Malignant: found cases" in page
    assert "Malignant (malignant)" not in page


def test_melanoma_is_asked_for_in_capitals_too(record: TrustRecord, run: RunRecord) -> None:
    codes = tuple(code.upper() for code in run.predictions.diagnoses)
    test = replace(run.predictions.of("test"), diagnoses=codes)
    trust = fit_trust(
        replace(run.predictions.of("validation"), diagnoses=codes),
        asked=Asked(),
        malignant=[one.code.upper() for one in run.catalogue.diagnoses if one.is_malignant],
        note="",
        rng=np.random.default_rng(0),
    )
    frame = run.catalogue.frame.set_index("image_id").loc[test.image_ids.tolist()]
    found = examine(trust, test, frame)
    assert found.benefit["mel"] == record.found.benefit["mel"]
    assert found.clinic["MEL"] == pytest.approx(0.03)
