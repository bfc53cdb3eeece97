"""A recurrent network whose layers have inputs from above and below."""

from keras_ff.models.recurrent_dense import RecurrentDense
from keras_ff.models.recurrent_ff_model import RecurrentFFModel


def recurrent(
    units=(500, 500, 500),
    num_classes=10,
    activation="relu",
    iterations=8,
    scored=(3, 4, 5),
    damping=0.3,
    dropout=0.0,
    **kwargs,
):
    """The recurrent network with top-down connections of Hinton (2022, §3.4).

    See `keras_ff.models.RecurrentFFModel` for how it works.

    Args:
        units: tuple of integers, width of each hidden layer. Defaults to `(500, 500, 500)`.
        num_classes: integer. Defaults to `10`.
        activation: name or callable. Defaults to `"relu"`.
        iterations, scored: as for `RecurrentFFModel`.
        damping: float in [0, 1), share of its old activities that a layer keeps. Defaults to `0.3`.
        dropout: float in [0, 1), share of the activities dropped in training. Defaults to `0.0`.
        **kwargs: as for `RecurrentFFModel`: `negatives`, `readout`, `name`, ...

    Returns:
        A `keras_ff.models.RecurrentFFModel`, not compiled, for samples of any shape.

    Raises:
        ValueError: as for `FFDense` and `RecurrentFFModel`.

    Example:

    >>> from keras_ff import models
    >>> model = models.recurrent(units=(20, 20))
    >>> model.compile(optimizer="adam", metrics=["accuracy"])
    >>> history = model.fit(np.random.rand(32, 8, 8, 1), np.arange(32) % 10, verbose=0)
    """
    layers = [
        RecurrentDense(width, activation=activation, damping=damping, dropout=dropout)
        for width in units
    ]
    return RecurrentFFModel(layers, num_classes, iterations=iterations, scored=scored, **kwargs)
