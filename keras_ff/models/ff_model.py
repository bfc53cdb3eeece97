"""FFModel: a `keras.Model` whose layers learn each by itself."""

import types

import keras
import numpy as np
from keras import ops

from keras_ff import (
    backends,
    callbacks as ff_callbacks,
    labels as ff_labels,
    layer_schedules,
    losses as ff_losses,
    negatives as ff_negatives,
    readouts,
)
from keras_ff.data_checks import NO_DATA, checking_data
from keras_ff.layer_optimizers import LayerLossScale, LayerOptimizers, OptimizerTemplate
from keras_ff.models import arguments
from keras_ff.models.backprop import to_backprop
from keras_ff.models.figure import Figure
from keras_ff.parts import registered

# Validation draws its negatives from here, so that it is repeatable and leaves training alone.
VALIDATION_SEED = 20220627


@registered
class FFModel(backends.Trainer, keras.Model):
    """A network trained by the Forward-Forward algorithm, layer by layer, without backpropagation.

    The class enters the input: with the true label a sample is a positive, with a wrong one a
    negative. Every layer learns, with its own tape and its own optimizer, to answer positives with
    more goodness than negatives. To score a sample, the model asks which label gives the most
    goodness. In every other respect it is a `keras.Model`.

    Args:
        layers: list of `keras_ff.layers.FFLayer`, first to last.
        num_classes: integer of at least 2.
        label_embedding: how a class enters the input, a name or object of `keras_ff.labels`.
            Defaults to `"append"`.
        negatives: where negatives come from, a name or object of `keras_ff.negatives`. Defaults
            to `"random_labels"`.
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
        self.ff_layers = arguments.checked_layers(layers)
        self.class_groups = arguments.family(self.ff_layers)
        self.label_embedding = ff_labels.get(label_embedding)
        self.negatives = ff_negatives.get(negatives)
        for name in ("label_embedding", "negatives"):
            arguments.check_fits_family(self.class_groups, name, getattr(self, name))
        if self.negatives is not None:
            self.negatives.check(self.num_classes)
        self.layer_schedule = arguments.needed(
            layer_schedules.get(layer_schedule), "layer_schedule"
        )
        self.readout = arguments.needed(readouts.get(readout), "readout")
        self.check_data = bool(check_data)
        self.figures = [
            {name: Figure(f"layer_{number}/{name}") for name in layer.figure_names}
            for number, layer in enumerate(self.ff_layers, start=1)
        ]
        self._learning_layers = self.layer_schedule.learning_layers(0, 1, len(self.ff_layers))
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
        if self.label_embedding is not None:
            shape = self.label_embedding.output_shape(shape, self.num_classes)
        self._build_first_layer(shape)
        for layer in self.ff_layers:
            if not layer.built:
                layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.readout.build_for(self)

    def _build_first_layer(self, shape):
        first = self.ff_layers[0]
        if first.built:
            return
        try:
            first.build(shape)
        except ValueError as error:
            if self.label_embedding is None:
                raise
            raise ValueError(
                f"The first layer, {first.name!r}, cannot take samples with their labels in them. "
                f"Received: label_embedding={self.label_embedding!r}, which gives samples of shape "
                f"{shape[1:]}: {error}"
            ) from error

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

    # --- compile -------------------------------------------------------------------------

    def compile(
        self,
        optimizer="adam",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
    ):
        """Configure training.

        Args:
            optimizer: a Keras optimizer, by name or object. Every layer gets a copy, except those
                with one of their own. `model.optimizer.optimizers` lists them. Defaults to
                `"adam"`.
            loss: name or object of `keras_ff.losses`, for every layer without one of its own; for
                class groups also Keras's sparse categorical cross-entropy on logits. Defaults to
                `None`: `"symba"`, and for class groups `"sparse_categorical_crossentropy"`.
            loss_weights: refused; every layer has a loss and an optimizer of its own.
            metrics, weighted_metrics, run_eagerly, steps_per_execution, jit_compile: as for
                `keras.Model.compile`.

        Raises:
            ValueError: if the loss is none of `keras_ff.losses`, does not fit the layers, or
                `loss_weights` is given.
        """
        if loss_weights is not None:
            raise ValueError(
                "FFModel has one output, and every layer its own loss and optimizer; set a "
                f"layer's learning rate instead. Received: loss_weights={loss_weights!r}"
            )
        if loss is None:
            loss = "sparse_categorical_crossentropy" if self.class_groups else "symba"
        loss = ff_losses.get(loss)
        template = OptimizerTemplate(arguments.needed(optimizer, "optimizer"))
        # In a namespace, because Keras would take metrics in a dictionary for the model's state.
        self._compile_arguments = types.SimpleNamespace(
            optimizer=template,
            loss=loss,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        for index, layer in enumerate(self.ff_layers):
            chosen = layer.own_loss or loss
            layer.set_objective(
                chosen.for_layer(index, len(self.ff_layers)),
                (layer.own_optimizer or template).copy(name=f"layer_{index + 1}"),
            )
        owners = list(self.ff_layers)
        if self._has_head:
            self.readout.optimizer = (self.readout.own_optimizer or template).copy(name="readout")
            owners.append(self.readout)
        together = LayerOptimizers(owners)
        if self.dtype_policy.name == "mixed_float16":
            together = LayerLossScale(together)
        super().compile(
            optimizer=together,
            metrics=metrics or None,
            weighted_metrics=weighted_metrics or None,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        self.loss = loss

    def get_compile_config(self):
        if not self.compiled:
            return None
        config = dict(vars(self._compile_arguments))
        config["optimizer"] = config["optimizer"].get_config()
        return keras.saving.serialize_keras_object(config)

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    # --- the way of the data -------------------------------------------------------------

    def embed(self, x, labels):
        """Samples with their labels, as the first layer takes them; `labels=None`: neutral."""
        if self.label_embedding is None:
            return ops.cast(x, "float32")
        return self.label_embedding(x, labels, self.num_classes)

    def activities(self, embedded):
        """Activities of every layer for embedded samples, as in scoring: a list, first to last."""
        activities = []
        for layer in self.ff_layers:
            embedded = ops.stop_gradient(layer(embedded, training=False))
            activities.append(embedded)
        return activities

    def goodness_of(self, activities):
        """Goodness of every layer's activities, a list; class groups give one figure a class."""
        per_class = {"num_classes": self.num_classes} if self.class_groups else {}
        return [
            layer.goodness(of_layer, **per_class)
            for layer, of_layer in zip(self.ff_layers, activities, strict=True)
        ]

    def streams(self, x, labels, seed=None):
        """Positives and negatives of a batch, one stream after the other.

        Args:
            x: tensor of shape (batch, ...).
            labels: int32 tensor of shape (batch,).
            seed: integer to draw the negatives from, in place of the training generator.

        Returns:
            Embedded samples of shape ((1 + negatives a sample) · batch, ...), positives first,
            and the number of streams.
        """
        if self.class_groups:
            return self.embed(x, None), 1
        wrong = self.negatives.labels(labels, self.num_classes, seed=seed)
        wrong = ops.expand_dims(wrong, 1) if len(wrong.shape) == 1 else wrong
        every = ops.concatenate([ops.expand_dims(labels, 0), ops.transpose(wrong)], axis=0)
        streams = 1 + wrong.shape[1]
        repeated = ops.tile(x, (streams,) + (1,) * (len(x.shape) - 1))
        return self.embed(repeated, ops.reshape(every, (-1,))), streams

    def call(self, x, training=False):
        return self.readout.scores(self, self._checked_input(x))

    def learn_from(self, x, y, sample_weight=None):
        """One training step on a batch: each learning layer takes its own.

        Args:
            x: tensor of shape (batch, ...).
            y: labels of shape (batch,), (batch, 1) or, one-hot, (batch, num_classes).
            sample_weight: tensor of shape (batch,), or `None`.

        Returns:
            The logs, a dictionary.
        """
        x = self._checked_input(x)
        self._build_for(x)
        labels = self._class_labels(y)
        if self._has_metrics and self.readout_passes > 1:
            self._score_share(x, y, sample_weight)
        gathering = self.optimizer.begin_step()
        inputs, streams = self.streams(x, labels)
        total, class_goodness = 0.0, []
        for index in range(self.learning_layers[-1] + 1):
            layer = self.ff_layers[index]
            if index in self.learning_layers and layer.trainable_variables:
                figures, inputs = layer.train_step(
                    inputs, streams, sample_weight, gathering, labels=labels
                )
                total = total + figures["loss"]
            else:
                figures, inputs = layer.measure(inputs, streams, sample_weight, labels=labels)
            class_goodness.append(figures.get("class_goodness"))
            self._record(index, figures, ops.shape(x)[0])
        self.layers_trained.assign(ops.maximum(self.layers_trained, self.learning_layers[-1] + 1))
        if self._has_head:
            scores = self.readout.train_step(self, x, labels, sample_weight, gathering)
            self.compute_metrics(x, y, scores, sample_weight)
        elif self._has_metrics and self.class_groups:
            scores = self.readout.total(self, class_goodness)
            self.compute_metrics(x, y, scores, sample_weight)
        self.optimizer.end_step(gathering)
        self._loss_tracker.update_state(total, sample_weight=ops.shape(x)[0])
        return self.get_metrics_result()

    def score_on(self, x, y, sample_weight=None):
        """One step of `evaluate`: losses, figures and metrics of a batch, without learning.

        Args and returns as for `learn_from`.
        """
        x = self._checked_input(x)
        self._build_for(x)
        labels = self._class_labels(y)
        inputs, streams = self.streams(x, labels, seed=VALIDATION_SEED)
        trained = self.trained()
        batch = ops.cast(ops.shape(x)[0], "float32")
        total, class_goodness = 0.0, []
        for index, layer in enumerate(self.ff_layers):
            figures, inputs = layer.measure(inputs, streams, sample_weight, labels=labels)
            total = total + trained[index] * figures["loss"]
            class_goodness.append(figures.get("class_goodness"))
            self._record(index, figures, trained[index] * batch)
        if self.class_groups and not self._has_head:
            scores = self.readout.total(self, class_goodness)
        else:
            scores = self(x, training=False)
        self._loss_tracker.update_state(total, sample_weight=batch)
        return self.compute_metrics(x, y, scores, sample_weight)

    def _build_for(self, x):
        """Create what variables are missing, with their values, though a step may be traced."""
        if not (self.built and self.optimizer.built):
            with backends.outside_graph():
                if not self.built:
                    self.build(tuple(x.shape))
                self.optimizer.build(self.trainable_variables)

    def _score_share(self, x, y, sample_weight):
        """Measure metrics on one in `num_classes` samples, so that K passes cost as much as one."""
        count = (ops.shape(x)[0] + self.num_classes - 1) // self.num_classes
        weight = None if sample_weight is None else sample_weight[:count]
        self.compute_metrics(x[:count], y[:count], self.readout.scores(self, x[:count]), weight)

    def _record(self, index, figures, weight):
        for name, metric in self.figures[index].items():
            metric.update_state(ops.mean(figures[name]), sample_weight=weight)

    @property
    def readout_passes(self):
        """Passes through the network that scoring a sample takes: one, or one a class."""
        return 1 if self._has_head or self.class_groups else self.num_classes

    @property
    def _has_head(self):
        return isinstance(self.readout, readouts.Softmax)

    @property
    def _has_metrics(self):
        compiled = self._compile_arguments
        return bool(compiled.metrics or compiled.weighted_metrics)

    def _class_labels(self, y):
        """Labels as int32 of shape (batch,), from integers or one-hot rows."""
        if len(y.shape) == 2 and y.shape[1] == self.num_classes:
            return ops.cast(ops.argmax(y, axis=1), "int32")
        return ops.cast(ops.reshape(y, (-1,)), "int32")

    def _checked_input(self, x):
        if isinstance(x, (dict, list, tuple)):
            raise ValueError(
                "FFModel takes one input, a tensor of shape (batch, ...). "
                f"Received: a {type(x).__name__} of {len(x)}"
            )
        x = ops.convert_to_tensor(x)
        if self._sample_shape is not None and tuple(x.shape[1:]) != self._sample_shape:
            raise ValueError(
                f"The model was built for samples of shape {self._sample_shape}. "
                f"Received: x of shape {tuple(x.shape)}"
            )
        return x

    # --- fit, evaluate, predict ----------------------------------------------------------

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
        self.layer_schedule.check(epochs, len(self.ff_layers))
        x = self._checked_data(x, y)
        if validation_data is not None:
            validation_x, *rest = keras.utils.unpack_x_y_sample_weight(validation_data)
            validation_x = self._checked_data(validation_x, rest[0])
            validation_data = keras.utils.pack_x_y_sample_weight(validation_x, *rest)
        own = ff_callbacks.LayerScheduleCallback(epochs)
        return super().fit(
            x=x,
            y=y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=ff_callbacks.with_own(self, callbacks, verbose, [own]),
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

    @checking_data
    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", callbacks=None, **kwargs):
        """Loss, figures and metrics on data; arguments and return value as in Keras."""
        self._assert_compile_called("evaluate")
        if "_use_cached_eval_dataset" not in kwargs:  # `fit` has checked its validation data
            x = self._checked_data(x, y)
            callbacks = ff_callbacks.with_own(self, callbacks, verbose)
        results = super().evaluate(
            x=x, y=y, batch_size=batch_size, verbose=verbose, callbacks=callbacks, **kwargs
        )
        if results in ({}, []):
            raise ValueError(NO_DATA)
        return results

    @checking_data
    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Scores of shape (samples, num_classes), as a numpy array; arguments as in Keras."""
        x = self._checked_data(x, needs_labels=False)
        try:
            return super().predict(x, batch_size, verbose, steps, callbacks)
        except UnboundLocalError as error:
            # What Keras ends with where there was no batch.
            if "batch_outputs" in str(error):
                raise ValueError(NO_DATA) from None
            raise

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
            A built `keras.Sequential` from samples to class probabilities, not compiled.

        Raises:
            ValueError: if the model is not built.

        Example:

        >>> model = FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
        >>> model.build((None, 8, 8, 1))
        >>> model.to_backprop().output_shape
        (None, 10)
        """
        return to_backprop(self, carry_weights)

    # --- configuration -------------------------------------------------------------------

    @property
    def locality(self):
        """Trainable matrices that one gradient passes at most; 1 where layers are dense."""
        return max(layer.locality for layer in self.ff_layers)

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
            "layers": [serialize(layer) for layer in self.ff_layers],
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
        config["layers"] = [
            keras.saving.deserialize_keras_object(layer, custom_objects=custom_objects)
            for layer in config["layers"]
        ]
        return cls(**config)
