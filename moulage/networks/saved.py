"""Classifiers on disk: `classifier.safetensors` with `classifier.json` beside it.

In:  a classifier and what must be known to use it.   Out: the two files, and back.
Why two: the weights are read by safetensors alone, which runs no code; the contract beside them
is checked against their digest, so that neither is ever used with another.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from moulage.errors import RunError, examples
from moulage.files import write_json
from moulage.networks.classifier import Classifier, recipe_from
from moulage.networks.committee import rebuild
from moulage.networks.tensors import write_tensors

WEIGHTS, CONTRACT = "classifier.safetensors", "classifier.json"
_CURE = "Copy the run folder again, or delete it and train it again."
_KEYS = {"digest", "recipe", "prior", "temperature", "weights_source", "licence"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Saved:
    """A classifier ready to use: its prior (K,), its temperature, where its weights began."""

    classifier: Classifier
    prior: NDArray[np.float64]
    temperature: float
    weights_source: str = ""
    licence: str = ""


def save_classifier(saved: Saved, folder: Path) -> None:
    """Write the two files, each whole or not at all; the contract last."""
    classifier = saved.classifier
    write_tensors(folder / WEIGHTS, classifier.state_dict())
    content = {
        "format": 1,
        "digest": classifier.digest(),
        "recipe": classifier.recipe.as_dict(),
        "prior": saved.prior.tolist(),
        "temperature": saved.temperature,
        "weights_source": saved.weights_source,
        "licence": saved.licence,
    }
    write_json(folder / CONTRACT, content)


def load_classifier(folder: Path) -> Saved:
    """Read a classifier back; raises RunError where a file is missing, torn or another's."""
    content = _read_contract(folder / CONTRACT)
    try:
        classifier = rebuild(recipe_from(content["recipe"]))
    except (KeyError, TypeError) as error:
        raise RunError(
            f"A classifier's contract must hold its recipe; got another in `{folder / CONTRACT}` "
            f"({error!r}). {_CURE}"
        ) from error
    try:
        classifier.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _no_weights(folder / WEIGHTS, error) from error
    if classifier.digest() != content["digest"]:
        raise RunError(
            f"`{folder / WEIGHTS}` must have the digest {content['digest']} of its contract; got "
            f"{classifier.digest()}. Copy both files from the same run, or delete its folder "
            "and train it again."
        )
    classifier.eval()
    return Saved(
        classifier=classifier,
        prior=np.array(content["prior"], dtype=np.float64),
        temperature=float(content["temperature"]),
        weights_source=content["weights_source"],
        licence=content["licence"],
    )


def check_saved(folder: Path) -> None:
    """Raise RunError where a file is missing or cut; the weights' bits are not read."""
    _read_contract(folder / CONTRACT)
    try:
        with safe_open(folder / WEIGHTS, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise _no_weights(folder / WEIGHTS, error) from error


def _no_weights(path: Path, error: Exception) -> RunError:
    return RunError(f"`{path}` must hold the weights of its contract; got: {error}. {_CURE}")


def _read_contract(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        missing = _KEYS - content.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(
            f"A run folder must hold a finished classifier; got no readable `{path}`. {_CURE}"
        ) from error
    if missing:
        raise RunError(
            f"A classifier's contract must be whole; got no {examples(sorted(missing))} in "
            f"`{path}`. {_CURE}"
        )
    return content
