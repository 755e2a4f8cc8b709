"""The limit's engines on a machine of any kind: batches of any size, products of any precision."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from benchmarks.peers import engine_side
from benchmarks.peers.engine_side import Engines

BATCH = 2  # few: a processor without units for bfloat16 takes minutes for a whole one


@pytest.fixture(scope="module")
def engines() -> Engines:
    started = Engines()
    started.begin(backbone="MobileNetV3Small", n_images=BATCH + 1)
    return started


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_are_counted_in_either_precision(engines: Engines, precision: str) -> None:
    answer = engines.products(precision=precision, side=64)
    assert answer["gflop"] == pytest.approx(5 * 2 * 64**3 / 1e9)
    assert answer["seconds"] > 0


def test_the_last_batch_may_be_smaller(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOULAGE_CACHE", str(tmp_path))
    monkeypatch.setattr(engine_side, "BATCH", BATCH)
    assert engines.moulage()["seconds"] > 0
    assert engines.limit(engine="bfloat16 autocast")["seconds"] > 0
    assert engines.limit(engine="moulage")["seconds"] > 0


def test_work_is_counted_by_hand_for_one_convolution(engines: Engines) -> None:
    stem = engines.classifier.network.get_submodule("conv_stem")
    assert isinstance(stem, nn.Conv2d)
    by_hand = 2 * 64 * 64 * stem.out_channels * 3 * np.prod(stem.kernel_size) / 1e9
    assert by_hand < engines.work()["gflop"] < 1
