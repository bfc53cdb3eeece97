"""Readout: the base of the readouts."""

import keras
from keras import ops

from keras_ff.readouts import test_time_augmentation
from keras_ff.readouts.temperature import TemperatureFit
from keras_ff.utils import checks


class Readout(keras.layers.Layer):
    """Base of the readouts: Keras layers that turn goodness or activities into scores.

    A readout is called with values per layer, and knows nothing of the model that they are from.
    Its weight `temperature` turns scores into probabilities; 1 until `fit` chooses it.

    Args:
        mirrored: boolean. Test-time augmentation by mirror images.
        shift: integer. Test-time augmentation by images shifted by so many pixels; 0 for none.
    """

    # Whether the values are activities or the goodness of every class: one of them, or a pair of
    # goodness and activities.
    reads_activities = False
    reads_goodness = False
    # Whether the readout has weights that learn.
    learns = False
    # Whether validation data decide which layers count.
    chooses = False

    def __init__(self, mirrored=False, shift=0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not isinstance(mirrored, bool):
            raise ValueError(f"`mirrored` must be a boolean. Received: mirrored={mirrored!r}")
        self.mirrored = mirrored
        self.shift = checks.whole_number(shift, "shift", minimum=0)
        self.temperature = None

    def build_for(self, activities_shapes, num_classes, sample_shape):
        """Create the readout's weights for a model whose FF layers are built.

        Args:
            activities_shapes: list with the shape of each FF layer's activities.
            num_classes: integer.
            sample_shape: tuple, the shape of a sample.

        Raises:
            ValueError: if the readout does not fit such a model.
        """
        for name in ("mirrored", "shift"):
            value = getattr(self, name)
            if value and len(sample_shape) != 3:
                raise ValueError(
                    f"readouts.{type(self).__name__}({name}={value}) needs images, "
                    "(height, width, channels). "
                    f"Received: samples of shape {tuple(sample_shape)}"
                )

    def build_temperature(self):
        """Create what turns scores into probabilities, the last of a readout's own weights."""
        if self.temperature is None:
            self.temperature = self.add_weight(
                shape=(), initializer="ones", dtype="float32", trainable=False, name="temperature"
            )
            self.temperature_fit = TemperatureFit()

    def probabilities(self, scores):
        """`softmax(scores / temperature)` (Guo et al. 2017), of shape (batch, num_classes)."""
        return ops.softmax(scores / self.temperature)

    def judged(self, scores, labels, sample_weight=None):
        """Probabilities, when the temperature has been judged by the labels, (batch,) integers."""
        self.temperature_fit.update_state(scores, labels, sample_weight)
        return self.probabilities(scores)

    def choose_temperature(self, num_classes):
        """Settle the temperature, by all that has been judged, unless the readout is frozen."""
        found = self.temperature_fit.best(num_classes) if self.trainable else None
        if found is not None:
            # From the variable itself, so that it stays where several processes of JAX had it.
            self.temperature.assign(ops.full_like(ops.convert_to_tensor(self.temperature), found))

    def load_own_variables(self, store):
        # What older files lack stays as it is.
        whole = {}
        self.save_own_variables(whole)
        known = set(store.keys())  # stores of files are no dictionaries
        super().load_own_variables({**whole, **{key: store[key] for key in known}})

    def learners(self):
        """The parts that learn, each with an optimizer of its own."""
        return []

    def check_fit(self, has_validation_data):
        """Raise ValueError where `fit` lacks validation data that the readout needs."""

    def choose_layers(self, trained):
        """Settle which layers count, once validation data have been evaluated in `fit`."""

    def scores(self, values_of, x, trained):
        """Scores of a batch, by test-time augmentation where that is wanted.

        Args:
            values_of: function from samples to values per layer, a list: goodness of shape
                (batch, num_classes), or activities.
            x: tensor of shape (batch, ...).
            trained: boolean tensor of shape (layers,), which layers have been trained.

        Returns:
            float32 tensor of shape (batch, num_classes).
        """
        raise NotImplementedError

    def test_step(self, values_of, x, labels, trained, sample_weight=None, known=None):
        """Scores of labelled samples, from which is counted what validation data decide.

        Args:
            values_of, x, trained: as for `scores`.
            labels: int32 tensor of shape (batch,).
            sample_weight: tensor of shape (batch,), or `None`.
            known: the layers' goodness of the samples as they are. Defaults to `None`: computed.

        Returns:
            A pair: scores, and the loss of a readout that learns, a scalar, otherwise 0.
        """
        raise NotImplementedError

    def over_views(self, function, x, known=None):
        """The sum of `function` over all views of x, and the number of views."""
        return test_time_augmentation.add_up(function, x, self.mirrored, self.shift, known)

    def __repr__(self):
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"
