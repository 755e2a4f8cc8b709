"""Pretrained weights: where they are found, what they say of themselves, how they are loaded.

In:  a backbone and a choice ("imagenet", "starter", "random", a path).   Out: a file, and a
network that holds it.
Only safetensors are read: a pickle can run code.
Why strict: a network with one tensor left at random gives numbers that look like any other's.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import safetensors
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from moulage import store
from moulage.errors import ConfigError, DataError, RunError, examples, nearest
from moulage.networks import hub
from moulage.networks.registry import Backbone, Scaling

CHOICES = ("imagenet", "starter", "random")
DIGESTS = "digests.json"
STARTER = Path(__file__).parent / "starter"
_SUFFIX = ".safetensors"
_NO_WEIGHTS = (
    "run `moulage weights fetch --to DIR` on a machine with internet and set MOULAGE_WEIGHTS to "
    'that folder, or choose weights = "starter" or "random"'
)
_ONLY_SAFETENSORS = (
    "Only safetensors are read, since a pickle can run code: where you trust it, convert it with "
    "`safetensors.torch.save_file(torch.load(PATH, weights_only=True), 'weights.safetensors')`"
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
                return _described(folder / name, source, backbone)
    cached = backbone.hub_id and huggingface_hub.try_to_load_from_cache(
        backbone.hub_id, "model.safetensors"
    )
    if isinstance(cached, str):
        return _described(Path(cached), "timm's cache of the hub", backbone)
    return None


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
    return str(_header(_starter_path())[0].get("architecture", ""))


def load_weights(network: nn.Module, file: WeightsFile) -> None:
    """Fill a network with a file's tensors, cast to the network's types.

    Every tensor of the network must be there with its shape, save BatchNorm's step counters.
    The file may hold the layers of the original classifier too; any other tensor is refused.
    """
    check_digest(file)
    check_fit(network, file.path)
    tensors = load_file(file.path)
    wanted = network.state_dict()
    fitting = {name: tensor for name, tensor in tensors.items() if name in wanted}
    _check_values(fitting, wanted, file.path)
    network.load_state_dict(fitting, strict=False)


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


def check_fit(network: nn.Module, path: Path) -> None:
    """Raise unless a file's names and shapes are those of a network; only its header is read."""
    shapes = _header(path)[1]
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    missing = [name for name in wanted if name not in shapes and not _is_counter(name)]
    if missing:
        raise _misfit(path, f"hold every tensor of {_title(network)}", "no", missing)
    wrong = [
        f"{name} {shapes[name]} for {shape}"
        for name, shape in wanted.items()
        if name in shapes and shapes[name] != shape
    ]
    if wrong:
        raise _misfit(path, f"have the shapes of {_title(network)}", "", wrong)
    strangers = set(shapes) - set(wanted)
    if strangers and (unknown := sorted(strangers - _original_names(network))):
        raise _misfit(path, f"hold tensors of {_title(network)} alone", "also", unknown)


def _folders() -> list[tuple[Path, str]]:
    own = [(store.cache_folder() / "weights", "fetched from the hub before")]
    named = os.environ.get("MOULAGE_WEIGHTS")
    if not named:
        return own
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise RunError(
            f"MOULAGE_WEIGHTS must name a folder; got '{named}'. Correct or unset it, or make "
            "the folder with `moulage weights fetch --to DIR`."
        )
    return [(folder, "the folder MOULAGE_WEIGHTS"), *own]


def _from_hub(backbone: Backbone) -> WeightsFile:
    if not backbone.hub_id:
        raise RunError(
            f"{backbone.title} must have weights on the hub; got none published. "
            'Choose weights = "random" or a .safetensors file of your own.'
        )
    if hub.is_offline():
        raise RunError(
            f"The weights of {backbone.title} must be on this machine where the network is "
            f"forbidden; got none. Do one of two things: {_NO_WEIGHTS}."
        )
    path = store.cache_folder() / "weights" / file_names(backbone)[0]
    try:
        hub.download(hub.address_of(backbone.hub_id), path)
    except RunError as error:
        raise RunError(f"{error} Without the network: {_NO_WEIGHTS}.") from error
    return _described(path, "the hub", backbone)


def _starter_path() -> Path:
    found = sorted(STARTER.glob(f"*{_SUFFIX}"))
    if not found:
        raise RunError(
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
    return _described(_starter_path(), "shipped with moulage", backbone)


def _chosen(backbone: Backbone, choice: str) -> WeightsFile:
    path = Path(choice).expanduser()
    if path.suffix == _SUFFIX and path.is_file():
        return _described(path, "a file of your own", backbone)
    if path.suffix == _SUFFIX:
        raise RunError(f"`weights` must name a file that exists; got '{choice}'. Correct the path.")
    if path.suffix or path.is_file():
        raise ConfigError(
            f"`weights` must be a .safetensors file; got '{choice}'. {_ONLY_SAFETENSORS}."
        )
    raise ConfigError(
        f"`weights` must be {', '.join(CHOICES)} or the path of a .safetensors file; got "
        f"{choice!r}. {nearest(choice, CHOICES)} Choose one of them."
    )


def _described(path: Path, source: str, backbone: Backbone) -> WeightsFile:
    said, _ = _header(path)
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


def _header(path: Path) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """Return what a file says of itself, and the shape of each tensor."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return dict(file.metadata() or {}), shapes
    except (OSError, safetensors.SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    with path.open("rb") as file:
        is_pickle = file.read(2).startswith((b"PK", b"\x80"))
    if is_pickle:
        return DataError(f"`{path}` must hold safetensors; got a pickle. {_ONLY_SAFETENSORS}.")
    return DataError(
        f"`{path}` must be a whole safetensors file; got {path.stat().st_size:,} bytes, of which "
        f"its reader says '{error}'. Copy or fetch it again."
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


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _title(network: nn.Module) -> str:
    return str(_architecture(network) or type(network).__name__)


def _architecture(network: nn.Module) -> str:
    return str((getattr(network, "pretrained_cfg", None) or {}).get("architecture", ""))


def _original_names(network: nn.Module) -> set[str]:
    """Return the tensors of the network as published, with its classifier."""
    if not _architecture(network):
        return set()
    with torch.device("meta"):
        original = timm.create_model(_architecture(network))
    return set(original.state_dict())


def _misfit(path: Path, rule: str, word: str, names: list[str]) -> DataError:
    return DataError(
        f"`{path.name}` must {rule}; got {word}{' ' if word else ''}{examples(names)} in "
        f"{path.parent}. Choose the weights of this very backbone."
    )


def _check_values(tensors: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> None:
    """Refuse quantised numbers, which would be taken at face value, and numbers that are none."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() != wanted[name].is_floating_point():
            raise _bad_values(path, name, f"numbers of type {tensor.dtype}")
        if not tensor.isfinite().all():
            raise _bad_values(path, name, "NaN or infinite numbers")


def _bad_values(path: Path, name: str, found: str) -> DataError:
    return DataError(
        f"`{name}` must hold finite floating-point numbers; got {found} in {path}. "
        "Choose another file."
    )
