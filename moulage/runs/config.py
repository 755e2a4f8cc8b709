"""What a study file may say: its tables and keys, as frozen pydantic models.

In:  plain values, which `studyfile` reads from a file.   Out: models that hold to each other.
Only this floor and above see configuration; below, everything takes plain arguments.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from moulage import covariates
from moulage.errors import nearest
from moulage.split import Part

Name = str
Seed = Annotated[int, Field(ge=0)]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatasetConfig(_Model):
    """`[dataset]`: where the images are and what their labels mean.

    `moulage split`, `survey`, `audit`, `features` and `evaluate` take such a file for a data set,
    too.
    """

    path: Path | None = Field(
        None,
        description="folder, zip or table, relative to where the command is run; left out, "
        "synthetic casts are drawn into the cache",
    )
    kind: Literal["auto", "ham10000", "isic", "casts", "table", "folders"] = Field(
        "auto", description="layout of the data set; auto looks for the known ones"
    )
    table: str | None = Field(None, description="the table's file, below `path`")
    images: str | None = Field(None, description="the images' folder, below `path`")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description='what a table of yours calls image_id, diagnosis, …; for `kind = "table"`',
    )
    classes: dict[str, Any] = Field(
        default_factory=dict,
        description='diagnoses merged, renamed, kept or dropped; one class may be "rest"',
    )
    name: str | None = Field(None, description="what pages call the data set")

    @property
    def layout(self) -> dict[str, Any]:
        """What `open_dataset` must be told beside the path."""
        return self.model_dump(exclude={"path"})


class SplitConfig(_Model):
    """`[split]`: how images are assigned to parts."""

    kind: Literal["grouped", "image", "leaky", "file"] = Field(
        "grouped", description="`image` and `leaky` are dishonest, to show what a leak is worth"
    )
    ratios: dict[Part, float] = Field(
        {"train": 0.6, "validation": 0.2, "test": 0.2},
        description="share of each part; they are divided by their sum",
    )
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="a split each")
    folds: int = Field(
        0, ge=0, description="k > 1: grouped cross-validation; `…-pooled/` holds all folds"
    )
    file: Path | None = Field(None, description="a CSV of image_id, lesion_id and part")
    merge: str = Field(
        "auto",
        description="lesion ids that show one lesion: a CSV of confirmed pairs; auto, the pairs "
        "known for HAM10000; or none",
    )

    @model_validator(mode="after")
    def _check_file(self) -> "SplitConfig":
        if (self.kind == "file") != (self.file is not None):
            raise ValueError('`file` must be given exactly where `kind = "file"`')
        if self.folds == 1 or (self.folds and self.kind != "grouped"):
            raise ValueError('`folds` must be 0, or above 1 with `kind = "grouped"`')
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"`seeds` must differ from each other; got {[*self.seeds]}")
        if self.kind == "file" and len(self.seeds) > 1:
            raise ValueError("`seeds` must be one where a file says the parts: nothing is drawn")
        return self


class ImagesConfig(_Model):
    """`[images]`: what a classifier is fed."""

    size: int = Field(128, ge=16, le=2048, description="side of the square, in pixels")
    resize: Literal["squash", "crop", "pad"] = Field(
        "squash", description="whole frame squashed, centre square cropped, or frame padded"
    )
    unreadable: Literal["refuse", "skip"] = Field(
        "refuse", description="what to do with files that cannot be read; skipped ones are listed"
    )
    verify: bool = Field(
        False,
        exclude=True,
        description="know files by their bytes, not by path, size and time, and hold the cache's "
        "bytes against their checksums; `--verify` is short for it",
    )


class MachineConfig(_Model):
    """`[machine]`: 0 and auto are resolved once and kept in the run's file."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int = Field(0, ge=0, description="0: as many as torch finds")


class AugmentationConfig(_Model):
    """`[experiment.augmentation]`: all but flips and turns act where pixels are trained on."""

    flips: bool = Field(False, description="mirror images, half of the time")
    turns: bool = Field(False, description="quarter turns, equally likely")
    rotation: float = Field(0.0, ge=0, le=180, description="degrees, either way")
    scale: tuple[float, float] = Field(
        (1.0, 1.0), description="bounds of the crop's side, as a share of the image's side"
    )
    shift: float = Field(0.0, ge=0, le=0.5, description="share of the side, either way")
    brightness: float = Field(0.0, ge=0, lt=1, description="factors in [1 - x, 1 + x]")
    contrast: float = Field(0.0, ge=0, lt=1, description="factors in [1 - x, 1 + x]")
    saturation: float = Field(0.0, ge=0, le=1, description="factors in [1 - x, 1 + x]")
    hue: float = Field(0.0, ge=0, le=0.5, description="share of the colour circle, either way")
    white_balance: float = Field(
        0.0, ge=0, lt=1, description="factors of red and of blue in [1 - x, 1 + x]"
    )
    blur: float = Field(
        0.0, ge=0, le=0.1, description="width of a Gaussian, up to this share of the side"
    )
    noise: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="a sensor's: standard deviation, up to this share of full brightness",
    )
    mixup: float = Field(0.0, ge=0, description="alpha of the Beta distribution; 0 is off")
    cutmix: float = Field(0.0, ge=0, description="alpha of the Beta distribution; 0 is off")

    @model_validator(mode="after")
    def _check_scale(self) -> "AugmentationConfig":
        low, high = self.scale
        if not 0 < low <= high <= 4:
            raise ValueError("`scale` must be two rising numbers in (0, 4]")
        return self


class ImbalanceConfig(_Model):
    """`imbalance = "none"`, or a table with the treatment's numbers."""

    kind: Literal[
        "none",
        "class_weight",
        "oversample",
        "augment",
        "focal",
        "logit_adjustment",
        "balanced_softmax",
    ] = Field("none", description="`balanced_softmax` is `logit_adjustment` with `tau = 1`")
    scheme: Literal["balanced", "effective"] = Field(
        "balanced", description="`class_weight`: 1 / images, or by effective number"
    )
    beta: float = Field(0.999, ge=0, lt=1, description="`class_weight`, effective number")
    length: Literal["epoch", "majority"] = Field(
        "epoch", description="`oversample`: as long as before, or all as many as the most common"
    )
    gamma: float = Field(2.0, ge=0, description="`focal`: how much what is right is damped")
    tau: float = Field(1.0, gt=0, description="strength of `logit_adjustment`")

    @model_validator(mode="after")
    def _check_alias(self) -> "ImbalanceConfig":
        if self.kind == "balanced_softmax" and self.tau != 1:
            raise ValueError("`balanced_softmax` has `tau = 1`; choose `logit_adjustment`")
        return self

    def plain(self) -> dict[str, Any]:
        """Return the treatment's arguments, the alias resolved."""
        kind = "logit_adjustment" if self.kind == "balanced_softmax" else self.kind
        return {**self.model_dump(), "kind": kind}


class PhaseConfig(_Model):
    """`[[experiment.phases]]`: a phase trains what lies above its boundary."""

    name: Name = Field(pattern=NAME_PATTERN)
    train_from: str = Field(description='"head", "all", or a block such as "blocks.5"')
    epochs: int = Field(10, ge=1)
    batch: int = Field(128, ge=2, description="images a step")
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0, description="never on norms and biases")
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the phase's steps")
    batchnorm: Literal["update", "fixed"] = Field(
        "update", description="whether the backbone's BatchNorm statistics follow the data"
    )
    clip_norm: float = Field(0.0, ge=0, description="bound on the gradient's norm; 0 is off")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    average: float = Field(
        0.0, ge=0, lt=1, description="decay a step of the weights' moving average; 0 is off"
    )
    patience: int = Field(0, ge=0, description="epochs without gain before the end; 0 is off")


class ExperimentConfig(_Model):
    """`[[experiment]]`: one classifier's recipe."""

    name: Name = Field(pattern=NAME_PATTERN)
    backbone: str = Field(description="timm's name, or the paper's (MobileNetV2)")
    weights: str = Field("imagenet", description='"imagenet", "starter", "random", or a path')
    head: Literal["flatten", "pooled"] = "flatten"
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (128,), description="nodes of each hidden layer"
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="before each hidden layer")
    imbalance: ImbalanceConfig = ImbalanceConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    phases: tuple[PhaseConfig, ...] = Field(min_length=1)
    covariates: tuple[Name, ...] | None = Field(
        None,
        min_length=1,
        description="what the head reads beside the image: of age, sex, localization",
    )
    split: Literal["grouped", "image", "leaky"] | None = Field(
        None, description="in place of the study's `split.kind`, to show what a leak is worth"
    )
    views: Literal[8] | None = Field(
        None, description="8: answers average all flips and quarter turns of an image"
    )
    monitor: Literal["loss", "calibrated_loss"] | None = Field(
        None,
        description="validation's loss that tells the best weights: as it is (the usual), or at "
        "its best temperature, which does not punish certainty that is put right afterwards",
    )
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="a run each")

    @field_validator("imbalance", mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("covariates")
    @classmethod
    def _check_covariates(cls, value: tuple[Name, ...] | None) -> tuple[Name, ...] | None:
        for name in value or ():
            if name == "dx_type":
                raise ValueError(
                    "`dx_type` must not be a covariate: how a diagnosis was confirmed is not known "
                    "before the diagnosis, and gives it away; leave it out"
                )
            if name not in covariates.NAMES:
                hint = nearest(name, covariates.NAMES)
                raise ValueError(
                    f"`covariates` must be of {', '.join(covariates.NAMES)}.{hint}".rstrip(".")
                )
        if value and len(set(value)) < len(value):
            raise ValueError("`covariates` must differ from each other")
        return value

    @model_validator(mode="after")
    def _check_repeats(self) -> "ExperimentConfig":
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError("the phases' names must differ from each other")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"`seeds` must differ from each other; got {[*self.seeds]}")
        return self


class EnsembleConfig(_Model):
    """`[[ensemble]]`: experiments that answer together, by their mean log-probability."""

    name: Name = Field(pattern=NAME_PATTERN)
    of: tuple[Name, ...] = Field(
        min_length=1, description="experiments; every seed of each is a member"
    )


class DecisionsConfig(_Model):
    """`[decisions]`: what answers are used for; nothing here changes the training."""

    alpha: float = Field(0.10, gt=0, lt=1, description="sets miss the truth this often")
    risk: float = Field(
        0.10, ge=0, lt=1, description="share of wrong answers that is borne before abstaining"
    )
    cost: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="truth, decision, cost: `cost.mel.nv = 20`; what is not said costs 1",
    )
    clinic: dict[str, float] = Field(
        default_factory=dict,
        description="how common diagnoses are where it will be used: `clinic.mel = 0.03`",
    )

    @field_validator("cost")
    @classmethod
    def _check_cost(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        if any(cost < 0 for decided in value.values() for cost in decided.values()):
            raise ValueError("a cost must not be negative")
        return value


class StudyConfig(_Model):
    """A study file."""

    name: Name = Field(
        "study", pattern=NAME_PATTERN, description="left out, what the file is called"
    )
    description: str = Field("", description="what the study asks, for its page")
    dataset: DatasetConfig = DatasetConfig()
    split: SplitConfig = SplitConfig()
    images: ImagesConfig = ImagesConfig()
    machine: MachineConfig = MachineConfig()
    decisions: DecisionsConfig | None = None
    experiments: tuple[ExperimentConfig, ...] = Field(alias="experiment", min_length=1)
    ensembles: tuple[EnsembleConfig, ...] = Field((), alias="ensemble")

    @model_validator(mode="after")
    def _check_names(self) -> "StudyConfig":
        names = [experiment.name for experiment in self.experiments]
        if len(set(names)) < len(names):
            raise ValueError("the experiments' names must differ from each other")
        for ensemble in self.ensembles:
            self._check_ensemble(ensemble, names)
        return self

    def _check_ensemble(self, ensemble: EnsembleConfig, names: list[str]) -> None:
        unknown = [name for name in ensemble.of if name not in names]
        if unknown:
            raise ValueError(
                f"`ensemble.of` must name experiments; got {unknown[0]!r}."
                f"{nearest(unknown[0], names)}".rstrip(".")
            )
        if ensemble.name in names or len({one.name for one in self.ensembles}) < len(
            self.ensembles
        ):
            raise ValueError(f"`ensemble.name` must be free; got {ensemble.name!r}")
        members = [one for one in self.experiments if one.name in ensemble.of]
        if sum(len(one.seeds) for one in members) < 2:
            raise ValueError("an ensemble must have two members or more: name more `of`, or seeds")
        if len({one.split for one in members}) > 1:
            raise ValueError("the members of an ensemble must share a split")
        if len({one.covariates for one in members if one.covariates}) > 1:
            raise ValueError(
                "the members of an ensemble that read covariates must read the same, in one order"
            )

    @model_validator(mode="after")
    def _check_splits(self) -> "StudyConfig":
        is_own = any(experiment.split for experiment in self.experiments)
        if is_own and (self.split.folds or self.split.kind == "file"):
            raise ValueError("`experiment.split` must stand without `split.folds` and `split.file`")
        return self


class Described(BaseModel):
    """A study file that stands for a data set; of `[images]` only `unreadable` may count."""

    dataset: DatasetConfig
    images: ImagesConfig = ImagesConfig()
