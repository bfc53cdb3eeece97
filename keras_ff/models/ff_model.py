"""FFModel: a `keras.Model` whose layers learn each by itself."""

import functools
import types

import keras
from keras import ops

from keras_ff import (
    backends,
    labels as ff_labels,
    layer_schedules,
    losses as ff_losses,
    negatives as ff_negatives,
    readouts,
)
from keras_ff.fast import activation_cache
from keras_ff.layer_schedules.base import learns, mark_trained
from keras_ff.layer_schedules.readout_only import ReadoutOnly
from keras_ff.layers.layer_metrics import LayerMetrics
from keras_ff.models import (
    arguments,
    backprop,
    data_checks,
    data_kinds,
    other_layers,
    own_callbacks,
    quantization,
    rebuild,
    scoring,
    stages,
    state,
)
from keras_ff.models.data_checks import NO_DATA, checking_data
from keras_ff.models.fitting import Fitting
from keras_ff.models.stack import Stack
from keras_ff.models.streams import VALIDATION_SEED, Streams, checked_samples, class_numbers
from keras_ff.optimizers import LayerLossScale, LayerOptimizers, OptimizerTemplate
from keras_ff.utils import keras_internals
from keras_ff.utils.devices import on_device
from keras_ff.utils.registry import registered


@registered
class FFModel(backends.Trainer, keras.Model):
    """A network trained by the Forward-Forward algorithm, layer by layer, without backpropagation.

    The class enters the input: with the true label a sample is a positive, with a wrong one a
    negative. Every layer learns, with its own tape and its own optimizer, to answer positives with
    more goodness than negatives. To score a sample, the model asks which label gives the most
    goodness. In every other respect it is a `keras.Model`.

    Args:
        layers: list of `keras_ff.layers.FFLayer`, first to last. Before and between them any Keras
            layer may stand, differentiable or not (`keras_ff.layers.Opaque` makes one of a
            function): it is applied as it is. Only batch normalisation among them learns, and only
            its moving statistics, unless it is frozen. Those before the first FF layer,
            such as `keras.layers.Embedding`, `TextVectorization` or `RandomFlip`, are applied to
            every sample once, before it gets a label.
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
        labels_first: boolean. Whether labels are embedded before the Keras layers that stand
            before the first FF layer, as in files of earlier versions. Defaults to `False`.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras model.

    Call arguments:
        x: tensor of shape (batch, ...), any number type, labels not embedded.
        training: boolean; has no influence on scores. Defaults to `False`.

    Returns:
        Scores: float32 tensor of shape (batch, num_classes), higher is likelier.

    Raises:
        ValueError: if there are no layers, one is not an `FFLayer` or stands twice, there are
            fewer than two classes, or a part has an unknown name.

    Logs hold `loss`, the sum over all layers (in training, layers whose turn has not come count
    with their loss on one batch at the start of `fit`), the compiled metrics, and for each layer
    `layer_1/loss`, `layer_1/positive_goodness`, `layer_1/negative_goodness` and
    `layer_1/pair_accuracy` (the share of pairs in which the positive has more goodness), or of
    class groups `layer_1/loss`, `layer_1/goodness` and `layer_1/accuracy`. All are nan for layers
    that have not been reached, and all but the loss for those without class goodness. Where scoring
    takes a pass per class, metrics in training are measured on the first of every `num_classes`
    samples of a batch, which costs one pass; validation and `evaluate` measure all samples.

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
        labels_first=False,
        **kwargs,
    ):
        # The label is embedded in float32; the layers cast their own inputs.
        super().__init__(autocast=False, **kwargs)
        self.num_classes = arguments.checked_num_classes(num_classes)
        self.stack = Stack(arguments.checked_layers(layers), labels_first)
        self.labels_first = bool(labels_first)
        self.ff_layers = self.stack.ff_layers
        self.other_layers = self.stack.others
        arguments.check_num_classes_of(self.ff_layers, self.num_classes)
        self.class_groups = arguments.family(self.ff_layers)
        self.label_embedding = ff_labels.get(label_embedding)
        self.negatives = ff_negatives.get(negatives)
        self.layer_schedule = arguments.needed(
            layer_schedules.get(layer_schedule), "layer_schedule"
        )
        self.layer_devices = self.layer_schedule.devices_of(len(self.ff_layers))
        self.readout = arguments.needed(readouts.get(readout), "readout")
        arguments.check_parts_fit(self)
        if not labels_first:  # with which files of earlier versions have learned
            other_layers.check_transforms(self.ff_layers, self.label_embedding is not None)
        self.unsupervised = self.label_embedding is None and not self.class_groups
        self.streams = Streams(
            self.num_classes,
            self.label_embedding,
            self.negatives,
            functools.partial(scoring.scores_of_samples, self),
            self.stack.first_goodness,
            self.stack.lead,
        )
        # Passes through the network that scoring a sample takes: one, or one per class.
        self.scoring_passes = num_classes
        if self.readout.learns or self.class_groups:
            self.scoring_passes = 1
        self.check_data = bool(check_data)
        self.layer_metrics = [
            LayerMetrics(number, layer.metric_names)
            for number, layer in enumerate(self.ff_layers, start=1)
        ]
        self.sample_shape = None
        self._learning_layers = self.layer_schedule.learning_layers(
            0, len(self.ff_layers), len(self.ff_layers)
        )
        self._data_check = None
        self._quantized = []  # what `build` is to quantize
        self._fitting = Fitting(self.layer_schedule)

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
            optimizer: a Keras optimizer, by name or object; `"muon"` is
                `keras_ff.optimizers.Muon`. Every layer gets a copy, except those with one of their
                own. `model.optimizer.optimizers` lists them. Defaults to `"adam"`.
            loss: name or object of `keras_ff.losses`, for every layer without one of its own; for
                class groups also Keras's sparse categorical cross-entropy on logits, with smoothed
                labels `keras_ff.losses.ClassLoss(label_smoothing=0.1)`. Defaults to `None`:
                `"symba"`, and for class groups `"sparse_categorical_crossentropy"`.
            loss_weights: refused; every layer has a loss and an optimizer of its own.
            metrics, weighted_metrics: as for `keras.Model.compile`. They are given probabilities,
                as of `predict_proba`.
            run_eagerly, steps_per_execution, jit_compile: as for `keras.Model.compile`.

        Raises:
            ValueError: if the loss is none of `keras_ff.losses`, does not fit the layers,
                `loss_weights` is given, a metric has `from_logits=True`, or the layer schedule does
                not go with mixed float16 (`Pipelined`; `Alternating` unless it runs eagerly).
        """
        if loss_weights is not None:
            raise ValueError(
                "FFModel has one output, and every layer its own loss and optimizer; set a "
                f"layer's learning rate instead. Received: loss_weights={loss_weights!r}"
            )
        if loss is None:
            loss = "sparse_categorical_crossentropy" if self.class_groups else "symba"
        loss = ff_losses.get(loss)
        arguments.check_metrics([metrics, weighted_metrics])
        # The layers finish the batches under way as they were compiled.
        self.drain()
        self._fitting.forget_steps()
        template = OptimizerTemplate(arguments.needed(optimizer, "optimizer"))
        how = {
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        # In a namespace, because Keras would take metrics in a dictionary for the model's state.
        self._compile_arguments = types.SimpleNamespace(optimizer=template, loss=loss, **how)
        self.has_metrics = bool(metrics or weighted_metrics)
        for index, layer in enumerate(self.ff_layers):
            chosen = layer.own_loss or loss
            with on_device(self.layer_devices[index]):
                optimizer = (layer.own_optimizer or template).copy(name=f"layer_{index + 1}")
                layer.set_objective(chosen.for_layer(index, len(self.ff_layers)), optimizer)
        owners = list(self.ff_layers)
        for learner in self.readout.learners():
            learner.optimizer = (learner.own_optimizer or template).copy(name="readout")
            owners.append(learner)
        optimizer = LayerOptimizers(owners, self.layer_devices)
        if self.dtype_policy.name == "mixed_float16":
            arguments.check_loss_scale_fits(self.layer_schedule, run_eagerly)
            optimizer = LayerLossScale(optimizer)
        how |= {"metrics": metrics or None, "weighted_metrics": weighted_metrics or None}
        super().compile(optimizer=optimizer, **how)
        self.loss = loss

    def get_compile_config(self):
        if not self.compiled:
            return None
        config = dict(vars(self._compile_arguments))
        config["optimizer"] = config["optimizer"].get_config()
        return keras.saving.serialize_keras_object(config)

    def compile_from_config(self, config):
        self.compile(**arguments.compiled_by(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        state.save(self, store)

    def load_own_variables(self, store):
        super().load_own_variables(state.load(self, store))

    # --- shape and state -----------------------------------------------------------------

    @property
    def all_layers(self):
        """All layers as they were given, first to last; `.keras` files name weights by it."""
        return self.stack.layers

    def build(self, input_shape):
        """Create all variables for samples of `input_shape[1:]`; the batch axis is ignored."""
        shape = arguments.checked_sample_shape(
            input_shape, least_axes=0 if self.stack.leading else 1
        )
        self.sample_shape = shape[1:]
        self.layers_trained = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="layers_trained"
        )
        for layer in self.ff_layers:
            layer.num_classes = self.num_classes
        shape = self.stack.build_leading(shape, self.layer_devices[0])
        arguments.check_channels_last(self, shape)
        if self.negatives is not None and self.negatives.are_images:
            shape = self.negatives.output_shape(shape)
        if self.label_embedding is not None:
            if self.label_embedding.learned:
                self.label_embedding.build_for(shape, self.num_classes)
            self.ff_layers[0].set_label_embedding(self.label_embedding)
            shape = self.label_embedding.output_shape(shape, self.num_classes)
        try:
            self.stack.build(shape, self.layer_devices)
        except ValueError as error:
            if self.ff_layers[0].built:
                raise
            raise ValueError(
                f"The first layer, {self.ff_layers[0].name!r}, cannot take such samples. Received: "
                f"samples of shape {shape[1:]} with label_embedding={self.label_embedding!r}: "
                f"{error}"
            ) from error
        shapes = [layer.activities_shape for layer in self.ff_layers]
        self.readout.build_for(shapes, self.num_classes, self.sample_shape)
        quantization.apply(self, self._quantized)
        keras_internals.keep_frozen(self)

    def build_for(self, x):
        """Create what variables are missing, with their values, though a step may be traced."""
        if not (self.built and self.optimizer.built):
            with backends.init_scope():
                if not self.built:
                    self.build(tuple(x.shape))
                self.optimizer.build(self.trainable_variables)

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
        self._learning_layers = indices
        self._fitting.choose_step(self)

    @property
    def stages(self):
        """What the last `fit` did: a list of `keras_ff.models.Stage`, saved with the model."""
        return list(self._fitting.stages)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            self._fitting.step = self._fitting.step_of(self)
        return super().make_train_function(force)

    # --- one training step ---------------------------------------------------------------

    def train_on(self, x, y=None, sample_weight=None):
        """One training step on a batch: each learning layer takes its own.

        Args:
            x: tensor of shape (batch, ...).
            y: labels of shape (batch,), (batch, 1) or, one-hot, (batch, num_classes); `None`
                where learning needs none.
            sample_weight: tensor of shape (batch,), or `None`.

        Returns:
            The logs, a dictionary.
        """
        samples, batch, metrics = self.begin_step(x, y, sample_weight)
        with self.optimizer.step():
            schedule, waiting = self._fitting.schedule, 0.0
            of_layers, batch = schedule.step(self, batch)
            metrics = [*metrics, *of_layers]
            if metrics:
                waiting = schedule.waiting_loss(self, batch, self._fitting.begins)
            self.end_step(samples, y, sample_weight, metrics, waiting)
        return self.get_metrics_result()

    def begin_step(self, x, y=None, sample_weight=None):
        """What a step does before the first layer.

        Returns:
            The samples behind the Keras layers before the first FF layer; the batch that the layers
            learn from; and the metrics of those that it has behind it.
        """
        self._fitting.labelled = y is not None
        x, rows = _with_rows(x, self._fitting.cache)
        x = checked_samples(x, self.sample_shape)
        self.build_for(x)
        trains = self._fitting.schedule.trains_layers
        samples = self.streams.lead(x, training=trains and learns(self, 0), augment=True)
        if not trains:
            return samples, None, []
        labels = class_numbers(y, self.num_classes)
        if self.has_metrics and self.scoring_passes > 1:
            # One in `num_classes` samples, so that as many passes cost as much as one.
            count = (ops.shape(x)[0] + self.num_classes - 1) // self.num_classes
            weight = None if sample_weight is None else sample_weight[:count]
            judged = self.readout.judged(self.scores(x[:count]), labels[:count], weight)
            self.compute_metrics(x[:count], y[:count], judged, weight)
        batch, metrics = self.streams.draw(samples, labels, sample_weight), []
        if rows is not None:
            batch, metrics = self._fitting.cache.look_up(batch, rows)
        return samples, batch, metrics

    def end_step(self, samples, y, sample_weight, metrics, waiting=0.0):
        """What a step does behind the last layer: the readout's own step, and the logs.

        Args:
            samples: as from `begin_step`.
            y, sample_weight: as for `train_on`.
            metrics: list of dictionaries, the metrics of the first layers.
            waiting: scalar, the loss of the others. Defaults to `0.0`.
        """
        size, loss = ops.shape(samples)[0], waiting
        for index, of_layer in enumerate(metrics):
            self.layer_metrics[index].update_state(of_layer, size)
            loss = loss + of_layer["loss"]
        mark_trained(self, range(len(metrics)))
        labels, scores = class_numbers(y, self.num_classes), None
        if self.readout.learns and y is not None:
            values = scoring.values_of_samples(self, samples)
            features = self.readout.features(values, scoring.trained(self))
            scores, head_loss = self.readout.train_step(features, labels, sample_weight)
            loss = loss if metrics else head_loss
        elif self.class_groups and self.has_metrics:
            goodness = [of_layer["class_goodness"] for of_layer in metrics]
            scores = self.readout(goodness, scoring.trained(self))
        if scores is not None:
            probabilities = self.readout.judged(scores, labels, sample_weight)
            self.compute_metrics(samples, y, probabilities, sample_weight)
        self._loss_tracker.update_state(loss, sample_weight=size)

    def test_on(self, x, y=None, sample_weight=None):
        """One step of `evaluate`: loss and metrics of a batch, without learning.

        Args and returns as for `train_on`.
        """
        self._fitting.labelled = y is not None
        # Rows that `validation_split` has taken off have numbers too.
        x, _ = _with_rows(x, self._fitting.cache)
        x = checked_samples(x, self.sample_shape)
        self.build_for(x)
        labels = class_numbers(y, self.num_classes)
        trained = scoring.trained(self)
        size, counts, loss = ops.shape(x)[0], ops.cast(trained, "float32"), 0.0
        batch = None
        if self._fitting.schedule.trains_layers:
            batch = self.streams(x, labels, sample_weight, VALIDATION_SEED)
        metrics = self._fitting.schedule.test(self, batch)
        for index, of_layer in enumerate(metrics):
            weight = counts[index] * ops.cast(size, "float32")
            self.layer_metrics[index].update_state(of_layer, weight)
            loss = loss + of_layer["loss"]
        if y is not None:
            known = [each["class_goodness"] for each in metrics] if self.class_groups else None
            values_of = functools.partial(scoring.values, self)
            scores, readout_loss = self.readout.test_step(
                values_of, x, labels, trained, sample_weight, known
            )
            loss = loss if metrics else readout_loss
        self._loss_tracker.update_state(loss, sample_weight=size)
        if y is None:
            return self.get_metrics_result()
        probabilities = self.readout.judged(scores, labels, sample_weight)
        return self.compute_metrics(x, y, probabilities, sample_weight)

    def scores(self, x):
        """Scores of a batch of samples: float32 tensor of shape (batch, num_classes)."""
        values_of = functools.partial(scoring.values, self)
        return self.readout.scores(values_of, x, scoring.trained(self))

    def get_metrics_result(self):
        """Logs of all metrics so far; without labels there is nothing to score."""
        if self._fitting.labelled and (
            self._compile_metrics is None or self._compile_metrics.built
        ):
            return super().get_metrics_result()
        logs = {}
        for metric in self.metrics:
            if metric is not self._compile_metrics:
                result = metric.result()
                logs.update(result if isinstance(result, dict) else {metric.name: result})
        return logs

    def _get_metrics_result_or_logs(self, logs):
        """Metrics of an epoch, which Keras takes from here when its last batch has come."""
        if not logs:  # no batch has come
            raise ValueError(NO_DATA)
        if self._fitting.runner is not None:
            # Those of the last step lack what the batches add that are still under way.
            self.drain()
            logs = self.get_metrics_result()
        return super()._get_metrics_result_or_logs(logs)

    def _flatten_metrics_in_order(self, logs):
        """Logs as Keras's list of values; those of layers in their order, former names last."""
        names = [name for metric in self.layer_metrics for name in metric.log_names]
        names += [name for metric in self.layer_metrics for name in metric.aliases]
        names = [name for name in names if name in logs]
        others = {name: value for name, value in logs.items() if name not in names}
        values = super()._flatten_metrics_in_order(others)
        values = values if isinstance(values, list) else [values]
        return [*values, *[logs[name] for name in names]]

    def drain(self):
        """Let the layers finish the batches that a delayed layer schedule has under way.

        `fit` and `evaluate` do so by themselves; a loop over `train_on_batch` should at its end.
        """
        if self._fitting.runner is not None:
            self._fitting.runner.drain()

    # --- fit, evaluate, predict ----------------------------------------------------------

    def call(self, x, training=False):
        return self.scores(checked_samples(x, self.sample_shape))

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
        schedule = self._fitting.schedule
        epochs = min(epochs, keras.config.max_epochs() or epochs)
        if schedule.trains_layers:
            stages.check(schedule, epochs, self.ff_layers)
        if schedule.caches is True and steps_per_epoch is None and activation_cache.can_read(x):
            if self.check_data:
                self._data_check.elements(x)
            (x, y, sample_weight), batch_size = activation_cache.read(x)
        self.readout.check_fit(validation_data is not None or validation_split)
        data_checks.check_class_weight(class_weight, self.num_classes)
        x, y, sample_weight = data_checks.checked(self, x, y, sample_weight)
        if validation_data is not None:
            validation_data = keras.utils.pack_x_y_sample_weight(
                *data_checks.checked(self, *keras.utils.unpack_x_y_sample_weight(validation_data))
            )
        with activation_cache.during_fit(self, schedule, x) as samples:
            return super().fit(
                x=samples,
                y=y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=own_callbacks.for_fit(
                    self, schedule, epochs, callbacks, verbose, validation_data
                ),
                validation_split=validation_split,
                validation_data=validation_data,
                # Keras warns where it cannot shuffle; that a dataset keeps its order is no news.
                shuffle=shuffle and not data_kinds.keeps_order(x),
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )

    def fit_readout(self, x=None, y=None, **arguments):
        """Train the head of a readout alone, on the activities of layers that stay as they are.

        The head is linear, so that the accuracy of a softmax readout says what the layers'
        activities are worth; that of an untrained network belongs beside it.

        Args:
            x, y, **arguments: as for `fit`; labels are needed.

        Returns:
            A `keras.callbacks.History`, whose `loss` is the cross-entropy of the head.

        Raises:
            ValueError: if the readout has no head, as `"softmax"` and `"joint"` have, or as for
                `fit`.

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
        if not self.readout.learns:
            raise ValueError(
                "This readout has no head to train; make the model with readout='softmax', or for "
                "class groups 'joint'. "
                f"Received: readout={self.readout!r}"
            )
        self._fitting.use(self, ReadoutOnly())
        try:
            return self.fit(x, y, **arguments)
        finally:
            self._fitting.use(self, self.layer_schedule)

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
        """Loss and metrics on data; arguments and return value as in Keras."""
        self._assert_compile_called("evaluate")
        self.drain()
        if "_use_cached_eval_dataset" not in kwargs:  # `fit` has checked its validation data
            x, y, sample_weight = data_checks.checked(self, x, y, sample_weight)
            callbacks = own_callbacks.with_progress_bar(callbacks, verbose)
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
        if results in ({}, []):
            raise ValueError(NO_DATA)
        return results

    @checking_data
    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Scores of shape (samples, num_classes), as a numpy array; arguments as in Keras."""
        x, _, _ = data_checks.checked(self, x, needs_labels=False)
        return super().predict(x, batch_size, verbose, steps, callbacks)

    def predict_proba(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Probabilities of the classes, `softmax(scores / temperature)` (Guo et al. 2017).

        `fit` chooses the one temperature, `model.readout.temperature`, at the end of every epoch:
        that of the least cross-entropy on the validation data, or, without these, on the training
        samples that are scored anyway, for compiled metrics or by a softmax readout. Without either
        it stays 1, and probabilities rank the classes but are not calibrated.

        Args:
            x, batch_size, verbose, steps, callbacks: as for `predict`.

        Returns:
            float32 numpy array of shape (samples, num_classes); rows add up to 1.

        Example:

        >>> import numpy as np
        >>> x = np.random.rand(8, 8, 8, 1)
        >>> model = FFModel.from_preset("digits_mlp_relu")
        >>> model.predict_proba(x, verbose=0).sum(axis=1).round(3).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        """
        scores = self.predict(x, batch_size, verbose, steps, callbacks)
        return ops.convert_to_numpy(self.readout.probabilities(ops.convert_to_tensor(scores)))

    @checking_data
    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step on one batch, by the layers of `learning_layers`; arguments as in Keras."""
        data_checks.check_class_weight(class_weight, self.num_classes)
        x, y, sample_weight = data_checks.checked(self, x, y, sample_weight, one_batch=True)
        return super().train_on_batch(x, y, sample_weight, class_weight, return_dict)

    @checking_data
    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss and metrics of one batch; arguments as in Keras."""
        x, y, sample_weight = data_checks.checked(self, x, y, sample_weight, one_batch=True)
        return super().test_on_batch(x, y, sample_weight, return_dict)

    @checking_data
    def predict_on_batch(self, x):
        """Scores of one batch, as a numpy array of shape (batch, num_classes)."""
        x, _, _ = data_checks.checked(self, x, needs_labels=False, one_batch=True)
        return super().predict_on_batch(x)

    def export(self, filepath, **kwargs):
        """Write the scoring function for serving; arguments as in Keras."""
        if self.built and other_layers.needs_text(self.stack.leading):
            shape = (None, *self.sample_shape)
            signature = [keras.InputSpec(shape=shape, dtype="string")]
            kwargs = {"input_signature": signature, **kwargs}
        elif self.built:
            # Keras exports what was called before, and `fit` does not call the model.
            self(ops.zeros((1, *self.sample_shape)))
        super().export(filepath, **kwargs)

    def samples(self, x, y=None, seed=0):
        """Positive, negative and neutral samples, as the first layer is given them.

        Args:
            x: array of shape (batch, ...).
            y: integer array of shape (batch,); may be `None` where learning needs no labels.
            seed: integer to draw from. Defaults to `0`.

        Returns:
            A dictionary of float32 arrays: `"positive"` and `"neutral"` of shape (batch, ...),
            `"negative"` of shape (negatives per sample, batch, ...). Class groups have positives
            alone.
        """
        x = checked_samples(x, self.sample_shape)
        if not self.built:
            self.build(tuple(x.shape))
        batch = self.streams(x, class_numbers(y, self.num_classes), seed=seed)
        embedded = ops.convert_to_numpy(batch.embedded(self.label_embedding, self.num_classes))
        streams = embedded.reshape(batch.streams, -1, *embedded.shape[1:])
        if self.class_groups:
            return {"positive": streams[0]}
        neutral = ops.convert_to_numpy(self.streams.embed(x))
        return {"positive": streams[0], "negative": streams[1:], "neutral": neutral}

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
            "layers": [other_layers.serialized(layer) for layer in self.stack.layers],
            "num_classes": self.num_classes,
            "label_embedding": serialize(self.label_embedding),
            "negatives": serialize(self.negatives),
            "layer_schedule": serialize(self.layer_schedule),
            "readout": serialize(self.readout),
            "check_data": self.check_data,
            "labels_first": self.labels_first,
            "quantization": quantization.recorded(self),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # Files of earlier versions do not say.
        config = {"labels_first": True, **config}
        quantized = config.pop("quantization", [])
        layers = config["layers"]
        if layer_schedules.get(config["layer_schedule"]).places_layers:
            layers = _unbuilt(layers)
        config["layers"] = [
            keras.saving.deserialize_keras_object(layer, custom_objects=custom_objects)
            for layer in layers
        ]
        model = cls(**config)
        model._quantized = quantized
        return model


def _with_rows(x, cache):
    """Samples, and the numbers of their rows where `fit` looks up what frozen layers gave."""
    return x if cache is not None and isinstance(x, tuple) else (x, None)


def _unbuilt(config):
    """Configuration of layers without shapes: the model then builds them, each on its device."""
    if isinstance(config, dict):
        return {key: _unbuilt(value) for key, value in config.items() if key != "build_config"}
    return [_unbuilt(value) for value in config] if isinstance(config, list) else config
