import numpy as np
import pytest
import timm

from moulage.errors import ConfigError
from moulage.networks.registry import BACKBONES, Scaling, backbone_named

KERAS_MODES = {
    "mobilenetv2_100": "torch",
    "densenet201": "torch",
    "tf_mobilenetv3_large_100": "tf",
    "tf_mobilenetv3_small_100": "tf",
}


def preprocess_input(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Scale pixels (N, H, W, 3) in [0, 255] as keras.applications does in this mode."""
    x = pixels.astype(np.float64)
    if mode == "tf":
        return x / 127.5 - 1.0
    x = x / 255.0
    for channel, (mean, std) in enumerate(
        zip([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], strict=True)
    ):
        x[..., channel] = (x[..., channel] - mean) / std
    return x


@pytest.mark.parametrize("name", list(BACKBONES))
def test_scaling_equals_keras(name: str) -> None:
    pixels = np.arange(256, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    scaling = BACKBONES[name].scaling
    ours = (pixels / 255.0 - np.array(scaling.mean)) / np.array(scaling.std)
    np.testing.assert_allclose(ours, preprocess_input(pixels, KERAS_MODES[name]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", list(BACKBONES))
def test_the_table_agrees_with_timm(name: str) -> None:
    config, backbone = timm.get_pretrained_cfg(name), BACKBONES[name]
    assert backbone.scaling == Scaling(mean=tuple(config.mean), std=tuple(config.std))
    assert backbone.hub_id == config.hf_hub_id
    assert backbone.name == name
    assert backbone.licence.lower() == config.license


def test_the_papers_names_are_known_in_any_case() -> None:
    titles = ("MobileNetV2", "mobilenetv3large", "MOBILENETV3SMALL", "DenseNet201")
    assert [backbone_named(title).name for title in titles] == list(BACKBONES)


def test_any_timm_name_is_described_by_timm() -> None:
    backbone = backbone_named("test_vit")
    assert backbone.scaling == Scaling(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert backbone.hub_id == "timm/test_vit.r160_in1k"
    assert backbone_named("resnet10t.c3_in1k").hub_id == "timm/resnet10t.c3_in1k"


def test_a_network_without_weights_is_described_too() -> None:
    assert backbone_named("coatnet_0_224").hub_id == ""


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"got 'densnet201'\. Did you mean 'densenet201'\?"):
        backbone_named("densnet201")


def test_a_tag_that_nobody_published_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"got 'resnet10t\.x'\. Choose one of resnet10t\.c3_in1k"):
        backbone_named("resnet10t.x")
