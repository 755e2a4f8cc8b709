"""The page of a hidden layer: what each unit tells, where images lie in it, cases alike.

In:  a hidden layer, the pictures it needs, the diagnoses' colours.   Out: one HTML file as text.
Knows nothing of run folders and networks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moulage.explanation.layers import HiddenLayer
from moulage.pages import tables, words
from moulage.pages.document import Drawing, render
from moulage.pages.explanations import Plate
from moulage.pages.figures.maps import draw_map
from moulage.pages.mistakes import data_uri
from moulage.pages.tables import Cell, Column, Table, Tile

N_BEST = 2
_N_EXCITING = 6
_TITLES = {"pca": "Principal components", "tsne": "t-SNE"}
_MEANINGS = {
    "pca": "The two directions in which the units vary most together: distances can be read.",
    "tsne": "Neighbours stay neighbours; distances between clusters and their sizes mean nothing.",
}

Pictures = Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of pictures under a heading."""

    heading: str
    said: str
    plates: tuple[Plate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """The maps as figures for the page, and as PNG by name."""

    drawings: tuple[Drawing, ...]
    files: Mapping[str, bytes]


def draw_maps(layer: HiddenLayer, colours: Sequence[str]) -> Maps:
    """Draw every layout of the test images."""
    drawings: list[Drawing] = []
    files: dict[str, bytes] = {}
    is_wrong = layer.decided != layer.test.labels
    for name, places in layer.places.items():
        svg, png = draw_map(
            places,
            labels=layer.test.labels,
            is_wrong=is_wrong,
            diagnoses=list(zip(layer.diagnoses, colours, strict=True)),
            name=f"map-{name}",
            title=_TITLES[name],
        )
        said = f"{_TITLES[name]} of {words.counted(len(is_wrong), 'test image')} by truth; "
        said += f"{words.count(int(is_wrong.sum()))} edged ones are decided wrongly (natural rule)."
        drawings.append(Drawing(svg=svg, caption=f"{said} {_MEANINGS[name]}"))
        files[name] = png
    return Maps(drawings=tuple(drawings), files=files)


def units_page(
    layer: HiddenLayer, maps: Maps, pictures: Pictures, *, first: tuple[str, ...] = ()
) -> str:
    """Return `units.html`: one file that needs no network.

    first: what is to be said of the run before all else.
    """
    return render(
        "units.html",
        layer=layer,
        lead=_lead(layer),
        tiles=_tiles(layer),
        notes=first,
        maps=maps.drawings,
        best=_best_table(layer),
        exciting=tuple(_exciting(layer, pictures)),
        idle=tuple(_idle(layer)),
        alike=tuple(_alike(layer, pictures)),
        all_units=_all_table(layer),
    )


def _lead(layer: HiddenLayer) -> str:
    n_units, n_images = len(layer.units.areas), len(layer.validation.labels)
    return (
        f"{words.counted(n_units, 'unit')}: {layer.origin}. Here is what each tells of "
        f"each diagnosis, measured on {words.counted(n_images, 'image')} of validation, which did "
        "not train it."
    )


def _tiles(layer: HiddenLayer) -> tuple[Tile, ...]:
    units = layer.units
    n_repeating = sum(len(group) - 1 for group in units.duplicates)
    agree = np.array([_share_alike(layer, place) for place in range(len(layer.asked))])
    n_dead = tables.count(int(units.is_dead.sum()))
    known = agree[np.isfinite(agree)]
    return (
        Tile(name="Units", rule="in the layer", value=tables.count(len(units.areas)), beside=()),
        Tile(name="Dead", rule="same for every image", value=n_dead, beside=("validation",)),
        Tile(
            name="Repeating",
            rule="move with another",
            value=tables.count(n_repeating),
            beside=("|correlation| ≥ 0.98",),
        ),
        Tile(
            name="Cases alike",
            rule="of the same diagnosis",
            value=tables.score(float(known.mean()) if len(known) else float("nan")),
            beside=(f"n = {words.counted(len(agree), 'test image')}",),
        ),
    )


def _share_alike(layer: HiddenLayer, place: int) -> float:
    rows = layer.alike.rows[place]
    near = layer.train.labels[rows[rows >= 0]]
    truth = layer.test.labels[layer.asked[place]]
    return float((near == truth).mean()) if len(near) else float("nan")


def _best_table(layer: HiddenLayer) -> Table:
    rows = []
    for place, code in enumerate(layer.diagnoses):
        for unit in layer.best(place, N_BEST).tolist():
            n_images = int((layer.validation.labels == place).sum())
            rows.append(
                (
                    tables.text(code),
                    tables.count(n_images),
                    tables.count(unit),
                    _area(layer, unit, place),
                    tables.text("active" if layer.units.areas[unit, place] > 0.5 else "silent"),
                )
            )
    return Table(
        caption="The units that tell each diagnosis best: AUROC of the activation with its 95 % "
        f"interval over {layer.groups}s. Each is the best of "
        f"{words.count(len(layer.units.areas))} on these same images, so it is a little too good. "
        f"No bounds: {words.WHY_NO_BOUNDS}.",
        columns=(
            Column(name="diagnosis", is_number=False),
            Column(name="n images"),
            Column(name="unit"),
            Column(name="AUROC"),
            Column(name="for it, the unit is", is_number=False),
        ),
        rows=tuple(rows),
    )


def _area(layer: HiddenLayer, unit: int, place: int) -> Cell:
    units = layer.units
    low, high = float(units.low[unit, place]), float(units.high[unit, place])
    bounds = (low, high) if low < high else (math.nan, math.nan)
    return tables.bounded(float(units.areas[unit, place]), *bounds)


def _exciting(layer: HiddenLayer, pictures: Pictures) -> Iterator[Row]:
    """Show what excites the best unit of each diagnosis most."""
    for place, code in enumerate(layer.diagnoses):
        for unit in layer.best(place, 1).tolist():
            area = layer.units.areas[unit, place]
            rows = layer.units.exciting[unit][:_N_EXCITING]
            how = "active" if area > 0.5 else "silent"
            yield Row(
                heading=f"{code}: unit {unit}",
                said=f"AUROC {words.score(float(area))}: the unit is {how} for {code}. The "
                "validation images that excite it most:",
                plates=tuple(
                    _plate(
                        str(layer.validation.image_ids[row]),
                        layer.diagnoses[layer.validation.labels[row]],
                        pictures,
                        f", activation {layer.validation.activations[row, unit]:.2f}",
                    )
                    for row in rows.tolist()
                ),
            )


def _idle(layer: HiddenLayer) -> Iterator[str]:
    dead = np.flatnonzero(layer.units.is_dead).tolist()
    if dead:
        yield f"{words.counted(len(dead), 'unit')} dead: {words.listed(map(str, dead))}."
    for group in layer.units.duplicates:
        yield f"Units {words.listed(map(str, group))} move together and say the same."
    if not dead and not layer.units.duplicates:
        yield "No unit is dead and none repeats another."


def _alike(layer: HiddenLayer, pictures: Pictures) -> Iterator[Row]:
    for place, row in enumerate(layer.asked.tolist()):
        image_id = str(layer.test.image_ids[row])
        truth, decided = (
            layer.diagnoses[labels[row]] for labels in (layer.test.labels, layer.decided)
        )
        near = layer.alike.rows[place]
        first = _plate(image_id, truth, pictures, f", decided {decided}: the test image")
        yield Row(
            heading=f"{image_id}: truth {truth}, decided {decided}",
            said="",
            plates=(
                first,
                *(
                    _plate(
                        str(layer.train.image_ids[other]),
                        layer.diagnoses[layer.train.labels[other]],
                        pictures,
                        f", distance {distance:.1f}",
                    )
                    for other, distance in zip(
                        near.tolist(), layer.alike.distances[place].tolist(), strict=True
                    )
                    if other >= 0
                ),
            ),
        )


def _plate(image_id: str, truth: str, pictures: Pictures, said: str) -> Plate:
    return Plate(
        source=data_uri(pictures[image_id]),
        alt=f"{image_id}, truth {truth}",
        caption=f"{truth}{said}",
    )


def _all_table(layer: HiddenLayer) -> Table:
    return Table(
        caption="Every unit: AUROC of its activation for each diagnosis, 95 % intervals below.",
        columns=(
            Column(name="unit"),
            *(Column(name=code, group="AUROC") for code in layer.diagnoses),
        ),
        rows=tuple(
            (
                tables.count(unit),
                *(_area(layer, unit, place) for place in range(len(layer.diagnoses))),
            )
            for unit in range(len(layer.units.areas))
        ),
    )
