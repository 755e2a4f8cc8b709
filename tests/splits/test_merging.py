from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moulage.catalogue import COLUMNS, Catalogue, Diagnosis
from moulage.errors import ConfigError, DataError
from moulage.splits.folds import split_in_folds
from moulage.splits.grouped import split_by_group
from moulage.splits.leakage import refuse_leak, shared_groups
from moulage.splits.merging import NOTHING, find_merger, merge_lesions, read_pairs, tie

CODES = ("mel", "nv")


def catalogue_of(n_lesions: int = 60, **columns: list[str]) -> Catalogue:
    """Two photographs of each lesion, two diagnoses in turn."""
    content = {
        "image_id": [f"I{number:03d}" for number in range(2 * n_lesions)],
        "lesion_id": [f"L{number // 2:02d}" for number in range(2 * n_lesions)],
        "diagnosis": [CODES[number // 2 % 2] for number in range(2 * n_lesions)],
        **columns,
    }
    diagnoses = tuple(Diagnosis(code=code, name=code, colour="#000000") for code in CODES)
    frame = pd.DataFrame(content).reindex(columns=list(COLUMNS))
    return Catalogue(frame=frame, diagnoses=diagnoses, root=Path())


def columns_of(catalogue: Catalogue) -> dict[str, np.ndarray]:
    return {
        "image_ids": catalogue.image_ids,
        "lesion_ids": catalogue.lesion_ids,
        "labels": catalogue.labels,
    }


def written(folder: Path, *lines: str) -> Path:
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("seed", range(5))
def test_a_merged_lesion_lies_in_one_part_and_nothing_else_moves(seed: int) -> None:
    catalogue = catalogue_of()
    ratios = {"train": 60, "validation": 20, "test": 20}
    dealt = split_by_group(**columns_of(catalogue), ratios=ratios, seed=seed)
    merger = merge_lesions([("I001", "I040"), ("I041", "I081")], catalogue=catalogue)
    tied, n_moved = tie(dealt, merger)
    refuse_leak(tied)
    merged = np.isin(dealt.lesion_ids, ["L00", "L20", "L40"])
    assert set(tied.lesion_ids[merged]) == {"L00"}
    assert set(tied.parts[merged]) == {dealt.parts[0]}
    assert (tied.parts[~merged] == dealt.parts[~merged]).all()
    assert n_moved == int((tied.parts != dealt.parts).sum())
    assert tied.digest != dealt.digest


def test_each_image_is_still_tested_once_in_folds() -> None:
    catalogue = catalogue_of()
    merger = merge_lesions([("I000", "I004"), ("I008", "I020")], catalogue=catalogue)
    folds = split_in_folds(**columns_of(catalogue), n_folds=4, seed=0)
    tested = np.concatenate(
        [tie(fold, merger)[0].image_ids[tie(fold, merger)[0].parts == "test"] for fold in folds]
    )
    assert sorted(tested) == sorted(catalogue.image_ids)


def test_lesions_of_several_diagnoses_are_tied_but_keep_their_names() -> None:
    catalogue = catalogue_of()
    merger = merge_lesions([("I000", "I002")], catalogue=catalogue)
    assert merger.contradicting == ("L00",)
    assert merger.rename(catalogue.lesion_ids).tolist() == catalogue.lesion_ids.tolist()
    for seed in range(5):
        dealt = split_by_group(**columns_of(catalogue), ratios={"train": 1, "test": 1}, seed=seed)
        tied, _ = tie(dealt, merger)
        assert len(set(tied.parts[:4])) == 1
    assert merger.notes()[1].startswith("Merged lesions with several diagnoses: 1 (first: L00)")


def test_a_part_that_a_merge_would_empty_is_refused() -> None:
    catalogue = catalogue_of(3)
    merger = merge_lesions([("I000", "I002"), ("I002", "I004")], catalogue=catalogue)
    dealt = split_by_group(**columns_of(catalogue), ratios={"train": 2, "test": 1}, seed=0)
    with pytest.raises(DataError, match=r"lesions are merged; got none in (test|train)\. Take"):
        tie(dealt, merger)


def test_groups_of_several_diagnoses_become_one() -> None:
    """Two ids of one patient, whose lesions differ: no label is wrong for it."""
    catalogue = replace(catalogue_of(), unit="group")
    merger = merge_lesions([("I000", "I002")], catalogue=catalogue)
    assert not merger.contradicting
    assert merger.rename(catalogue.lesion_ids)[2] == "L00"
    (note,) = merger.notes()
    assert note.startswith("2 group ids show 1 group, by the pairs in a list")


def test_a_dishonest_split_keeps_its_parts_and_shows_the_leak() -> None:
    catalogue = catalogue_of()
    merger = merge_lesions(
        [(f"I{4 * k:03d}", f"I{4 * k + 8:03d}") for k in range(0, 25, 3)], catalogue=catalogue
    )
    dealt = split_by_group(**columns_of(catalogue), ratios={"train": 1, "test": 1}, seed=1)
    tied, n_moved = tie(dealt, merger, move=False)
    assert (tied.parts == dealt.parts).all()
    assert n_moved == 0
    assert shared_groups(tied)


def test_only_confirmed_pairs_count(tmp_path: Path) -> None:
    path = written(tmp_path, "image_id,other_id,confirmed", "a,b,yes", "c,d,", "e,f,Y", "g,h,no")
    assert read_pairs(path) == [("a", "b"), ("e", "f")]
    assert read_pairs(written(tmp_path, "image_id,other_id", "a,b")) == [("a", "b")]
    with pytest.raises(ConfigError, match="got 1 pairs without a yes"):
        read_pairs(written(tmp_path, "image_id,other_id,confirmed", "a,b,"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_pairs_that_a_spreadsheet_saved_are_read(
    tmp_path: Path, separator: str, encoding: str
) -> None:
    path = tmp_path / "pairs.csv"
    rows = (("image_id", "other_id", "note", "confirmed"), ("a", "b", '"1,2;3"', "yes"))
    path.write_text("\r\n".join(map(separator.join, rows)), encoding=encoding)
    assert read_pairs(path) == [("a", "b")]
    path.write_text(separator.join(rows[0]) + "\r\n", encoding=encoding)
    assert read_pairs(path) == []
    path.write_text(separator.join(("image_id", "part", "lesion_id")), encoding=encoding)
    with pytest.raises(ConfigError, match=r"got no other_id in .*pairs\.csv"):
        read_pairs(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got no other_id"):
        read_pairs(written(tmp_path, "image_id,part", "a,train"))
    with pytest.raises(ConfigError, match='"auto", "none" or a CSV of pairs'):
        read_pairs(tmp_path / "absent.csv")
    with pytest.raises(DataError, match=r"got 1 others \(ghost\)"):
        merge_lesions([("I000", "ghost")], catalogue=catalogue_of())


def test_known_pairs_are_merged_where_their_images_are() -> None:
    known = catalogue_of(
        2,
        image_id=["ISIC_0025387", "ISIC_0029880", "ISIC_0027027", "x"],
        lesion_id=["HAM_0000792", "HAM_0002366", "HAM_0007604", "other"],
        diagnosis=["nv"] * 4,
    )
    merger = find_merger("auto", catalogue=known, kind="ham10000")
    assert merger.names == {"HAM_0000792": "HAM_0000792", "HAM_0002366": "HAM_0000792"}
    assert merger.notes(3)[0].startswith("2 lesion ids show 1 lesion, by the pairs in ham10000")
    assert find_merger("auto", catalogue=known, kind="table") is NOTHING
    assert find_merger("none", catalogue=known, kind="ham10000") is NOTHING


def test_the_study_folder_shows_the_pairs_that_are_shipped() -> None:
    root = Path(__file__).parents[2]
    shipped = root / "moulage" / "splits" / "ham10000-merge.csv"
    assert (root / "studies" / "ham10000-merge.csv").read_text() == shipped.read_text()
    assert len(read_pairs(shipped)) > 20
