"""What explanations cost and how near they come to the exact one, beside the `lime` package.

In:  a finished run, its own test images.   Out: two tables.
Error: every image is asked about all 2^S masks once; each method is then given the answers to the
masks that it chooses, renumbered or drawn anew a few times. Time: the same network, image and
segmentation, S superpixels; `lime` as its users run it (1,000 samples, batch 10), if installed.
Run as `python -m benchmarks.explanations --run RUN [--images 50] [--timed 10]`.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import read_catalogue
from moulage.data.decoding import decode_batches
from moulage.explanation.answers import Answers
from moulage.explanation.examination import Manner, examine
from moulage.explanation.faithfulness import agreement
from moulage.explanation.lime import Explanation, Method, explain, explain_answers, masks_of
from moulage.explanation.masks import row_of
from moulage.explanation.superpixels import segment
from moulage.networks.witness import Witness
from moulage.runs.explaining import Chosen, draw_rows, open_witness
from moulage.runs.folder import CATALOGUE, RunFolder, open_run
from moulage.seeding import generator

COUNTS: dict[Method, tuple[int, ...]] = {
    "designed": (32, 64, 96, 128),
    "sampled": (32, 64, 96, 128, 1000),
}
_N_DRAWS = 3
_N_SEGMENTS = 10


def images_of(run: RunFolder, witness: Witness, n_images: int) -> Iterator[NDArray[np.uint8]]:
    """Yield test images, as evenly over diagnoses as there are any."""
    catalogue = read_catalogue(run.path / CATALOGUE)
    rows = draw_rows(run, catalogue, Chosen(sample=n_images))
    paths = catalogue.frame["path"].iloc[rows].tolist()
    contract = witness.saved.classifier.recipe.contract
    for batch in decode_batches(
        paths, root=catalogue.root, size_px=contract.size_px, resize=contract.resize
    ):
        yield from batch.pixels


def measure_errors(exact: Sequence[Explanation]) -> dict[tuple[Method, int], NDArray[np.float64]]:
    """Return (images · draws, 2): rank correlation and top-4 overlap with the exact weights."""
    found: dict[tuple[Method, int], list[tuple[float, float]]] = {}
    for number, whole in enumerate(exact):
        for method, counts in COUNTS.items():
            for n_evaluations in counts:
                found.setdefault((method, n_evaluations), []).extend(
                    _agreements(whole, method, n_evaluations, number)
                )
    return {key: np.array(values) for key, values in found.items()}


def _agreements(
    whole: Explanation, method: Method, n_evaluations: int, number: int
) -> Iterator[tuple[float, float]]:
    table = whole.answers.probabilities
    for draw in range(_N_DRAWS):
        rng = generator("benchmark", number, draw)
        masks = masks_of(method, len(whole.weights), n_evaluations=n_evaluations, rng=rng)
        answers = Answers(masks=masks, probabilities=table[row_of(masks)])
        told = explain_answers(answers, whole.segments, diagnosis=whole.diagnosis, method=method)
        alike = agreement(whole, told)
        yield alike.rank_correlation, alike.top_overlap


def print_errors(run: RunFolder, *, n_images: int) -> None:
    """Ask about every mask of some images, and print each method's agreement with that."""
    witness = open_witness(run)
    exact = [
        explain(witness.classify, pixels, segment(pixels, n_segments=_N_SEGMENTS), method="exact")
        for pixels in images_of(run, witness, n_images)
    ]
    print(f"{run.path.name}: {len(exact)} test images, {_N_SEGMENTS} superpixels, {_N_DRAWS} draws")
    print("| method | evaluations | rank correlation, median | 10th percentile | top 4 in common |")
    print("| --- | --- | --- | --- | --- |")
    for (method, n_evaluations), values in measure_errors(exact).items():
        ranks, tops = values.T
        print(
            f"| {method} | {n_evaluations:,} | {np.median(ranks):.3f} | "
            f"{np.quantile(ranks, 0.1):.3f} | {tops.mean():.3f} |"
        )


def print_times(run: RunFolder, *, n_images: int) -> None:
    """Time each method on the same images, one after the other, and print medians."""
    witness = open_witness(run)
    seconds: dict[str, list[tuple[float, float]]] = {}
    ranks: dict[str, list[float]] = {}
    for pixels in images_of(run, witness, n_images):
        segments = segment(pixels, n_segments=_N_SEGMENTS)
        weights: dict[str, NDArray[np.float64]] = {}
        for name, method in _methods(witness, pixels, segments).items():
            start = time.perf_counter(), time.process_time()
            weights[name] = method()
            wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
            seconds.setdefault(name, []).append((wall, processor))
        for name, found in weights.items():
            ranks.setdefault(name, []).append(_rank_correlation(found, weights["exact, 1,024"]))
    base = np.median(seconds.get("lime, 1,000, batch 10", [(np.nan, np.nan)]), axis=0)[1]
    print(
        "| method | s an image | processor s | lime's processor time over it | rank correlation |"
    )
    print("| --- | --- | --- | --- | --- |")
    for name, spent in seconds.items():
        wall, processor = np.median(spent, axis=0)
        print(
            f"| {name} | {wall:.2f} | {processor:.2f} | {base / processor:.1f} | "
            f"{np.median(ranks[name]):.3f} |"
        )


def _methods(
    witness: Witness, pixels: NDArray[np.uint8], segments: NDArray[np.int64]
) -> dict[str, Callable[[], NDArray[np.float64]]]:
    def ours(method: Method) -> Callable[[], NDArray[np.float64]]:
        return lambda: explain(witness.classify, pixels, segments, method=method).weights

    def examined() -> NDArray[np.float64]:
        asked, n_classes = witness.classify_with_random_heads, witness.n_classes
        examination = examine(asked, pixels, n_classes=n_classes, manner=Manner())
        return examination.explanation.weights

    methods = {
        "exact, 1,024": ours("exact"),
        "designed, 128": ours("designed"),
        "designed, 128, with every test": examined,
    }
    if importlib.util.find_spec("lime"):
        methods["lime, 1,000, batch 10"] = lambda: _lime(witness, pixels, segments)
    return methods


def _lime(
    witness: Witness, pixels: NDArray[np.uint8], segments: NDArray[np.int64]
) -> NDArray[np.float64]:
    from lime.lime_image import LimeImageExplainer

    explained = LimeImageExplainer(random_state=0).explain_instance(
        pixels,
        witness.classify,
        top_labels=1,
        num_samples=1000,
        batch_size=10,
        segmentation_fn=lambda _: segments,
    )
    return np.array([weight for _, weight in sorted(explained.local_exp[explained.top_labels[0]])])


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    first, second = (np.argsort(np.argsort(values)) for values in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def main(words: Sequence[str] | None = None) -> None:
    """Print both tables for a run; without one, say how to make it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run's folder")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--timed", type=int, default=10)
    chosen = parser.parse_args(words)
    if chosen.run is None:
        print("Name a finished run: python -m benchmarks.explanations --run runs/STUDY/RUN")
        return
    run = open_run(chosen.run)
    if chosen.images:
        print_errors(run, n_images=chosen.images)
    if chosen.timed:
        print_times(run, n_images=chosen.timed)


if __name__ == "__main__":
    main()
