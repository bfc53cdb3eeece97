"""What a model saves besides its weights, so that a training goes on as if never interrupted."""

import json

import numpy as np
from keras import ops

from keras_ff.models.stages import Stage

STAGES, WAITING = "stages", "waiting_losses"


def save(model, store):
    """Write who learns, the stages, the losses of waiting layers and the state of generators."""
    store["learning_layers"] = np.array(model.learning_layers, "int32")
    stages = json.dumps([stage.to_list() for stage in model.stages])
    store[STAGES] = np.frombuffer(stages.encode(), "uint8")
    losses = [of_layer.waiting_loss for of_layer in model.layer_metrics]
    store[WAITING] = np.array([ops.convert_to_numpy(loss) for loss in losses])
    for index, state in enumerate(generator_states(model)):
        store[f"generator_{index}"] = state


def load(model, store):
    """Read what `save` wrote; returns the rest of the store, the model's own weights."""
    states = generator_states(model)
    keys = set(store.keys())
    if STAGES in keys:  # older files have none
        stages = json.loads(np.array(store[STAGES]).tobytes().decode())
        model._fitting.stages = [Stage.from_list(fields) for fields in stages]
        keys.remove(STAGES)
    if WAITING in keys:
        for of_layer, loss in zip(model.layer_metrics, np.array(store[WAITING]), strict=True):
            of_layer.waiting_loss.assign(loss)
        keys.remove(WAITING)
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
        # Older files hold the readout's choice of layers here, and what it was counted from.
        model.readout.layer_choice.assign(np.array(own["1"]))
        own = {"0": own["0"]}
    return own


def generator_states(model):
    """States of all random generators of a Keras model, which Keras itself does not save."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
