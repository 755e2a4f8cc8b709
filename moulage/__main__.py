"""Where `moulage` and `python -m moulage` begin.

Why apart from the command line: Ctrl-C while its modules load must be one line too.
"""

import sys


def main() -> None:
    """Load the command line and run it; stopped before it began, say so and exit with 130."""
    try:
        from moulage.cli.app import main as run
    except KeyboardInterrupt:
        print("moulage: stopped before it began.", file=sys.stderr)
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
