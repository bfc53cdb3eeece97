"""The model that a configuration holds as a whole."""

import keras

from keras_ff.models import FFModel


def read_model(config, image_shape, num_classes):
    """A new model of a serialised one, built for a dataset.

    Args:
        config: dictionary, as of `keras.saving.serialize_keras_object` of a compiled `FFModel`.
        image_shape: tuple, shape of a sample.
        num_classes: integer.

    Raises:
        ValueError: if it is no compiled `FFModel`, or one for other samples or classes.
    """
    try:
        model = keras.saving.deserialize_keras_object(config)
    # What a configuration by another version leads to inside Keras is of any kind.
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"The model of the configuration cannot be read: {str(error).splitlines()[0]}."
        ) from error
    if not isinstance(model, FFModel) or not model.compiled:
        raise ValueError(
            "The model of a configuration must be a compiled FFModel. "
            f"Received: {getattr(model, 'name', model)!r} of type {type(model).__name__}"
        )
    if model.num_classes != num_classes:
        raise ValueError(
            f"The model of the configuration tells {model.num_classes} classes apart, and the "
            f"dataset has {num_classes}. Received: num_classes={num_classes}"
        )
    if not model.built:
        model.build((None, *image_shape))
    elif tuple(model.sample_shape) != tuple(image_shape):
        raise ValueError(
            f"The model of the configuration is for samples of shape {tuple(model.sample_shape)}. "
            f"Received: samples of shape {tuple(image_shape)}"
        )
    return model
