"""The head's last hidden layer, characterised: units, a map of images, cases alike.

In:  activations (N, D) of every image with its part, label and lesion.
Out: a HiddenLayer, for pages and for JSON.
Knows nothing of files, networks or HTML. Units are measured on validation, the map shows test
images, and their like are sought among the training lesions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moulage.explanation.maps import Layout, layout
from moulage.explanation.neighbours import Neighbours, nearest_lesions
from moulage.explanation.units import Units, characterise
from moulage.seeding import generator
from moulage.split import Unit

LAYOUTS: tuple[Layout, ...] = ("pca", "tsne")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """Images of one part: ids (N,) and lesion_ids (N,) str, labels (N,), activations (N, D)."""

    image_ids: NDArray[np.str_]
    lesion_ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    activations: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> "Images":
        """Return some of them, in their order."""
        return Images(
            image_ids=self.image_ids[rows],
            lesion_ids=self.lesion_ids[rows],
            labels=self.labels[rows],
            activations=self.activations[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HiddenLayer:
    """What is known of a hidden layer of D units.

    origin: what the units are, in words. decided (N,): what the classifier says of the test
    images, natural rule. places: of the test images, (N, 2) a layout. asked: some test images;
    alike: the rows of train nearest to them. groups: what ids name.
    """

    run: str
    study: str
    origin: str
    diagnoses: tuple[str, ...]
    units: Units
    train: Images
    validation: Images
    test: Images
    decided: NDArray[np.int64]
    places: Mapping[Layout, NDArray[np.float64]]
    asked: NDArray[np.int64]
    alike: Neighbours
    groups: Unit = "lesion"

    def __repr__(self) -> str:
        n_units, n_images = len(self.units.areas), len(self.test.labels)
        return f"HiddenLayer(run={self.run!r}, n_units={n_units}, n_images={n_images})"

    def best(self, diagnosis: int, most: int) -> NDArray[np.int64]:
        """Return the units that tell a diagnosis best, by activity or by silence; best first."""
        apart = np.abs(self.units.areas[:, diagnosis] - 0.5)
        known = np.flatnonzero(~np.isnan(apart))
        return known[np.argsort(-apart[known], kind="stable")[:most]]

    def shown(self, n_best: int) -> set[str]:
        """Return the ids of images whose pictures a page of `n_best` units a diagnosis needs."""
        best = [self.best(place, n_best) for place in range(len(self.diagnoses))]
        rows = self.units.exciting[np.unique(np.concatenate(best))].ravel()
        near = self.alike.rows[self.alike.rows >= 0]
        return {
            *self.validation.image_ids[rows].tolist(),
            *self.test.image_ids[self.asked].tolist(),
            *self.train.image_ids[near].tolist(),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; what is not defined is None."""
        return {
            "run": self.run,
            "study": self.study,
            "origin": self.origin,
            "diagnoses": list(self.diagnoses),
            "n_validation": len(self.validation.labels),
            "units": [self._unit(unit) for unit in range(len(self.units.areas))],
            "duplicates": [list(group) for group in self.units.duplicates],
            "map": [self._placed(row) for row in range(len(self.test.labels))],
            "alike": [self._case(place) for place in range(len(self.asked))],
        }

    def _unit(self, unit: int) -> dict[str, Any]:
        units = self.units
        found = {
            code: {
                "auroc": _number(units.areas[unit, place]),
                "low": _number(units.low[unit, place]),
                "high": _number(units.high[unit, place]),
            }
            for place, code in enumerate(self.diagnoses)
        }
        exciting = self.validation.image_ids[units.exciting[unit]].tolist()
        return {
            "unit": unit,
            "is_dead": bool(units.is_dead[unit]),
            "diagnoses": found,
            "exciting": exciting,
        }

    def _placed(self, row: int) -> dict[str, Any]:
        return {
            "image_id": str(self.test.image_ids[row]),
            "truth": self.diagnoses[self.test.labels[row]],
            "decided": self.diagnoses[self.decided[row]],
            **{name: places[row].tolist() for name, places in self.places.items()},
        }

    def _case(self, place: int) -> dict[str, Any]:
        rows = self.alike.rows[place]
        return {
            "image_id": str(self.test.image_ids[self.asked[place]]),
            "nearest": [
                {
                    "image_id": str(self.train.image_ids[row]),
                    "truth": self.diagnoses[self.train.labels[row]],
                    "distance": float(distance),
                }
                for row, distance in zip(rows, self.alike.distances[place], strict=True)
                if row >= 0
            ],
        }


def describe_layer(
    *,
    run: str,
    study: str,
    origin: str,
    diagnoses: tuple[str, ...],
    train: Images,
    validation: Images,
    test: Images,
    decided: NDArray[np.int64],
    asked: NDArray[np.int64],
) -> HiddenLayer:
    """Characterise a layer by its activations on the parts of a split."""
    chosen = test.take(asked)
    return HiddenLayer(
        run=run,
        study=study,
        origin=origin,
        diagnoses=diagnoses,
        units=characterise(
            validation.activations,
            labels=validation.labels,
            lesion_ids=validation.lesion_ids,
            n_classes=len(diagnoses),
        ),
        train=train,
        validation=validation,
        test=test,
        decided=decided,
        places={
            name: layout(test.activations, method=name, rng=generator("map", run))
            for name in LAYOUTS
        },
        asked=asked,
        alike=nearest_lesions(
            chosen.activations,
            lesion_ids=chosen.lesion_ids,
            among=train.activations,
            among_lesion_ids=train.lesion_ids,
        ),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
