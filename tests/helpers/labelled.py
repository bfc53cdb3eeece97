"""Samples of very different energies, with labels."""

import numpy as np


def uneven(shape, samples=6, seed=1):
    """Samples of very different energies, and a label for each."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, *shape)) * np.logspace(-2, 2, samples).reshape(
        (samples,) + (1,) * len(shape)
    )
    return x.astype("float32")


def drawn_labels(classes, samples=6, seed=2):
    return np.random.default_rng(seed).integers(0, classes, samples)


def energy(rows):
    return np.sum(np.asarray(rows, "float64") ** 2, axis=1)


def in_float64(x):
    """Images as (batch, height, width, channels)."""
    return np.asarray(x, "float64").reshape(*x.shape[:3], -1)
