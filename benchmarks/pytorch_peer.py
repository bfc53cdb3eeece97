"""Seconds to an accuracy on MNIST of a PyTorch implementation of Forward-Forward.

The implementation is loeweX's, run from a clone as it is, on the CPU, with the settings of its
`config.yaml` (3 x 1000 units, batches of 100, 100 epochs). It is asked after every epoch for the
accuracy on its 10,000 validation images. The clock runs as in `keras-ff bench accuracy`: from the
first step, validation included.

    git clone https://github.com/loeweX/Forward-Forward
    python -m pip install torch omegaconf
    python benchmarks/pytorch_peer.py Forward-Forward

MNIST comes from TFDS, by a stand-in for the one class of torchvision that the implementation uses.
Each seed prints a line of JSON when it ends, at the accuracy or after `--minutes`.
"""

import argparse
import json
import pathlib
import random
import sys
import time
import types

import numpy as np
import torch
from omegaconf import OmegaConf


class MNIST(torch.utils.data.Dataset):
    """What the implementation asks of torchvision's class: images as tensors, with their labels."""

    def __init__(self, root, train=True, **ignored):
        import tensorflow_datasets as tfds

        data = tfds.as_numpy(tfds.load("mnist", split="train" if train else "test", batch_size=-1))
        self.images = torch.from_numpy(data["image"].transpose(0, 3, 1, 2)).float() / 255
        self.labels = data["label"].tolist()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index].clone(), self.labels[index]


def implementation(folder):
    """The module `src.utils` of the clone, with stand-ins for what it imports for data alone."""
    datasets = types.SimpleNamespace(MNIST=MNIST)
    transforms = types.SimpleNamespace(ToTensor=lambda: None)
    for name, attributes in (
        ("torchvision", {"datasets": datasets, "transforms": transforms}),
        ("hydra", {}),
        ("hydra.utils", {"get_original_cwd": lambda: str(folder)}),
    ):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(attributes)
    sys.path.insert(0, str(folder))
    from src import utils

    return utils


def settings(folder, seed):
    """The implementation's own settings, on the CPU."""
    options = OmegaConf.load(folder / "config.yaml")
    options.device, options.seed = "cpu", seed
    return options


def accuracy(peer, options, model, data):
    """The share of validation images that its linear classifier tells right."""
    model.eval()
    with torch.no_grad():
        shares = [
            float(
                model.forward_downstream_classification_model(
                    *peer.preprocess_inputs(options, *batch)
                )["classification_accuracy"]
            )
            for batch in data
        ]
    model.train()
    return float(np.mean(shares))


def timed(peer, options, target, minutes):
    """Train until the target or the end of the minutes; what happened, as a dictionary."""
    for seed in (np.random.seed, torch.manual_seed, random.seed):
        seed(options.seed)
    model, optimizer = peer.get_model_and_optimizer(options)
    train, validation = (peer.get_data(options, part) for part in ("train", "val"))
    found, reached = [], None
    start = time.perf_counter()
    for epoch in range(options.training.epochs):
        optimizer = peer.update_learning_rate(optimizer, options, epoch)
        for batch in train:
            inputs, labels = peer.preprocess_inputs(options, *batch)
            optimizer.zero_grad()
            model(inputs, labels)["Loss"].backward()
            optimizer.step()
        found.append(accuracy(peer, options, model, validation))
        seconds = time.perf_counter() - start
        print(f"epoch {epoch + 1}: {found[-1]:.4f} after {seconds:.0f} s", file=sys.stderr)
        if found[-1] >= target:
            reached = seconds
        if reached or seconds >= 60 * minutes:
            break
    return {
        "seed": options.seed,
        "seconds": reached,
        "epochs": len(found),
        "trained_seconds": seconds,
        "best_accuracy": max(found),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="the clone")
    parser.add_argument("--rounds", type=int, default=5, help="seeds 0 to N - 1 (default: 5)")
    parser.add_argument("--accuracy", type=float, default=0.98, help="(default: 0.98)")
    parser.add_argument("--minutes", type=float, default=20, help="(default: 20)")
    words = parser.parse_args()
    peer = implementation(words.folder.resolve())
    for seed in range(words.rounds):
        options = settings(words.folder, seed)
        print(json.dumps(timed(peer, options, words.accuracy, words.minutes)), flush=True)


if __name__ == "__main__":
    main()
