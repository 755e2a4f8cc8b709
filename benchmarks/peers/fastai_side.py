"""fastai's `vision_learner` with its usual settings: files read and cropped by two workers.

Its backbone is timm's, as ours, with random weights; `freeze` and `unfreeze` as its users do.
Batches of an epoch are measured from the end of the first on, which waits for workers to start.
What its workers do is in its seconds, not in its processor's.
"""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from fastai.vision.all import (
    Callback,
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Resize,
    vision_learner,
)

from benchmarks.peers.material import read_table
from benchmarks.peers.turns import N_THREADS, Stopwatch, serve

SIZE_PX, BATCH = 128, 128
_TIMM = {"MobileNetV2": "mobilenetv2_100", "DenseNet201": "densenet201"}


class Pace(Callback):  # type: ignore[misc]
    """Times the batches of training from the end of the first on."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Stopwatch()

    def after_batch(self) -> None:
        """Begin after the first batch, note after each other."""
        if self.training:
            self.watch.note() if self.iter else self.watch.start()


class Study:
    """A learner on the given images."""

    def begin(self, *, folder: str, backbone: str) -> dict[str, float]:
        """Build the learner."""
        torch.set_num_threads(N_THREADS)
        self.table = read_table(Path(folder))
        self.backbone = _TIMM[backbone]
        return {}

    def train(self, *, train_from: str, n_steps: int) -> dict[str, float]:
        """Fit a few full batches after a first one."""
        learner, pace = self._learner((n_steps + 1) * BATCH), Pace()
        learner.freeze() if train_from == "head" else learner.unfreeze()
        learner.fit(1, cbs=[pace])
        return pace.watch.took

    def _learner(self, n_images: int) -> Any:
        """Make a learner of so many training images, repeated where there are fewer."""
        trained = self.table[self.table["part"] == "train"]
        table = trained.sample(n_images, replace=n_images > len(trained), random_state=0)
        # One image of validation: fastai wants some, and its pass is not what is measured.
        rows = pd.concat([table.assign(is_valid=False), table.head(1).assign(is_valid=True)])
        loaders = ImageDataLoaders.from_df(
            rows[["path", "diagnosis", "is_valid"]],
            path="/",
            valid_col="is_valid",
            item_tfms=Resize(SIZE_PX),
            bs=BATCH,
            num_workers=N_THREADS,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return vision_learner(
                loaders, self.backbone, pretrained=False, loss_func=CrossEntropyLossFlat()
            )


if __name__ == "__main__":
    study = Study()
    serve({"begin": study.begin, "train": study.train})
