"""Activation functions, and the gradients by which they learn."""

import numpy as np
from keras import ops

from keras_ff import activations, backends
from keras_ff.visualization import style

SHOWN = ("relu", "leaky_relu", "gelu", "tanh", "sigmoid", *sorted(activations.KNOWN))
COLUMNS = 3
LOWEST, HIGHEST, POINTS = -3.0, 3.0, 601


def activation_functions(names=SHOWN):
    """Activation functions and their gradients.

    Where a gradient is of no use, as that of `"sign"`, the surrogate by which it learns is shown.

    Args:
        names: list of names or callables, as for `keras_ff.activations.get`. Defaults to ReLU,
            leaky ReLU, GELU, tanh, sigmoid and those of keras_ff.

    Returns:
        A `matplotlib.figure.Figure` with axes for each activation.

    Raises:
        ValueError: if a name is unknown, or there are none.

    Example:

    >>> figure = activation_functions(["relu", "relu_full_grad"])
    >>> [axes.get_title() for axes in figure.axes]
    ['relu', 'relu_full_grad']
    """
    chosen = [activations.get(name) for name in names]
    if not chosen:
        raise ValueError("There is nothing to draw. Received: no names")
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = style.new_figure(max(5.0, 3.4 * columns), 1.0 + 2.5 * rows)
    every = style.grid(figure, len(chosen), columns)
    for index, (activation, axes) in enumerate(zip(chosen, every, strict=True)):
        points, values, gradient = curve(activation)
        axes.plot(points, values, color=style.COLORS[0], linewidth=2, label="activation f(x)")
        axes.plot(
            points,
            gradient,
            color=style.COLORS[1],
            linestyle="--",
            label="gradient f′(x) that learning uses",
        )
        axes.set_title(activation.__name__)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.axvline(0, color="black", linewidth=0.6)
        axes.grid(alpha=0.3)
        if index + columns >= len(chosen):
            axes.set_xlabel("x (no unit)")
        if index % columns == 0:
            axes.set_ylabel("value (no unit)")
    figure.suptitle("Activations and their gradients")
    style.figure_legend(figure, every[0])
    return figure


def curve(activation):
    """Points, values and gradients of an activation: three float32 arrays."""
    points = np.linspace(LOWEST, HIGHEST, POINTS, dtype="float32")
    tensor = ops.convert_to_tensor(points)
    gradient = backends.input_gradient(activation, tensor)
    return points, ops.convert_to_numpy(activation(tensor)), ops.convert_to_numpy(gradient)
