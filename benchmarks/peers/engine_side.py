"""The machine's limit: the same activations by several engines, only ours on disk, if asked to.

Weights are random and the same for all; BatchNorm's statistics are their beginning's. Every
engine is warmed up; ONNX Runtime computes in float32, since its bfloat16 has no kernels here.
"""

import copy
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.peers.turns import N_THREADS, Stopwatch, serve
from moulage.networks.activations import activations_at
from moulage.networks.classifier import Classifier, InputContract, Recipe, build_classifier
from moulage.networks.folding import fold
from moulage.networks.inputs import pixels_to_bytes, pixels_to_images
from moulage.networks.machine import resolve_machine
from moulage.networks.registry import backbone_named

SIZE_PX, BATCH = 128, 64
Engine = Callable[[NDArray[np.uint8]], Any]


class Below(nn.Module):
    """A backbone as one module, images to last maps."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return the last maps."""
        return self.classifier.below(images, len(self.classifier.stages))


class Engines:
    """One backbone and random pixels."""

    def begin(self, *, backbone: str, n_images: int) -> dict[str, float]:
        """Build the backbone."""
        self.machine = resolve_machine(device="cpu", threads=N_THREADS)
        known = backbone_named(backbone)
        contract = InputContract(
            size_px=SIZE_PX, resize="squash", scaling=known.scaling, diagnoses=("a", "b")
        )
        recipe = Recipe(
            backbone=known.name, head="pooled", hidden=(), dropout=0.0, contract=contract
        )
        self.classifier = build_classifier(recipe, seed=0).eval()
        shape = (n_images, SIZE_PX, SIZE_PX, 3)
        self.pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        self.engines: dict[str, Engine] = {}
        self.n_runs = 0
        return {}

    def moulage(self) -> dict[str, float]:
        """Compute and keep activations as a run does."""
        self.n_runs += 1
        with Stopwatch() as watch:
            activations_at(
                self.classifier,
                len(self.classifier.stages),
                pixels=self.pixels,
                pixels_key=f"turn {self.n_runs}",
                machine=self.machine,
            )
        return watch.took

    def limit(self, *, engine: str) -> dict[str, float]:
        """Compute the same and keep nothing, with another engine or with ours."""
        if engine not in self.engines:
            self.engines[engine] = _MAKERS[engine](self.classifier)
            for n_images in (2 * BATCH, len(self.pixels) % BATCH):  # batches of both sizes
                self._pass(self.engines[engine], self.pixels[:n_images])
        with Stopwatch() as watch:
            self._pass(self.engines[engine], self.pixels)
        return watch.took

    def products(self, *, precision: str, side: int = 2048) -> dict[str, float]:
        """Multiply large matrices; says how many GFLOP that were, too."""
        kind = getattr(torch, precision)
        one, other = (torch.randn(side, side).to(kind) for _ in range(2))
        one @ other
        with Stopwatch() as watch:
            for _ in range(5):
                one @ other
        return {**watch.took, "gflop": 5 * 2 * side**3 / 1e9}

    def work(self) -> dict[str, float]:
        """Return the GFLOP of one image's products."""
        n_flop = 0

        def count(conv: nn.Conv2d, _given: tuple[Tensor, ...], maps: Tensor) -> None:
            nonlocal n_flop
            n_flop += 2 * maps.numel() * conv.weight[0].numel()

        below = Below(copy.deepcopy(self.classifier))
        for part in below.modules():
            if isinstance(part, nn.Conv2d):
                part.register_forward_hook(count)
        with torch.inference_mode():
            below(pixels_to_images(self.pixels[:1], "cpu"))
        return {"gflop": n_flop / 1e9}

    def _pass(self, engine: Engine, pixels: NDArray[np.uint8]) -> None:
        for start in range(0, len(pixels), BATCH):
            engine(pixels[start : start + BATCH])


def _folded(classifier: Classifier) -> Engine:
    machine = resolve_machine(device="cpu", threads=N_THREADS)
    below = Below(fold(classifier, machine))

    def run(pixels: NDArray[np.uint8]) -> Any:
        with torch.inference_mode(), machine.computing():
            return below(pixels_to_bytes(pixels, "cpu"))

    return run


def _autocast(classifier: Classifier) -> Engine:
    below = Below(classifier)

    def run(pixels: NDArray[np.uint8]) -> Any:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            return below(pixels_to_images(pixels, "cpu"))

    return run


def _pure(classifier: Classifier) -> Engine:
    below = Below(copy.deepcopy(classifier).bfloat16())

    def run(pixels: NDArray[np.uint8]) -> Any:
        with torch.inference_mode():
            return below(pixels_to_images(pixels, "cpu").bfloat16())

    return run


def _compiled(classifier: Classifier) -> Engine:
    """Compile with weights known beforehand, which folds norms and lays weights out.

    A graph for each size of batch: one for any size, which a last, smaller batch would bring about
    for all that come after it, may be slower.
    """
    machine = resolve_machine(device="cpu", threads=N_THREADS)
    torch._inductor.config.freezing = True
    compiled = torch.compile(Below(classifier), dynamic=False)

    def run(pixels: NDArray[np.uint8]) -> Any:
        with torch.no_grad(), machine.computing():
            return compiled(pixels_to_images(pixels, "cpu"))

    return run


def _onnx(classifier: Classifier) -> Engine:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        path = Path(folder) / "below.onnx"
        torch.onnx.export(
            Below(copy.deepcopy(classifier)).eval(),
            (torch.zeros(BATCH, 3, SIZE_PX, SIZE_PX),),
            str(path),
            dynamo=False,
            input_names=["images"],
            dynamic_axes={"images": {0: "n"}},
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = N_THREADS
        session = onnxruntime.InferenceSession(str(path), options)

    def run(pixels: NDArray[np.uint8]) -> Any:
        images = pixels_to_images(pixels, "cpu").contiguous()
        return session.run(None, {"images": images.numpy()})

    return run


_MAKERS: dict[str, Callable[[Classifier], Engine]] = {
    "moulage": _folded,
    "bfloat16 autocast": _autocast,
    "pure bfloat16": _pure,
    "torch.compile": _compiled,
    "ONNX Runtime, float32": _onnx,
}


if __name__ == "__main__":
    engines = Engines()
    serve(
        {
            "begin": engines.begin,
            "moulage": engines.moulage,
            "limit": engines.limit,
            "products": engines.products,
            "work": engines.work,
        }
    )
