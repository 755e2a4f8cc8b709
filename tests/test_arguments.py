"""What was passed is taken as it is meant, or refused with a sentence that says the cure."""

from pathlib import Path

import numpy as np
import pytest

from moulage.arguments import (
    is_positive,
    known_keywords,
    mapping_of,
    names_of,
    one_of,
    path_of,
    paths_of,
    whole_number,
)
from moulage.errors import ConfigError


def test_one_path_or_name_is_a_list_of_one() -> None:
    assert paths_of("photo.jpg", "images") == paths_of(Path("photo.jpg"), "images")
    assert paths_of(["a", Path("b")], "images") == [Path("a"), Path("b")]
    assert names_of("first", "only") == ("first",)
    assert names_of(["first", "second"], "only") == ("first", "second")


@pytest.mark.parametrize("value", [None, "", 3, {"a": 1}])
def test_what_is_no_path_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^`study` must be a path; got .*\. Pass the name"):
        path_of(value, "study")


@pytest.mark.parametrize(("value", "rule"), [(3, r"a list; got 3\. Write \[3\]"), ([3], "texts")])
def test_what_is_no_list_of_names_is_refused(value: object, rule: str) -> None:
    with pytest.raises(ConfigError, match=f"^`only` must be .*{rule}"):
        names_of(value, "only")


def test_whole_numbers_of_numpy_count_and_others_do_not() -> None:
    assert whole_number(np.int64(3), "seed") == 3
    for value in (None, 1.5, "2", True):
        with pytest.raises(ConfigError, match=r"^`seed` must be a whole number; got"):
            whole_number(value, "seed")
    with pytest.raises(ConfigError, match=r"^`jobs` must be at least 1; got 0\. Write 1 or more"):
        whole_number(0, "jobs", least=1)


def test_an_unknown_word_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"got 'tset'\. Did you mean 'test'\?"):
        one_of("tset", "part", ("train", "test"))
    with pytest.raises(ConfigError, match=r"one of train, test; got 7\. Choose one of them"):
        one_of(7, "part", ("train", "test"))
    with pytest.raises(ConfigError, match=r"`read_dataset` .* got 'knid'\. Did you mean 'kind'\?"):
        known_keywords({"knid": "table"}, ("kind", "table"), "read_dataset")


def test_a_list_is_no_mapping() -> None:
    assert mapping_of(None, "mapping", "{}") == {}
    with pytest.raises(ConfigError, match=r"`mapping` must be a dict; got \['a'\]\. Write, say"):
        mapping_of(["a"], "mapping", "{'NV': 'nv'}")


def test_positive_numbers_are_finite() -> None:
    assert is_positive(np.float32(0.5))
    assert not any(map(is_positive, (0, -1, np.nan, np.inf, "1", None, True)))
