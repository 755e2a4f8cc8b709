"""Pretrained weights: where they are found, what they say of themselves, how they are loaded.

In:  a backbone and a choice ("imagenet", "starter", "random", a path).   Out: a file, and a
network that holds it.
Looked up in this order: the folder MOULAGE_WEIGHTS, what was fetched before, timm's cache of
the hub, the hub.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from torch import nn

from moulage import files
from moulage.errors import (
    ConfigError,
    DataError,
    MissingWeightsError,
    RunError,
    nearest,
)
from moulage.networks import hub
from moulage.networks.registry import Backbone, Scaling
from moulage.networks.tensors import ONLY_SAFETENSORS, read_fitting, read_header

CHOICES = ("imagenet", "starter", "random")
DIGESTS = "digests.json"
STARTER = Path(__file__).parent / "starter"
_SUFFIX = ".safetensors"
PICKLES = frozenset({".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar"})
_OTHER_FORMATS = PICKLES | {".h5", ".keras"}
_NO_WEIGHTS = (
    "run `moulage weights fetch --to DIR` on a machine with internet and set MOULAGE_WEIGHTS to "
    'that folder, or choose weights = "starter" or "random"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """One file of weights that was found.

    source: where, in words for a page and a log. scaling: what the file says its inputs need,
    None where it says nothing. digest: sha256 of its bytes.
    """

    path: Path
    source: str
    scaling: Scaling | None
    licence: str
    digest: str


def find_weights(backbone: Backbone, choice: str) -> WeightsFile | None:
    """Return the file of a choice, None for "random"; only "imagenet" may ask the hub."""
    if choice == "random":
        return None
    if choice == "imagenet":
        return local_weights(backbone) or _from_hub(backbone)
    if choice == "starter":
        return _starter(backbone)
    return _chosen(backbone, choice)


def local_weights(backbone: Backbone) -> WeightsFile | None:
    """Return the ImageNet weights that this machine has already, without the network."""
    for folder, source in _folders():
        for name in file_names(backbone):
            if (folder / name).is_file():
                return described(folder / name, source, backbone)
    cached = _cached_by_timm(backbone)
    return described(cached, "timm's cache of the hub", backbone) if cached else None


def described(path: Path, source: str, backbone: Backbone) -> WeightsFile:
    """Return the record of a file; raises where its header speaks of another architecture."""
    said = read_header(path).words
    architecture = backbone.name.partition(".")[0]
    if said.get("architecture", architecture).partition(".")[0] != architecture:
        raise ConfigError(
            f"The weights in `{path}` must be made for {architecture}; got weights of "
            f"{said['architecture']}. Name that backbone, or another file."
        )
    return WeightsFile(
        path=path,
        source=source,
        scaling=_scaling(said, path),
        licence=said.get("license", said.get("licence", backbone.licence)),
        digest=hub.digest_of_file(path),
    )


def file_names(backbone: Backbone) -> tuple[str, ...]:
    """Return the names under which a folder may hold these weights, the exact one first.

    >>> from moulage.networks.registry import BACKBONES
    >>> file_names(BACKBONES["densenet201"])
    ('densenet201.tv_in1k.safetensors', 'densenet201.safetensors')
    """
    architecture, _, tag = backbone.name.partition(".")
    published = backbone.hub_id.rpartition("/")[2]
    if not tag and published.startswith(f"{architecture}."):
        tag = published.removeprefix(f"{architecture}.")
    exact = (f"{architecture}.{tag}{_SUFFIX}",) if tag else ()
    return (*exact, f"{architecture}{_SUFFIX}")


def starter_architecture() -> str:
    """Return timm's name of the network whose weights are shipped with moulage."""
    return str(read_header(_starter_path()).words.get("architecture", ""))


def load_weights(network: nn.Module, file: WeightsFile) -> None:
    """Fill a network with a file's tensors, cast to the network's types.

    Every tensor must be there with its shape, finite, and the file be the one that was listed.
    """
    check_digest(file)
    network.load_state_dict(read_fitting(network, file.path), strict=False)


def check_digest(file: WeightsFile) -> None:
    """Hold a file against `digests.json` beside it, where there is one that lists it."""
    listed = digests_of(file.path.parent).get(file.path.name)
    if listed is not None and listed.get("sha256") != file.digest:
        raise DataError(
            f"`{file.path.name}` must have the digest that {DIGESTS} lists, "
            f"{listed.get('sha256')}; got {file.digest} in {file.path.parent}. "
            "Fetch it again with `moulage weights fetch --to DIR`."
        )


def digests_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what `digests.json` of a folder says of each file; nothing where there is none."""
    path = folder / DIGESTS
    if not path.is_file():
        return {}
    try:
        listed = json.loads(path.read_text())
        return {str(name): dict(entry) for name, entry in listed.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"`{path}` must be a JSON table of files; got '{error}'. "
            "Write it anew with `moulage weights fetch --to DIR`."
        ) from error


def _folders() -> list[tuple[Path, str]]:
    own = [(files.cache_folder() / "weights", "fetched from the hub before")]
    named = os.environ.get("MOULAGE_WEIGHTS")
    if not named:
        return own
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise MissingWeightsError(
            f"MOULAGE_WEIGHTS must name a folder; got '{named}'. Correct or unset it, or make "
            "the folder with `moulage weights fetch --to DIR`."
        )
    return [(folder, "the folder MOULAGE_WEIGHTS"), *own]


def _cached_by_timm(backbone: Backbone) -> Path | None:
    if not backbone.hub_id:
        return None
    path = huggingface_hub.try_to_load_from_cache(backbone.hub_id, "model.safetensors")
    return Path(path) if isinstance(path, str) else None


def _from_hub(backbone: Backbone) -> WeightsFile:
    if not backbone.hub_id:
        raise MissingWeightsError(
            f"{backbone.title} must have weights on the hub; got none published. "
            'Choose weights = "random" or a .safetensors file of your own.'
        )
    if hub.is_offline():
        raise MissingWeightsError(
            f"The weights of {backbone.title} must be on this machine where the network is "
            f"forbidden; got none. Do one of two things: {_NO_WEIGHTS}."
        )
    path = files.cache_folder() / "weights" / file_names(backbone)[0]
    try:
        hub.download(hub.address_of(backbone.hub_id), path, check=read_header)
    except RunError as error:
        raise MissingWeightsError(f"{error} Without the network: {_NO_WEIGHTS}.") from error
    return described(path, "the hub", backbone)


def _starter_path() -> Path:
    found = sorted(STARTER.glob(f"*{_SUFFIX}"))
    if not found:
        raise MissingWeightsError(
            f"The starter's weights must lie in the package; got none in {STARTER}. "
            "Install moulage again."
        )
    return found[0]


def _starter(backbone: Backbone) -> WeightsFile:
    architecture = starter_architecture()
    if backbone.name.partition(".")[0] != architecture:
        raise ConfigError(
            f'weights = "starter" must go with backbone = "{architecture}"; got '
            f"{backbone.name!r}. Name that backbone, or choose other weights."
        )
    return described(_starter_path(), "shipped with moulage", backbone)


def _chosen(backbone: Backbone, choice: str) -> WeightsFile:
    path = Path(choice).expanduser()
    if path.suffix == _SUFFIX and path.is_file():
        return described(path, "a file of your own", backbone)
    if path.suffix == _SUFFIX:
        raise MissingWeightsError(
            f"`weights` must name a file that exists; got '{choice}'. Correct the path."
        )
    if path.suffix.lower() in _OTHER_FORMATS or path.is_file():
        raise ConfigError(
            f"`weights` must be a .safetensors file; got '{choice}'. {ONLY_SAFETENSORS}."
        )
    raise ConfigError(
        f"`weights` must be {', '.join(CHOICES)} or the path of a .safetensors file; got "
        f"{choice!r}.{nearest(choice, CHOICES)} Choose one of them."
    )


def _scaling(said: dict[str, str], path: Path) -> Scaling | None:
    if "mean" not in said and "std" not in said:
        return None
    mean, std = _triple(said.get("mean", "")), _triple(said.get("std", ""))
    if mean is None or std is None or min(std) <= 0:
        raise DataError(
            f"`mean` and `std` in the header must be three numbers each, std above zero; got "
            f"{said.get('mean')!r} and {said.get('std')!r} in {path}. Write the header anew."
        )
    return Scaling(mean=mean, std=std)


def _triple(words: str) -> tuple[float, float, float] | None:
    try:
        red, green, blue = (float(word) for word in words.strip("[]() ").split(","))
    except ValueError:
        return None
    return red, green, blue
