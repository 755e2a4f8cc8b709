"""Pretrain the starter backbone on pictures made from formulas, and write the file that ships.

In:  nothing but a seed. Out: `moulage/networks/starter/mobilenetv2_050.starter.safetensors`.
Run: `python -m tools.pretrain_starter`, MINUTES minutes on two idle cores, to the same bits on
the same machine.
Knows nothing of casts or photographs.
Why: a newcomer without internet needs a backbone that sees more than random weights do. To name
each picture's formulas and to measure its factors, the network must see colour, border, texture
and shape (docs/decisions/starter.md).
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from moulage.files import write_bytes
from moulage.networks.machine import keep_freed_memory
from moulage.seeding import seed_of
from moulage.views import apply_view
from tools.bank import Bank, Course, batches, draw_banks, pictures_digest
from tools.procedural import FACTORS, KINDS

ARCHITECTURE = "mobilenetv2_050"
FOLDER = Path(__file__).parents[1] / "moulage/networks/starter"
STARTER = FOLDER / f"{ARCHITECTURE}.starter.safetensors"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Small pictures teach most of it cheaply; the last leg has the size that lesions are read at.
COURSES = (
    Course(size_px=64, n_pictures=11_000, n_passes=7, batch=48),
    Course(size_px=128, n_pictures=1_500, n_passes=1, batch=48),
)

_PEAK_LR, _WARM_UP, _WEIGHT_DECAY = 2e-3, 0.08, 0.02
_AVERAGE_DECAY = 0.997
_FACTOR_WEIGHT = 2.0
_REPORT_EVERY = 50


class Student(nn.Module):
    """The backbone, its maps averaged, and one linear layer that names and measures."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = timm.create_model(ARCHITECTURE, num_classes=0)
        n_outputs = sum(map(len, KINDS.values())) + len(FACTORS)
        self.answers = nn.Linear(self.backbone.num_features, n_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Answer `inputs (N, C, H, W)` with `(N, all kinds + F)`: logits, then factors."""
        return torch.as_tensor(self.answers(self.backbone(inputs)))


class Team:
    """One student seen twice: each copy takes half of a batch on a thread of its own.

    Copies share their weights' memory; only gradients and running statistics are their own.
    Why: threads that meet once a step lose little on a busy machine; threads that meet within
    every convolution stood still there.
    """

    def __init__(self) -> None:
        self.lead = Student().to(memory_format=torch.channels_last)
        self.second = copy.deepcopy(self.lead)
        self.optimizer = torch.optim.AdamW(
            self.lead.parameters(), weight_decay=_WEIGHT_DECAY, fused=True
        )
        for own, other in zip(self.lead.parameters(), self.second.parameters(), strict=True):
            other.data = own.data
        self._pool = ThreadPoolExecutor(2, initializer=_use_one_thread)

    def step(self, bank: Bank, rows: NDArray[np.int64], *, view: int, lr: float) -> float:
        """Learn from one batch; return its loss."""
        self.optimizer.param_groups[0]["lr"] = lr
        learn_half = partial(learn, bank=bank, view=view)
        losses = list(self._pool.map(learn_half, (self.lead, self.second), np.array_split(rows, 2)))
        for own, other in zip(self.lead.parameters(), self.second.parameters(), strict=True):
            assert own.grad is not None
            assert other.grad is not None
            own.grad.add_(other.grad).div_(2)
        self.optimizer.step()
        return sum(losses) / 2


def main() -> None:
    """Pretrain and write the file."""
    parser = argparse.ArgumentParser(description="Pretrain the starter backbone.")
    parser.add_argument("--out", type=Path, default=STARTER)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keep_freed_memory()
    state = pretrain(COURSES, seed=arguments.seed)
    write_bytes(arguments.out, serialise(state, courses=COURSES, seed=arguments.seed))


def pretrain(courses: Sequence[Course], *, seed: int) -> dict[str, Tensor]:
    """Train a student through the courses; return its averaged backbone's state."""
    banks = draw_banks(courses, seed=seed)
    _use_one_thread()
    torch.manual_seed(seed_of("starter", seed))
    team = Team()
    average = {name: tensor.clone() for name, tensor in team.lead.state_dict().items()}
    n_steps, step = sum(course.n_steps for course in courses), 0
    for leg, (course, bank) in enumerate(zip(courses, banks, strict=True)):
        for rows, view in batches(course, seed=seed, leg=leg):
            lr = _PEAK_LR * _height((step + 0.5) / n_steps)
            loss = team.step(bank, rows, view=view, lr=lr)
            step += 1
            _update_average(average, team.lead, step)
            _report(step, n_steps, loss)
    return {
        name.removeprefix("backbone."): tensor
        for name, tensor in average.items()
        if name.startswith("backbone.")
    }


def learn(student: Student, rows: NDArray[np.int64], *, bank: Bank, view: int) -> float:
    """Leave the gradients of some rows' loss in the student; return the loss."""
    student.zero_grad()
    answers = student(_inputs(bank.pixels[rows], view))
    loss = _loss(answers, torch.from_numpy(bank.kinds[rows]), torch.from_numpy(bank.factors[rows]))
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def serialise(state: dict[str, Tensor], *, courses: Sequence[Course], seed: int) -> bytes:
    """Write the state as safetensors: float16 weights, float32 statistics, and its origin."""
    tensors = {name: _compact(name, tensor).contiguous() for name, tensor in state.items()}
    origin = {
        "architecture": ARCHITECTURE,
        "licence": "Apache-2.0",
        "mean": ",".join(map(str, MEAN)),
        "std": ",".join(map(str, STD)),
        "made_by": "python -m tools.pretrain_starter",
        "made_of": "pictures drawn from formulas; no photograph, no data set, no other weights",
        "task": "name the formulas of each picture and measure its factors",
        "courses": "; ".join(map(str, courses)),
        "seed": str(seed),
        "pictures_digest": pictures_digest(seed),
        "versions": f"torch {torch.__version__}, timm {timm.__version__}, numpy {np.__version__}",
    }
    return _in_order(save(tensors, metadata=origin))


def _use_one_thread() -> None:
    torch.set_num_threads(1)


def _inputs(pixels: NDArray[np.uint8], view: int) -> Tensor:
    turned = np.ascontiguousarray(apply_view(pixels, view))
    images = torch.from_numpy(turned).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return (images - mean[:, None, None]) / std[:, None, None]


def _loss(answers: Tensor, kinds: Tensor, factors: Tensor) -> Tensor:
    """Add the cross-entropy of each slot and the mean square of the factors that have a meaning."""
    sizes = [len(names) for names in KINDS.values()]
    *logits, measured = torch.split(answers, [*sizes, len(FACTORS)], dim=1)
    named = [functional.cross_entropy(logits[i], kinds[:, i]) for i in range(len(sizes))]
    is_known = ~factors.isnan()
    residuals = (measured - factors.nan_to_num())[is_known]
    return torch.stack(named).sum() + _FACTOR_WEIGHT * residuals.square().mean()


def _height(share: float) -> float:
    """Climb to 1 in a straight line, come down along a cosine."""
    if share < _WARM_UP:
        return share / _WARM_UP
    return 0.5 + 0.5 * float(np.cos(np.pi * (share - _WARM_UP) / (1 - _WARM_UP)))


def _update_average(average: dict[str, Tensor], student: Student, step: int) -> None:
    """Move the average of weights and running statistics; young averages move faster."""
    pace = max(1 - _AVERAGE_DECAY, 1 / (step + 1))
    for name, tensor in student.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, pace)
        else:
            average[name].copy_(tensor)


def _compact(name: str, tensor: Tensor) -> Tensor:
    is_statistic = "running_" in name or not tensor.is_floating_point()
    return tensor if is_statistic else tensor.half()


def _in_order(content: bytes) -> bytes:
    """Sort the header's keys: the library writes the metadata in any order."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    padded = text + b" " * (-len(text) % 8)
    return len(padded).to_bytes(8, "little") + padded + content[end:]


def _report(step: int, n_steps: int, loss: float) -> None:
    if step % _REPORT_EVERY == 0 or step == n_steps:
        now = time.strftime("%H:%M:%S")
        sys.stderr.write(f"{now} step {step}/{n_steps} loss {loss:.3f}\n")


if __name__ == "__main__":
    main()
