"""What a model saves besides its weights, so that a training goes on as if never interrupted."""

import numpy as np


class ResumableState:
    """Mixin of `FFModel`: random generators and which layers learn are saved with the weights."""

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["learning_layers"] = np.array(self._learning_layers, "int32")
        for index, state in enumerate(self._generator_states()):
            store[f"generator_{index}"] = state

    def load_own_variables(self, store):
        states = self._generator_states()
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

    def _generator_states(self):
        """States of all random generators, which Keras itself does not save."""
        weights = {id(weight) for weight in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]
