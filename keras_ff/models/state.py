"""What a model saves besides its weights, so that a training goes on as if never interrupted."""

import numpy as np


def save(model, store):
    """Write which layers learn and the state of random generators into a model's own store."""
    store["learning_layers"] = np.array(model.learning_layers, "int32")
    for index, state in enumerate(generator_states(model)):
        store[f"generator_{index}"] = state


def load(model, store):
    """Read what `save` wrote; returns the rest of the store, the model's own weights."""
    states = generator_states(model)
    keys = set(store.keys())
    own = {key: store[key] for key in keys if key.isdigit()}
    generators = [f"generator_{index}" for index in range(len(states))]
    if keys != {*own, *generators, "learning_layers"}:
        raise ValueError(
            f"The weights are not those of this FFModel, which has {len(states)} random "
            f"generators. Received: entries {sorted(keys)}"
        )
    model.learning_layers = np.array(store["learning_layers"])
    for key, state in zip(generators, states, strict=True):
        state.assign(np.array(store[key]))
    if model.readout.chooses and len(own) == 3:
        # Files of before hold the readout's choice of layers here, and what it was counted from.
        model.readout.layer_choice.assign(np.array(own["1"]))
        own = {"0": own["0"]}
    return own


def generator_states(model):
    """States of all random generators of a Keras model, which Keras itself does not save."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
