"""Private memory of training, sampled from outside; pages of mapped files are reported apart."""

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from moulage.networks.machine import resolve_machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="/proc tells kinds apart"),
]

# Both, where the processor has units for bfloat16; one that emulates it trains in float32.
PRECISIONS = sorted({"float32", resolve_machine(device="cpu").precision})

# A data set without decoding: every image repeats one lesion table, all pixels are one sparse
# file, which costs neither disk nor time but is mapped and read as any other.
MATERIAL = """
import sys
from pathlib import Path
import numpy as np
import pandas as pd
from moulage.catalogue import COLUMNS, Catalogue
from moulage.data.diagnoses import HAM10000
from moulage.data.pixels import Pixels
from moulage.networks.activations import Activations
from moulage.runs import experiment
from moulage.runs.studyfile import parse_study
from moulage.runs.material import Images, prepare
from moulage.runs.study import cells_of
from moulage.seeding import generator

def sparse(path, shape, kind):
    header = np.lib.format.header_data_from_array_1_0(np.zeros(1, kind)) | {"shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + int(np.prod(shape)) * np.dtype(kind).itemsize)
    return np.load(path, mmap_mode="r")

def images_of(n_images, folder):
    rng = generator("memory")
    codes = [diagnosis.code for diagnosis in HAM10000]
    frame = pd.DataFrame({
        "image_id": [f"ISIC_{row:07d}" for row in range(n_images)],
        "lesion_id": [f"HAM_{row * 3 // 4:07d}" for row in range(n_images)],
        "path": [f"images/ISIC_{row:07d}.jpg" for row in range(n_images)],
        "diagnosis": rng.choice(codes, n_images, p=[0.65, 0.05, 0.1, 0.05, 0.05, 0.05, 0.05]),
        "age": rng.integers(4, 18, n_images) * 5.0,
        "sex": rng.choice(["male", "female"], n_images),
        "localization": rng.choice(["back", "face", "foot"], n_images),
        "dx_type": "histo",
    })
    frame["diagnosis"] = frame.groupby("lesion_id")["diagnosis"].transform("first")
    catalogue = Catalogue(frame=frame, diagnoses=HAM10000, root=folder, name="memory")
    array = sparse(folder / "pixels.npy", (n_images, 128, 128, 3), np.uint8)
    name = f"{n_images}"
    pixels = Pixels(array=array, key=name, digest=name, image_ids=catalogue.image_ids,
                    rows=np.arange(n_images))
    return Images(catalogue=catalogue, listed=catalogue, pixels=pixels, kind="table", notes=())

def cell_of(train_from, batch, precision, policy="update"):
    epochs = 3 if train_from == "head" else 1  # what a head's epochs keep must not add up
    phase = {"name": "phase", "train_from": train_from, "epochs": epochs, "batch": batch,
             "batchnorm": policy}
    recipe = {"name": "exp1", "backbone": "MobileNetV2", "weights": "random", "phases": [phase]}
    (cell,) = cells_of(parse_study({
        "name": "memory", "machine": {"precision": precision}, "experiment": [recipe]}))
    return cell

def silent(what, done, total):
    pass
"""
FROZEN = """
folder, precision = Path(sys.argv[1]), sys.argv[2]
n_images, computes = int(sys.argv[3]), sys.argv[4] == "computes"
if not computes:
    kind = np.uint16 if precision == "bfloat16" else np.float32
    maps = sparse(folder / "maps.npy", (n_images, 4, 4, 1280), kind)
    experiment.activations_at = lambda *given, **named: Activations(array=maps)
cell = cell_of("head", 128, precision)
material = prepare(cell, images_of(n_images, folder))
experiment.run_cell(cell, material, folder / "run", fresh=False, progress=silent)
"""
# Three steps' worth of images, and all that follows them: validation, predictions, metrics.
FINE_TUNED = """
folder, precision, policy = Path(sys.argv[1]), *sys.argv[2:]
cell = cell_of("all", 128, precision, policy)
material = prepare(cell, images_of(600, folder))
experiment.run_cell(cell, material, folder / "run", fresh=False, progress=silent)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The most memory that a process had, in MiB: its own, and pages of mapped files."""

    private: float
    mapped: float


def peak_of(code: str, folder: Path, *words: str) -> Peak:
    """Run code in a process of its own and sample its memory every 2 ms."""
    folder.mkdir()
    own = {"MOULAGE_CACHE": str(folder / "cache"), "MOULAGE_DATA": str(folder / "data")}
    command = [sys.executable, "-c", textwrap.dedent(MATERIAL + code), str(folder), *words]
    samples = [(0.0, 0.0)]
    with subprocess.Popen(command, env={**os.environ, **own}) as process:
        while process.poll() is None:
            samples.append(_sample(process.pid))
            time.sleep(0.002)
    assert process.returncode == 0
    private, mapped = (max(column) for column in zip(*samples, strict=True))
    return Peak(private=private, mapped=mapped)


def _sample(pid: int) -> tuple[float, float]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0, 0.0
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    private, mapped = (int(fields.get(f, "0 kB").split()[0]) for f in ("RssAnon", "RssFile"))
    return private / 1024, mapped / 1024


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_frozen_phase_needs_at_most_a_gibibyte_and_a_half(tmp_path: Path, precision: str) -> None:
    peak = peak_of(FROZEN, tmp_path / "frozen", precision, "1500", "computes")
    print(f"frozen, activations computed, {precision}: {peak}")
    assert 100 < peak.private <= 1.5 * 1024


@pytest.mark.parametrize("policy", ["update", "fixed"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_fine_tuning_everything_at_batch_128_needs_at_most_three_gibibytes(
    tmp_path: Path, precision: str, policy: str
) -> None:
    peak = peak_of(FINE_TUNED, tmp_path / "tuned", precision, policy)
    print(f"fine-tuning, {precision}, {policy}: {peak}")
    assert 100 < peak.private <= 3 * 1024


@pytest.mark.parametrize("precision", PRECISIONS)
def test_four_times_the_images_need_at_most_fifty_mebibytes_more(
    tmp_path: Path, precision: str
) -> None:
    few = peak_of(FROZEN, tmp_path / "few", precision, "10015", "reads")
    many = peak_of(FROZEN, tmp_path / "many", precision, "40060", "reads")
    print(f"{precision}, 10,015 images: {few}; 40,060 images: {many}")
    assert few.private <= 1.5 * 1024
    assert many.private - few.private <= 50
