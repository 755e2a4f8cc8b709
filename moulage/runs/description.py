"""What a data set's files, table and pixels say, each looked at once.

In:  a Catalogue.   Out: a `Look`, and from it descriptions, sights and telltales.
Knows nothing of splits, labels that look wrong, or pages.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from moulage.catalogue import Catalogue
from moulage.data.pixels import Pixels, build_pixels
from moulage.runs.progress import Progress, named
from moulage.seeding import generator
from moulage.surveying import appearance, associations, exploration, telltales
from moulage.surveying.appearance import MEASURES
from moulage.surveying.associations import Crosstab, Spread
from moulage.surveying.files import examine_files
from moulage.surveying.record import Description, Sight
from moulage.surveying.telltales import Column, Kind

SIZE_PX = 128
N_SAMPLES = 5
_WORDS = ("sex", "localization", "dx_type")
_METADATA: Kind = "metadata"
_FILE: Kind = "file"
_BORDER: Kind = "border"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """files: a row an image of the catalogue. read, looks: of those that could be decoded."""

    catalogue: Catalogue
    read: Catalogue
    pixels: Pixels
    files: pd.DataFrame
    looks: pd.DataFrame

    @property
    def files_read(self) -> pd.DataFrame:
        """The files that could be decoded."""
        return self.files.iloc[self.pixels.rows]


def look(catalogue: Catalogue, progress: Progress) -> Look:
    """Read every file and measure every image that can be decoded."""
    files = examine_files(
        catalogue.frame["path"].tolist(),
        root=catalogue.root,
        progress=named("reading files", progress),
    )
    pixels = build_pixels(
        catalogue,
        size_px=SIZE_PX,
        resize="squash",
        unreadable="skip",
        progress=named("decoding images", progress),
    )
    return Look(
        catalogue=catalogue,
        read=catalogue.take(pixels.rows),
        pixels=pixels,
        files=files,
        looks=appearance.measure_pixels(pixels.array, progress=named("measuring", progress)),
    )


def describe(found: Look) -> Description:
    catalogue = found.catalogue
    crosstabs, age_spread = _associations(catalogue)
    return Description(
        balance=exploration.balance_of(catalogue),
        ages=exploration.ages_of(catalogue.frame),
        distributions={
            name: exploration.distribution_of(catalogue.frame, name)
            for name in metadata_of(catalogue)
        },
        summaries=exploration.summarise(_numbers(catalogue, found.files, found.looks)),
        crosstabs=crosstabs,
        age_spread=age_spread,
    )


def see(found: Look, *, seed: int) -> Sight:
    rows = found.pixels.rows
    return Sight(
        n_images=len(found.read),
        looks=_looks(found.read, found.looks, found.files_read),
        colours=_colours(found.read, found.looks),
        outliers=tuple(
            replace(outlier, row=int(rows[outlier.row]))
            for outlier in appearance.find_outliers(found.looks)
        ),
        samples=_samples(found.read, rows, seed=seed),
    )


def find_telltales(found: Look) -> tuple[telltales.Telltale, ...]:
    """Let metadata, facts about files and borders each predict the diagnosis alone."""
    read, files, looks = found.read, found.files_read, found.looks
    if len(np.unique(read.labels)) < 2 or len(np.unique(read.lesion_ids)) < 2:
        return ()
    sides = files["width"].astype(str) + " × " + files["height"].astype(str)
    ages = read.frame["age"].to_numpy(dtype=np.float64, na_value=np.nan)
    columns: dict[str, Column] = {
        **({} if np.isnan(ages).all() else {"age": ages}),
        **columns_of(read),
    }
    marks: dict[str, Column] = {
        "file size": files["n_bytes"].to_numpy(dtype=np.float64),
        "file format": files["format"].to_numpy(dtype=str),
        "JPEG tables": files["tables"].to_numpy(dtype=str),
        "width × height": sides.to_numpy(dtype=str),
    }
    borders: dict[str, Column] = {
        "border colour": _border_words(looks),
        "corner brightness": looks["corners"].to_numpy(dtype=np.float64),
    }
    kinds: dict[str, Kind] = {
        **dict.fromkeys(columns, _METADATA),
        **dict.fromkeys(marks, _FILE),
        **dict.fromkeys(borders, _BORDER),
    }
    return telltales.find_telltales(
        columns | marks | borders,
        kinds=kinds,
        labels=read.labels,
        lesion_ids=read.lesion_ids,
        folds=telltales.grouped_folds(lesion_ids=read.lesion_ids, labels=read.labels),
        diagnoses=read.codes,
    )


def metadata_of(catalogue: Catalogue) -> dict[str, NDArray[np.str_]]:
    return {
        name: exploration.words_of(catalogue.frame[name])
        for name in _WORDS
        if catalogue.frame[name].notna().any()
    }


def columns_of(catalogue: Catalogue) -> dict[str, Column]:
    """Return the metadata but ages, and the columns that no one named."""
    others = {name: telltales.as_column(catalogue.frame[name]) for name in catalogue.others}
    return {**metadata_of(catalogue), **others}


def _associations(catalogue: Catalogue) -> tuple[tuple[Crosstab, ...], Spread | None]:
    """Hold columns against each other, all tests of a survey as one family."""
    words = {name: exploration.words_of(catalogue.frame[name]) for name in (*_WORDS, "diagnosis")}
    shown = {name for name in _WORDS if catalogue.frame[name].notna().any()} | {"diagnosis"}
    wanted = (("localization", "sex"), ("localization", "diagnosis"), ("diagnosis", "sex"))
    tabs = [
        associations.crosstab(
            row,
            column,
            row_words=words[row],
            column_words=words[column],
            lesion_ids=catalogue.lesion_ids,
            row_order=catalogue.codes if row == "diagnosis" else None,
            column_order=catalogue.codes if column == "diagnosis" else None,
            rng=generator("survey", row, column),
        )
        for row, column in wanted
        if {row, column} <= shown
    ]
    ages = catalogue.frame["age"].to_numpy(dtype=np.float64, na_value=np.nan)
    spread = associations.spread(
        "age",
        values=ages,
        words=words["diagnosis"],
        order=catalogue.codes,
        lesion_ids=catalogue.lesion_ids,
    )
    assert spread.test is not None, "ids were given"
    *tests, of_ages = associations.corrected([*(tab.test for tab in tabs), spread.test])
    judged = tuple(replace(tab, test=test) for tab, test in zip(tabs, tests, strict=True))
    return judged, None if np.isnan(ages).all() else replace(spread, test=of_ages)


def _looks(read: Catalogue, looks: pd.DataFrame, files: pd.DataFrame) -> tuple[Spread, ...]:
    words = exploration.words_of(read.frame["diagnosis"])
    width, height = (files[name].to_numpy(dtype=np.float64) for name in ("width", "height"))
    measures = {
        **{said: looks[name].to_numpy(dtype=np.float64) for name, said in MEASURES.items()},
        "size (megapixels)": width * height / 1e6,
        "aspect (width / height)": width / np.where(height > 0, height, np.nan),
    }
    return tuple(
        associations.spread(name, values=values, words=words, order=read.codes)
        for name, values in measures.items()
    )


def _colours(read: Catalogue, looks: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    means = looks[list(appearance.COLOURS)].groupby(read.frame["diagnosis"].to_numpy()).mean()
    return {
        code: (float(means["red"][code]), float(means["green"][code]), float(means["blue"][code]))
        for code in read.codes
        if code in means.index
    }


def _numbers(
    catalogue: Catalogue, files: pd.DataFrame, looks: pd.DataFrame
) -> dict[str, NDArray[np.float64]]:
    sizes = catalogue.frame.groupby("lesion_id").size().to_numpy(dtype=np.float64)
    return {
        "age (years)": catalogue.frame["age"].to_numpy(dtype=np.float64, na_value=np.nan),
        f"photographs per {catalogue.unit}": sizes,
        "width (pixels)": files["width"].to_numpy(dtype=np.float64),
        "height (pixels)": files["height"].to_numpy(dtype=np.float64),
        "file size (KiB)": files["n_bytes"].to_numpy(dtype=np.float64) / 1024,
        **{said: looks[name].to_numpy(dtype=np.float64) for name, said in MEASURES.items()},
    }


def _samples(read: Catalogue, rows: NDArray[np.int64], *, seed: int) -> dict[str, tuple[int, ...]]:
    """Draw five images a diagnosis, of different lesions where there are as many."""
    once = associations.first_of_each(read.lesion_ids)
    drawn: dict[str, tuple[int, ...]] = {}
    for label, code in enumerate(read.codes):
        ours = np.flatnonzero(read.labels == label)
        rng = generator("samples", seed, code)
        firsts, others = np.intersect1d(ours, once), np.setdiff1d(ours, once)
        chosen = np.concatenate([rng.permutation(firsts), rng.permutation(others)])[:N_SAMPLES]
        drawn[code] = tuple(int(rows[row]) for row in np.sort(chosen))
    return drawn


def _border_words(looks: pd.DataFrame) -> NDArray[np.str_]:
    """Name the border's colour by which quarter each channel lies in: 64 words at most."""
    quarters = []
    for channel in ("border_red", "border_green", "border_blue"):
        values = looks[channel].to_numpy(dtype=np.float64)
        edges = np.quantile(values, [0.25, 0.5, 0.75])
        quarters.append(np.searchsorted(edges, values, side="right"))
    return np.array([f"{r}{g}{b}" for r, g, b in zip(*quarters, strict=True)])
