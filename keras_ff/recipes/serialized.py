"""The model that a configuration holds as a whole."""

from keras_ff.presets import loading


def read_model(config, image_shape, num_classes):
    """A new model of a serialised one, built for a dataset; ValueError where it does not fit."""
    model = loading.deserialized(config, "The model of the configuration")
    if not model.compiled:
        raise ValueError(
            "The model of a configuration must be compiled: it says by which optimizer and loss "
            f"it learns. Received: {model.name!r}, which is not"
        )
    if model.num_classes != num_classes:
        raise ValueError(
            f"The model of the configuration has {model.num_classes} classes, and the dataset has "
            f"{num_classes}. Received: num_classes={num_classes}"
        )
    if not model.built:
        model.build((None, *image_shape))
    elif tuple(model.sample_shape) != tuple(image_shape):
        raise ValueError(
            f"The model of the configuration is for samples of shape {tuple(model.sample_shape)}. "
            f"Received: samples of shape {tuple(image_shape)}"
        )
    return model
