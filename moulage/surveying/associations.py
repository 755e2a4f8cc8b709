"""Two columns held against each other: counts by image, effect and test by lesion.

In:  words (N,) str or numbers (N,), lesion ids (N,) str.   Out: frozen tables with an effect size
and a p value, corrected for the number of tests of a survey.
Knows nothing of what the columns mean.
Why: photographs of one lesion share its patient; counted as if they were independent, they would
make any difference certain. Each lesion has one vote: its first photograph.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moulage.covariates import is_known
from moulage.evaluation.exact import holm
from moulage.evaluation.undefined import ratio

N_PERMUTATIONS = 999
_FEW = (
    5.0  # expected lesions a cell; with more than a fifth of the cells below it, chi² is no guide
)
_MOST_FEW = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """One test on lesions; NaN where there is nothing to compare. p_family: Holm's correction."""

    name: str
    effect_name: str
    effect: float
    p_value: float
    n_lesions: int
    p_family: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crosstab:
    """counts (R, C) int64, images by row word and column word, the unknown ones too."""

    row_name: str
    column_name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: NDArray[np.int64]
    test: Inference

    @property
    def shares(self) -> NDArray[np.float64]:
        """(R, C) each row's shares, which sum to 1; NaN in an empty row."""
        return ratio(self.counts, self.counts.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Five numbers of one group: whiskers reach the last value within 1.5 quartile ranges."""

    name: str
    n: int
    low: float
    first: float
    median: float
    third: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A number by diagnosis: a box each, of images; test is None where none was asked for."""

    value_name: str
    boxes: tuple[Box, ...]
    test: Inference | None = None


def crosstab(
    row_name: str,
    column_name: str,
    *,
    row_words: NDArray[np.str_],
    column_words: NDArray[np.str_],
    lesion_ids: NDArray[np.str_],
    row_order: Sequence[str] | None = None,
    column_order: Sequence[str] | None = None,
    rng: np.random.Generator,
) -> Crosstab:
    """Count images, and test on lesions whether rows and columns are independent.

    Orders default to the most frequent word first. Chi-square where at least four fifths of the
    cells expect five lesions; else the same statistic among 999 shuffles of the lesions.
    """
    rows = tuple(row_order or _by_frequency(row_words))
    columns = tuple(column_order or _by_frequency(column_words))
    counts = _count(row_words, column_words, rows, columns)
    once = first_of_each(lesion_ids)
    known = once[is_known(row_words[once]) & is_known(column_words[once])]
    test = _independence(row_words[known], column_words[known], rng=rng)
    return Crosstab(
        row_name=row_name,
        column_name=column_name,
        rows=rows,
        columns=columns,
        counts=counts,
        test=test,
    )


def spread(
    value_name: str,
    *,
    values: NDArray[np.float64],
    words: NDArray[np.str_],
    order: Sequence[str],
    lesion_ids: NDArray[np.str_] | None = None,
) -> Spread:
    """Return a box of images a word; with lesion ids also Kruskal and Wallis' test on lesions."""
    known = ~np.isnan(values)
    boxes = tuple(_box(word, values[known & (words == word)]) for word in order)
    if lesion_ids is None:
        return Spread(value_name=value_name, boxes=boxes)
    once = first_of_each(lesion_ids)
    voting = once[known[once]]
    test = _ranks(values[voting], words[voting])
    return Spread(value_name=value_name, boxes=boxes, test=test)


def corrected(tests: Sequence[Inference]) -> tuple[Inference, ...]:
    """Return the tests with Holm's correction for their number [holm1979]."""
    family = holm([test.p_value for test in tests])
    return tuple(replace(test, p_family=p) for test, p in zip(tests, family, strict=True))


def first_of_each(lesion_ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return the row of each lesion's first photograph, ascending."""
    return np.sort(np.unique(lesion_ids, return_index=True)[1]).astype(np.int64)


def cramers_v(counts: NDArray[np.int64]) -> float:
    """Return Cramér's V in [0, 1] with Bergsma's correction for bias [bergsma2013, eq. 5–7].

    NaN where only one row or column is left.
    """
    n, (n_rows, n_columns) = int(counts.sum()), counts.shape
    if min(n_rows, n_columns) < 2 or n < 2:
        return float("nan")
    excess = _chi_square(counts) / n - (n_rows - 1) * (n_columns - 1) / (n - 1)
    rows = n_rows - (n_rows - 1) ** 2 / (n - 1)
    columns = n_columns - (n_columns - 1) ** 2 / (n - 1)
    smaller = min(rows, columns) - 1
    return float(np.sqrt(max(0.0, excess) / smaller)) if smaller > 0 else float("nan")


def _independence(
    row_words: NDArray[np.str_], column_words: NDArray[np.str_], *, rng: np.random.Generator
) -> Inference:
    rows, row_of = np.unique(row_words, return_inverse=True)
    columns, column_of = np.unique(column_words, return_inverse=True)
    shape = (len(rows), len(columns))
    counts = _table(row_of, column_of, shape)
    has_few = bool(counts.size) and (_expected(counts) < _FEW).mean() > _MOST_FEW
    p_value = float("nan")
    if min(shape) > 1:
        p_value = _shuffled(row_of, column_of, shape, rng) if has_few else _chi_square_p(counts)
    return Inference(
        name="permuted chi-square" if has_few else "chi-square",
        effect_name="Cramér's V",
        effect=cramers_v(counts),
        p_value=p_value,
        n_lesions=len(row_words),
    )


def _ranks(values: NDArray[np.float64], words: NDArray[np.str_]) -> Inference:
    from scipy.stats import kruskal

    groups = [values[words == word] for word in np.unique(words)]
    effect = p_value = float("nan")
    if len(groups) > 1 and np.ptp(values) > 0:
        found = kruskal(*groups)
        effect, p_value = float(found.statistic) / (len(values) - 1), float(found.pvalue)
    return Inference(
        name="Kruskal–Wallis",
        effect_name="ε²",
        effect=effect,
        p_value=p_value,
        n_lesions=len(values),
    )


def _shuffled(
    row_of: NDArray[np.int64],
    column_of: NDArray[np.int64],
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> float:
    """Return the share of shuffles, the data among them, with as large a statistic."""
    reached = _chi_square(_table(row_of, column_of, shape)) * (1 - 1e-12)
    as_large = sum(
        _chi_square(_table(row_of, rng.permutation(column_of), shape)) >= reached
        for _ in range(N_PERMUTATIONS)
    )
    return (1 + as_large) / (1 + N_PERMUTATIONS)


def _chi_square_p(counts: NDArray[np.int64]) -> float:
    from scipy.stats import chi2

    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    return float(chi2.sf(_chi_square(counts), freedom))


def _chi_square(counts: NDArray[np.int64]) -> float:
    expected = _expected(counts)
    return float(((counts - expected) ** 2 / expected).sum())


def _expected(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return np.asarray(expected, dtype=np.float64)


def _table(
    row_of: NDArray[np.int64], column_of: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int64]:
    flat = np.bincount(row_of * shape[1] + column_of, minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.int64)


def _count(
    row_words: NDArray[np.str_],
    column_words: NDArray[np.str_],
    rows: Sequence[str],
    columns: Sequence[str],
) -> NDArray[np.int64]:
    row_of = {word: place for place, word in enumerate(rows)}
    column_of = {word: place for place, word in enumerate(columns)}
    return _table(
        np.array([row_of[word] for word in row_words.tolist()], dtype=np.int64),
        np.array([column_of[word] for word in column_words.tolist()], dtype=np.int64),
        (len(rows), len(columns)),
    )


def _box(name: str, values: NDArray[np.float64]) -> Box:
    if not len(values):
        return Box(name=name, n=0, **dict.fromkeys(_FIVE, float("nan")))
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    reach = 1.5 * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    low, high = float(inside.min()), float(inside.max())
    return Box(
        name=name, n=len(values), low=low, first=first, median=median, third=third, high=high
    )


_FIVE = ("low", "first", "median", "third", "high")


def _by_frequency(words: NDArray[np.str_]) -> list[str]:
    found, counts = np.unique(words, return_counts=True)
    return [str(found[place]) for place in np.argsort(-counts, kind="stable")]
