"""Run every benchmark, those of speed first: `python -m benchmarks [--data DIR] [NAME …]`.

--data: a data set whose images, all of them, the peers and we are given; without one a thousand
casts are drawn, of which fixed costs take the larger share. One that fails is told, and the next
begins.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

ON_IMAGES = ("speed", "fastai_speed")
FIRST = (*ON_IMAGES, "limit", "growth", "caches")
_FOUND = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
NAMES = (*FIRST, *(name for name in _FOUND if name not in FIRST))


def run(names: Sequence[str], data: str | None = None) -> list[str]:
    """Run benchmarks in their order; return those that failed."""
    failed = []
    for name in names:
        print(f"\n{name}", flush=True)
        words = ["--data", data, "--images", "0"] if data and name in ON_IMAGES else []
        try:
            import_module(f"benchmarks.{name}").main(words)
        except Exception:
            traceback.print_exc()
            failed.append(name)
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--data", help="a data set")
    parser.add_argument("names", metavar="NAME", nargs="*", help=", ".join(NAMES))
    chosen = parser.parse_args()
    failed = run(chosen.names or NAMES, chosen.data)
    if failed:
        sys.exit(f"\nThese failed: {', '.join(failed)}. What they said stands above.")
