"""Superpixels as players of a game: Shapley values, and curves of taking them away one by one.

In:  value: masks (P, S) bool → values (P,), or the values (2^S,) of all masks.
Out: Shapley values (S,); Curves.
Knows nothing of images. From the table of all masks all of this costs no further evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from moulage.errors import ShapeError
from moulage.explanation.answers import Answers
from moulage.explanation.masks import all_masks, row_of

Value = Callable[[NDArray[np.bool_]], NDArray[np.float64]]

N_ORDERS = 200
_FEW = 4  # of whose 24 orders a share is exact


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Values while superpixels are taken away, or put in, in the order of their weights.

    deletion (S + 1,): from the whole image, highest weight first. insertion (S + 1,): into the
    covered image, highest weight first. random_deletion and random_insertion (R, S + 1): the
    same along R random orders.
    """

    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]
    random_deletion: NDArray[np.float64]
    random_insertion: NDArray[np.float64]

    @property
    def deletion_gain(self) -> float:
        """How much lower deletion runs than random orders do: above 0 is better than chance."""
        return float(area_under(self.random_deletion).mean() - area_under(self.deletion))

    @property
    def insertion_gain(self) -> float:
        """How much higher insertion runs than random orders do."""
        return float(area_under(self.insertion) - area_under(self.random_insertion).mean())

    @property
    def share_as_good(self) -> float:
        """Share of orders that delete and insert, taken together, as well as this one, it included.

        The p value of a permutation test [phipson2010]: drawn orders never make it 0, so that an
        order by chance has a share of p or less in no more than p of cases. Among all orders of
        few superpixels this one is already.
        """
        ours = area_under(self.insertion) - area_under(self.deletion)
        theirs = area_under(self.random_insertion) - area_under(self.random_deletion)
        is_among_them = len(self.deletion) - 1 <= _FEW
        n_good, n_orders = int((theirs >= ours).sum()), len(theirs)
        return n_good / n_orders if is_among_them else (1 + n_good) / (1 + n_orders)


def shapley_values(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each superpixel's mean effect (S,) over all orders of putting them in [shapley1953].

    values (2^S,): of `all_masks`, in its order. They sum to the whole image's value less the
    covered one's.
    """
    n_segments = max(len(values).bit_length() - 1, 0)
    if values.shape != (2**n_segments,) or not n_segments:
        raise ShapeError(
            f"`values` must have shape (2^S,) with S ≥ 1; got {values.shape}. Pass the values of "
            "`all_masks`, in its order: the method 'exact' asks for them."
        )
    masks = all_masks(n_segments)
    sizes = masks.sum(axis=1)
    by_size = np.arange(n_segments)
    shares = np.exp(gammaln(by_size + 1) + gammaln(n_segments - by_size) - gammaln(n_segments + 1))
    found = np.empty(n_segments)
    for place, kept in enumerate(masks.T):
        with_it, without = values[kept], values[~kept]  # the same order: one bit is set, or not
        found[place] = shares[sizes[~kept]] @ (with_it - without)
    return found


def lookup(answers: Answers, diagnosis: int) -> Value:
    """Return the value of any mask from answers to all of them, given in the order of `all_masks`.

    Raises ShapeError where the answers are fewer.
    """
    n_segments = answers.masks.shape[1]
    if not np.array_equal(row_of(answers.masks), np.arange(2**n_segments)):
        raise ShapeError(
            f"`answers` must be to all 2^S masks in order; got {len(answers.masks)} of "
            f"2^{n_segments}. Explain with the method 'exact'."
        )
    values = answers.of(diagnosis)
    return lambda masks: values[row_of(masks)]


def removal_curves(
    value: Value,
    *,
    weights: NDArray[np.float64],
    rng: np.random.Generator,
    n_orders: int = N_ORDERS,
) -> Curves:
    """Take superpixels away by weight, and in random orders; all masks are asked at once.

    Equal weights go by number. Of four superpixels or fewer, all orders are taken. Random orders
    come in pairs, one the other's reverse: what one takes away the other puts in, by the same
    masks. So an order costs up to S - 1 evaluations, unless `value` looks up.
    """
    order = np.argsort(-weights, kind="stable")
    orders = np.concatenate([order[None], _other_orders(len(weights), n_orders, rng)])
    both = _deletions(value, np.concatenate([orders, orders[:, ::-1]]))
    away, back = np.split(both, 2)
    back = back[:, ::-1]  # read backwards, taking away is putting in
    return Curves(
        deletion=away[0], insertion=back[0], random_deletion=away[1:], random_insertion=back[1:]
    )


def area_under(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean height of curves (…, S + 1) by the trapezoid rule, (…)."""
    return np.asarray((curves[..., 1:] + curves[..., :-1]).mean(axis=-1) / 2)


def _other_orders(n_segments: int, n_orders: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if n_segments <= _FEW:
        return np.array(list(permutations(range(n_segments))))
    drawn = np.stack([rng.permutation(n_segments) for _ in range((n_orders + 1) // 2)])
    return np.concatenate([drawn, drawn[:, ::-1]])[:n_orders]


def _deletions(value: Value, orders: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the values (R, S + 1) along orders (R, S); a mask that comes twice is asked once."""
    n_orders, n_segments = orders.shape
    ranks = orders.argsort(axis=1)
    kept = ranks[:, None, :] >= np.arange(n_segments + 1)[:, None]  # (R, S + 1, S)
    asked, place = np.unique(kept.reshape(-1, n_segments), axis=0, return_inverse=True)
    return np.asarray(value(asked)[place.reshape(n_orders, n_segments + 1)])
