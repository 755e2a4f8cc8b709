"""What importing the package asks of OpenMP and of Arrow."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "held"), [(None, "1000"), ("300000", "300000")])
def test_waiting_threads_sleep_early_unless_told_otherwise(given: str | None, held: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    environment |= {"GOMP_SPINCOUNT": given} if given else {}
    asked = "import os, sys, moulage; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [held, "False"]


def test_arrow_takes_memory_that_torch_can_use_afterwards() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
    asked = "import moulage, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    done = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["system"]
