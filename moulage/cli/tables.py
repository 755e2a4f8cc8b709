"""Tables printed: in a terminal as wide as that, elsewhere as wide as they need."""

import sys

from rich.console import Console
from rich.table import Table


def print_table(table: Table) -> None:
    """Print a table; a file or another program gets each row whole, on one line."""
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
