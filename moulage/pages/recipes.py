"""What was compared: recipes, parameters, where each phase ended and what it cost.

In:  a study file's recipes as plain values; the comparison's rows.
Out: what sets recipes apart in words; tables, and drawings of cost against accuracy.
Knows nothing of HTML.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from moulage.pages import prose, tables, words
from moulage.pages.comparison import BASELINE, KEPT, SCORED_PARTS
from moulage.pages.document import Drawing
from moulage.pages.figures.costs import Priced, draw_costs
from moulage.pages.records import RunRecord
from moulage.pages.results import BALANCED
from moulage.pages.standing import Standing
from moulage.pages.tables import Cell, Column, Table

Row = dict[str, Any]

AGAIN = (
    "Where a phase found none better, its row measures those of the phase before again, by other "
    "ways of rounding."
)
_ALIKE = 1.05
_TOLD = ("backbone", "weights", "head", "imbalance", "hidden")  # in fields of their own
_SETTINGS = {"phases": "training", "covariates": "what is read beside the image"}
_TREATMENTS = {
    "none": "none",
    "class_weight": prose.WEIGHTED,
    "oversample": "oversampling",
    "augment": "minorities filled up with turned copies",
    "focal": "focal loss (gamma {gamma:g})",
    "logit_adjustment": "logit adjustment (tau {tau:g})",
    "balanced_softmax": "balanced softmax",
}


def regularisation(recipe: Mapping[str, Any]) -> str:
    """Name what holds a recipe back from learning by heart: `dropout 0.5, weight decay 0.01`."""
    parts = [f"dropout {recipe['dropout']:g}"] if recipe["dropout"] else []
    if recipe["hidden"]:
        parts.append("batch normalisation")
    decays = {phase["weight_decay"] for phase in recipe["phases"]} - {0.0}
    parts += [f"weight decay {decay:g}" for decay in sorted(decays)]
    smoothings = {phase["label_smoothing"] for phase in recipe["phases"]} - {0.0}
    parts += [f"label smoothing {smoothing:g}" for smoothing in sorted(smoothings)]
    return ", ".join(parts) or "none"


def imbalance(treatment: Mapping[str, Any]) -> str:
    """Name a treatment with what sets it apart from its kin."""
    kind = str(treatment["kind"])
    if kind == "class_weight" and treatment["scheme"] == "effective":
        return f"class weights by effective number (beta {treatment['beta']:g})"
    if kind == "oversample" and treatment["length"] == "majority":
        return "oversampling to the majority"
    return _TREATMENTS[kind].format(**treatment)


def augmentation(chosen: Mapping[str, Any]) -> str:
    """Name what is switched on: `flips, turns, rotation 20, scale 0.8–1.1`."""
    said = [name for name in ("flips", "turns") if chosen[name]]
    low, high = chosen["scale"]
    numbers = {name: value for name, value in chosen.items() if isinstance(value, float) and value}
    said += [f"{name.replace('_', ' ')} {value:g}" for name, value in numbers.items()]
    if (low, high) != (1.0, 1.0):
        said.append(f"scale {low:g}–{high:g}")
    return ", ".join(said) or "none"


def recipe_table(frame: pd.DataFrame) -> Table:
    """Return architecture, head, regularisation, epochs and parameters, a row an experiment."""
    phases = frame[~frame["phase"].isin([KEPT, BASELINE])]
    told = bool((phases["covariates"].fillna("") != "").any())
    rows = [
        _recipe_row(str(name), group, told=told)
        for name, group in phases.groupby("experiment", sort=False)
    ]
    return Table(
        caption="What was compared; parameters trained in the first phase and in the last.",
        columns=(
            Column(name="experiment", is_number=False),
            Column(name="architecture", is_number=False),
            Column(name="hidden layers", is_number=False),
            Column(name="regularisation", is_number=False),
            Column(name="imbalance", is_number=False),
            *([Column(name="beside the image", is_number=False)] if told else []),
            Column(name="epochs"),
            Column(name="first", group="parameters"),
            Column(name="last", group="parameters"),
            Column(name="total", group="parameters"),
        ),
        rows=tuple(rows),
    )


def _recipe_row(name: str, phases: pd.DataFrame, *, told: bool) -> tuple[Cell, ...]:
    first, last = phases.iloc[0], phases.iloc[-1]
    hidden = tuple(int(size) for size in str(first["hidden"]).split())
    epochs = [int(n) for n in phases["epochs"]]
    return (
        tables.text(name),
        tables.text(str(first["backbone"])),
        tables.text(prose.hidden_layers(hidden)),
        tables.text(str(first["regularisation"])),
        tables.text(str(first["imbalance"])),
        *([tables.text(", ".join(str(first["covariates"]).split()) or "nothing")] if told else []),
        tables.measured(" + ".join(map(str, epochs)), float(sum(epochs))),
        tables.count(int(first["n_trainable"])),
        tables.count(int(last["n_trainable"])),
        tables.count(int(last["n_total"])),
    )


def phase_table(rows: Sequence[Row], experiments: Mapping[str, Sequence[RunRecord]]) -> Table:
    """Return scores, time and memory at each phase's end, and whose weights these were."""
    shown = [row for row in rows if row["phase"] not in (KEPT, BASELINE)]
    again = f" {AGAIN}" if len(shown) > len({row["experiment"] for row in shown}) else ""
    return Table(
        caption="Where each phase ended, with the best weights so far: accuracy under the natural "
        "rule, loss in nats; means over the runs, below them the lowest and the highest. Weights "
        f"of: the epoch that was best so far; the last phase’s row has those kept.{again}",
        columns=(
            Column(name="experiment", is_number=False),
            Column(name="phase", is_number=False),
            Column(name="weights of", is_number=False),
            *(
                Column(name=name, group=part)
                for part in SCORED_PARTS
                for name in ("accuracy", "loss")
            ),
            Column(name="time"),
            Column(name="peak memory"),
        ),
        rows=tuple(_phase_row(row, experiments[str(row["experiment"])]) for row in shown),
    )


def _phase_row(row: Row, runs: Sequence[RunRecord]) -> tuple[Cell, ...]:
    scores = [
        _phase_score(row, f"{part}_{name}")
        for part in SCORED_PARTS
        for name in ("accuracy", "loss")
    ]
    return (
        tables.text(row["experiment"]),
        tables.text(row["phase"], note=f"from {row['train_from']}"),
        tables.text(prose.best_epochs(runs, row["phase"]) or words.NOT_MEASURED),
        *scores,
        tables.measured(words.duration(row["seconds"]), row["seconds"]),
        tables.measured(words.memory(row["peak_memory_mib"]), row["peak_memory_mib"]),
    )


def _phase_score(row: Row, name: str) -> Cell:
    """A part may not have been looked at when the phase ended."""
    if math.isnan(row[name]):
        return tables.measured(words.NOT_MEASURED, None)
    mean, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return tables.spread(mean=mean, low=low, high=high)


def cost_table(frame: pd.DataFrame, standing: Standing) -> Table:
    """Return what each experiment costs beside what it achieves."""
    costs = costs_of(frame, standing)
    return Table(
        caption="Cost beside balanced accuracy (balanced rule). Time is that of training, a run; "
        "activations that another run had cached cost it nothing. Memory is the highest of the "
        f"phases.{_uncosted(frame, standing, costs)}",
        columns=(
            Column(name="experiment", is_number=False),
            Column(name="parameters"),
            Column(name="time a run"),
            Column(name="peak memory"),
            Column(name="balanced accuracy"),
        ),
        rows=tuple(
            (
                tables.text(cost.name),
                tables.count(cost.n_parameters),
                tables.measured(words.duration(cost.seconds), cost.seconds),
                tables.measured(words.memory(cost.memory_mib), cost.memory_mib),
                tables.interval(standing.spread(cost.name, BALANCED).interval),
            )
            for cost in costs
        ),
    )


def _uncosted(frame: pd.DataFrame, standing: Standing, costs: Sequence[Priced]) -> str:
    """Name the ensembles, which trained nothing of their own and so have no row."""
    priced = {cost.name for cost in costs}
    kept = frame[frame["phase"] == KEPT]["experiment"].astype(str)
    left_out = [name for name in kept if name not in priced and standing.has(name)]
    if not left_out:
        return ""
    what = "an ensemble" if len(left_out) == 1 else "ensembles"
    return f" Not here: {words.listed(left_out)}, {what} at the cost of all members together."


def cost_drawings(frame: pd.DataFrame, standing: Standing) -> list[Drawing]:
    """Draw balanced accuracy over training time, and over parameters where these differ."""
    costs = costs_of(frame, standing)
    if len(costs) < 2:
        return []
    scales = {"training time of a run (seconds)": [cost.seconds for cost in costs]}
    if not are_alike(costs):
        scales["parameters"] = [float(cost.n_parameters) for cost in costs]
    return [
        Drawing(
            svg=draw_costs(costs, prices, name=f"cost-{number}", unit=unit, measure=BALANCED.named),
            caption=f"Balanced accuracy (balanced rule) against {unit}, 95 % intervals over "
            f"{standing.unit}s.",
        )
        for number, (unit, prices) in enumerate(scales.items())
    ]


def differing(first: RunRecord, second: RunRecord) -> list[str]:
    """Name what sets two recipes apart beside hidden layers and names; [] for nothing."""
    one, other = first.experiment, second.experiment
    plain = {
        "backbone": one.backbone != other.backbone,
        "pretraining": one.weights != other.weights,
        "head": one.head != other.head,
        "treatment of the imbalance": one.imbalance != other.imbalance,
    }
    keys = dict.fromkeys((*one.settings, *other.settings))
    said = [name for name, is_other in plain.items() if is_other]
    return said + [
        _SETTINGS.get(key, key)
        for key in keys
        if key not in _TOLD and one.settings.get(key) != other.settings.get(key)
    ]


def are_alike(costs: Collection[Priced]) -> bool:
    """Say whether no experiment has five per cent more parameters than another."""
    sizes = [cost.n_parameters for cost in costs]
    return max(sizes) < _ALIKE * min(sizes)


def costs_of(frame: pd.DataFrame, standing: Standing) -> list[Priced]:
    """Return the cost of each tested experiment, in the study's order."""
    priced = []
    for name, rows in frame[frame["phase"] != BASELINE].groupby("experiment", sort=False):
        kept = rows[rows["phase"] == KEPT].iloc[0]
        if not standing.has(str(name)) or pd.isna(kept["n_total"]):
            continue
        found = standing.spread(str(name), BALANCED).interval
        priced.append(
            Priced(
                name=str(name),
                n_parameters=int(kept["n_total"]),
                seconds=float(kept["seconds"]),
                memory_mib=float(rows["peak_memory_mib"].max()),
                value=found.value,
                low=found.low,
                high=found.high,
            )
        )
    return priced
