"""Convolutional blocks under batch normalisation, with few dense layers behind them."""

import keras

from keras_ff import readouts
from keras_ff.layers import FFDense, FFLayer, FFResidual, PeerNormalization
from keras_ff.models.architectures.ready import model_of
from keras_ff.utils import checks

# How often the blocks halve the image between them.
HALVINGS = 3


def local_receptive_field(
    blocks=None,
    filters=64,
    kernel_size=None,
    units=None,
    num_classes=10,
    activation="relu",
    dropout=0.1,
    residual=False,
    **kwargs,
):
    """The local receptive field network of Tantravahi et al. (2024).

    Blocks of convolution → batch normalisation → activation → average pooling, dense layers with
    peer normalisation and dropout, and a linear head on the last of them. Contrastive; goodness is
    measured before the pooling, which stands between the layers.

    The published nine blocks with dense layers of 64 and 32 have 893,738 trainable parameters,
    and so has this one for images of 32 × 32 × 3: convolutions with padding and biases, scale and
    offset in batch normalisation, biases in the dense layers and the head, no input for the
    label, and 4 · 4 · 64 features for the first dense layer. Three of the nine poolings, every
    third, therefore halve the image; the others have a stride of one. (Nine halvings would leave
    64 features and 832,298 parameters.) The head sees the last dense layer alone; in short
    trainings the goodness of all layers, `readout="goodness"`, scores better.

    The label is a wave over the image, which convolutions see everywhere; the source writes it
    over the first pixels, which is `label_embedding="overlay"` here, and has as many parameters.

    Args:
        blocks: integer, number of convolutional blocks; with more than three, three of them halve
            the image. Defaults to `None`: 9, and 4 with `residual`.
        filters: integer, channels of every convolution. Defaults to `64`.
        kernel_size: integer or pair of them, size of the receptive fields. Defaults to `None`: 5,
            and 3 with `residual`, as in the source.
        units: tuple of integers, width of each dense layer. Defaults to `None`: `(64, 32)`, and
            `(128, 256, 512)` with `residual`.
        num_classes: integer. Defaults to `10`.
        activation: name or callable. Defaults to `"relu"`.
        dropout: float in [0, 1), share of the dense activities dropped in training; the source
            does not say. Defaults to `0.1`.
        residual: boolean. Whether each block but the first returns the sum of its inputs and its
            activities, the source's second variant. Defaults to `False`.
        **kwargs: as for `keras_ff.FFModel`: `label_embedding`, `negatives`, `layer_schedule` (here
            `"simultaneous"` by default), `readout`, `name`, ...

    Returns:
        A `keras_ff.FFModel`, not compiled, for images of shape (height, width, channels).

    Raises:
        ValueError: if `blocks` is not an integer above 0, or as for `FFLayer`, `FFDense` and
            `FFModel`.

    Example:

    >>> from keras_ff import models
    >>> model = models.local_receptive_field()
    >>> model.build((None, 32, 32, 3))
    >>> sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    893738
    """
    blocks = checks.whole_number((4 if residual else 9) if blocks is None else blocks, "blocks")
    if kernel_size is None:
        kernel_size = 3 if residual else 5
    if units is None:
        units = (128, 256, 512) if residual else (64, 32)
    layers = []
    for index in range(blocks):
        convolution = keras.Sequential(
            [
                keras.layers.Conv2D(filters, kernel_size, padding="same"),
                keras.layers.BatchNormalization(),
            ],
            name="convolution",
        )
        kind = FFResidual if residual and index else FFLayer
        layers.append(kind(convolution, activation=activation))
        halves = (index + 1) * HALVINGS // blocks > index * HALVINGS // blocks
        layers.append(keras.layers.AveragePooling2D(2, 2 if halves else 1, padding="same"))
    layers += [
        FFDense(width, activation=activation, dropout=dropout, auxiliary=PeerNormalization())
        for width in units
    ]
    kwargs = {"readout": readouts.Softmax(layers=[-1]), **kwargs}
    return model_of(layers, num_classes, False, "spatial_pattern", kwargs)
