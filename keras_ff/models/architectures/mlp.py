"""A multilayer perceptron."""

from keras_ff.layers import FFDense
from keras_ff.models.architectures.ready import layer_arguments, model_of


def mlp(
    units=(500, 500, 500),
    num_classes=10,
    activation="relu",
    class_groups=False,
    dropout=0.0,
    **kwargs,
):
    """Dense layers, each with a goodness and a loss of its own.

    Contrastive as in Hinton (2022): the label is appended to the sample, wrong labels are the
    negatives, and layers are length-normalised. As class groups there are no negatives and one pass
    scores a sample: the units of every layer are divided among the classes, the mean activity of a
    group times 10 is its class's logit, and the outputs are centered and length-normalised.

    Args:
        units: tuple of integers, width of each layer; multiples of `num_classes` for class groups.
            Defaults to `(500, 500, 500)`.
        num_classes: integer. Defaults to `10`.
        activation: name or callable. Defaults to `"relu"`.
        class_groups: boolean. Defaults to `False`.
        dropout: float in [0, 1), share of the activities dropped in training. Defaults to `0.0`.
        **kwargs: as for `keras_ff.FFModel`: `label_embedding`, `negatives`, `layer_schedule` (here
            `"simultaneous"` by default), `readout`, `name`, ...

    Returns:
        A `keras_ff.FFModel`, not compiled, for samples of any shape.

    Raises:
        ValueError: as for `FFDense` and `FFModel`; when built, where the classes do not divide a
            width.

    Example:

    >>> from keras_ff import models
    >>> model = models.mlp(units=(40, 20), class_groups=True)
    >>> model.compile(optimizer="adam", metrics=["accuracy"])
    >>> history = model.fit(np.random.rand(32, 8, 8, 1), np.arange(32) % 10, verbose=0)
    """
    family = layer_arguments(class_groups, normalization="centered_length")
    layers = [FFDense(width, activation=activation, dropout=dropout, **family) for width in units]
    return model_of(layers, num_classes, class_groups, "append", kwargs)
