"""What a preset's metadata say of its network and of how it was trained."""

import keras

from keras_ff.utils import registry

# Entries that a model does not know of itself.
KNOWN = {
    "description": "string: what the network is, in a sentence or two",
    "dataset": "string: name of the dataset it was trained on",
    "dataset_version": "string: the dataset's version",
    "architecture": "string, such as 'mlp'",
    "activation": "string; known from the model where all layers have the same",
    "data": "dictionary: how the data are prepared, as of `keras_ff.datasets.DataConfig`",
    "protocol": "dictionary: number of training, validation and test samples",
    "recipe": "dictionary: the TrainingConfig that trains it",
    "command": "string: the command that trains it",
    "epochs": "integer",
    "seed": "integer",
    "seconds": "float: of training",
    "machine": "dictionary: what it was trained on, as of `keras_ff.training.machine`",
    "versions": "dictionary: what it was trained with, as of `keras_ff.training.versions`",
    "as_trained": "dictionary: accuracies as fractions, before weights were made smaller",
    "validation_accuracy": "float, a fraction",
    "test_accuracy": "float, a fraction",
    "members": "list of dictionaries: name, share and accuracies of an ensemble's members",
    "layer_accuracy": "dictionary, as of `keras_ff.zoo.measuring.layer_accuracy`",
    "limits": "list of strings: sentences on what it is not good for",
}


def of_model(model, config=None, known=None):
    """The metadata of a model, without its files.

    Args:
        model: a built `FFModel`, or an `FFEnsemble`.
        config: the `TrainingConfig` that trains it, or `None`.
        known: dictionary of entries of `KNOWN`, which go before what model and configuration say.

    Returns:
        A dictionary.

    Raises:
        ValueError: if an entry is unknown.
    """
    known = known or {}
    for name in known:
        if name not in KNOWN:
            raise ValueError(
                f"A preset's metadata have no entry {name!r}. {registry.nearest(name, KNOWN)} "
                f"Received: {name}={known[name]!r}"
            )
    networks = getattr(model, "members", [model])
    layers = [layer for network in networks for layer in network.ff_layers]
    found = {"activation": _activation(layers)}
    if config is not None:
        found |= {name: value for name, value in of_config(config).items() if value is not None}
    found |= known
    return {
        **{name: found[name] for name in KNOWN if found.get(name) is not None},
        "family": ", ".join(sorted({_family(network) for network in networks})),
        "num_classes": model.num_classes,
        "sample_shape": list(model.sample_shape),
        "layers": len(layers),
        "parameters": model.count_params(),
        "locality": model.locality,
    }


def of_config(config):
    """What a `TrainingConfig` says of the network that it trains."""
    recipe = config.to_dict()
    return {
        "dataset": config.dataset,
        # A configuration that holds a model leaves these to the model.
        "architecture": recipe.get("architecture"),
        "activation": recipe.get("activation"),
        "data": config.data.to_dict(),
        "recipe": recipe,
        "command": config.command(),
        "epochs": config.epochs,
        "seed": config.seed,
    }


def locality(number):
    """In words, how far a gradient reaches."""
    if number == 1:
        return "strictly local: a gradient passes one trainable matrix"
    return f"a gradient passes at most {number} trainable matrices"


def _family(model):
    if model.class_groups:
        return "class groups"
    return "unsupervised" if model.unsupervised else "contrastive"


def _activation(layers):
    """The name of the layers' activation, or None where they differ."""
    names = {_name(layer.last_activation) for layer in layers}
    return names.pop() if len(names) == 1 else None


def _name(activation):
    """A function's name; that of a Keras layer's class, as `keras.layers.ReLU`, in lower case."""
    if isinstance(activation, keras.layers.Layer):
        return type(activation).__name__.lower()
    return getattr(activation, "__name__", None)
