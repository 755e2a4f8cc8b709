"""The study that shows moulage at work without any data set or model hub.

Out: the study file's experiments that can run here, and what changes in it; later, the scores.
Knows nothing of pages or terminals.
"""

from dataclasses import dataclass
from pathlib import Path

from moulage.networks.registry import backbone_named
from moulage.networks.weights import local_weights
from moulage.runs.folder import RunFolder

STUDY_FILE = Path(__file__).with_name("demo.toml")
# Small ones first: the demonstration must not take longer than a cup of coffee.
_WELCOME = ("MobileNetV3Small", "MobileNetV2", "MobileNetV3Large")


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What of the study file is run: names of experiments, changes of keys, a word about why."""

    experiments: tuple[str, ...]
    changes: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestScore:
    """One experiment on the test part: accuracy by `natural`, balanced accuracy by `balanced`."""

    experiment: str
    accuracy: float
    balanced_accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What was shown: test scores, how many images and lesions, where page and study file lie."""

    scores: tuple[TestScore, ...]
    n_images: int
    n_lesions: int
    n_test: int
    page: Path
    study_file: Path


def draw_programme() -> Programme:
    """Choose the experiments: starter and random always, ImageNet's weights where they are here."""
    for title in _WELCOME:
        backbone = backbone_named(title)
        if weights := local_weights(backbone):
            return Programme(
                experiments=("starter", "random", "imagenet"),
                changes=(f"experiment.imagenet.backbone={title}",),
                note=f"ImageNet weights of {title} were found in {weights.source}: they take part.",
            )
    return Programme(experiments=("starter", "random"), changes=(), note=_none_found())


def demonstrated(runs: tuple[RunFolder, ...], *, page: Path, study_file: Path) -> Demonstration:
    """Read back what the finished runs of the demonstration have to show."""
    split = runs[0].split()
    return Demonstration(
        scores=tuple(_score(run) for run in runs),
        n_images=len(split),
        n_lesions=len(set(split.lesion_ids.tolist())),
        n_test=len(split.rows_of("test")),
        page=page,
        study_file=study_file,
    )


def _score(run: RunFolder) -> TestScore:
    test = run.metrics()["parts"]["test"]
    return TestScore(
        experiment=run.study()["experiment"][0]["name"],
        accuracy=test["natural"]["accuracy"],
        balanced_accuracy=test["balanced"]["balanced_accuracy"],
    )


def _none_found() -> str:
    return (
        "No ImageNet weights are on this machine (MOULAGE_WEIGHTS names a folder of them): the "
        "starter shipped with moulage runs against random weights."
    )
