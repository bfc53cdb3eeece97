"""A small convolutional network."""

import keras

from keras_ff.models.architectures.ready import convolutions, layer_arguments, model_of


def cnn(
    filters=(40, (80, 80), (160, 160)),
    num_classes=10,
    activation="relu",
    class_groups=True,
    dropout=0.0,
    **kwargs,
):
    """Convolutions of 3 × 3 in blocks, with average pooling that halves the image between them.

    As class groups (Papachristodoulou et al. 2024; Sun et al. 2025) the channels of every layer
    are divided among the classes, there are no negatives and one pass scores a sample; every
    class's group is normalised by itself. On images of 28 × 28 the default takes 34 million
    multiplications per sample. The contrastive one has length normalisation and the label as a wave
    over the image, which a convolution sees everywhere.

    Args:
        filters: tuple with an entry per block, an integer or a tuple of integers: the channels of
            its layers; multiples of `num_classes` for class groups. Defaults to
            `(40, (80, 80), (160, 160))`.
        num_classes: integer. Defaults to `10`.
        activation: name or callable. Defaults to `"relu"`.
        class_groups: boolean. Defaults to `True`.
        dropout: float in [0, 1), share of the activities dropped in training. Defaults to `0.0`.
        **kwargs: as for `keras_ff.FFModel`: `layer_schedule` (here `"simultaneous"` by default),
            `readout`, `name`, ... and for the contrastive one `label_embedding` (here
            `"spatial_pattern"` by default; `"label_map"` learns) and `negatives`.

    Returns:
        A `keras_ff.FFModel`, not compiled, for images of shape (height, width, channels).

    Raises:
        ValueError: as for `FFConv2D` and `FFModel`; when built, where the classes do not divide
            the channels, or the images are too small to be halved between all blocks.

    Example:

    >>> from keras_ff import models
    >>> model = models.cnn(filters=(10, (20, 20)))
    >>> model.compile(optimizer="adam", metrics=["accuracy"])
    >>> history = model.fit(np.random.rand(32, 8, 8, 1), np.arange(32) % 10, verbose=0)
    """
    layers = convolutions(
        filters,
        keras.layers.AveragePooling2D,
        activation=activation,
        dropout=dropout,
        kernel_initializer="he_normal",
        **layer_arguments(class_groups),
    )
    return model_of(layers, num_classes, class_groups, "spatial_pattern", kwargs)
