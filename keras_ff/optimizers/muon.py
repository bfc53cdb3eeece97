"""Muon: matrices move by orthogonal updates, kernels of convolutions among them."""

import math
import re

import keras
from keras import ops

from keras_ff.utils import checks
from keras_ff.utils.registry import registered

# The heads of auxiliary terms, of `LocalClassifier` and of the softmax readout.
HEADS = (r"\bhead/",)


@registered
class Muon(keras.optimizers.Muon):
    """Muon for convolutions too: each kernel is a matrix, and its update an orthogonal one.

    `M ← momentum · M + G`, `W ← W − rate · rms_rate · √max(n, m) · orthogonal(G + momentum · M)`,
    where `orthogonal(U S Vᵀ) ≈ U Vᵀ`, by the quintic Newton–Schulz iteration
    `X ← aX + b(XXᵀ)X + c(XXᵀ)²X` from `X = M / ‖M‖` on (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon/). All singular values of an update are near 1, so
    that a layer learns in every direction alike. With `rms_rate=0.2` the entries of an update
    have the size of Adam's, and rates for Adam fit (Liu et al. 2025,
    https://arxiv.org/abs/2502.16982).

    `keras.optimizers.Muon`, which this extends, hands all that is not two-dimensional to AdamW.
    Here that depends on the number of axes:

    | axes | update |
    |---|---|
    | 0, 1 | AdamW: biases, scales, thresholds |
    | 2 | of an n × m matrix |
    | 3 | AdamW: attention's kernels, whose axes are divided into heads, label maps, `Conv1D` |
    | 4, 5 | of a (height · width · in) × out matrix, as if patches met a dense layer |

    A matrix of one row or column, such as a depthwise convolution's, is a vector, and goes to
    AdamW. A kernel of `LocallyConnected2D` is one matrix, of (rows · columns · patch) × filters:
    the filters of all positions together become orthogonal.

    An iteration multiplies matrices of the kernel's size: with k the lesser of n and m about
    `4nmk + 2k³` operations, whatever the batch. Convolutions hardly notice: an update of a
    3 × 3 × 160 × 160 kernel takes 8 ms on two cores. One of a dense layer of 1000 × 1000 takes
    230 ms, many times the rest of its step at usual batch sizes.

    Args:
        learning_rate: float or a `keras.optimizers.schedules.LearningRateSchedule`. Defaults to
            `0.001`.
        ns_steps: integer of at least 1, Newton–Schulz iterations. Defaults to `3`, as in fast
            backpropagation on CIFAR-10 (https://github.com/KellerJordan/cifar10-airbench).
            Keras's 5 bring lesser singular values closer to 1.
        exclude_layers: list of regular expressions, searched in the paths of variables: what they
            find goes to AdamW. Defaults to heads, `[r"\\bhead/"]`; `[]` for none. The beginning
            of a path, the model's name, may change when it is loaded.
        **kwargs: as for `keras.optimizers.Muon`, with its defaults: `momentum=0.95`,
            `nesterov=True`, `weight_decay=0.004`, `rms_rate=0.2` (`None`: the update as it is),
            and for AdamW `adam_lr_ratio=1`, `adam_beta_1=0.9`, `adam_beta_2=0.999`,
            `adam_weight_decay=0.004`; and what all Keras optimizers take, such as `clipnorm`
            and `use_ema`.

    Raises:
        ValueError: if `ns_steps` is not an integer above 0, or `exclude_layers` no list of
            strings.

    Example:

    >>> import keras, numpy as np
    >>> kernel = keras.Variable(np.zeros((3, 3, 4, 8), "float32"))
    >>> gradient = keras.random.normal((3, 3, 4, 8), seed=1)
    >>> Muon(learning_rate=1.0, rms_rate=None).apply([gradient], [kernel])
    >>> matrix = keras.ops.convert_to_numpy(kernel).reshape(36, 8)
    >>> singular_values = np.linalg.svd(matrix, compute_uv=False)
    >>> bool(0.6 < singular_values.min() and singular_values.max() < 1.3)
    True
    >>> layer = keras_ff.layers.FFConv2D(8, optimizer=Muon(0.002, momentum=0.9))
    """

    def __init__(self, learning_rate=0.001, ns_steps=3, exclude_layers=HEADS, **kwargs):
        ns_steps = checks.whole_number(ns_steps, "ns_steps")
        listed = isinstance(exclude_layers, (list, tuple))
        if not listed or not all(isinstance(one, str) for one in exclude_layers):
            raise ValueError(
                "`exclude_layers` must be a list of regular expressions, such as ['head']. "
                f"Received: exclude_layers={exclude_layers!r}"
            )
        super().__init__(
            learning_rate, ns_steps=ns_steps, exclude_layers=list(exclude_layers), **kwargs
        )

    def _should_use_adamw(self, variable):
        if len(variable.shape) not in (2, 4, 5) or min(_matrix_shape(variable)) == 1:
            return True
        path = variable.path
        embeds = self.exclude_embeddings and "embedding" in path.lower()
        return embeds or any(re.search(pattern, path) for pattern in self.exclude_layers)

    def zeropower_via_newtonschulz5(self, x, steps):
        """The orthogonal matrix near a gradient or momentum, in its shape; taken in float32."""
        matrix = ops.reshape(ops.cast(x, "float32"), _matrix_shape(x))
        orthogonal = super().zeropower_via_newtonschulz5(matrix, steps)
        return ops.cast(ops.reshape(orthogonal, x.shape), x.dtype)

    def lr_adjust(self, x):
        """An update scaled to the size of Adam's, by the longer side of its matrix."""
        if self.rms_rate is None:
            return x
        return x * (self.rms_rate * math.sqrt(max(_matrix_shape(x))))


def _matrix_shape(tensor):
    """Rows and columns of a kernel as a matrix: the last axis holds its outputs."""
    return math.prod(tensor.shape[:-1]), tensor.shape[-1]
