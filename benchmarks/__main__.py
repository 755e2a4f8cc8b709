"""Run every benchmark: `python -m benchmarks [NAME …]`."""

import sys
from importlib import import_module
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))

for name in sys.argv[1:] or NAMES:
    print(f"\n{name}")
    import_module(f"benchmarks.{name}").main([])
