"""Activations: those that the Forward-Forward literature adds, and those of Keras by name."""

import math

import keras
from keras import ops

from keras_ff import parts
from keras_ff.parts import registered


@registered
def relu_full_grad(x):
    """ReLU whose gradient is 1 everywhere: `f(x) = max(x, 0)`, `f'(x) = 1`.

    Silent units keep learning (Tantravahi et al. 2024). Under a squared goodness it learns exactly
    as ReLU does, because the goodness's own gradient, 2·relu(x), is zero where a unit is silent;
    the two differ under mean activity, under peer normalisation and in backpropagation.

    Args:
        x: tensor of any shape.

    Returns:
        Tensor of x's shape and dtype.

    Example:

    >>> import numpy as np
    >>> print(np.array(relu_full_grad(np.array([-1.0, 2.0], "float32"))))
    [0. 2.]
    """
    x = ops.convert_to_tensor(x)
    return x + ops.stop_gradient(ops.relu(x) - x)


@registered
def t_distribution(x, nu=10.0):
    """Negative log density of Student's t distribution.

    `f(x) = log √(νπ) + log Γ(ν/2) − log Γ((ν+1)/2) + (ν+1)/2 · log(1 + x²/ν)`, with gradient
    `(ν+1) x / (ν + x²)` (Tantravahi et al. 2024). Even, smallest at zero where it is about 0.94
    for ν = 10, and growing with the logarithm of |x|. It has an offset: center the goodness with
    `center=t_distribution(0)` or the normalisation with `"centered_length"`.

    Args:
        x: tensor of any shape.
        nu: float above 0, degrees of freedom. Defaults to `10.0`.

    Returns:
        Tensor of x's shape and dtype.

    Raises:
        ValueError: if `nu` is not above 0.

    Example:

    >>> import numpy as np
    >>> print(np.round(np.array(t_distribution(np.array([0.0], "float32"))), 4))
    [0.9439]
    """
    nu = parts.positive_number(nu, "nu")
    x = ops.convert_to_tensor(x)
    constant = 0.5 * math.log(nu * math.pi) + math.lgamma(nu / 2) - math.lgamma((nu + 1) / 2)
    return constant + (nu + 1) / 2 * ops.log1p(ops.square(x) / nu)


KNOWN = {"relu_full_grad": relu_full_grad, "t_distribution": t_distribution}


def get(identifier):
    """An activation by name, callable or configuration.

    Raises:
        ValueError: if the name is unknown; the nearest valid names are given.
    """
    if isinstance(identifier, str) and identifier in KNOWN:
        return KNOWN[identifier]
    try:
        return keras.activations.get(identifier)
    except ValueError as error:
        names = [name for name in dir(keras.activations) if name.islower() and name[0] != "_"]
        names = [name for name in names if name not in ("get", "serialize", "deserialize")]
        raise ValueError(
            f"Unknown activation: {identifier!r}. {parts.nearest(identifier, [*KNOWN, *names])} "
            f"Received: {identifier!r}"
        ) from error
