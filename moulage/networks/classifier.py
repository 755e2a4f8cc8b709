"""The classifier: backbone and head as one chain, with its input contract.

In:  images (N, 3, H, W) float32 in [0, 1], or maps at a boundary.   Out: logits (N, K) float32.
A folded classifier takes images as bytes, too.
Knows nothing of files of images, splits or training.
Why a contract: weights used with another size, scaling or order of diagnoses give wrong numbers
that look right, so the contract is stored with the weights and checked wherever they are loaded.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from moulage.covariates import Covariate, covariate_from, width_of
from moulage.errors import ConfigError
from moulage.networks.heads import Head, HeadKind, build_head
from moulage.networks.inputs import scaled_by_lines
from moulage.networks.machine import generator_restored
from moulage.networks.registry import Scaling, backbone_named
from moulage.networks.stages import boundary_named, stages_of
from moulage.networks.thrift import is_large, remade, spare
from moulage.seeding import seed_of
from moulage.views import IDENTITY, N_VIEWS

BatchNormPolicy = Literal["update", "fixed"]
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_ABOVE_POOLING = ("conv_head", "norm_head", "act2", "classifier")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputContract:
    """What a classifier must be fed, and what its outputs mean.

    size_px: side of the square. resize: how a frame becomes that square. diagnoses: K codes in
    the order of the logits.
    """

    size_px: int
    resize: Literal["squash", "crop", "pad"]
    scaling: Scaling
    diagnoses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that is needed to build a classifier's modules, weights aside.

    members: of a committee. views: which of the eight an answer averages. covariates: what it
    reads beside the image. The repr is part of digests, so fields that older classifiers lack do
    not show in it.
    """

    backbone: str
    head: HeadKind
    hidden: tuple[int, ...]
    dropout: float
    contract: InputContract
    members: tuple["Recipe", ...] = field(default=(), repr=False)
    views: tuple[int, ...] = field(default=(IDENTITY,), repr=False)
    covariates: tuple[Covariate, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return nested plain values, for JSON."""
        return asdict(self)


def recipe_from(fields: dict[str, Any]) -> Recipe:
    """Rebuild a recipe from the plain values of `Recipe.as_dict`."""
    contract = fields["contract"]
    scaling = {name: tuple(values) for name, values in contract["scaling"].items()}
    return Recipe(
        backbone=fields["backbone"],
        head=fields["head"],
        hidden=tuple(fields["hidden"]),
        dropout=fields["dropout"],
        contract=InputContract(
            size_px=contract["size_px"],
            resize=contract["resize"],
            scaling=Scaling(**scaling),
            diagnoses=tuple(contract["diagnoses"]),
        ),
        members=tuple(recipe_from(member) for member in fields.get("members", ())),
        views=tuple(fields.get("views", (IDENTITY,))),
        covariates=tuple(covariate_from(one) for one in fields.get("covariates", ())),
    )


class Classifier(nn.Module):
    """A chain of stages and a head.

    `forward` gives the scores that training sees; `logits` adds `prior_shift (K,)`, which puts
    the natural prior back after a treatment of imbalance.
    """

    mean: Tensor
    std: Tensor
    prior_shift: Tensor

    def __init__(self, recipe: Recipe, network: nn.Module, head: Head) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = network
        self.head = head
        self.stages = stages_of(network)
        self.is_folded = False
        scaling = recipe.contract.scaling
        self.register_buffer("mean", torch.tensor(scaling.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(scaling.std)[:, None, None], persistent=False)
        self.register_buffer("prior_shift", torch.zeros(len(recipe.contract.diagnoses)))

    def set_prior_shift(self, shift: NDArray[np.float64]) -> None:
        """Set what `logits` adds to the scores, (K,): log natural minus log trained prior.

        It takes the place of what was set before: each phase has its own.
        """
        self.prior_shift.copy_(torch.from_numpy(shift))

    def boundary(self, name: str) -> int:
        """Return the index of a boundary: "head", "all" or a stage's name."""
        return boundary_named(name, self.stages)

    def below(self, images: Tensor, boundary: int, covariates: Tensor | None = None) -> Tensor:
        """Return maps (N, D, h, w) at a boundary above the pixels."""
        maps = self._scaled(images)
        for stage in self.stages[:boundary]:
            maps = stage(maps, covariates)
        return maps

    def forward(self, maps: Tensor, boundary: int = 0, covariates: Tensor | None = None) -> Tensor:
        """Return scores (N, K) float32 from maps at a boundary; at 0 the maps are images.

        covariates: (N, C) float32, for a classifier that reads some; see `moulage.covariates`.
        """
        if boundary == 0:
            maps = self._scaled(maps)
        keeps_little = boundary == 0 and is_large(maps, self.network)
        for stage in self.stages[boundary:]:
            if keeps_little:
                maps = remade(stage, stage.modules, maps, covariates)
            else:
                maps = stage(maps, covariates)
        scores: Tensor = self.head(maps, covariates)
        return scores.float()

    def _scaled(self, images: Tensor) -> Tensor:
        """Scale images as the backbone's weights expect; a folded classifier takes bytes, too.

        Members of a committee scale by themselves: bytes scaled twice round to other numbers.
        """
        if self.recipe.members:
            return images
        if self.is_folded:
            return scaled_by_lines(images, mean=self.mean.flatten(), std=self.std.flatten())
        return (images - self.mean) / self.std

    def logits(self, maps: Tensor, boundary: int = 0, covariates: Tensor | None = None) -> Tensor:
        """Return logits (N, K) float32 at the natural prior."""
        return self.forward(maps, boundary, covariates) + self.prior_shift

    def answer(self, images: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Return logits (N, K) of images (N, 3, H, W), the mean over the recipe's views."""
        turned = [
            self.logits(_turned(images, view), covariates=covariates) for view in self.recipe.views
        ]
        return torch.stack(turned).mean(dim=0)

    def train_above(self, boundary: int, batchnorm: BatchNormPolicy) -> None:
        """Make what lies above a boundary trainable, and freeze the rest in evaluation mode.

        "fixed" keeps the backbone's BatchNorm statistics; the head's always follow the data.
        """
        self.eval().requires_grad_(False)
        for stage in self.stages[boundary:]:
            for module in stage.modules:
                module.train().requires_grad_(True)
                if batchnorm == "fixed":
                    _freeze_statistics(module)
        self.head.train().requires_grad_(True)

    def state_above(self, boundary: int) -> dict[str, Tensor]:
        """Return the parameters and buffers above a boundary, by name, as they live."""
        modules = [module for stage in self.stages[boundary:] for module in stage.modules]
        above = {
            id(tensor)
            for module in (*modules, self.head)
            for tensor in (*module.parameters(), *module.buffers())
        }
        return {
            name: tensor
            for name, tensor in (*self.named_parameters(), *self.named_buffers())
            if id(tensor) in above
        }

    def count_parameters(self) -> int:
        """Count as Keras does: BatchNorm's running mean and variance included."""
        modules = [module for stage in self.stages for module in stage.modules]
        return sum(count_parameters(module) for module in (*modules, self.head))

    def count_trainable(self, boundary: int) -> int:
        """Count the parameters above a boundary, as Keras does: without running statistics."""
        above = self.state_above(boundary).values()
        return sum(tensor.numel() for tensor in above if isinstance(tensor, nn.Parameter))

    def digest_below(self, boundary: int) -> str:
        """Return a function of everything that shapes the maps at a boundary."""
        scaling = self.recipe.contract.scaling
        digest = hashlib.sha256(f"{self.recipe.backbone} {scaling}".encode())
        for stage in self.stages[:boundary]:
            for module in stage.modules:
                _feed(digest, module.state_dict(prefix=f"{stage.name}."))
        return digest.hexdigest()[:32]

    def digest(self) -> str:
        """Return a function of the whole classifier: recipe and weights."""
        digest = hashlib.sha256(_spelled(self.recipe).encode())
        _feed(digest, self.state_dict())
        return digest.hexdigest()[:32]


def build_classifier(recipe: Recipe, *, seed: int) -> Classifier:
    """Build a classifier with random weights that are a function of the seed."""
    backbone = backbone_named(recipe.backbone)
    network = build_network(backbone.name, seed=seed)
    maps_shape = shape_at_head(network, recipe.contract.size_px)
    head = build_head(
        kind=recipe.head,
        maps_shape=maps_shape,
        hidden=recipe.hidden,
        dropout=recipe.dropout,
        n_classes=len(recipe.contract.diagnoses),
        generator=torch.Generator().manual_seed(seed_of("head", seed)),
        n_covariates=width_of(recipe.covariates),
    )
    classifier = Classifier(recipe, network, head)
    spare(classifier.network, in_order=len(classifier.stages) > 1)
    return classifier.to(memory_format=torch.channels_last)


def build_network(name: str, *, seed: int) -> nn.Module:
    """Build timm's network without the layers above its last maps, with random weights."""
    with generator_restored("cpu"):
        torch.default_generator.manual_seed(seed_of("backbone", seed))
        network: nn.Module = timm.create_model(name, num_classes=0)
    if type(network).__name__ == "MobileNetV3":
        for layer in _ABOVE_POOLING:
            if hasattr(network, layer):
                setattr(network, layer, nn.Identity())
    return network


def shape_at_head(network: nn.Module, size_px: int) -> tuple[int, int, int]:
    """Return (D, h, w) of the last maps for square images of this size."""
    was_training = network.training
    device = next(network.parameters()).device
    maps = torch.zeros(1, 3, size_px, size_px, device=device)
    network.eval()
    try:
        with torch.inference_mode():
            for stage in stages_of(network):
                maps = stage(maps)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"`size` must suit the backbone; got {size_px} px, of which it says: {error}. "
            "Choose the size that this network was made for."
        ) from error
    network.train(was_training)
    _, n_channels, height, width = maps.shape
    return n_channels, height, width


def count_parameters(module: nn.Module) -> int:
    """Count as Keras does: BatchNorm's running mean and variance included."""
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() for tensor in tensors if tensor.is_floating_point())


def as_numpy(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor's values as an array; bfloat16, which numpy lacks, becomes float32."""
    tensor = tensor.detach().cpu()
    values = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return np.asarray(values.numpy())


def _spelled(recipe: Recipe) -> str:
    """Spell a recipe out for its digest; what older ones lack is said only where it differs."""
    views = f" views {recipe.views}" if recipe.views != (IDENTITY,) else ""
    beside = f" covariates {recipe.covariates}" if recipe.covariates else ""
    return repr(recipe) + views + beside + "".join(map(_spelled, recipe.members))


def _turned(images: Tensor, view: int) -> Tensor:
    """Turn and mirror images (N, C, H, W) as `views.apply_view` does pixels."""
    turned = torch.rot90(images, k=view % 4, dims=(-2, -1))
    return turned.flip(-1) if view >= N_VIEWS // 2 else turned


def _freeze_statistics(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, _NORMS):
            part.eval()


def _feed(digest: Any, state: dict[str, Tensor]) -> None:
    for name, tensor in sorted(state.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
