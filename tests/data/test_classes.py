"""Diagnoses are merged, renamed, kept and dropped as asked, and never by accident."""

import pandas as pd
import pytest

from moulage.data.classes import Members, Regrouping, plan_regrouping, regroup
from moulage.data.diagnoses import HAM10000, describe
from moulage.errors import ConfigError

CODES = [diagnosis.code for diagnosis in HAM10000]


def plan(**classes: Members) -> Regrouping:
    return plan_regrouping(classes, known=HAM10000, shown=CODES)


def test_the_new_order_is_the_mappings() -> None:
    made = plan(nevus="nv", keep="rest", malignant=["mel", "bcc"])
    assert [one.code for one in made.diagnoses] == [
        "nevus",
        *("akiec", "bkl", "df", "vasc"),
        "malignant",
    ]


def test_a_renamed_diagnosis_keeps_its_name_colour_and_malignancy() -> None:
    made = plan(melanoma="mel", keep="rest").diagnoses[0]
    assert (made.name, made.colour, made.is_malignant) == ("Melanoma", HAM10000[4].colour, True)


def test_a_table_says_name_colour_and_malignancy() -> None:
    tumour: Members = {
        "of": ["mel", "nv"],
        "name": "Melanocytic",
        "colour": "#000000",
        "malignant": True,
    }
    made = plan(tumour=tumour, drop="rest")
    assert made.diagnoses[0].name == "Melanocytic"
    assert (made.diagnoses[0].colour, made.diagnoses[0].is_malignant) == ("#000000", True)
    assert made.dropped == set(CODES) - {"mel", "nv"}


def test_rows_are_renamed_and_dropped_ones_counted() -> None:
    made = plan(malignant=["mel", "bcc"], keep=["nv"], drop="rest")
    frame = pd.DataFrame({"diagnosis": ["mel", "df", "nv", "bcc", "df", None]})
    left, n_dropped = regroup(frame, made)
    assert left["diagnosis"].fillna("").tolist() == ["malignant", "nv", "malignant", ""]
    assert n_dropped == {"df": 2}


def test_a_stranger_in_the_rows_can_be_named() -> None:
    made = plan_regrouping({"nv": ["nv", "NV "], "drop": "rest"}, known=HAM10000, shown=["NV "])
    assert made.new_of == {"nv": "nv", "NV ": "nv"}


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"malignant": ["mel", "bcc"]}, r"got none for akiec, bkl, df, nv, vasc. .*`drop = \"rest"),
        ({"a": ["mle"], "keep": "rest"}, r"got 'mle'. Did you mean 'mel'\? .* new = \[old, …\]"),
        ({"a": ["mel"], "b": ["mel"], "keep": "rest"}, r"one class .* got mel more than once"),
        ({"a": ["mel", "nv"], "keep": "rest"}, r"got both in `a` \(mel, nv\)"),
        ({"nv": ["mel"], "keep": "rest"}, r"names of their own; got nv twice"),
        ({"drop": "rest"}, r"must leave diagnoses with names of their own; got none"),
        ({"a": [], "keep": "rest"}, r"must name at least one diagnosis; got none in `a`"),
        ({"a": {"malignant": True}, "keep": "rest"}, r"a table of of, name, .* in `a`"),
        ({"a": {"of": "mel", "nmae": "x"}, "keep": "rest"}, r"in `a`. Correct the table"),
        ({"keep": {"of": "mel"}}, r"in `keep`. Correct the table"),
        ({"a": {"of": 3}, "keep": "rest"}, r"got '3'"),
        ({"a": 3, "keep": "rest"}, r"got '3'"),
        (
            {"a": 0.5, "keep": "rest"},
            r"must be made of names; got 0.5 in `a`. .*: a = \[\"old\", …\]",
        ),
        ({"a": True, "keep": "rest"}, r"must be made of names; got True in `a`"),
        ({"a": ["mel", ["bcc"]], "keep": "rest"}, r"made of names; got \['bcc'\] in `a`"),
        (
            {"a": {"of": {"of": "mel"}}, "keep": "rest"},
            r"made of names; got \{'of': 'mel'\} in `a`",
        ),
        (
            {"a": {"of": "mel", "malignant": "no"}, "keep": "rest"},
            r"true or false; got 'no' in `a`",
        ),
        ({"a": "rest", "keep": "rest"}, r'At most one key .* "rest"; got it in `a`, `keep`'),
        ({"a": "rest", "b": {"of": "rest"}}, r"got it in `a`, `b`. Name the diagnoses"),
        ({"keep": "rest", "drop": "rest"}, r"got it in `keep`, `drop`"),
        ({"a": ["mel", "bcc"], "b": "rest"}, r"got both in `b` \(akiec, bkl, df, nv, vasc\)"),
        ({"all": CODES, "b": "rest"}, r"at least one diagnosis; got none in `b`"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(
    classes: dict[str, Members], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(**classes)


def test_an_unnamed_stranger_is_never_taken_for_a_new_class() -> None:
    classes: dict[str, Members] = {"benign": ["nv"], "drop": ["mel"]}
    with pytest.raises(ConfigError, match="got none for benign"):
        plan_regrouping(classes, known=HAM10000, shown=["nv", "mel", "benign"])


def test_keeping_the_rest_does_not_keep_strangers() -> None:
    with pytest.raises(ConfigError, match="got none for wart"):
        plan_regrouping({"keep": "rest"}, known=HAM10000, shown=[*CODES, "wart"])


def test_a_class_may_take_all_that_no_other_names() -> None:
    made = plan(malignant=["mel", "bcc", "akiec"], benign="rest")
    assert [one.code for one in made.diagnoses] == ["malignant", "benign"]
    assert [one.is_malignant for one in made.diagnoses] == [True, False]
    assert {old for old, new in made.new_of.items() if new == "benign"} == {
        *("bkl", "df", "nv", "vasc")
    }
    table = plan(pigmented=["nv"], other={"of": "rest", "malignant": True}, drop=["df"])
    assert table.new_of["bkl"] == table.new_of["mel"] == "other"
    assert table.dropped == {"df"}


def test_a_class_that_takes_the_rest_takes_no_strangers() -> None:
    with pytest.raises(ConfigError, match="got none for wart"):
        plan_regrouping(
            {"malignant": ["mel", "bcc", "akiec"], "benign": "rest"},
            known=HAM10000,
            shown=[*CODES, "wart"],
        )


@pytest.mark.parametrize("listed", [True, False])
def test_numbers_are_names_and_a_class_of_strangers_is_what_it_is_called(listed: bool) -> None:
    made = plan_regrouping(
        {"malignant": [1] if listed else 1, "benign": [0] if listed else 0},
        known=describe(["0", "1"]),
        shown=["0", "1"],
    )
    assert made.new_of == {"1": "malignant", "0": "benign"}
    assert [one.name for one in made.diagnoses] == ["Malignant", "Benign"]
    assert [one.is_malignant for one in made.diagnoses] == [True, False]
    assert made.diagnoses[0].colour != made.diagnoses[1].colour
    assert made.assumed == ()


def test_strangers_that_nobody_calls_malignant_or_benign_are_listed() -> None:
    known = describe(["boil", "corn", "mel", "nv", "scar", "wart"])
    classes: dict[str, Members] = {
        "sore": ["boil", "nv"],
        "skin": {"of": "corn", "malignant": False},
        "benign": "scar",
        "keep": "rest",
    }
    made = plan_regrouping(classes, known=known, shown=[one.code for one in known])
    assert made.assumed == ("boil", "wart")
    assert not any(one.is_malignant for one in made.diagnoses if one.code != "mel")
    only = plan_regrouping(
        {"drop": ["wart"], "keep": "rest"}, known=describe(["wart", "nv"]), shown=[]
    )
    assert only.assumed == ()
