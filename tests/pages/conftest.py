"""A small study that looks like a real one: synthetic predictions, two phases, thumbnails."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moulage import actions
from moulage.casts.generator import make_casts
from moulage.casts.planting import NearDuplicates
from moulage.catalogue import Catalogue, Diagnosis
from moulage.evaluation.calibration import fit_temperature
from moulage.pages.comparison import comparison_table
from moulage.pages.records import (
    ExperimentRecord,
    InputRecord,
    MachineRecord,
    NotRun,
    PhaseRecord,
    RunRecord,
    Score,
    StudyRecord,
)
from moulage.pages.report import report_page
from moulage.pages.standing import Standing, standing_of
from moulage.pages.study import study_page
from moulage.predictions import Predictions
from moulage.split import Split

DIAGNOSES = (
    Diagnosis(code="akiec", name="Actinic keratosis", colour="#777777", is_malignant=True),
    Diagnosis(code="bcc", name="Basal cell carcinoma", colour="#777777", is_malignant=True),
    Diagnosis(code="bkl", name="Benign keratosis", colour="#777777"),
    Diagnosis(code="df", name="Dermatofibroma", colour="#777777"),
    Diagnosis(code="mel", name="Melanoma", colour="#777777", is_malignant=True),
    Diagnosis(code="nv", name="Melanocytic nevus", colour="#777777"),
    Diagnosis(code="vasc", name="Vascular lesion", colour="#777777"),
)
SHARES = np.array([0.033, 0.051, 0.11, 0.012, 0.111, 0.669, 0.014])
N_LESIONS = 900


def make_catalogue(rng: np.random.Generator) -> Catalogue:
    """Draw 900 lesions with one to three photographs each."""
    labels = np.concatenate([np.arange(7), rng.choice(7, N_LESIONS - 7, p=SHARES)])
    lesions = np.repeat(np.arange(N_LESIONS), rng.integers(1, 4, N_LESIONS))
    n = len(lesions)
    frame = pd.DataFrame(
        {
            "image_id": [f"IMG_{i:07d}" for i in range(n)],
            "lesion_id": [f"LES_{i:07d}" for i in lesions],
            "path": [f"{i}.jpg" for i in range(n)],
            "diagnosis": np.array([d.code for d in DIAGNOSES])[labels[lesions]],
            "age": 50.0,
            "sex": "female",
            "localization": "back",
            "dx_type": "histo",
        }
    )
    return Catalogue(frame=frame, diagnoses=DIAGNOSES, root=Path(), name="Synthetic lesions")


def make_split(catalogue: Catalogue, seed: int) -> Split:
    """Deal lesions 60:20:20; every fifth starts elsewhere for another seed."""
    lesions = catalogue.frame["lesion_id"].str[4:].astype(int).to_numpy()
    parts = np.array(["train", "train", "train", "validation", "test"])[(lesions + seed) % 5]
    return Split(image_ids=catalogue.image_ids, lesion_ids=catalogue.lesion_ids, parts=parts)


def make_predictions(
    catalogue: Catalogue, split: Split, rng: np.random.Generator, skill: float
) -> Predictions:
    """Draw logits that favour the truth by `skill`."""
    labels = catalogue.labels
    trained = labels[split.parts == "train"]
    prior = np.bincount(trained, minlength=7) / len(trained)
    logits = np.log(prior) + rng.normal(0, 1.2, (len(labels), 7))
    logits[np.arange(len(labels)), labels] += skill
    held = split.parts == "validation"
    return Predictions(
        image_ids=split.image_ids,
        lesion_ids=split.lesion_ids,
        parts=split.parts,
        labels=labels,
        logits=logits.astype(np.float32),
        diagnoses=catalogue.codes,
        prior=prior,
        temperature=fit_temperature(labels=labels[held], logits=logits[held]),
        split_digest=split.digest,
        classifier_digest="0123456789abcdef0123456789abcdef",
    )


def make_history(rng: np.random.Generator, epochs: tuple[int, ...] = (10, 10)) -> pd.DataFrame:
    """Draw losses that fall and accuracies that rise through the phases."""
    n = sum(epochs)
    steps = np.arange(n)
    wobble = rng.normal(0, 0.01, (4, n))
    return pd.DataFrame(
        {
            "phase": np.repeat(["frozen", "fine-tuning"][: len(epochs)], epochs),
            "epoch": np.concatenate([np.arange(1, count + 1) for count in epochs]),
            "train_loss": 0.45 + 0.9 * np.exp(-steps / 5) + wobble[0],
            "train_accuracy": 0.83 - 0.25 * np.exp(-steps / 5) + wobble[1],
            "validation_loss": 0.68 + 0.5 * np.exp(-steps / 4) + 0.004 * steps + wobble[2],
            "validation_accuracy": 0.76 - 0.13 * np.exp(-steps / 4) + wobble[3],
            "validation_balanced_accuracy": 0.5 + 0.01 * steps,
            "learning_rate": np.where(steps < epochs[0], 1e-3, 1e-5),
            "seconds": 12.0,
        }
    )


PHASES = (
    PhaseRecord(
        name="frozen",
        train_from="head",
        epochs=10,
        learning_rate=1e-3,
        seconds=83.2,
        n_trainable=2_622_727,
        n_total=4_880_967,
        peak_memory_mib=1210.4,
        optimizer="Adam",
        batch_size=128,
        scores={
            "train": Score(accuracy=0.803, loss=0.55),
            "validation": Score(accuracy=0.744, loss=0.70),
            "test": Score(accuracy=0.739, loss=0.712),
        },
    ),
    PhaseRecord(
        name="fine-tuning",
        train_from="all",
        epochs=10,
        learning_rate=1e-5,
        seconds=1234.0,
        n_trainable=4_846_855,
        n_total=4_880_967,
        scores={
            "train": Score(accuracy=0.861, loss=0.41),
            "validation": Score(accuracy=0.771, loss=0.65),
            "test": Score(accuracy=0.766, loss=0.664),
        },
    ),
)


def make_run(experiment: str = "exp1", seed: int = 0, skill: float = 2.2) -> RunRecord:
    """Return a run as a study of two phases leaves it."""
    rng = np.random.default_rng([seed, len(experiment), round(10 * skill)])
    catalogue = make_catalogue(np.random.default_rng(42))
    split = make_split(catalogue, seed)
    predictions = make_predictions(catalogue, split, rng, skill)
    return RunRecord(
        name=f"{experiment}-seed{seed}",
        study="paper",
        created="2026-11-23",
        experiment=ExperimentRecord(
            name=experiment,
            backbone="mobilenetv2_100",
            weights="ImageNet weights (mobilenetv2_100.ra_in1k.safetensors, from MOULAGE_WEIGHTS)",
            head="flatten",
            hidden=(128,),
            regularisation="dropout 0.5, batch normalisation",
            imbalance="class weights, balanced",
            augmentation="flips and quarter turns",
            seed=seed,
            phases=PHASES,
        ),
        inputs=InputRecord(size_px=128, resize="squash", scaling="pixels scaled to [−1, 1]"),
        machine=MachineRecord(
            versions={"moulage": "0.1.0", "torch": "2.6.0", "timm": "1.0.15"},
            threads=2,
            precision="float32",
        ),
        catalogue=catalogue,
        licence="Synthetic, free of rights.",
        split=split,
        split_kind="grouped",
        split_seed=seed,
        history=make_history(rng),
        predictions=predictions,
        temperature_note="It was fitted on the validation part, whose images also chose the epoch.",
        ledger="The test part of this split was looked at once.",
        baselines={
            "majority diagnosis": make_predictions(catalogue, split, rng, 0.0),
            "logistic regression on metadata": make_predictions(catalogue, split, rng, 0.6),
            "logistic regression on pooled activations": make_predictions(
                catalogue, split, rng, 1.5
            ),
        },
        thumbnails=make_thumbnails(predictions, rng),
    )


def make_thumbnails(
    predictions: Predictions, rng: np.random.Generator
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Draw a brown blot on skin for every tested image."""
    rows, columns = np.mgrid[:64, :64] / 63.0 - 0.5
    pictures = {}
    for image_id in predictions.of("test").image_ids:
        blot = 1 / (1 + np.exp(25 * (np.hypot(rows, columns * rng.uniform(0.6, 1.4)) - 0.28)))
        skin, dark = np.array([226, 182, 160]), rng.uniform(40, 120, 3) * [1.2, 0.8, 0.6]
        pixels = skin + blot[..., None] * (dark - skin) + rng.normal(0, 4, (64, 64, 3))
        pictures[str(image_id)] = pixels.clip(0, 255).astype(np.uint8)
    return pictures


@pytest.fixture(scope="session")
def run() -> RunRecord:
    return make_run()


@pytest.fixture(scope="session")
def study() -> StudyRecord:
    """Two experiments, three and one seeds, one that could not be run."""
    runs = (*(make_run("exp1", seed) for seed in range(3)), make_run("small", 0, 1.8))
    names = tuple(runs[0].baselines)
    return StudyRecord(
        name="paper",
        description="MobileNetV2 and MobileNetV3Small, frozen and then fine-tuned.",
        runs=runs,
        not_run=(NotRun(name="exp3", reason="No weights for densenet201 were found."),),
        baselines={name: tuple(run.baselines[name] for run in runs[:3]) for name in names},
    )


@pytest.fixture(scope="session")
def report(run: RunRecord) -> str:
    return report_page(run)


@pytest.fixture(scope="session")
def standing(study: StudyRecord) -> Standing:
    return standing_of(study, n_replicates=100, n_permutations=99)


@pytest.fixture(scope="session")
def comparison(study: StudyRecord, standing: Standing) -> str:
    return study_page(study, standing, comparison_table(study))


class TableReader(HTMLParser):
    """Collect the texts of every table, by caption; refuses tags that do not match."""

    VOID = frozenset(("meta", "br", "img", "use", "path", "hr"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.rows: list[list[str]] = []
        self.caption = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.rows, self.caption = [], ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data: str) -> None:
        if "caption" in self.open:
            self.caption += data.strip()
        elif "small" not in self.open and ("td" in self.open or "th" in self.open):
            self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="session")
def tables_of() -> Callable[[str], dict[str, list[list[str]]]]:
    def read(html: str) -> dict[str, list[list[str]]]:
        reader = TableReader()
        reader.feed(html)
        reader.close()
        assert not reader.open
        return reader.tables

    return read


@pytest.fixture(scope="session")
def surveyed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the survey page of sixty casts, near-duplicates among them."""
    folder = tmp_path_factory.mktemp("surveyed")
    plantings = (NearDuplicates(n_each=1),)
    make_casts(folder / "casts", n_images=60, seed=1, plantings=plantings, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOULAGE_CACHE", str(folder / "cache"))
        patch.delenv("MOULAGE_WEIGHTS", raising=False)
        actions.survey(folder / "casts", out=folder)
    return (folder / "survey.html").read_text()
