"""What the cache holds, by kind and data set.

In:  the entries of the store.   Out: a row a kind and data set, the largest first.
Knows nothing of what is inside: activations name the pixels they were computed from, and those
name their data set.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from moulage import store

UNKNOWN, TORN = "unknown", "torn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """All entries of one kind that stem from one data set; used_at in seconds since 1970."""

    kind: str
    dataset: str
    n_entries: int
    size_bytes: int
    used_at: float


def list_holdings() -> tuple[Holding, ...]:
    """Sum up the cache; what stems from pixels that are gone is of an unknown data set.

    Entries that are not as they were published stand apart, a row a kind, as torn.
    """
    entries = store.entries()
    grouped: dict[tuple[str, str], list[store.Entry]] = defaultdict(list)
    names = _datasets(entries)
    for entry in entries:
        dataset = TORN if entry.fault else names.get(entry.folder.name, UNKNOWN)
        grouped[entry.kind, dataset].append(entry)
    rows = [
        Holding(
            kind=kind,
            dataset=dataset,
            n_entries=len(members),
            size_bytes=sum(entry.size_bytes for entry in members),
            used_at=max(entry.used_at for entry in members),
        )
        for (kind, dataset), members in grouped.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.size_bytes, row.kind, row.dataset)))


def verify_computed(pixels_key: str) -> None:
    """Read all that was computed from some pixels; what has other bytes is told and dropped."""
    for entry in store.entries():
        if entry.key.get("pixels") == pixels_key:
            store.drop_unless_whole(entry.folder, verify=True)


def _datasets(entries: Iterable[store.Entry]) -> dict[str, str]:
    """Return the data set of each entry, by the name of its folder."""
    known = {e.folder.name: str(e.about["dataset"]) for e in entries if "dataset" in e.about}
    derived = {
        entry.folder.name: known[entry.key["pixels"]]
        for entry in entries
        if entry.key.get("pixels") in known
    }
    return known | derived
