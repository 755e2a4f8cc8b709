"""`moulage casts`: a folder of synthetic lesion images, with planted faults on request."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from moulage import actions
from moulage.cli.progress import shown_progress
from moulage.errors import ConfigError
from moulage.pages.words import counted


def casts(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    n: Annotated[int, typer.Option("--n", help="Photographs.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed, other lesions.")] = 0,
    size: Annotated[str, typer.Option(help="Width x height in pixels.")] = "200x150",
    hair: Annotated[float, typer.Option(help="Share of images with hair.")] = 0.20,
    dark_corners: Annotated[float, typer.Option(help="Share with dark corners.")] = 0.12,
    ruler: Annotated[
        list[str] | None,
        typer.Option(help="mel=0.8 or mel=0.8,0.05: a share of it, a share elsewhere; repeatable."),
    ] = None,
    wrong_labels: Annotated[float, typer.Option(help="Share of lesions mislabelled.")] = 0.0,
    near_duplicates: Annotated[
        int, typer.Option(help="Disguised copies of each of six kinds, under other lesions.")
    ] = 0,
) -> None:
    """Draw synthetic lesion images in HAM10000's layout, and list what was planted in them."""
    with shown_progress() as progress:
        progress("drawing casts", 0, n)
        made = actions.make_casts(
            folder,
            n_images=n,
            seed=seed,
            size=_size(size),
            hair=hair,
            dark_corners=dark_corners,
            rulers=[_ruler(text) for text in ruler or ()],
            wrong_labels=wrong_labels,
            near_duplicates=near_duplicates,
        )
    counts = Counter(str(kind) for kind in made.plantings["kind"])
    said = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in counts.items())
    n_lesions = made.metadata["lesion_id"].nunique()
    n_photographs = counted(len(made.metadata), "photograph")
    print(f"{n_photographs} of {counted(n_lesions, 'lesion')}: {folder}")
    print(f"Planted, and listed in plantings.csv: {said or 'nothing'}.")


def _size(text: str) -> tuple[int, int]:
    width, x, height = text.lower().partition("x")
    if not (x and width.isdigit() and height.isdigit()):
        raise ConfigError(
            f"`--size` must read WIDTHxHEIGHT in pixels; got {text!r}. Write, say, 200x150."
        )
    return int(width), int(height)


def _ruler(text: str) -> tuple[str, float, float]:
    diagnosis, _, shares = text.partition("=")
    here, _, elsewhere = shares.partition(",")
    try:
        return diagnosis, float(here), float(elsewhere or 0)
    except ValueError as error:
        raise ConfigError(
            f"`--ruler` must read DIAGNOSIS=SHARE or DIAGNOSIS=SHARE,SHARE_ELSEWHERE; got "
            f"{text!r}. Write, say, --ruler mel=0.8,0.05."
        ) from error
