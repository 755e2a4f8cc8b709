"""The starter that ships, and the tools that make it."""

import ast
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file

from tools import bank, pretrain_starter
from tools.bank import Course
from tools.pretrain_starter import Team, learn, pretrain, serialise
from tools.procedural import FACTORS, KINDS, draw_picture
from tools.textures import FORMULAS, plane_of

TOOLS = Path(pretrain_starter.__file__).parent
STARTER = pretrain_starter.STARTER
SHORT = (Course(size_px=32, n_pictures=192, n_passes=2, batch=32),)


def starter_state() -> dict[str, torch.Tensor]:
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in load_file(STARTER).items()
    }


def test_the_starter_is_smaller_than_two_megabytes() -> None:
    assert sum(file.stat().st_size for file in STARTER.parent.iterdir()) < 2_000_000


def test_the_starter_fits_its_timm_network_exactly() -> None:
    network = timm.create_model(pretrain_starter.ARCHITECTURE, num_classes=0)
    network.load_state_dict(starter_state(), strict=True)


def test_the_starter_gives_finite_features_that_differ_between_images() -> None:
    network = timm.create_model(pretrain_starter.ARCHITECTURE, num_classes=0).eval()
    network.load_state_dict(starter_state(), strict=True)
    with torch.no_grad():
        maps = network.forward_features(torch.randn(3, 3, 128, 128, generator=torch.manual_seed(0)))
    assert maps.shape == (3, 1280, 4, 4)
    assert maps.isfinite().all()
    assert (maps[0] - maps[1]).abs().max() > 0.1


def test_weights_are_stored_in_half_precision_and_statistics_in_single() -> None:
    tensors = load_file(STARTER)
    assert tensors["conv_stem.weight"].dtype == torch.float16
    assert tensors["bn1.running_var"].dtype == torch.float32
    assert (tensors["bn1.running_var"] > 0).all()


def test_the_header_says_where_the_starter_comes_from() -> None:
    with safe_open(STARTER, "pt") as file:
        origin = file.metadata()
    assert origin["architecture"] == "mobilenetv2_050"
    assert origin["licence"] == "Apache-2.0"
    assert len(origin["pictures_digest"]) == 64
    assert (origin["mean"], origin["std"]) == ("0.485,0.456,0.406", "0.229,0.224,0.225")
    assert origin["courses"] == "; ".join(map(str, pretrain_starter.COURSES))


def modules_behind(name: str) -> set[str]:
    """A tool's own imports of moulage and of tools, and those of the tools it imports."""
    tree = ast.parse((TOOLS / f"{name.removeprefix('tools.')}.py").read_text())
    found = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    own = {module for module in found if module.split(".")[0] in ("moulage", "tools")}
    return own.union(*(modules_behind(module) for module in own if module.startswith("tools.")))


def test_no_cast_can_enter_the_starter() -> None:
    behind = modules_behind("tools.pretrain_starter")
    assert {"tools.bank", "tools.procedural", "tools.textures"} <= behind
    assert {module for module in behind if module.startswith("moulage")} == {
        "moulage.networks.machine",
        "moulage.seeding",
        "moulage.files",
        "moulage.views",
    }


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("wavelength", [2.5, 20.0])
def test_a_texture_is_a_field_between_zero_and_one(kind: str, wavelength: float) -> None:
    plane = plane_of(48, angle=0.4, warp=3.0, seed=1)
    field = FORMULAS[kind](np.random.default_rng(42), plane, wavelength)
    assert field.shape == (48, 48)
    assert field.dtype == np.float32
    assert field.min() >= -1e-5
    assert field.max() <= 1 + 1e-5


def test_stripes_have_the_wavelength_that_was_asked_for() -> None:
    field = FORMULAS["stripes"](np.random.default_rng(0), plane_of(64), 8.0)
    spectrum = np.abs(np.fft.rfft(field[0] - field[0].mean()))
    assert int(spectrum.argmax()) == 64 // 8
    assert np.allclose(field, field[0], atol=1e-6)


def test_a_picture_is_a_function_of_its_generator() -> None:
    first, again, other = (draw_picture(np.random.default_rng(seed), 48) for seed in (7, 7, 8))
    assert np.array_equal(first.pixels, again.pixels)
    assert (first.kinds, first.factors) == (again.kinds, again.factors)
    assert not np.array_equal(first.pixels, other.pixels)


def test_a_picture_names_known_kinds_and_finite_factors() -> None:
    pictures = [draw_picture(np.random.default_rng(seed), 48) for seed in range(100)]
    for picture in pictures:
        assert picture.pixels.shape == (48, 48, 3)
        assert picture.pixels.dtype == np.uint8
        assert all(picture.kinds[slot] in KINDS[slot] for slot in KINDS)
        assert set(picture.factors) <= set(FACTORS)
        assert np.isfinite(list(picture.factors.values())).all()
    assert set().union(*(picture.factors for picture in pictures)) == set(FACTORS)
    assert {picture.kinds["ground"] for picture in pictures} == set(KINDS["ground"])


def test_measured_colours_are_those_of_the_pixels_where_there_is_no_figure() -> None:
    pictures = (draw_picture(np.random.default_rng(seed), 48) for seed in range(100))
    picture = next(p for p in pictures if p.kinds["figure"] == "none")
    means = [picture.factors[f"ground_mean_{channel}"] for channel in "rgb"]
    stds = [picture.factors[f"ground_std_{channel}"] for channel in "rgb"]
    colours = picture.pixels.reshape(-1, 3) / 255
    np.testing.assert_allclose(means, colours.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(stds, colours.std(axis=0), rtol=1e-3)
    assert "area" not in picture.factors


def test_factors_are_standardised_where_they_have_a_meaning() -> None:
    raw = bank.draw_bank(32, 0, 0, range(200))
    factors = bank.standardised(raw).factors
    assert np.array_equal(np.isnan(factors), np.isnan(raw.factors))
    np.testing.assert_allclose(np.nanmean(factors, axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.nanstd(factors, axis=0), 1, atol=1e-3)


def test_every_pass_shows_each_picture_once_in_another_order() -> None:
    course = Course(size_px=32, n_pictures=64, n_passes=2, batch=16)
    rows = [rows for rows, _ in bank.batches(course, seed=3, leg=0)]
    assert len(rows) == course.n_steps == 8
    passes = np.concatenate(rows).reshape(2, 64)
    assert np.array_equal(np.sort(passes, axis=1), np.tile(np.arange(64), (2, 1)))
    assert not np.array_equal(passes[0], passes[1])


def test_two_threads_leave_the_mean_of_what_each_half_teaches() -> None:
    torch.manual_seed(0)
    team, pictures = Team(), bank.standardised(bank.draw_bank(32, 0, 0, range(16)))
    gradients = []
    for half in np.array_split(np.arange(16), 2):
        learn(team.lead, half, bank=pictures, view=0)
        gradients.append([p.grad.clone() for p in team.lead.parameters() if p.grad is not None])
    team.step(pictures, np.arange(16), view=0, lr=0.0)
    for own, first, second in zip(team.lead.parameters(), *gradients, strict=True):
        assert own.grad is not None
        torch.testing.assert_close(own.grad, (first + second) / 2, rtol=1e-4, atol=1e-5)


def test_both_copies_of_the_student_hold_the_same_weights_after_a_step() -> None:
    torch.manual_seed(0)
    team, pictures = Team(), bank.standardised(bank.draw_bank(32, 0, 0, range(16)))
    before = [parameter.detach().clone() for parameter in team.lead.parameters()]
    team.step(pictures, np.arange(16), view=0, lr=1e-3)
    for was, own, other in zip(
        before, team.lead.parameters(), team.second.parameters(), strict=True
    ):
        assert torch.equal(own, other)
        assert not torch.equal(own, was)


@pytest.mark.slow
def test_pretraining_twice_gives_the_same_bits() -> None:
    first, again, other = (
        serialise(pretrain(SHORT, seed=seed), courses=SHORT, seed=seed) for seed in (5, 5, 6)
    )
    assert first == again
    assert not torch.equal(load(first)["conv_stem.weight"], load(other)["conv_stem.weight"])
