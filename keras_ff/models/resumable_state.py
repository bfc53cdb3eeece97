"""What a model saves besides its weights, so that a training goes on as if never interrupted."""

import numpy as np


class ResumableState:
    """Mixin of `FFModel`: random generators and which layers learn are saved with the weights."""

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["learning_layers"] = np.array(self._learning_layers, "int32")
        for index, state in enumerate(generator_states(self)):
            store[f"generator_{index}"] = state

    def load_own_variables(self, store):
        states = generator_states(self)
        keys = set(store.keys())
        own = {key: store[key] for key in keys if key.isdigit()}
        generators = [f"generator_{index}" for index in range(len(states))]
        if keys != {*own, *generators, "learning_layers"}:
            raise ValueError(
                f"The weights are not those of this FFModel, which has {len(states)} random "
                f"generators. Received: entries {sorted(keys)}"
            )
        super().load_own_variables(own)
        self.learning_layers = np.array(store["learning_layers"])
        for key, state in zip(generators, states, strict=True):
            state.assign(np.array(store[key]))


def generator_states(model):
    """States of all random generators of a Keras model, which Keras itself does not save."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
