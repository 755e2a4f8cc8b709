"""Where an image's last maps speak for a diagnosis: each activation times its gradient, summed.

In:  last maps (N, D, h, w) of a classifier, a diagnosis each.   Out: (N, h, w) float32, signed.
Knows nothing of superpixels.
Why not the mean of the gradients [selvaraju2017]: a head that flattens its maps weighs every
place on its own, which a mean over places throws away. The product place by place keeps it
[draelos2020], and is the same map, over h · w, where a head pools.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moulage.errors import ConfigError
from moulage.networks.classifier import Classifier, as_numpy


def contribution_maps(
    classifier: Classifier,
    maps: Tensor,
    *,
    diagnoses: NDArray[np.int64],
    covariates: Tensor | None = None,
) -> NDArray[np.float32]:
    """Return what each place of the last maps adds to the logit of a diagnosis (N,).

    In a head of dense layers and ReLU the places of an image sum to its logit less what biases
    and covariates make of it. The classifier is left in evaluation mode.
    """
    _check(classifier, diagnoses)
    classifier.eval()
    with torch.inference_mode(False), torch.enable_grad():
        places = maps.detach().float().clone().requires_grad_()
        logits = classifier.logits(places, len(classifier.stages), covariates)
        asked = torch.as_tensor(diagnoses, device=logits.device)[:, None]
        (slopes,) = torch.autograd.grad(logits.gather(1, asked).sum(), places)
    return np.asarray(as_numpy((places * slopes).sum(dim=1)), dtype=np.float32)


def _check(classifier: Classifier, diagnoses: NDArray[np.int64]) -> None:
    n_classes = len(classifier.recipe.contract.diagnoses)
    if not ((diagnoses >= 0) & (diagnoses < n_classes)).all():
        raise ConfigError(
            f"`diagnoses` must lie in [0, {n_classes}); got {diagnoses.tolist()}. Choose some that "
            "the classifier knows."
        )
