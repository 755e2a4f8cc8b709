"""What explanations cost and how near they come to the exact one, beside the `lime` package.

In:  a finished run, its own test images.   Out: three tables.
Error: every image is asked about all 2^S masks once; each method is then given the answers to the
masks that it chooses, renumbered or drawn anew a few times. Stability: how far the weights agree
with those of one superpixel fewer and one more, and how far they agree with such weights of the
same network under heads that learned nothing, which is what chance gives. Time: the same network,
image and segmentation, S superpixels; `lime` as its users run it (1,000 samples, batch 10), if
installed. Run as `python -m benchmarks.explanations --run RUN [--images 50] [--timed 10]`.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moulage.catalogue import read_catalogue
from moulage.data.decoding import decode_batches
from moulage.explanation.answers import Answers, ask
from moulage.explanation.examination import Manner, examine
from moulage.explanation.faithfulness import Agreement, agreement, mean_agreement
from moulage.explanation.fills import cover
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
Stability = dict[str, NDArray[np.float64]]

_N_DRAWS = 3
_N_SEGMENTS = 10
_LIME = "lime, 1,000, batch 10"


def images_of(
    run: RunFolder, witness: Witness, n_images: int, *, seed: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """Yield test images, as evenly over diagnoses as there are any."""
    catalogue = read_catalogue(run.path / CATALOGUE)
    rows = draw_rows(run, catalogue, Chosen(sample=n_images, seed=seed))
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


def measure_stability(witness: Witness, images: Iterable[NDArray[np.uint8]]) -> Stability:
    """Explain each image by three cuts, under the learned head and the random ones."""
    found: dict[str, list[Agreement]] = {"learned": [], "random": [], "unrelated": []}
    for pixels in images:
        cuts = [segment(pixels, n_segments=_N_SEGMENTS + more) for more in (0, -1, 1)]
        learned, *random = zip(*_by_head(witness, pixels, cuts), strict=True)
        found["learned"].append(mean_agreement(*learned))
        found["random"] += [mean_agreement(*told) for told in random]
        found["unrelated"] += [mean_agreement(learned[0], *told[1:]) for told in random]
    return {
        name: np.array([(one.rank_correlation, one.top_overlap) for one in agreements])
        for name, agreements in found.items()
    }


def _by_head(
    witness: Witness, pixels: NDArray[np.uint8], cuts: Sequence[NDArray[np.int64]]
) -> Iterator[list[Explanation]]:
    """Yield, cut by cut, the explanation under each head, of what the learned one decides."""
    n_classes = witness.n_classes
    decided = int(witness.classify(pixels[None])[0].argmax())
    for number, segments in enumerate(cuts):
        n_evaluations = 64 if number else 128  # as examinations do
        masks = masks_of("designed", int(segments.max()) + 1, n_evaluations=n_evaluations)
        everything = ask(
            witness.classify_with_random_heads,
            pixels,
            covered=cover(pixels, segments),
            segments=segments,
            masks=masks,
        )
        yield [
            explain_answers(
                everything.columns(first, n_classes),
                segments,
                diagnosis=decided,
                method="designed",
            )
            for first in range(0, everything.probabilities.shape[1], n_classes)
        ]


def print_stability(run: RunFolder, *, n_images: int) -> None:
    """Print quantiles of the agreement over cuts."""
    witness = open_witness(run)
    found = measure_stability(witness, images_of(run, witness, n_images))
    print(f"{run.path.name}: {n_images} test images, {_N_SEGMENTS} superpixels against one")
    print("fewer and one more; learned head, random heads, learned against random heads")
    print(
        "| heads | n | rank correlation, 5 % | 25 % | 50 % | 75 % | 95 % | top 4 in common, 50 % |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, values in found.items():
        ranks = np.nanquantile(values[:, 0], (0.05, 0.25, 0.5, 0.75, 0.95))
        shown = " | ".join(f"{value:.2f}" for value in (*ranks, np.nanmedian(values[:, 1])))
        print(f"| {name} | {len(values)} | {shown} |")
    chance = float(np.nanquantile(found["unrelated"][:, 0], 0.95))
    above = float((found["learned"][:, 0] > chance).mean())
    print(f"{above:.0%} of the learned head's are above {chance:.2f}, chance's 95 %.")


def print_times(run: RunFolder, *, n_images: int, seed: int) -> None:
    """Time each method on the same images, one after the other, and print medians."""
    witness = open_witness(run)
    seconds: dict[str, list[tuple[float, float]]] = {}
    ranks: dict[str, list[float]] = {}
    for pixels in images_of(run, witness, n_images, seed=seed):
        segments = segment(pixels, n_segments=_N_SEGMENTS)
        weights: dict[str, NDArray[np.float64]] = {}
        for name, method in _methods(witness, pixels, segments).items():
            start = time.perf_counter(), time.process_time()
            weights[name] = method()
            wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
            seconds.setdefault(name, []).append((wall, processor))
        for name, found in weights.items():
            ranks.setdefault(name, []).append(_rank_correlation(found, weights["exact, 1,024"]))
    print(
        "| method | s an image | processor s | lime's processor time over it, least | median | "
        "most | rank correlation |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, spent in seconds.items():
        wall, processor = np.median(spent, axis=0)
        lime = np.array(seconds.get(_LIME, [(np.nan, np.nan)] * len(spent)))
        ratios = lime[:, 1] / np.array(spent)[:, 1]
        shown = " | ".join(f"{take(ratios):.1f}" for take in (np.min, np.median, np.max))
        print(f"| {name} | {wall:.2f} | {processor:.2f} | {shown} | {np.median(ranks[name]):.3f} |")


def _methods(
    witness: Witness, pixels: NDArray[np.uint8], segments: NDArray[np.int64]
) -> dict[str, Callable[[], NDArray[np.float64]]]:
    def ours(method: Method, n_evaluations: int) -> Callable[[], NDArray[np.float64]]:
        def weights() -> NDArray[np.float64]:
            asked = witness.classify, pixels, segments
            return explain(*asked, method=method, n_evaluations=n_evaluations).weights

        return weights

    def examined() -> NDArray[np.float64]:
        asked, n_classes = witness.classify_with_random_heads, witness.n_classes
        examination = examine(asked, pixels, n_classes=n_classes, manner=Manner())
        return examination.explanation.weights

    methods = {
        "exact, 1,024": ours("exact", 1024),
        "designed, 128": ours("designed", 128),
        "designed, 64": ours("designed", 64),
        "designed, 128, with every test": examined,
    }
    if importlib.util.find_spec("lime"):
        methods[_LIME] = lambda: _lime(witness, pixels, segments)
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
    """Print the tables for a run; without one, say how to make it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run's folder")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--stability", type=int, default=50, help="images cut again")
    parser.add_argument("--timed", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="draws the images that are timed")
    chosen = parser.parse_args(words)
    if chosen.run is None:
        print("Name a finished run: python -m benchmarks.explanations --run runs/STUDY/RUN")
        return
    run = open_run(chosen.run)
    if chosen.images:
        print_errors(run, n_images=chosen.images)
    if chosen.stability:
        print_stability(run, n_images=chosen.stability)
    if chosen.timed:
        print_times(run, n_images=chosen.timed, seed=chosen.seed)


if __name__ == "__main__":
    main()
