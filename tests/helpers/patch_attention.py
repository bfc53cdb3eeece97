"""Attention among patches, written out in numpy."""

import numpy as np
from keras.ops import convert_to_numpy


def cut_by_hand(images, size):
    """Patches, one after the other."""
    images = np.asarray(images)
    corners = [
        (top, left)
        for top in range(0, images.shape[1], size)
        for left in range(0, images.shape[2], size)
    ]
    return np.stack(
        [
            images[:, top : top + size, left : left + size].reshape(len(images), -1)
            for top, left in corners
        ],
        axis=1,
    )


def by_hand(x, layer):
    """The whole layer in float64, head by head."""
    weights = {
        weight.path.split(f"{layer.name}/")[-1]: convert_to_numpy(weight).astype("float64")
        for weight in layer.weights
    }
    tokens = np.asarray(x, "float64")
    if tokens.ndim == 4:
        tokens = cut_by_hand(tokens, layer.patch_size)
    embedded = tokens @ weights["projection/kernel"] + weights["positions"]
    attended = np.zeros_like(embedded)
    for head in range(layer.num_heads):
        query, key, value = (
            embedded @ weights[f"attention/{name}/kernel"][:, head]
            for name in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.sqrt(layer.key_dim)
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        attended += shares @ value @ weights["attention/attention_output/kernel"][head]
    return (embedded + attended) @ weights["dense/kernel"] + weights["dense/bias"]
