import json
from pathlib import Path

import numpy as np
import pytest
import torch

from moulage.errors import RunError
from moulage.networks.classifier import Classifier
from moulage.networks.saved import Saved, load_classifier, save_classifier


@pytest.fixture
def folder(classifier: Classifier, tmp_path: Path) -> Path:
    """Return a folder that holds a classifier with a prior shift."""
    classifier.set_prior_shift(np.array([0.5, -0.5, 0.0]))
    saved = Saved(
        classifier=classifier,
        prior=np.array([0.2, 0.7, 0.1]),
        temperature=1.25,
        weights_source="here",
        licence="Apache-2.0",
    )
    save_classifier(saved, tmp_path)
    return tmp_path


def test_a_classifier_comes_back_bit_for_bit(classifier: Classifier, folder: Path) -> None:
    saved = load_classifier(folder)
    images = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(42))
    with torch.inference_mode():
        assert torch.equal(saved.classifier.logits(images), classifier.logits(images))
    assert saved.classifier.recipe == classifier.recipe
    assert (saved.prior.tolist(), saved.temperature) == ([0.2, 0.7, 0.1], 1.25)
    assert (saved.weights_source, saved.licence) == ("here", "Apache-2.0")
    assert not saved.classifier.training


def test_a_truncated_file_is_refused(folder: Path) -> None:
    path = folder / "classifier.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RunError, match="must hold the weights of its contract"):
        load_classifier(folder)


def test_weights_of_another_run_are_refused(folder: Path) -> None:
    contract = json.loads((folder / "classifier.json").read_text())
    contract["digest"] = "0" * 32
    (folder / "classifier.json").write_text(json.dumps(contract))
    with pytest.raises(RunError, match=r"must have the digest 0+ of its contract"):
        load_classifier(folder)


def test_a_changed_contract_is_refused(folder: Path) -> None:
    contract = json.loads((folder / "classifier.json").read_text())
    contract["recipe"]["contract"]["diagnoses"] = ["nv", "mel", "bcc"]
    (folder / "classifier.json").write_text(json.dumps(contract))
    with pytest.raises(RunError, match="Copy both files from the same run"):
        load_classifier(folder)


@pytest.mark.parametrize("text", ["{}", '{"digest": "0"}'])
def test_a_contract_that_lacks_something_is_refused(folder: Path, text: str) -> None:
    (folder / "classifier.json").write_text(text)
    with pytest.raises(RunError, match=r"contract must be whole; got no "):
        load_classifier(folder)


def test_an_unfinished_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"got no readable `.*classifier\.json`"):
        load_classifier(tmp_path)
