"""Activations: those that the Forward-Forward literature adds, and those of Keras by name."""

import math

import keras
from keras import ops

from keras_ff.utils import checks, registry
from keras_ff.utils.registry import registered


@registered
def relu_full_grad(x):
    """ReLU whose gradient is 1 everywhere: `f(x) = max(x, 0)`, `f'(x) = 1`.

    Silent units keep learning (Tantravahi et al. 2024). Under a squared goodness it learns exactly
    as ReLU does, because the goodness's own gradient, 2·relu(x), is zero where a unit is silent;
    the two differ under mean activity, under peer normalisation and in backpropagation. Under mean
    activity a sample's gradient is the same for all units, whatever their activities, so that dense
    layers learn little by it.

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
    nu = checks.positive_number(nu, "nu")
    x = ops.convert_to_tensor(x)
    constant = 0.5 * math.log(nu * math.pi) + math.lgamma(nu / 2) - math.lgamma((nu + 1) / 2)
    return constant + (nu + 1) / 2 * ops.log1p(ops.square(x) / nu)


@registered
def sign(x):
    """Sign with two values: `f(x) = +1` where x ≥ 0, else `−1`.

    Its gradient is zero wherever it is defined, so learning goes by a surrogate, that of
    `clip(x, −1, 1)`: 1 where |x| ≤ 1, else 0 (the straight-through estimator; Bengio et al. 2013,
    Hubara et al. 2016). Its square is 1 whatever happens: a squared goodness needs a `center`
    other than 0; see `squares_are_constant`.

    Args:
        x: tensor of any shape, of floats.

    Returns:
        Tensor of x's shape and dtype.

    Example:

    >>> import numpy as np
    >>> print(np.array(sign(np.array([-0.3, 0.0, 2.0], "float32"))))
    [-1.  1.  1.]
    """
    x = ops.convert_to_tensor(x)
    one = ops.ones_like(x)
    return _straight_through(ops.where(x >= 0, one, -one), _within_one(x))


@registered
def step(x):
    """Step of Heaviside: `f(x) = 1` where x > 0, else `0`.

    Learns by a surrogate gradient, that of the hard sigmoid `clip((x + 1) / 2, 0, 1)`: 1/2 where
    |x| ≤ 1, else 0. So `step` learns as `(sign(x) + 1) / 2` does.

    Args:
        x: tensor of any shape, of floats.

    Returns:
        Tensor of x's shape and dtype.

    Example:

    >>> import numpy as np
    >>> print(np.array(step(np.array([-0.3, 0.0, 2.0], "float32"))))
    [0. 0. 1.]
    """
    x = ops.convert_to_tensor(x)
    return _straight_through(ops.cast(x > 0, x.dtype), 0.5 * _within_one(x))


@registered
def quantized_relu(x, step_size=0.25):
    """ReLU rounded to whole steps: `f(x) = s · round(max(x, 0) / s)`, s the `step_size`.

    Halves go to the even neighbour. There is no upper bound, as goodness is meant to grow. Learns
    by ReLU's gradient: 1 where x > 0, else 0, so that a unit still rounded to zero learns.

    Args:
        x: tensor of any shape, of floats.
        step_size: float above 0, distance of neighbouring values. Powers of two are exact in
            every dtype. Defaults to `0.25`.

    Returns:
        Tensor of x's shape and dtype.

    Raises:
        ValueError: if `step_size` is not above 0.

    Example:

    >>> import numpy as np
    >>> print(np.array(quantized_relu(np.array([-0.3, 0.1, 0.3, 2.2], "float32"))))
    [0.   0.   0.25 2.25]
    """
    step_size = checks.positive_number(step_size, "step_size")
    rectified = ops.relu(ops.convert_to_tensor(x))
    return _straight_through(step_size * ops.round(rectified / step_size), rectified)


def _straight_through(hard, surrogate):
    """`hard` to the last digit, with the gradient of `surrogate`."""
    # surrogate + stop_gradient(hard − surrogate), in an order whose only sum is with zero.
    return ops.stop_gradient(hard) + (surrogate - ops.stop_gradient(surrogate))


def _within_one(x):
    """Something whose gradient is 1 where |x| ≤ 1, ends included, and 0 elsewhere."""
    # A clip's gradient at its ends differs between backends. Not-a-number stays what it is.
    return ops.where(ops.abs(x) > 1, ops.zeros_like(x), x)


KNOWN = {
    "quantized_relu": quantized_relu,
    "relu_full_grad": relu_full_grad,
    "sign": sign,
    "step": step,
    "t_distribution": t_distribution,
}

# Activations between fixed bounds: their mean square cannot move far, so it needs a steeper loss.
_BOUNDED = {
    *("tanh", "hard_tanh", "softsign", "soft_sign", "sign"),
    *("sigmoid", "hard_sigmoid", "sparse_sigmoid", "step"),
}


def squares_are_constant(activation):
    """Whether the squares of an activation's values are the same whatever its input.

    A squared goodness without a `center` is then a constant, from which nothing can learn.

    Args:
        activation: name, callable, configuration or `None`, as for `get`.

    Returns:
        A boolean: `True` for `sign`.

    Raises:
        ValueError: if the name is unknown.

    Example:

    >>> squares_are_constant("sign"), squares_are_constant("step")
    (True, False)
    """
    return get(activation) is sign


def typical_alpha(activation):
    """The `alpha` of `SymBa` and `LabelSoftmax` that suits an activation under means of squares.

    64 for bounded activations (tanh, sigmoid, their hard and soft forms, sign, step), 16 for all
    others. Measured by this project's authors on dense MNIST and CIFAR-10 networks, one seed each:
    rectified activations (ReLU, leaky ReLU, GELU, ELU) trained well from 16 to 32, tanh from 64 to
    128, sigmoid at 64 (at 256 where centred), the t-distribution at 16. The hard, soft and step
    forms, and what is not listed, were not measured; they follow their nearest relative.

    Args:
        activation: name, callable, configuration or `None`, as for `get`. A callable is known by
            its `__name__`.

    Returns:
        A float, in units of one over goodness.

    Raises:
        ValueError: if the name is unknown.

    Example:

    >>> typical_alpha("relu"), typical_alpha("tanh")
    (16.0, 64.0)
    """
    return 64.0 if getattr(get(activation), "__name__", None) in _BOUNDED else 16.0


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
            f"Unknown activation: {identifier!r}. {registry.nearest(identifier, [*KNOWN, *names])} "
            f"Received: {identifier!r}"
        ) from error
