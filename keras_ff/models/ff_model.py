"""FFModel: a `keras.Model` whose layers learn each by itself."""

import contextlib
import types

import keras
from keras import ops

from keras_ff import (
    backends,
    callbacks as ff_callbacks,
    labels as ff_labels,
    layer_schedules,
    negatives as ff_negatives,
    readouts,
)
from keras_ff.fast import activation_cache
from keras_ff.fast.activation_cache import FrozenActivities
from keras_ff.models import arguments, backprop, rebuild
from keras_ff.models.data_checks import NO_DATA, checking_data
from keras_ff.models.layer_metrics import LayerFigures
from keras_ff.models.layerwise_compilation import LayerwiseCompilation
from keras_ff.models.local_learning import LocalLearning
from keras_ff.models.passage import LayerOrder
from keras_ff.models.resumable_state import ResumableState
from keras_ff.utils import keras_internals
from keras_ff.utils.registry import registered


@registered
class FFModel(LocalLearning, LayerwiseCompilation, ResumableState, backends.Trainer, keras.Model):
    """A network trained by the Forward-Forward algorithm, layer by layer, without backpropagation.

    The class enters the input: with the true label a sample is a positive, with a wrong one a
    negative. Every layer learns, with its own tape and its own optimizer, to answer positives with
    more goodness than negatives. To score a sample, the model asks which label gives the most
    goodness. In every other respect it is a `keras.Model`.

    Args:
        layers: list of `keras_ff.layers.FFLayer`, first to last. Between them any Keras layer may
            stand, differentiable or not (`keras_ff.layers.Opaque` makes one of a function): it is
            applied as it is and learns nothing, its `trainable` being set to false.
        num_classes: integer of at least 2.
        label_embedding: how a class enters the input, a name or object of `keras_ff.labels`;
            `None` for class groups, and for learning without labels from negatives that are
            images. Defaults to `"append"`.
        negatives: where negatives come from, a name or object of `keras_ff.negatives`; `None` for
            class groups. Defaults to `"random_labels"`.
        layer_schedule: in which order layers learn, a name or object of
            `keras_ff.layer_schedules`. Defaults to `"greedy"`.
        readout: how layers give scores, a name or object of `keras_ff.readouts`. Defaults to
            `"goodness"`.
        check_data: boolean. Whether data are checked before they are used: arrays whole, streams
            batch by batch. Defaults to `True`.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras model.

    Call arguments:
        x: tensor of shape (batch, ...), any number type, labels not embedded.
        training: boolean; has no influence on scores. Defaults to `False`.

    Returns:
        Scores: float32 tensor of shape (batch, num_classes), higher is likelier.

    Raises:
        ValueError: if there are no layers, one is not an `FFLayer` or stands twice, there are
            fewer than two classes, or a part has an unknown name.

    Logs hold `loss`, the sum over the layers that learned (over those trained so far in
    `evaluate`), the compiled metrics, and for each layer `layer_1/loss`,
    `layer_1/positive_goodness`, `layer_1/negative_goodness` and `layer_1/pairs_told_apart` (the
    share of pairs in which the positive has more goodness), which are nan for layers that have
    not been reached. Where scoring takes a pass a class, metrics in training are measured on the
    first of every `num_classes` samples of a batch, which costs one pass; validation and
    `evaluate` measure all samples.

    The weight `layers_trained` counts the layers that have learned so far; only those take part
    in scores (all of them while none has learned).

    Example:

    >>> import numpy as np
    >>> import keras_ff
    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> model = FFModel([keras_ff.layers.FFDense(32) for _ in range(2)], num_classes=10)
    >>> model.compile(optimizer="adam", loss="symba", metrics=["accuracy"])
    >>> history = model.fit(x, y, epochs=2, verbose=0)
    >>> model.predict(x, verbose=0).shape
    (64, 10)
    """

    def __init__(
        self,
        layers,
        num_classes,
        label_embedding="append",
        negatives="random_labels",
        layer_schedule="greedy",
        readout="goodness",
        check_data=True,
        **kwargs,
    ):
        # The label is embedded in float32; the layers cast their own inputs.
        super().__init__(autocast=False, **kwargs)
        self.num_classes = arguments.checked_num_classes(num_classes)
        order = LayerOrder(arguments.checked_layers(layers))
        self.ff_layers = order.ff_layers
        self.other_layers = order.others
        # Outside Keras's eyes: a second list of the same layers would be saved a second time.
        self._order = types.SimpleNamespace(layers=order)
        self.class_groups = arguments.family(self.ff_layers)
        self.label_embedding = ff_labels.get(label_embedding)
        self.negatives = ff_negatives.get(negatives)
        self.layer_schedule = arguments.needed(
            layer_schedules.get(layer_schedule), "layer_schedule"
        )
        self.layer_devices = self.layer_schedule.devices_of(len(self.ff_layers))
        self.readout = arguments.needed(readouts.get(readout), "readout")
        arguments.check_parts_fit(self)
        self.check_data = bool(check_data)
        self.figures = [
            LayerFigures(number, layer.figure_names)
            for number, layer in enumerate(self.ff_layers, start=1)
        ]
        self._learning_layers = self.layer_schedule.learning_layers(0, 1, len(self.ff_layers))
        self._readout_alone = False
        self._scored = True
        self._under_way = types.SimpleNamespace(pipeline=None)
        self._frozen = types.SimpleNamespace(kept=None, borrowed=None)
        self._sample_shape = None
        self._data_check = None

    # --- shape and state -----------------------------------------------------------------

    def build(self, input_shape):
        """Create all variables for samples of `input_shape[1:]`; the batch axis is ignored."""
        shape = arguments.checked_sample_shape(input_shape)
        self._sample_shape = shape[1:]
        self.layers_trained = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="layers_trained"
        )
        for layer in self.ff_layers:
            layer.num_classes = self.num_classes
        if self.negatives is not None and self.negatives.are_images:
            shape = self.negatives.output_shape(shape)
        if self.label_embedding is not None:
            self._embed_labels_in_first_layer(shape)
            shape = self.label_embedding.output_shape(shape, self.num_classes)
        try:
            self.layer_order.build(shape, self.layer_devices)
        except ValueError as error:
            if self.ff_layers[0].built:
                raise
            raise ValueError(
                f"The first layer, {self.ff_layers[0].name!r}, cannot take such samples. Received: "
                f"samples of shape {shape[1:]} with label_embedding={self.label_embedding!r}: "
                f"{error}"
            ) from error
        self.readout.build_for(self)
        keras_internals.keep_frozen(self)

    def _embed_labels_in_first_layer(self, shape):
        """A label embedding that learns belongs to the first layer's tape and optimizer."""
        if self.label_embedding.learned:
            self.label_embedding.build_for(shape, self.num_classes)
            self.ff_layers[0].own_label_embedding(self.label_embedding)

    def add_layer_choice(self):
        """Make room for a readout that chooses among the layers: all count at first."""
        number = len(self.ff_layers)
        counter = {"dtype": "int32", "trainable": False}
        self.layer_choice = self.add_weight(
            shape=(number,), initializer="ones", name="layer_choice", **counter
        )
        self.layer_hits = self.add_weight(
            shape=(number * (number + 1) // 2,), initializer="zeros", name="layer_hits", **counter
        )

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    @property
    def learning_layers(self):
        """Indices of the layers that learn from the next batch.

        `fit` sets them at the start of every epoch, as the layer schedule says. For a loop of
        one's own over `train_on_batch` they can be set by hand.
        """
        return self._learning_layers

    @learning_layers.setter
    def learning_layers(self, indices):
        indices = tuple(sorted(int(index) for index in indices))
        if not indices or indices[0] < 0 or indices[-1] >= len(self.ff_layers):
            raise ValueError(
                f"`learning_layers` must name layers out of 0 to {len(self.ff_layers) - 1}. "
                f"Received: {indices}"
            )
        if indices != self._learning_layers:
            self._learning_layers = indices
            # Which layers learn is part of the compiled step: no layer above is even computed.
            if self.train_function is not None:
                self.make_train_function(force=True)

    def trained(self, chosen=None):
        """Which layers count in scores, as ones and zeros.

        Args:
            chosen: list of booleans, one a layer. Defaults to all.

        Returns:
            float32 tensor of shape (layers,): the chosen layers among those trained so far, or
            else all that are trained; before any training, the chosen ones.
        """
        indices = ops.arange(len(self.ff_layers), dtype="int32")
        trained = ops.logical_or(indices < self.layers_trained, ops.equal(self.layers_trained, 0))
        if chosen is None or all(chosen):
            return ops.cast(trained, "float32")
        both = ops.logical_and(trained, ops.convert_to_tensor(chosen))
        return ops.cast(ops.where(ops.any(both), both, trained), "float32")

    # --- fit, evaluate, predict ----------------------------------------------------------

    def call(self, x, training=False):
        return self.readout.scores(self, self._checked_input(x))

    @checking_data
    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Train for `epochs` epochs in all, shared among the layers by the layer schedule.

        Arguments, data and return value are those of `keras.Model.fit`.

        Raises:
            ValueError: if data are empty, not finite, of the wrong rank or shape, or labels are
                missing, fractional or out of range; see also `keras.Model.fit`.
        """
        self._assert_compile_called("fit")
        if not self._readout_alone:
            self.layer_schedule.check(epochs, len(self.ff_layers))
        self.readout.check_fit(validation_data is not None or validation_split)
        x = self._checked_data(x, y)
        if validation_data is not None:
            validation_x, *rest = keras.utils.unpack_x_y_sample_weight(validation_data)
            validation_x = self._checked_data(validation_x, rest[0])
            validation_data = keras.utils.pack_x_y_sample_weight(validation_x, *rest)
        own, last = [], []
        if not self._readout_alone:
            own = [ff_callbacks.LayerScheduleCallback(epochs)]
            last = [ff_callbacks.FrozenActivitiesCallback()]
        with self._frozen_kept(x) as samples:
            return super().fit(
                x=samples,
                y=y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=ff_callbacks.with_own(
                    self, callbacks, verbose, own, last, validation_data
                ),
                validation_split=validation_split,
                validation_data=validation_data,
                # Keras warns where it cannot shuffle; that a dataset keeps its order is no news.
                shuffle=shuffle and not hasattr(x, "element_spec"),
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )

    def borrow_frozen(self, kept):
        """Use what another model's equal layers answered to the samples that `fit` will be given.

        Args:
            kept: `FrozenActivities`.
        """
        self._frozen.borrowed = kept

    @contextlib.contextmanager
    def _frozen_kept(self, x):
        """Samples for `fit`, with their rows' numbers where frozen layers' answers are kept."""
        if self._readout_alone or not FrozenActivities.suit(self, x):
            yield x
            return
        self._build_for(x)
        borrowed = self._frozen.borrowed
        if borrowed is not None and borrowed.x is x:
            self._frozen.kept = borrowed.lent_to(self)
        else:
            self._frozen.kept = FrozenActivities(self, x)
        try:
            yield activation_cache.with_rows(x)
        finally:
            self._frozen.kept = None
            self.make_train_function(force=True)

    def fit_readout(self, x=None, y=None, **arguments):
        """Train the softmax readout alone, on the activities of layers that stay as they are.

        The readout is linear, so its accuracy says what the layers' activities are worth; that of
        an untrained network belongs beside it.

        Args:
            x, y, **arguments: as for `fit`; labels are needed.

        Returns:
            A `keras.callbacks.History`, whose `loss` is the cross-entropy of the readout.

        Raises:
            ValueError: if the readout is not `"softmax"`, or as for `fit`.

        Example:

        >>> import numpy as np
        >>> import keras_ff
        >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
        >>> encoder = FFModel(
        ...     [keras_ff.layers.FFDense(32)],
        ...     num_classes=10,
        ...     label_embedding=None,
        ...     negatives="hybrid_images",
        ...     readout="softmax",
        ... )
        >>> encoder.compile(optimizer="adam", metrics=["accuracy"])
        >>> history = encoder.fit(x, epochs=1, verbose=0)
        >>> history = encoder.fit_readout(x, y, epochs=1, verbose=0)
        >>> encoder.predict(x, verbose=0).shape
        (64, 10)
        """
        if not self._has_head:
            raise ValueError(
                "Only a softmax readout is trained; make the model with readout='softmax'. "
                f"Received: readout={self.readout!r}"
            )
        self._train_readout_alone(True)
        try:
            return self.fit(x, y, **arguments)
        finally:
            self._train_readout_alone(False)

    def _train_readout_alone(self, alone):
        self._readout_alone = alone
        # It is part of the compiled steps.
        for function, make in (
            (self.train_function, self.make_train_function),
            (self.test_function, self.make_test_function),
        ):
            if function is not None:
                make(force=True)

    @checking_data
    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ):
        """Loss, figures and metrics on data; arguments and return value as in Keras."""
        self._assert_compile_called("evaluate")
        self.drain()
        if "_use_cached_eval_dataset" not in kwargs:  # `fit` has checked its validation data
            x = self._checked_data(x, y)
            callbacks = ff_callbacks.with_own(self, callbacks, verbose)
        results = super().evaluate(
            x=x,
            y=y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
            return_dict=return_dict,
            **kwargs,
        )
        self.readout.begin_choice(self)  # what was counted has been used, or is of no use
        if results in ({}, []):
            raise ValueError(NO_DATA)
        return results

    @checking_data
    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Scores of shape (samples, num_classes), as a numpy array; arguments as in Keras."""
        x = self._checked_data(x, needs_labels=False)
        return super().predict(x, batch_size, verbose, steps, callbacks)

    @checking_data
    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step on one batch, by the layers of `learning_layers`; arguments as in Keras."""
        x = self._checked_data(x, y)
        return super().train_on_batch(x, y, sample_weight, class_weight, return_dict)

    @checking_data
    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss, figures and metrics of one batch; arguments as in Keras."""
        x = self._checked_data(x, y)
        return super().test_on_batch(x, y, sample_weight, return_dict)

    @checking_data
    def predict_on_batch(self, x):
        """Scores of one batch, as a numpy array of shape (batch, num_classes)."""
        return super().predict_on_batch(self._checked_data(x, needs_labels=False))

    def _checked_data(self, x, y=None, needs_labels=True):
        if not self.check_data:
            return x
        if self.unsupervised and not self._readout_alone and y is None:
            needs_labels = False
        return self._data_check.data(x, y, needs_labels)

    def export(self, filepath, **kwargs):
        """Write the scoring function for serving; arguments as in Keras."""
        if self.built:
            # Keras exports what was called before, and `fit` does not call the model.
            self(ops.zeros((1, *self._sample_shape)))
        super().export(filepath, **kwargs)

    @property
    def sample_shape(self):
        """Shape of a sample, known once the model is built."""
        return self._sample_shape

    def to_backprop(self, carry_weights=True):
        """The same network as a plain `keras.Model` with a softmax head, for backpropagation.

        Args:
            carry_weights: boolean. Whether it starts from this model's weights, which it copies,
                or from new ones. Defaults to `True`.

        Returns:
            A built `keras.Model` from samples, which enter with the neutral label, to class
            probabilities, not compiled.

        Raises:
            ValueError: if the model is not built.

        Example:

        >>> model = FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
        >>> model.build((None, 8, 8, 1))
        >>> model.to_backprop().output_shape
        (None, 10)
        """
        return backprop.to_backprop(self, carry_weights)

    def carry_from_backprop(self, network, x, y=None):
        """Take over the weights of a network that `to_backprop` made and backpropagation trained.

        Activities that were learned without goodness in view have any length. Each layer's
        weights are therefore scaled, first to last, so that the mean goodness of positives meets
        the layer's threshold (half a unit of goodness for losses without one).

        Args:
            network: `keras.Model` of the same layers.
            x: array of shape (batch, ...), the samples to scale by.
            y: integer array of shape (batch,); may be `None` where learning needs no labels.

        Raises:
            ValueError: if the model is not built, or the network holds other layers.

        Example:

        >>> import numpy as np
        >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
        >>> model = FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
        >>> model.compile()
        >>> model.build((None, 8, 8, 1))
        >>> network = model.to_backprop(carry_weights=False)
        >>> network.compile("adam", "sparse_categorical_crossentropy")
        >>> history = network.fit(x, y, verbose=0)
        >>> model.carry_from_backprop(network, x, y)
        """
        backprop.carry_from_backprop(self, network, x, y)

    # --- presets -------------------------------------------------------------------------

    @classmethod
    def from_preset(cls, name_or_path, load_weights=True, num_classes=None, readout=None):
        """The network of a preset, compiled as it was: to evaluate, to look into, to train on.

        Args:
            name_or_path: string or path: a name of `keras_ff.zoo.list_presets`, or a folder that
                `save_to_preset` wrote.
            load_weights: boolean. Whether the weights are the preset's, or new ones. Defaults to
                `True`.
            num_classes: integer of at least 2, for other classes than the preset's: all weights
                are carried over but those that belong to a class, such as the rows of an appended
                label and a softmax head, which are new. Defaults to `None`: the preset's.
            readout: a name or object of `keras_ff.readouts`, for other scores of the same layers:
                a softmax head is new, and `fit_readout` trains it. Defaults to `None`: the
                preset's.

        Returns:
            An `FFModel`.

        Raises:
            ValueError: if there is no such preset (the nearest ones are named), a file of it is
                missing or was changed, it has no weights to load, it holds a model of another
                class, its layers cannot be divided among so many classes, or the readout is
                unknown.

        Example:

        >>> model = FFModel.from_preset("digits_mlp_relu")
        >>> _, _, test = keras_ff.zoo.get("digits_mlp_relu").load_data()
        >>> model.evaluate(test, verbose=0, return_dict=True)["accuracy"] > 0.95
        True
        """
        from keras_ff.presets import listing

        return listing.model_of_class(cls, name_or_path, load_weights, num_classes, readout)

    def save_to_preset(self, path, weights="float16", config=None, **known):
        """Write the network as a preset, which `from_preset` reads.

        Args:
            path: string or path of the preset's folder. One that holds a preset is replaced.
            weights: how matrices are stored: `"float32"`, `"float16"`, `"int8"` or, coarser,
                `"int6"` (a scale for each output unit), or `None` for a configuration without
                weights. Vectors, such as biases, stay float32. Auxiliary terms of layers, such as
                `SupCon`, begin anew when a preset learns on. Defaults to `"float16"`.
            config: the `keras_ff.recipes.TrainingConfig` that trains it, so that `keras-ff zoo
                train` can. Defaults to `None`.
            **known: further entries of the preset's metadata; see
                `keras_ff.presets.metadata.KNOWN`.

        Raises:
            ValueError: if the model is not built, a weight is not finite, an argument is unknown,
                or the folder holds anything but a preset.

        Example:

        >>> model = FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
        >>> model.build((None, 8, 8, 1))
        >>> model.save_to_preset("my_preset")
        >>> FFModel.from_preset("my_preset").count_params() == model.count_params()
        True
        """
        from keras_ff.presets import saving

        saving.save(self, path, weights, config, **known)

    def rebuild(self, num_classes=None, readout=None):
        """A model of the same layers and weights for other classes, or with another readout.

        Arguments, return value and errors as for `keras_ff.models.rebuild.rebuild`.
        """
        return rebuild.rebuild(self, num_classes, readout)

    # --- configuration -------------------------------------------------------------------

    @property
    def locality(self):
        """Trainable matrices that a gradient passes at most: 1 for dense layers, 0 if not built."""
        each = [layer.locality for layer in self.ff_layers]
        together = self.layer_schedule.layers_per_gradient
        return max(sum(each[start : start + together]) for start in range(len(each)))

    def summary(self, *args, print_fn=None, **kwargs):
        """Print Keras's summary, and how local the learning is."""
        super().summary(*args, print_fn=print_fn, **kwargs)
        if self.built:
            text = f"Locality: one gradient passes at most {self.locality} trainable matrices."
            (print_fn or print)(text)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "layers": [serialize(layer) for layer in self.all_layers],
            "num_classes": self.num_classes,
            "label_embedding": serialize(self.label_embedding),
            "negatives": serialize(self.negatives),
            "layer_schedule": serialize(self.layer_schedule),
            "readout": serialize(self.readout),
            "check_data": self.check_data,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        layers = config["layers"]
        if layer_schedules.get(config["layer_schedule"]).places_layers:
            layers = _unbuilt(layers)
        config["layers"] = [
            keras.saving.deserialize_keras_object(layer, custom_objects=custom_objects)
            for layer in layers
        ]
        return cls(**config)


def _unbuilt(config):
    """Configuration of layers without shapes: the model then builds them, each on its device."""
    if isinstance(config, dict):
        return {key: _unbuilt(value) for key, value in config.items() if key != "build_config"}
    return [_unbuilt(value) for value in config] if isinstance(config, list) else config
