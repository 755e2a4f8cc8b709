"""Files of named tensors: written whole, read safely, held against the network they are meant for.

In:  a .safetensors file, a network.   Out: its header; the tensors that fill the network.
Knows nothing of where the file came from. Only safetensors are read: a pickle can run code.
Why strict: a network with one tensor left at random gives numbers that look like any other's.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import safetensors
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from moulage.errors import DataError, examples
from moulage.files import replacing
from moulage.seal import BLANK, seal_file

ONLY_SAFETENSORS = (
    "Only safetensors are read, since a pickle can run code: where you trust it, convert it with "
    "`safetensors.torch.save_file(torch.load(PATH, weights_only=True), 'weights.safetensors')`"
)
_PICKLE_STARTS = (b"PK", b"\x80")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of itself (`words`), and the shape of each tensor in it."""

    words: dict[str, str]
    shapes: dict[str, tuple[int, ...]]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], **words: str) -> None:
    """Write tensors without a copy in memory; raises as `replacing` does.

    words: what the header says of them; of one entry at most, since the library writes several
    in an order of its own. That entry may hold the `BLANK` of a seal; without words, a seal is
    all that the header says.
    """
    lay_out_tensors(path, tensors, **words)()


def lay_out_tensors(path: Path, tensors: Mapping[str, Tensor], **words: str) -> Callable[[], None]:
    """Write tensors beside `path`; to call what is returned makes them last and moves them there.

    The tensors may change in between: that the disk has every byte takes as long as laying out.
    So does summing up what was laid out, which is left to that call as well.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with ExitStack() as stack:
        partial = stack.enter_context(replacing(path))
        partial.touch()
        rights = partial.stat().st_mode  # as other files: the library gives them to the owner alone
        try:
            save_file(plain, partial, metadata=words or {"seal": BLANK})
        except safetensors.SafetensorError as error:
            raise OSError(str(error)) from error
        partial.chmod(rights)
        stack.callback(seal_file, partial)
        return stack.pop_all().close


def read_header(path: Path) -> Header:
    """Read a header; raises DataError where the file is torn or something else."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return Header(words=dict(file.metadata() or {}), shapes=shapes)
    except (OSError, safetensors.SafetensorError) as error:
        raise _unreadable(path, error) from error


def read_fitting(network: nn.Module, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a network from a file that passed `check_fit`."""
    check_fit(network, path)
    wanted = network.state_dict()
    tensors = {name: tensor for name, tensor in load_file(path).items() if name in wanted}
    for name, tensor in tensors.items():
        _check_values(name, tensor, wanted[name], path)
    return tensors


def check_fit(network: nn.Module, path: Path) -> None:
    """Raise unless a file's names and shapes are those of a network; only its header is read.

    It may hold the layers of the original classifier too, and lack BatchNorm's step counters.
    """
    shapes = read_header(path).shapes
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    missing = [name for name in wanted if name not in shapes and not _is_counter(name)]
    if missing:
        raise _misfit(path, f"hold every tensor of {_title(network)}; got no", missing)
    wrong = [
        f"{name} {shapes[name]} instead of {shape}"
        for name, shape in wanted.items()
        if name in shapes and shapes[name] != shape
    ]
    if wrong:
        raise _misfit(path, f"have the shapes of {_title(network)}; got", wrong)
    strangers = set(shapes) - set(wanted)
    if strangers and (unknown := sorted(strangers - _published_names(network))):
        raise _misfit(path, f"hold tensors of {_title(network)} alone; got also", unknown)


def _unreadable(path: Path, error: Exception) -> DataError:
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError:
        return DataError(f"`{path}` must be readable; got '{error}'. Mend the path or its rights.")
    if start.startswith(_PICKLE_STARTS):
        return DataError(f"`{path}` must hold safetensors; got a pickle. {ONLY_SAFETENSORS}.")
    return DataError(
        f"`{path}` must be a whole safetensors file; got {path.stat().st_size:,} bytes, of which "
        f"its reader says '{error}'. Copy or fetch it again."
    )


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _architecture(network: nn.Module) -> str:
    return str((getattr(network, "pretrained_cfg", None) or {}).get("architecture", ""))


def _title(network: nn.Module) -> str:
    return _architecture(network) or type(network).__name__


def _published_names(network: nn.Module) -> set[str]:
    """Return the tensors of the network as published, with its classifier."""
    if not _architecture(network):
        return set()
    with torch.device("meta"):  # names only: no memory, no time
        published = timm.create_model(_architecture(network))
    return set(published.state_dict())


def _misfit(path: Path, rule: str, names: list[str]) -> DataError:
    return DataError(
        f"`{path.name}` must {rule} {examples(names)} in {path.parent}. "
        "Choose the weights of this very backbone."
    )


def _check_values(name: str, tensor: Tensor, wanted: Tensor, path: Path) -> None:
    """Refuse quantised numbers, which would be taken at face value, and numbers that are none."""
    if tensor.is_floating_point() != wanted.is_floating_point():
        raise _bad_values(name, f"numbers of type {tensor.dtype}", path)
    if not tensor.isfinite().all():
        raise _bad_values(name, "NaN or infinite ones", path)


def _bad_values(name: str, found: str, path: Path) -> DataError:
    return DataError(
        f"`{name}` must hold finite floating-point numbers; got {found} in {path}. "
        "Choose another file."
    )
