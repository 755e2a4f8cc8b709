import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from moulage.evaluation.examination import examine
from moulage.evaluation.subgroups import FEW
from moulage.evaluation.trust import Asked, fit_trust
from moulage.pages.card import card_markdown, card_page, sections_of
from moulage.pages.composition import leak_of, leak_sentence
from moulage.pages.records import CardRecord, RunRecord, TrustRecord
from moulage.split import Split, Unit
from moulage.splits.leakage import train_on_test

Read = Callable[[str], dict[str, list[list[str]]]]


@pytest.fixture(scope="module")
def record(run: RunRecord) -> CardRecord:
    trust = fit_trust(
        run.predictions.of("validation"),
        asked=Asked(),
        malignant=("mel", "bcc"),
        note="Fitted on the validation part.",
        rng=np.random.default_rng(0),
    )
    test = run.predictions.of("test")
    frame = run.catalogue.frame.set_index("image_id").loc[test.image_ids.tolist()]
    return CardRecord(
        run=run,
        trust=TrustRecord(
            name=run.name,
            study=run.study,
            diagnoses=run.catalogue.diagnoses,
            trust=trust,
            found=examine(trust, test, frame),
            leak=leak_of(run.split),
        ),
        weights_licence="Apache-2.0",
    )


def test_both_forms_say_the_same(record: CardRecord, tables_of: Read) -> None:
    markdown, html = card_markdown(record), card_page(record)
    for section in sections_of(record):
        assert f"## {section.title}" in markdown
        assert f"<h2>{section.title}</h2>" in html
    shown = tables_of(html)
    for caption, rows in shown.items():
        assert caption in markdown
        for row in rows[-2:]:
            assert any(_same(line, row) for line in markdown.splitlines()), row


def _same(line: str, row: list[str]) -> bool:
    """Say whether a line of Markdown is a row; notes stand in brackets behind what they note."""
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    return len(cells) == len(row) and all(
        cell == said or cell.startswith(f"{said} (") for cell, said in zip(cells, row, strict=True)
    )


def test_a_reviewer_finds_digests_intervals_licences_and_limits(record: CardRecord) -> None:
    said = card_markdown(record)
    for wanted in (
        record.run.split.digest,
        record.run.predictions.classifier_digest,
        "Pretrained weights: ImageNet weights",
        "Synthetic, free of rights.",
        "Skin tone is not recorded",
        "Not a medical device",
        "128 × 128 pixels",
    ):
        assert wanted in said
    assert re.search(r"\| accuracy \| natural \| 0\.\d{3} \(0\.\d{3}–0\.\d{3}\) \|", said)
    assert not re.search(r"\bnan\b", said.lower())


def test_a_classifier_that_reads_covariates_says_so_under_its_use(record: CardRecord) -> None:
    experiment = replace(record.run.experiment, covariates=("age", "sex"))
    told = replace(record, run=replace(record.run, experiment=experiment))
    assert "It must be told age and sex beside each image" in card_markdown(told)
    assert "It must be told" not in card_markdown(record)


def split_otherwise(record: CardRecord, split: Split) -> CardRecord:
    trust = replace(record.trust, leak=leak_of(split))
    return replace(record, run=replace(record.run, split=split), trust=trust)


def test_a_leak_is_said_before_the_first_section(record: CardRecord) -> None:
    leaky = split_otherwise(record, train_on_test(record.run.split))
    said = leak_sentence(leaky.trust.leak)
    assert f"**Note.** {said}" in card_markdown(leaky).split("## ")[0]
    assert f"<strong>Note.</strong> {said}" in card_page(leaky).split("<h2>")[0]
    assert "Note." not in card_page(record)
    assert "more than one part" not in card_markdown(record)


def test_nothing_is_claimed_of_lesions_where_none_is_known(record: CardRecord) -> None:
    split = replace(record.run.split, lesion_ids=record.run.split.image_ids)
    said = card_markdown(split_otherwise(record, split))
    n_images = len(record.run.predictions.of("test"))
    assert f"{n_images} images of unknown lesions; 95 % intervals over images." in said
    assert "over lesions" not in said
    assert "enough lesions" not in said
    assert "one photograph a lesion" not in said


@pytest.mark.parametrize("unit", ["lesion", "group"])
def test_a_card_without_gaps_says_whether_subgroups_are_there_and_are_large(
    record: CardRecord, unit: Unit
) -> None:
    split = replace(record.run.split, unit=unit)
    known = split_otherwise(record, split)
    ages = record.trust.found.subgroups["age"]

    def fails(groups: dict[str, object]) -> tuple[str, ...]:
        found = replace(known.trust.found, subgroups=groups, gaps={})  # type: ignore[arg-type]
        told = sections_of(replace(known, trust=replace(known.trust, found=found)))
        return next(one for one in told if one.title == "For whom it fails").points

    small = tuple(replace(one, n_lesions=FEW - 1) for one in ages)
    assert fails({"age": small}) == (f"No subgroup has {FEW} {unit}s.",)
    one_large = (*small, replace(ages[0], n_lesions=FEW))
    assert fails({"age": one_large}) == (f"No two subgroups of one kind have {FEW} {unit}s.",)
    assert fails({}) == ("The data set records neither age nor sex, site or kind of confirmation.",)
    assert "the groups with enough" not in card_markdown(known)


def test_a_card_says_on_how_many_images_and_whose_what_comes_after_was_fitted(
    record: CardRecord,
) -> None:
    n_images = record.trust.trust.n_images
    said = f"Temperature, thresholds and sets were fitted on {n_images} images of the "
    assert f"{said}validation part, which also chose the epoch." in card_markdown(record)
    split = record.run.split
    parts = np.where(split.parts == "validation", "calibration", split.parts)
    known = split_otherwise(record, replace(split, parts=parts))
    assert f"{said}calibration part." in card_markdown(known)
    assert "see the note above" not in card_markdown(record)
