"""Random fields keep their promises: size, range, place, and independence of resolution."""

import cv2
import numpy as np
import pytest

from moulage.casts.fields import (
    blur,
    canvas_for,
    clouds,
    discs,
    honeycomb,
    lines,
    paste,
    places_within,
    smoothstep,
    to_px,
    tree,
    wander,
    window,
)
from moulage.seeding import generator


def test_a_canvas_holds_a_photograph_turned_by_any_angle() -> None:
    canvas = canvas_for((200, 150))
    assert canvas.extent == pytest.approx(250 / 150)
    assert canvas.side_px >= 250
    assert canvas.xs.shape == canvas.ys.shape == (canvas.side_px, canvas.side_px)
    assert canvas.xs[0, -1] == pytest.approx(canvas.extent / 2)
    assert np.array_equal(canvas.xs, canvas.ys.T)


def test_smoothstep_by_pencil() -> None:
    values = np.array([-1, 0, 0.25, 0.5, 1, 2], dtype=np.float32)
    rising = np.array([0, 0, 0.15625, 0.5, 1, 1])
    np.testing.assert_allclose(smoothstep(values, 0, 1), rising, rtol=1e-6)
    np.testing.assert_allclose(smoothstep(values, 1, 0), 1 - rising, rtol=1e-6)


def test_clouds_have_mean_zero_and_standard_deviation_one() -> None:
    noise = clouds(canvas_for((120, 90)), generator("test"), scale=0.2, octaves=3)
    assert noise.mean() == pytest.approx(0, abs=1e-4)
    assert noise.std() == pytest.approx(1, abs=1e-4)
    assert noise.dtype == np.float32


def test_clouds_show_the_same_picture_at_every_resolution() -> None:
    small = clouds(canvas_for((100, 75)), generator("test"), scale=0.4)
    large_canvas = canvas_for((200, 150))
    large = clouds(large_canvas, generator("test"), scale=0.4)
    shrunk = cv2.resize(large, small.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.99


def test_wider_clouds_are_smoother() -> None:
    canvas = canvas_for((120, 90))
    rough, smooth = (
        np.abs(np.diff(clouds(canvas, generator("test"), scale=scale, octaves=1))).mean()
        for scale in (0.05, 0.5)
    )
    assert rough > 5 * smooth


def test_a_honeycomb_lies_in_the_unit_range_and_repeats_after_its_period() -> None:
    canvas = canvas_for((200, 150))
    cells = honeycomb(canvas, generator("test"), period=0.1, disorder=0.0)
    assert cells.min() == pytest.approx(0, abs=0.02)
    assert cells.max() == pytest.approx(1, abs=0.02)
    n_cells, _ = cv2.connectedComponents((cells > 0.7).astype(np.uint8))
    # a hexagonal lattice of spacing p has a cell of area sqrt(3)/2 p²; the border cuts some
    expected = canvas.extent**2 / (3**0.5 / 2 * 0.1**2)
    assert n_cells == pytest.approx(expected, rel=0.15)


def test_places_lie_where_they_are_allowed() -> None:
    canvas = canvas_for((120, 90))
    within = np.hypot(canvas.xs - 0.2, canvas.ys) < 0.2
    places = places_within(canvas, generator("test"), within=within, n=50)
    assert places.shape == (50, 2)
    assert (np.hypot(places[:, 0] - 0.2, places[:, 1]) < 0.21).all()


def test_no_room_gives_no_places() -> None:
    canvas = canvas_for((64, 64))
    nowhere = np.zeros(canvas.xs.shape, dtype=bool)
    assert places_within(canvas, generator("test"), within=nowhere, n=5).shape == (0, 2)
    assert places_within(canvas, generator("test"), within=~nowhere, n=0).shape == (0, 2)


def test_to_px_maps_corners_to_corners() -> None:
    canvas = canvas_for((120, 90))
    half = canvas.extent / 2
    corners = to_px(canvas, np.array([[-half, -half], [half, half]]))
    assert corners[0] == pytest.approx([0, 0])
    assert (corners[1] < canvas.side_px).all()
    assert (corners[1] > canvas.side_px - 1).all()


def test_a_disc_covers_its_area_and_no_disc_covers_none() -> None:
    canvas = canvas_for((200, 150))
    disc = discs(canvas, np.array([[0.1, -0.2]]), np.array([0.2]))
    area = disc.sum() / canvas.unit_px**2
    assert area == pytest.approx(np.pi * 0.04, rel=0.05)
    assert discs(canvas, np.empty((0, 2)), np.empty(0)).sum() == 0


def test_thin_lines_are_fainter_not_invisible() -> None:
    canvas = canvas_for((120, 90))
    path = np.array([[-0.3, 0.01], [0.3, 0.01]])
    thick, thin = (lines(canvas, [path], [width]) for width in (0.05, 0.004))
    assert thick.max() == pytest.approx(1)
    assert 0 < thin.max() < 0.6
    assert thick.sum() > thin.sum() > 0


def test_a_straight_walk_has_its_length() -> None:
    path = wander(generator("test"), start=np.zeros(2), heading=0.0, length=0.5, bend=0.0)
    np.testing.assert_allclose(path[-1], [0.5, 0.0], atol=1e-12)
    assert path.shape == (12, 2)


def test_a_tree_has_a_trunk_three_limbs_and_nine_twigs() -> None:
    orders = [order for _, order in tree(generator("test"), start=np.zeros(2), heading=0, length=1)]
    assert [orders.count(order) for order in range(3)] == [1, 3, 9]


def test_a_window_is_pasted_back_to_the_middle() -> None:
    canvas = canvas_for((120, 90))
    middle = window(canvas, 0.3)
    assert middle.extent == pytest.approx(0.6)
    pasted = paste(canvas, np.hypot(middle.xs, middle.ys), outside=9)
    assert pasted.shape == canvas.xs.shape
    row, column = np.unravel_index(int(pasted.argmin()), pasted.shape)
    assert abs(canvas.xs[row, column]) < 1.5 / canvas.unit_px
    assert abs(canvas.ys[row, column]) < 1.5 / canvas.unit_px
    assert pasted[0, 0] == 9
    assert window(canvas, 5.0).side_px == canvas.side_px


def test_blur_keeps_the_sum_and_lowers_the_peak() -> None:
    canvas = canvas_for((120, 90))
    dot = discs(canvas, np.zeros((1, 2)), np.array([0.05]))
    soft = blur(dot, canvas, 0.03)
    assert soft.sum() == pytest.approx(dot.sum(), rel=1e-3)
    assert soft.max() < dot.max()
