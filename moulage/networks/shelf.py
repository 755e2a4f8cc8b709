"""A folder of weights files that can be carried to a machine without internet.

In:  backbones, a folder.   Out: `<name>.<tag>.safetensors` each, `digests.json`, `LICENSES.md`;
or what is wrong with such a folder.
Why digests: a file that lost a byte on its way still loads, and gives other numbers.
"""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch

from moulage.errors import ConfigError, MoulageError, RunError
from moulage.files import write_json, write_text
from moulage.networks import hub, weights
from moulage.networks.classifier import build_network
from moulage.networks.registry import Backbone, backbone_named
from moulage.networks.tensors import check_fit

FileProgress = Callable[[str, int, int], None]
LICENCES = "LICENSES.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found out about one file of a folder; `is_fault` where it must not be used."""

    file: str
    words: str
    is_fault: bool


def fetch_weights(
    backbones: Sequence[Backbone],
    *,
    to: Path,
    endpoint: str | None = None,
    progress: FileProgress | None = None,
) -> tuple[Finding, ...]:
    """Fill a folder from the hub, a finding a backbone; files that are there already stay.

    A download that broke off goes on where it stopped. progress: called with a file's name,
    bytes here, bytes in all.
    """
    if hub.is_offline():
        raise RunError(
            "The network must be allowed for `weights fetch`; got MOULAGE_OFFLINE or "
            "HF_HUB_OFFLINE set. Unset it, or run this command on a machine with internet."
        )
    return tuple(_fetch(backbone, to, endpoint, progress) for backbone in backbones)


def verify_weights(folder: Path) -> tuple[Finding, ...]:
    """Hold every file of a folder against its backbone's names and shapes and its digest."""
    if not folder.is_dir():
        raise ConfigError(
            f"`{folder}` must be a folder of weights; got none there. Correct the path, or make "
            "it with `moulage weights fetch --to DIR`."
        )
    listed = weights.digests_of(folder)
    files = sorted(folder.glob("*.safetensors"))
    lost = sorted(set(listed) - {file.name for file in files})
    findings = (
        *(_verify(file, is_listed=file.name in listed) for file in files),
        *(_fault(name, f"{weights.DIGESTS} lists it, but it is not here") for name in lost),
        *_leftovers(folder),
    )
    none = () if files or lost else (_fault(folder.name, "no .safetensors file is here"),)
    return (*findings, *none)


def skeleton_of(name: str) -> torch.nn.Module:
    """Return the network's names and shapes without memory for its numbers."""
    with torch.device("meta"):
        return build_network(name, seed=0)


def _fetch(
    backbone: Backbone, to: Path, endpoint: str | None, progress: FileProgress | None
) -> Finding:
    if not backbone.hub_id:
        raise ConfigError(
            f"`{backbone.name}` must be published on the hub; got no address for it. Leave it out."
        )
    path = to / weights.file_names(backbone)[0]
    listed = weights.digests_of(to)
    if path.is_file() and listed.get(path.name, {}).get("sha256") == hub.digest_of_file(path):
        return Finding(file=path.name, words="was here already", is_fault=False)
    address = hub.address_of(backbone.hub_id, endpoint)
    network = skeleton_of(backbone.name)
    digest = hub.download(
        address,
        path,
        check=lambda partial: check_fit(network, partial),
        progress=progress and (lambda here, total: progress(path.name, here, total)),
    )
    entry = {
        "sha256": digest,
        "size_bytes": path.stat().st_size,
        "source": address,
        "licence": backbone.licence,
        "fetched_on": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    _record(to, {**listed, path.name: entry})
    return Finding(file=path.name, words=f"fetched, {entry['size_bytes']:,} bytes", is_fault=False)


def _record(folder: Path, listed: dict[str, dict[str, Any]]) -> None:
    lines = [
        f"- `{name}`: {entry.get('licence', 'licence not recorded')}, from "
        f"<{entry.get('source', 'not recorded')}>, {entry.get('fetched_on', 'no date')}"
        for name, entry in sorted(listed.items())
    ]
    title = "# Licences of the weights in this folder\n\n"
    write_text(folder / LICENCES, title + "\n".join(lines) + "\n")
    write_json(folder / weights.DIGESTS, dict(sorted(listed.items())))


def _verify(path: Path, *, is_listed: bool) -> Finding:
    architecture = path.name.partition(".")[0]
    if not timm.is_model(architecture):
        return _fault(path.name, f"{architecture!r} is not the name of a backbone")
    try:
        backbone = backbone_named(architecture)
        file = weights.described(path, "this folder", backbone)
        weights.check_digest(file)
        check_fit(skeleton_of(backbone.name), path)
    except MoulageError as error:
        return _fault(path.name, str(error))
    words = (
        "names, shapes and digest are right"
        if is_listed
        else (f"names and shapes are right; {weights.DIGESTS} lists no digest for it")
    )
    return Finding(file=path.name, words=words, is_fault=False)


def _leftovers(folder: Path) -> list[Finding]:
    """Say why some files of the folder are no use; they do no harm either."""
    reasons = dict.fromkeys(weights.PICKLES, "is never read: a pickle can run code") | {
        ".part": "is unfinished: fetch again to go on with it"
    }
    return [
        Finding(file=path.name, words=reasons[path.suffix], is_fault=False)
        for path in sorted(folder.iterdir())
        if path.suffix in reasons
    ]


def _fault(file: str, words: str) -> Finding:
    return Finding(file=file, words=words, is_fault=True)
