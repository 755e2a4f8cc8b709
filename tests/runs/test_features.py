"""Features with ids: the same maps that training reads, in files that others can read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from moulage.data.dataset import read_dataset
from moulage.data.pixels import build_pixels
from moulage.errors import ConfigError
from moulage.networks.inputs import pixels_to_images
from moulage.runs.features import (
    Features,
    compute_features,
    open_source,
    write_features,
)
from moulage.runs.progress import silently


@pytest.fixture
def few() -> Features:
    ids = pd.DataFrame(
        {"image_id": ["b", "a"], "lesion_id": ["L2", "L1"], "diagnosis": ["nv", "mel"]}
    )
    return Features(ids=ids, values=np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32))


def test_features_of_a_backbone_are_the_means_of_its_last_maps(
    casts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moulage.networks.machine._has_bfloat16_units", lambda device: False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    catalogue = read_dataset(casts).take(np.arange(5))
    classifier = open_source("test_efficientnet", catalogue, weights="random", size_px=32)
    found = compute_features(classifier, catalogue, boundary="head", progress=silently)
    pixels = build_pixels(catalogue, size_px=32, resize="squash", threads=1)
    images = pixels_to_images(pixels.array, "cpu")
    with torch.inference_mode():
        maps = classifier.network.forward_features(  # type: ignore[operator]
            (images - classifier.mean) / classifier.std
        )
    np.testing.assert_allclose(found.values, maps.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)
    assert found.ids["image_id"].tolist() == catalogue.image_ids.tolist()
    assert found.ids["diagnosis"].tolist() == catalogue.frame["diagnosis"].tolist()


def test_an_array_has_its_ids_beside_it(few: Features, tmp_path: Path) -> None:
    write_features(few, tmp_path / "deep" / "x.npy")
    assert np.array_equal(np.load(tmp_path / "deep" / "x.npy"), few.values)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "deep" / "x.csv"), few.ids)


def test_a_table_of_other_columns_beside_an_array_stays(few: Features, tmp_path: Path) -> None:
    write_features(few, tmp_path / "few.npy")
    write_features(few, tmp_path / "few.npy")
    (tmp_path / "t.csv").write_text("image_id,lesion_id,age\na,b,40\n")
    with pytest.raises(ConfigError, match=r"got .*t\.npy where t\.csv holds other columns"):
        write_features(few, tmp_path / "t.npy")
    assert (tmp_path / "t.csv").read_text().endswith("a,b,40\n")
    assert not (tmp_path / "t.npy").exists()


def test_a_parquet_table_holds_ids_and_features(few: Features, tmp_path: Path) -> None:
    write_features(few, tmp_path / "x.parquet")
    table = pd.read_parquet(tmp_path / "x.parquet")
    assert list(table.columns[3:]) == ["feature_0", "feature_1", "feature_2"]
    assert table["image_id"].tolist() == ["b", "a"]
    assert np.array_equal(table[table.columns[3:]].to_numpy(), few.values)
    assert (table.dtypes.iloc[3:] == np.float32).all()


def test_the_starter_needs_no_other_word(casts: Path) -> None:
    catalogue = read_dataset(casts).take(np.arange(2))
    classifier = open_source("starter", catalogue, weights=None, size_px=32)
    other = open_source("mobilenetv2_050", catalogue, weights="random", size_px=32)
    assert classifier.recipe.backbone == other.recipe.backbone == "mobilenetv2_050"
    assert classifier.digest() != other.digest()
    with pytest.raises(ConfigError, match="`weights` must go with a backbone; got 'random'"):
        open_source(str(casts), catalogue, weights="random", size_px=32)
    with pytest.raises(ConfigError, match="`size` must go with a backbone; got 32"):
        open_source(str(casts), catalogue, weights=None, size_px=32)


def test_pixels_are_no_features(casts: Path) -> None:
    catalogue = read_dataset(casts).take(np.arange(2))
    classifier = open_source("test_efficientnet", catalogue, weights="random", size_px=32)
    with pytest.raises(ConfigError, match="`--at` must be a boundary above the pixels; got 'all'"):
        compute_features(classifier, catalogue, boundary="all", progress=silently)


@pytest.mark.parametrize("name", ["x.csv", "x", "x.npz"])
def test_another_format_is_refused(few: Features, name: str) -> None:
    with pytest.raises(ConfigError, match=r"`--out` must end in \.npy or \.parquet; got"):
        write_features(few, Path(name))
