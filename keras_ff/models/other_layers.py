"""The Keras layers that stand among FF layers: what they draw, what they learn, what is refused."""

import keras

from keras_ff.utils import keras_internals

# What they drop is dropped for the layer behind them, while that learns.
REGULARIZERS = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)
NEED_TEXT = (keras.layers.TextVectorization, keras.layers.StringLookup)
VOCABULARIES = (*NEED_TEXT, keras.layers.IntegerLookup)
# They look up in tables of TensorFlow, which no other backend's step can hold.
TENSORFLOW_LAYERS = (*VOCABULARIES, keras.layers.Hashing, keras.layers.HashedCrossing)
# They take numbers of entries, of which nothing else may be made before.
TABLES = (
    *TENSORFLOW_LAYERS,
    keras.layers.Embedding,
    keras.layers.CategoryEncoding,
    keras.layers.Discretization,
)
CROPPINGS = (keras.layers.Cropping1D, keras.layers.Cropping2D, keras.layers.Cropping3D)
SAMPLES_ONLY = (keras.layers.Embedding, *CROPPINGS)
# They mix samples of several classes.
MIXERS = (keras.layers.MixUp, keras.layers.CutMix)


def augments(layer):
    """Whether a layer varies samples at random: in every training step, whoever learns."""
    return any(
        keras_internals.draws(part) and not isinstance(part, REGULARIZERS)
        for part in keras_internals.parts(layer)
    )


def takes_text(layers):
    """Whether one of the layers can make numbers of text."""
    return needs_text(layers) or _holds(layers, keras.layers.Hashing)


def needs_text(layers):
    """Whether one of the layers takes nothing but text."""
    return _holds(layers, NEED_TEXT)


def _holds(layers, kinds):
    return any(isinstance(part, kinds) for layer in layers for part in keras_internals.parts(layer))


def freeze(layer):
    """Let a layer learn nothing, unless it is the statistics of a batch normalisation."""
    if any(
        isinstance(part, keras.layers.BatchNormalization) and part.trainable
        for part in keras_internals.parts(layer)
    ):
        for variable in layer.trainable_variables:
            variable.trainable = False
    else:
        layer.trainable = False


def check(layer):
    """Raise ValueError where a Keras layer cannot stand among FF layers."""
    for part in keras_internals.parts(layer):
        if isinstance(part, MIXERS):
            raise ValueError(
                f"{type(part).__name__} mixes samples of different classes, and their labels with "
                "them, which no layer of a model sees: apply it in the dataset, to samples of one "
                f"class at a time. Received: {part.name!r} among `layers`"
            )
        if isinstance(part, keras.layers.RandomCrop):
            raise ValueError(
                "RandomCrop crops in training and leaves samples as they are in scoring, so that "
                "they would have two sizes: use RandomTranslation or RandomZoom, or crop in the "
                f"dataset. Received: {part.name!r} among `layers`"
            )
        if isinstance(part, TENSORFLOW_LAYERS) and keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"{type(part).__name__} looks up in tables of TensorFlow, which a step of "
                f"{keras.backend.backend()} cannot hold: apply it in the dataset, "
                "dataset.map(lambda x, y: (layer(x), y)). "
                f"Received: {part.name!r} among `layers`"
            )


def serialized(layer):
    """Configuration of a layer, with the vocabulary that it was adapted to.

    Keras writes that into `.keras` files alone, where presets and copies hold configurations and
    weights.
    """
    config = keras.saving.serialize_keras_object(layer)
    _add_vocabularies(layer, config["config"])
    return config


def _add_vocabularies(layer, config):
    if isinstance(layer, VOCABULARIES):
        # Weights of documents' frequencies would have to go with it.
        unknown = config.get("vocabulary") is None and config.get("output_mode") != "tf_idf"
        words = layer.get_vocabulary(include_special_tokens=False) if unknown else []
        if words:
            whole = isinstance(layer, keras.layers.IntegerLookup)
            config["vocabulary"] = [int(word) if whole else str(word) for word in words]
    inner = {each.name: each for each in getattr(layer, "layers", [])}
    for of_inner in config.get("layers", []):
        name = of_inner["config"].get("name")
        if name in inner:
            _add_vocabularies(inner[name], of_inner["config"])


def check_transforms(ff_layers, has_label):
    """Raise ValueError where an FF layer holds what should stand before it.

    Args:
        ff_layers: list of the FF layers of a model.
        has_label: boolean. Whether the first one gets samples with their label in them.
    """
    for index, layer in enumerate(ff_layers):
        for part in keras_internals.parts(layer.transform):
            is_preprocessing = keras_internals.is_preprocessing(part)
            if index == 0 and has_label and (is_preprocessing or isinstance(part, SAMPLES_ONLY)):
                why = "would change samples that have their label in them already"
            elif index == 0 and layer.normalization is not None and isinstance(part, TABLES):
                why = "would look up numbers that are normalised already"
            elif is_preprocessing and augments(part):
                why = "would stop varying samples as soon as the FF layer has learned"
            else:
                continue
            name = type(part).__name__
            raise ValueError(
                f"{name} within an FF layer {why}: let it stand before the FF layer, "
                f"FFModel([keras.layers.{name}(…), FFLayer(…)], …). "
                f"Received: {part.name!r} in the transform of {layer.name!r}"
            )


def output_spec(layer, shape, dtype="float32"):
    """What any Keras layer returns, as a `KerasTensor`; many leave it to Keras to find out."""
    return layer.compute_output_spec(keras.KerasTensor(shape, dtype=dtype))
