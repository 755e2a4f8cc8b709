"""The study's own way in Keras 3 on TensorFlow: decode to memory, frozen, then a low rate.

Every task says how long a stated fraction took; whoever asks scales it and says so. A call's own
beginning, up to the end of its first batch, is no part of it: scaled, it would count many times.
Weights are random: speed does not depend on them. A layer that is frozen stays in inference mode,
and so does BatchNorm when everything is unfrozen, as Keras' guide to fine-tuning has it.
"""

import os
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.peers.material import read_table
from benchmarks.peers.turns import N_THREADS, Stopwatch, serve

SIZE_PX, BATCH = 128, 128
_FAMILIES = {
    "MobileNetV2": keras.applications.mobilenet_v2,
    "DenseNet201": keras.applications.densenet,
}
# Our boundaries, and the first layer above each.
LAST_THIRD = {"blocks.5": "block_13_expand", "denseblock4": "conv5_block1_0_bn"}


class Pace(keras.callbacks.Callback):  # type: ignore[misc]
    """Times the batches of a call from the end of the first on."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Stopwatch()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Begin after the first batch, note after each other."""
        self.watch.note() if batch else self.watch.start()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """As for a batch of training."""
        self.on_train_batch_end(batch)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """As for a batch of training."""
        self.on_train_batch_end(batch)


class Study:
    """Images in memory, a model, and tasks that measure a part of the study each."""

    def begin(self, *, folder: str, backbone: str, policy: str) -> dict[str, float]:
        """Decode every image one after the other, and build the model under a policy of types."""
        keras.mixed_precision.set_global_policy(policy)
        tf.config.threading.set_intra_op_parallelism_threads(N_THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(N_THREADS)
        cv2.setNumThreads(N_THREADS)
        self.table = read_table(Path(folder))
        codes = sorted(self.table["diagnosis"].unique())
        self.labels = np.eye(len(codes), dtype=np.float32)[
            self.table["diagnosis"].map(codes.index).to_numpy()
        ]
        self.family, self.backbone = _FAMILIES[backbone], backbone
        self.base = getattr(keras.applications, backbone)(
            include_top=False, weights=None, input_shape=(SIZE_PX, SIZE_PX, 3)
        )
        self.model = _with_head(self.base, len(codes))
        self.images = self.family.preprocess_input(_decode(self.table["path"]))
        self.boundary = ""
        return {}

    def decode(self) -> dict[str, float]:
        """Decode and scale every image, as before the first epoch."""
        with Stopwatch() as watch:
            self.family.preprocess_input(_decode(self.table["path"]))
        return watch.took

    def train(self, *, train_from: str, n_steps: int) -> dict[str, float]:
        """Fit a few full batches after a first one."""
        self._unfreeze(train_from)
        pace = Pace()
        self._fit(*self._trained(train_from), self._rows("train", n_steps + 1), pace)
        return pace.watch.took

    def evaluate(self, *, train_from: str, n_steps: int) -> dict[str, float]:
        """Evaluate a few batches after a first one, as at the end of an epoch."""
        rows, pace = self._rows("validation", n_steps + 1), Pace()
        model, given = self._trained(train_from)
        model.evaluate(given[rows], self.labels[rows], BATCH, verbose=0, callbacks=[pace])
        return pace.watch.took

    def remember(self, *, train_from: str) -> dict[str, float]:
        """Copy all weights, as `EarlyStopping(restore_best_weights=True)` does in a best epoch."""
        model, _ = self._trained(train_from)
        with Stopwatch() as watch:
            model.get_weights()
        return watch.took

    def keep(self, *, n_steps: int) -> dict[str, float]:
        """Compute maps of a few batches after a first one, and keep as many as there are images.

        What follows trains a head alone on them, `train_from = "kept"`, as Keras' guide to
        transfer learning has it for images that are not augmented.
        """
        pace = Pace()
        images = self.images[self._rows("train", n_steps + 1)]
        maps = self.base.predict(images, BATCH, verbose=0, callbacks=[pace])
        self.maps = np.resize(maps, (len(self.images), *maps.shape[1:]))
        inputs = keras.Input(maps.shape[1:])
        self.head = keras.Model(inputs, _head_on(inputs, self.labels.shape[1]))
        self._compile(self.head, 1e-3)
        self._fit(self.head, self.maps, np.arange(BATCH))
        return pace.watch.took

    def predict(self, *, folder: str) -> dict[str, float]:
        """Decode a folder's files and predict them, batches of both sizes compiled before."""
        files = sorted(Path(folder).iterdir())
        self.model.predict(self.images[: BATCH + len(files) % BATCH], BATCH, verbose=0)
        with Stopwatch() as watch:
            images = self.family.preprocess_input(_decode([str(file) for file in files]))
            self.model.predict(images, BATCH, verbose=0)
        return watch.took

    def _unfreeze(self, train_from: str) -> None:
        """Set the boundary, compile and warm up, unless it is set already."""
        if train_from in (self.boundary, "kept"):
            return
        self.boundary = train_from
        above = train_from == "all"
        self.base.trainable = train_from != "head"
        for layer in self.base.layers:
            above = above or layer.name == LAST_THIRD.get(train_from)
            layer.trainable = above
        self._compile(self.model, 1e-3 if train_from == "head" else 1e-5)
        self._fit(self.model, self.images, np.arange(BATCH))

    def _trained(self, train_from: str) -> tuple[Any, NDArray[np.float32]]:
        """Return which model is trained, and on what."""
        return (self.head, self.maps) if train_from == "kept" else (self.model, self.images)

    def _compile(self, model: Any, rate: float) -> None:
        model.compile(
            keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"]
        )

    def _rows(self, part: str, n_batches: int) -> NDArray[np.int64]:
        """Return a part's images, again from the first where there are too few."""
        return np.resize(np.flatnonzero(self.table["part"] == part), n_batches * BATCH)

    def _fit(
        self,
        model: Any,
        given: NDArray[np.float32],
        rows: NDArray[np.int64],
        *callbacks: keras.callbacks.Callback,
    ) -> None:
        model.fit(
            given[rows], self.labels[rows], batch_size=BATCH, verbose=0, callbacks=list(callbacks)
        )


def _with_head(base: Any, n_classes: int) -> Any:
    inputs = keras.Input((SIZE_PX, SIZE_PX, 3))
    return keras.Model(inputs, _head_on(base(inputs, training=False), n_classes))


def _head_on(maps: Any, n_classes: int) -> Any:
    hidden = keras.layers.Dropout(0.5)(keras.layers.Flatten()(maps))
    hidden = keras.layers.Dense(128, activation="relu")(hidden)
    hidden = keras.layers.BatchNormalization()(hidden)
    return keras.layers.Dense(n_classes, activation="softmax", dtype="float32")(hidden)


def _decode(paths: Any) -> NDArray[np.float32]:
    squares = [
        cv2.resize(cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB), (SIZE_PX, SIZE_PX))
        for path in paths
    ]
    return np.stack(squares).astype(np.float32)


if __name__ == "__main__":
    study = Study()
    serve(
        {
            "begin": study.begin,
            "decode": study.decode,
            "train": study.train,
            "keep": study.keep,
            "remember": study.remember,
            "evaluate": study.evaluate,
            "predict": study.predict,
        }
    )
