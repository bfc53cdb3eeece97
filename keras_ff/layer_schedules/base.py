"""LayerSchedule: the base of layer schedules."""

from keras_ff.utils import registry


class LayerSchedule(registry.Part):
    """Base of the layer schedules."""

    # FF layers that one gradient passes.
    layers_per_gradient = 1
    # Whether a layer works on what the one before it produced a step earlier.
    delayed = False
    # Whether activities of frozen layers are kept from epoch to epoch.
    caches = False
    # Whether layers have devices of their own.
    places_layers = False

    def learning_layers(self, epoch, epochs, num_layers):
        """Indices of the layers that learn in an epoch, lowest first.

        A pure function, so that a training that is interrupted and resumed with
        `initial_epoch`, or a model that is saved and loaded, goes on where it stood.

        Args:
            epoch: integer from 0, as Keras counts.
            epochs: integer, what `fit` was given: the number of the last epoch plus one.
            num_layers: integer, number of FF layers.

        Returns:
            A tuple of integers.
        """
        raise NotImplementedError

    def check(self, epochs, num_layers):
        """Raise ValueError or warn where `epochs` do not suit `num_layers`."""

    def devices_of(self, num_layers):
        """Names of the devices that the layers live on, `None` for the default one."""
        return [None] * num_layers

    def chains(self, learning_layers):
        """Which layers learn together in a step, from the last one's loss.

        Args:
            learning_layers: indices, as from `learning_layers`.

        Returns:
            A list of ways for the steps to take in turn; each is a list of chains, tuples of the
            indices of neighbouring layers, and names every layer up to the last that learns.
        """
        return [[(index,) for index in range(learning_layers[-1] + 1)]]
