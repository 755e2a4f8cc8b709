"""The backbones moulage knows by heart, and how any other timm name is described.

Out: a frozen record a name: how its inputs are scaled, what its weights may be used for.
Why: each pretrained family wants its own scaling; dividing by 255 for all of them, as the
study behind this project did, costs accuracy without a word.
"""

from dataclasses import dataclass

import timm

from moulage.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Standardise images in [0, 1]: `(image - mean) / std`, a channel each, in RGB order."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# Keras calls these two modes "torch" and "tf" (x / 127.5 - 1).
TORCH_SCALING = Scaling(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
TF_SCALING = Scaling(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A pretrained network without its classifier.

    name: timm's. scaling: what its ImageNet weights were trained with; weights from elsewhere
    may carry their own. hub_id: where the weights are published.
    """

    name: str
    title: str
    scaling: Scaling
    hub_id: str
    licence: str = "Apache-2.0"


BACKBONES: dict[str, Backbone] = {
    "mobilenetv2_100": Backbone(
        name="mobilenetv2_100",
        title="MobileNetV2",
        scaling=TORCH_SCALING,
        hub_id="timm/mobilenetv2_100.ra_in1k",
    ),
    "tf_mobilenetv3_large_100": Backbone(
        name="tf_mobilenetv3_large_100",
        title="MobileNetV3Large",
        scaling=TF_SCALING,
        hub_id="timm/tf_mobilenetv3_large_100.in1k",
    ),
    "tf_mobilenetv3_small_100": Backbone(
        name="tf_mobilenetv3_small_100",
        title="MobileNetV3Small",
        scaling=TF_SCALING,
        hub_id="timm/tf_mobilenetv3_small_100.in1k",
    ),
    "densenet201": Backbone(
        name="densenet201",
        title="DenseNet201",
        scaling=TORCH_SCALING,
        hub_id="timm/densenet201.tv_in1k",
    ),
}
_TITLES = {backbone.title.lower(): name for name, backbone in BACKBONES.items()}


def backbone_named(name: str) -> Backbone:
    """Return the record of a backbone, by timm's name or by the paper's.

    >>> backbone_named("MobileNetV2").name
    'mobilenetv2_100'
    """
    known = _TITLES.get(name.lower(), name)
    if known in BACKBONES:
        return BACKBONES[known]
    if not timm.is_model(known):
        raise ConfigError(
            f"`backbone` must be a known name; got {name!r}."
            f"{nearest(name, [*BACKBONES, *timm.list_models()])} "
            "`moulage backbones` lists the usual ones."
        )
    return _from_timm(known)


def _from_timm(name: str) -> Backbone:
    architecture, _, tag = name.partition(".")
    known = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in known:
        raise ConfigError(
            f"`backbone` must bear a tag that {architecture} has; got {name!r}. "
            f"Choose one of {', '.join(known) or 'none'}, or leave the tag out."
        )
    config = timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()
    return Backbone(
        name=name,
        title=name,
        scaling=Scaling(mean=tuple(config.mean), std=tuple(config.std)),
        hub_id=config.hf_hub_id or "",
        licence=config.license or "see the model's page",
    )
