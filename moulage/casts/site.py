"""The place that a lesion takes on its canvas, and the layers of matter painted there.

In:  a canvas, the lesion's depth, the keys of its random streams.
Out: layers (S, S) that `signs` paints upon and `lesion` turns into colours.
Knows nothing of diagnoses, signs or colours.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from moulage.casts.fields import Canvas, Map, clouds, smoothstep
from moulage.seeding import generator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """What lies in and on the skin, each (S, S) float32.

    melanin, blood and deep (pigment so deep that it looks blue) are optical depths that add up;
    white, keratin and haze cover what is below with an opacity in [0, 1].
    """

    melanin: Map
    blood: Map
    deep: Map
    white: Map
    keratin: Map
    haze: Map


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """Where a lesion is: depth (S, S) is 1 at its centre, 0 on its border, negative outside.

    body (S, S) in [0, 1] is the lesion's soft silhouette.
    """

    canvas: Canvas
    depth: Map
    body: Map
    layers: Layers
    radius: float
    disorder: float
    keys: tuple[int | str, ...] = ()

    def rng(self, sign: str) -> np.random.Generator:
        """Each sign draws from its own stream: changing one leaves the others as they are."""
        return generator(*self.keys, sign)

    def ring(self, lo: float, hi: float) -> NDArray[np.bool_]:
        """Where the depth lies in (lo, hi)."""
        return np.asarray((self.depth > lo) & (self.depth < hi))


def blank_layers(canvas: Canvas) -> Layers:
    """Return layers with nothing in them."""
    return Layers(**{layer.name: np.zeros_like(canvas.xs) for layer in fields(Layers)})


def sector(site: Site, rng: np.random.Generator, *, width: float) -> Map:
    """Return 1 on one side of the lesion, 0 on the other: what makes a lesion asymmetric."""
    angle = rng.uniform(0, 2 * np.pi)
    along = site.canvas.xs * np.cos(angle) + site.canvas.ys * np.sin(angle)
    wave = 0.25 * clouds(site.canvas, rng, scale=0.8 * site.radius)
    return smoothstep((along / site.radius + wave).astype(np.float32), -width, width)


def patches(site: Site, rng: np.random.Generator, *, scale: float, share: float) -> Map:
    """Return soft patches `scale` radii wide that cover about `share` of the canvas."""
    noise = clouds(site.canvas, rng, scale=scale * site.radius, octaves=4)
    edge = float(np.quantile(noise[::4, ::4], 1 - share))
    return smoothstep(noise, edge - 0.5, edge + 0.8)
