"""The study in words: sentences made from a run's record.

In:  a record and what its predictions say.   Out: plain English, a paragraph a string.
Knows nothing of HTML.
"""

from collections.abc import Iterable, Sequence

from moulage.covariates import is_known
from moulage.evaluation.calibration import COLDEST, HOTTEST
from moulage.pages import words
from moulage.pages.certainty import bounds_of
from moulage.pages.composition import leak_of, parts_of
from moulage.pages.records import PhaseRecord, RunRecord, StudyRecord
from moulage.pages.results import ACCURACY, BALANCED, Measure, Results

DEFINITIONS = (
    (
        "natural rule",
        "the diagnosis with the highest probability, at the training part’s own frequencies "
        "of the diagnoses.",
    ),
    (
        "balanced rule",
        "the diagnosis whose probability exceeds its frequency in training by the largest "
        "factor, as if all diagnoses were equally frequent.",
    ),
    ("balanced accuracy", "the mean of the diagnoses’ recalls, each weighing the same."),
    (
        "macro AUROC",
        "for each diagnosis against all others, the chance that an image of it gets a higher "
        "probability of it than an image of another; then the plain mean over the diagnoses for "
        "which it is defined. It knows no decision rule.",
    ),
    ("log loss", "the mean of −ln(probability given to the truth), in nats."),
    (words.NO_BOUNDS, f"{words.WHY_NO_BOUNDS}."),
)
_MONITORED = {
    "loss": "validation loss",
    "calibrated_loss": "validation loss (at each epoch’s best temperature)",
}
_SPLITS = {
    "grouped": "by {unit} and stratified by diagnosis, so that all photographs of one {unit} lie "
    "in one part",
    "blind": "photograph by photograph, since no two have one {unit} id, stratified by diagnosis",
    "image": "photograph by photograph, on purpose, as if no two showed the same {unit}",
    "leaky": "with the test images inside the training part, on purpose, to show what a leak is "
    "worth",
    "file": "as a given file says",
}
_RESIZES = {
    "squash": "squashed",
    "crop": "cut to its centre square and resized",
    "pad": "padded to a square and resized",
}
WEIGHTED = "balanced class weights"
"""The treatment under which a network learns a uniform prior by its loss alone."""

NOT_TUNED = (
    "no epoch of fine-tuning had a lower validation loss; the weights of the phase before were kept"
)
"""What is said where the kept weights are the first phase's: the later ones bought nothing."""

_HEADS = {"flatten": "flattens the last maps", "pooled": "averages the last maps"}
_REGIONS = {"head": "the new head alone", "all": "every layer"}


def lead(run: RunRecord, test: Results) -> str:
    """Say in a sentence or two what was learned and how well."""
    n_classes = words.counted(len(run.catalogue.diagnoses), "diagnosis", "diagnoses")
    said = f"{run.experiment.backbone}, taught on {run.catalogue.name} to tell {n_classes} apart."
    if not test.n_images:
        return f"{said} No image was set aside to test it."
    return (
        f"{said} On {words.counted(test.n_images, 'test photograph')} of "
        f"{_lesions(run, test.n_lesions)} its accuracy is {words.score(test.accuracy)}"
        f"{_in_brackets(run, ACCURACY)} under the natural rule, its balanced accuracy "
        f"{words.score(test.balanced_accuracy)}{_in_brackets(run, BALANCED)} under the balanced "
        "rule."
    )


def _in_brackets(run: RunRecord, measure: Measure) -> str:
    ends = bounds_of(run, measure)
    return f" ({ends})" if ends else ""


def story(run: RunRecord, test: Results) -> tuple[str, ...]:
    """Tell data, split, classifier, training and outcome, a paragraph each."""
    return (_data(run), _classifier(run), _training(run), _outcome(run, test))


def temperature(run: RunRecord) -> str:
    """Say by how much the logits are divided and where that number was learned."""
    return (
        f"Temperature {words.score(run.predictions.temperature)}: logits are divided by it "
        f"before they become probabilities. {_fitted(run)}"
    )


def _fitted(run: RunRecord) -> str:
    """Say where it was learned, if it was, and whether it lies at an end of what is tried."""
    found = run.predictions.temperature
    if found == 1:
        return (
            "It was left at 1: where it is fitted no image was wrong, or none was told from "
            "another, which says nothing of how sure to be."
        )
    ends = {COLDEST: "lowest", HOTTEST: "highest"}
    if found not in ends:
        return run.temperature_note
    end = f"It is the {ends[found]} that is tried: beyond it the loss still falls."
    return f"{run.temperature_note} {end}"


def phase(record: PhaseRecord) -> str:
    """Say what one phase trained and how."""
    region = _REGIONS.get(record.train_from, f"everything from {record.train_from} upward")
    return (
        f"“{record.name}” trained {region} ({words.count(record.n_trainable)} of "
        f"{words.count(record.n_total)} parameters) for {words.counted(record.epochs, 'epoch')} "
        f"at a learning rate of {words.rate(record.learning_rate)}{_steps(record)}"
    )


def _steps(record: PhaseRecord) -> str:
    by = f" by {record.optimizer}" if record.optimizer else ""
    return f"{by} in batches of {words.count(record.batch_size)}" if record.batch_size else by


def best_epochs(runs: Sequence[RunRecord], until: str | None = None) -> str:
    """Name phase and epochs of the best weights of these runs, up to a phase's end or to the last.

    "frozen, epoch 9", or "frozen, epochs 3 to 9; all, epoch 4" of several runs; "" where unknown.
    """
    found: dict[str, set[int]] = {}
    for phase_name, epoch in filter(None, (run.best_epoch(until) for run in runs)):
        found.setdefault(phase_name, set()).add(epoch)
    return "; ".join(f"{name}, {_epochs(epochs)}" for name, epochs in found.items())


def _epochs(epochs: set[int]) -> str:
    low, high = min(epochs), max(epochs)
    if low == high:
        return f"epoch {low}"
    return f"epochs {low} {'and' if len(epochs) == 2 else 'to'} {high}"


def hidden_layers(hidden: tuple[int, ...]) -> str:
    """Write the head's hidden layers as the paper's table does.

    >>> hidden_layers((512, 128)), hidden_layers(())
    ('2 layers, size 512 → 128', 'none')
    """
    if not hidden:
        return "none"
    sizes = " → ".join(map(str, hidden))
    return f"{words.counted(len(hidden), 'layer')}, size {sizes}"


def facts(run: RunRecord) -> tuple[tuple[str, str, bool], ...]:
    """Return (name, value, is a code) of everything needed to make the run again."""
    machine, experiment = run.machine, run.experiment
    return (
        ("created", run.created, False),
        ("data set", f"{run.catalogue.name}. {run.licence}", False),
        ("catalogue digest", run.catalogue.digest, True),
        ("split", f"{run.split_kind}, seed {run.split_seed}", False),
        ("split digest", run.split.digest, True),
        ("classifier digest", run.predictions.classifier_digest or "not recorded", True),
        ("seed of the run", str(experiment.seed), False),
        ("weights", experiment.weights, False),
        ("input", f"{_input(run)}; {run.inputs.scaling}", False),
        ("looks at the test part", run.ledger, False),
        ("device", f"{machine.device}, {words.counted(machine.threads, 'thread')}", False),
        ("precision", machine.precision, False),
        ("versions", _versions(run), False),
    )


def study_summary(study: StudyRecord, *, n_experiments: int) -> str:
    """Say how much was run, on what, and what was not."""
    names = words.listed(dict.fromkeys(run.catalogue.name for run in study.runs))
    said = (
        f"{words.counted(n_experiments, 'experiment')} on {names}, "
        f"{words.counted(len(study.runs), 'run')} on "
        f"{words.counted(len({run.split.digest for run in study.runs}), 'split')}."
    )
    if not study.runs:
        said = "No experiment was run."
    n_missing = len(study.not_run)
    if n_missing:
        said += (
            f" {words.counted(n_missing, 'experiment')} could not be run; the reasons stand below."
        )
    return said


def uneven_tests(study: StudyRecord) -> str:
    """Name the diagnoses that some test parts lack, and say what that does to means over runs.

    "" where all test parts have the same ones.
    """
    tests = [test for run in study.runs if len(test := run.predictions.of("test"))]
    labels = {frozenset(test.image_ids.tolist()): set(test.labels.tolist()) for test in tests}
    codes = study.runs[0].catalogue.codes if study.runs else ()
    n_lacking = {c: sum(k not in each for each in labels.values()) for k, c in enumerate(codes)}
    lacking = [
        f"{code} in {n} of {len(labels)}" for code, n in n_lacking.items() if 0 < n < len(labels)
    ]
    if not lacking:
        return ""
    full = f"; in {_metrics_of(study)} it has its full weight" if study.pooled else ""
    return (
        f"In some test parts a diagnosis has no image ({', '.join(lacking)}): balanced accuracy, "
        "macro F1 and macro AUROC are there means over the others, so it weighs less in the means "
        f"over runs below, which flatters a classifier that seldom finds it{full}."
    )


def pooled(study: StudyRecord) -> str:
    """Say where the scores of all folds' test images at once stand; "" where nothing is pooled."""
    if not study.pooled:
        return ""
    return (
        "Of a cross-validation these are means over its folds. Scores of all images at once, each "
        f"predicted by the fold that tested it, stand in {_metrics_of(study)}."
    )


def _metrics_of(study: StudyRecord) -> str:
    return words.listed(f"{folder}/metrics.json" for folder in study.pooled)


def study_facts(study: StudyRecord) -> tuple[tuple[str, str, bool], ...]:
    """Return (name, value, is a code) of what the runs share or differ in."""
    runs = study.runs
    return (
        ("created", _once(run.created for run in runs), False),
        ("data set", _once(f"{run.catalogue.name}. {run.licence}" for run in runs), False),
        ("catalogue digest", _once(run.catalogue.digest for run in runs), True),
        ("split", _once(f"{run.split_kind}, seed {run.split_seed}" for run in runs), False),
        ("split digest", _once(run.split.digest for run in runs), True),
        ("input", _once(f"{_input(run)}; {run.inputs.scaling}" for run in runs), False),
        ("weights", _once(run.experiment.weights for run in runs), False),
        ("looks at the test part", looks(runs) or "none", False),
        ("precision", _once(run.machine.precision for run in runs), False),
        ("versions", _once(_versions(run) for run in runs), False),
    )


def looks(runs: Sequence[RunRecord]) -> str:
    """Return the ledger's last sentence for each test part, named where there are several."""
    last: dict[str, RunRecord] = {}
    for run in sorted(runs, key=lambda run: run.n_looks):
        last[run.split.digest] = run
    if len(last) < 2:
        return " ".join(run.ledger for run in last.values())
    splits: dict[str, list[str]] = {}
    for digest in dict.fromkeys(run.split.digest for run in runs):
        run = last[digest]
        name = f"{digest[:8]} ({run.split_kind}{_seed_of(run)})"
        splits.setdefault(run.ledger, []).append(name)
    return " ".join(f"Split {words.listed(names)}: {said}" for said, names in splits.items())


def _seed_of(run: RunRecord) -> str:
    return "" if run.split_kind == "file" else f", seed {run.split_seed}"


def _once(values: Iterable[str]) -> str:
    return " · ".join(dict.fromkeys(values)) or "none"


def _versions(run: RunRecord) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.machine.versions.items())


def _data(run: RunRecord) -> str:
    frame = run.catalogue.frame
    sizes = frame["diagnosis"].value_counts()
    is_blind = leak_of(run.split).is_blind
    kind = "blind" if is_blind and run.split_kind == "grouped" else run.split_kind
    return (
        f"{run.catalogue.name} holds {words.counted(len(frame), 'photograph')} of "
        f"{_lesions(run, frame['lesion_id'].nunique())} with "
        f"{words.counted(len(run.catalogue.diagnoses), 'diagnosis', 'diagnoses')}, from "
        f"{words.count(int(sizes.iloc[-1]))} of {sizes.index[-1]} to "
        f"{words.count(int(sizes.iloc[0]))} of {sizes.index[0]}. They were split "
        f"{_SPLITS.get(kind, kind).format(unit=run.split.unit)}{_seed(run)}: "
        f"{words.listed(_part_sizes(run))}."
    )


def _lesions(run: RunRecord, n_lesions: int) -> str:
    return leak_of(run.split).lesions(n_lesions)


def _seed(run: RunRecord) -> str:
    return "" if run.split_kind == "file" else f" (seed {run.split_seed})"


def _part_sizes(run: RunRecord) -> list[str]:
    return [
        f"{words.counted(len(run.split.rows_of(part)), 'image')} for "
        f"{'training' if part == 'train' else part}"
        for part in parts_of(run.split)
    ]


def _classifier(run: RunRecord) -> str:
    experiment = run.experiment
    return (
        f"The classifier is {experiment.backbone}, started from {experiment.weights}, with a new "
        f"head that {_HEADS.get(experiment.head, f'is {experiment.head}')} (hidden layers: "
        f"{hidden_layers(experiment.hidden)}; regularisation: {experiment.regularisation}). "
        f"Each image is {_input(run)}; {run.inputs.scaling}.{_views(run)}{_beside(run)}"
    )


def _views(run: RunRecord) -> str:
    """Say that an answer averages several views, if it does."""
    n_views = run.experiment.n_views
    if n_views == 1:
        return ""
    mirrored = " and mirrored" if n_views > 4 else ""
    return (
        f" An answer is the mean over {n_views} views of the image, turned by quarters{mirrored}; "
        "the curves show the image as it is."
    )


def _beside(run: RunRecord) -> str:
    """Say what the head reads beside the image, and what of it the catalogue lacks."""
    covariates = run.experiment.covariates
    if not covariates:
        return ""
    frame = run.catalogue.frame
    lacking = [
        f"{name} is unknown of {words.counted(int((~is_known(frame[name])).sum()), 'image')}"
        for name in covariates
    ]
    return (
        f" Beside the image the head reads {words.listed(covariates)} as recorded of the patient; "
        f"{words.listed(lacking)}."
    )


def _input(run: RunRecord) -> str:
    resized = _RESIZES.get(run.inputs.resize, run.inputs.resize)
    return f"{resized} to {run.inputs.size_px} × {run.inputs.size_px} pixels"


def _training(run: RunRecord) -> str:
    experiment = run.experiment
    if not experiment.phases:
        return "Its members were trained, each as its own page says; nothing was trained together."
    phases = words.listed(phase(record) for record in experiment.phases)
    seconds = sum(record.seconds for record in experiment.phases)
    return (
        f"Training took {words.counted(len(experiment.phases), 'phase')} and "
        f"{words.duration(seconds)}: {phases}. Unequal frequencies of the diagnoses were "
        f"treated by: {experiment.imbalance}. Augmentation: {experiment.augmentation}. The weights "
        f"with the lowest {_MONITORED[experiment.monitor]} of all phases were kept{_kept(run)}"
    )


def _kept(run: RunRecord) -> str:
    """End the sentence: which epoch's they are, and that fine-tuning found none better."""
    best = best_epochs([run])
    ending = f": those of {best}." if best else "."
    return f"{ending} {NOT_TUNED[0].upper()}{NOT_TUNED[1:]}." if run.kept_first_end else ending


def _outcome(run: RunRecord, test: Results) -> str:
    if not test.n_images:
        return "No image was set aside for the test, so nothing is claimed here."
    return (
        f"On the test part the kept classifier has an accuracy of {words.score(test.accuracy)} "
        f"under the natural rule, where always answering the most frequent diagnosis of that "
        f"part would have {words.score(test.largest_share)}; under the balanced rule its balanced "
        f"accuracy is {words.score(test.balanced_accuracy)}. Macro AUROC is "
        f"{words.score(test.auroc)}.{_plainly(run, test)}"
    )


def _plainly(run: RunRecord, test: Results) -> str:
    """Tell the accuracy as studies count it that put no prior back into a weighted network."""
    if run.experiment.imbalance != WEIGHTED:
        return ""
    accuracy = words.score(test.balanced.values["accuracy"])
    return (
        " What the weighted network says most loudly, with no prior put back, is what the balanced "
        f"rule decides: by this plain argmax the accuracy is {accuracy}."
    )
