"""FFTensorBoard: every layer of an `FFModel` in TensorBoard."""

import contextlib
import math

import keras
import numpy as np
from keras import ops

from keras_ff import measurements
from keras_ff.callbacks.tensorboard import hyperparameters, layout, projector, tags
from keras_ff.utils import checks, extras
from keras_ff.utils.files import path_of
from keras_ff.utils.user_warnings import warn_of_former_name

# Samples on the sheet of positives, negatives and neutrals.
SHEET_SAMPLES = 10
# TensorFlow writes the logs under every backend; the others draw, and reduce activities.
NEEDED = ("tensorflow", "tensorboard", "matplotlib", "scipy", "sklearn")


class FFTensorBoard(keras.callbacks.TensorBoard):
    """Shows every layer of an `FFModel` in TensorBoard: which ones separate, and where it stalls.

    On top of what Keras's callback writes, there are:

    - scalars of every layer, `layer_1/goodness separation` and the like: loss, positive and
      negative goodness, their separation and pair accuracy, in training and in
      validation; the learning rate; on held-out samples also the accuracy of the layer alone and
      with all layers below it, and the shares of dead units and of saturated activities (see
      `keras_ff.measurements.LayerMeasurements`);
    - the same charts under *Custom scalars*, a group for all layers and one for each;
    - histograms of positive goodness, negative goodness and activities;
    - images: goodness by label, densities of goodness, accuracy by layer, positives, negatives
      and neutrals, and the first layer's filters;
    - in the end the samples' activities in every layer, with the neutral label, under *Projector*;
    - the hyperparameters under *HParams*, and under TensorFlow the graph of scoring.

    Layers that have not been trained yet are left out. Nothing that is measured here moves the
    model or its random generators. Under TensorFlow and JAX, on the first of several workers.

    Args:
        log_dir: string or path. Training is written to `train` in it, what is measured on held-out
            samples to `validation`. Defaults to `"logs"`.
        samples: arrays (x, y), or x alone for models that learn without labels: the held-out
            samples to measure on. Defaults to `None`: the first samples of `fit`'s
            `validation_data`, as far as these can be gone through more than once; without
            any, only what is in the logs is written.
        sample_count: integer, samples that are measured at most, the first ones. Defaults to `500`.
        measure_freq: integer, epochs from one measurement of scalars to the next; 0 for none.
            Defaults to `1`.
        distribution_freq: integer, the same for histograms of goodness and activities. Defaults
            to `5`.
        picture_freq: integer, the same for images. Defaults to `10`. Histograms and images are
            also written after the last epoch.
        class_names: list of strings, a name for each class. Defaults to `None`: their numbers.
        hparams: dictionary or `TrainingConfig`, what the run was trained with. Defaults to `None`.
        write_projector: boolean, whether activities are written for the projector. Defaults to
            `True`.
        write_graph: boolean, whether the graph of scoring is written. Defaults to `True`.
        **kwargs: as for `keras.callbacks.TensorBoard`: `histogram_freq` (of weights),
            `update_freq`, `profile_batch`, …

    Raises:
        ValueError: if a frequency or count is not a whole number, or samples or class names do not
            fit the model.
        ImportError: if the extra `tensorboard` is not installed; it is a `ValueError` as well.

    Example:

    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.compile("adam", metrics=["accuracy"])
    >>> board = FFTensorBoard("logs", hparams={"units": 32})
    >>> history = model.fit(x, y, validation_data=(x, y), callbacks=[board], verbose=0)

    `tensorboard --logdir logs` then shows it.
    """

    def __init__(
        self,
        log_dir="logs",
        samples=None,
        sample_count=500,
        measure_freq=1,
        distribution_freq=5,
        picture_freq=10,
        class_names=None,
        hparams=None,
        write_projector=True,
        write_graph=True,
        **kwargs,
    ):
        extras.require("Logs for TensorBoard", "tensorboard", *NEEDED)
        # Keras's own graph is not supported as of 3.15.
        super().__init__(log_dir=str(path_of(log_dir)), write_graph=False, **kwargs)
        self.sample_count = checks.whole_number(sample_count, "sample_count")
        self.measure_freq = checks.whole_number(measure_freq, "measure_freq", minimum=0)
        self.distribution_freq = checks.whole_number(
            distribution_freq, "distribution_freq", minimum=0
        )
        self.picture_freq = checks.whole_number(picture_freq, "picture_freq", minimum=0)
        self.class_names = class_names
        self.hparams = None if hparams is None else hyperparameters.as_values(hparams)
        self.write_projector = write_projector
        self.write_scoring_graph = write_graph
        # A pair of x and y, or `None` as long as there are none.
        self.samples = self._given = None
        if samples is not None:
            self.samples = self._given = self._first(samples)
        # Nothing is done after a batch then, so that Keras need not wait for its logs.
        self.async_safe = (
            self.update_freq == "epoch"
            and not self._should_trace
            and not self.write_steps_per_second
        )
        self._begun = False
        self._last = None

    def show_validation_data(self, validation_data):
        """Take the samples to measure on from validation data, unless they were given.

        Args:
            validation_data: as for `fit`, which calls this. Of data that can be gone through only
                once nothing is taken.
        """
        if self._given is None:
            self.samples = measurements.first_samples(validation_data, self.sample_count)

    def show(self, validation_data):
        """The former name of `show_validation_data`, until keras_ff 0.3.0."""
        warn_of_former_name("FFTensorBoard.show", "FFTensorBoard.show_validation_data", "0.3.0")
        self.show_validation_data(validation_data)

    def _first(self, samples):
        found = measurements.first_samples(samples, self.sample_count)
        if found is None:
            raise ValueError(
                "`samples` must be arrays (x, y), or x alone for models that learn without labels. "
                f"Received: samples={samples!r}"
            )
        return found

    # --- what Keras calls ----------------------------------------------------------------

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._begun, self._last = False, None
        if self.hparams is not None:
            from tensorboard.plugins.hparams import api

            # In the run that has the metrics to compare by.
            with self._val_writer.as_default():
                api.hparams(self.hparams)

    def on_train_batch_end(self, batch, logs=None):
        # Keras would ask TensorFlow for a scalar of every metric, each batch, to write none.
        super().on_train_batch_end(batch, None if self.update_freq == "epoch" else logs)

    def on_test_end(self, logs=None):
        super().on_test_end(tags.of_model(logs or {}))

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        super().on_epoch_end(epoch, tags.of_model(logs))
        if not self._begun:
            self._begun = True
            self._begin()
        validation = {
            name.removeprefix("val_"): value
            for name, value in logs.items()
            if name.startswith("val_")
        }
        validation = tags.layer_scalars(validation)
        training = {**tags.layer_scalars(logs), **self._learning_rates()}
        self._write_scalars(self._train_writer, training, epoch)
        if self.samples is not None:
            validation = {**self._measure(epoch), **validation}
        if validation:
            self._write_scalars(self._val_writer, validation, epoch)

    def on_train_end(self, logs=None):
        if self._last is not None and self.samples is not None:
            epoch, done = self._last
            missing = {name for name, freq in self._frequencies.items() if freq} - done
            if missing:
                self._write_measured(self._measurements(), epoch, missing)
            if self.write_projector:
                self._write_projector()
        super().on_train_end(logs)

    def _collect_learning_rate(self, logs):
        """Keras's own name for every layer's rate would stand apart from the layer."""
        return logs

    # --- what is written -----------------------------------------------------------------

    def _begin(self):
        """What is written once per training."""
        from tensorboard.plugins.custom_scalar import summary

        if self.samples is not None:
            # Names that do not fit are refused now, not when the first picture is drawn.
            from keras_ff.visualization import style

            style.class_names_of(self.class_names, self.model.num_classes)
        with self._train_writer.as_default():
            charts = summary.pb(layout.layout(len(self.model.ff_layers)))
            self.summary.experimental.write_raw_pb(charts.SerializeToString(), step=0)
            if self.write_scoring_graph and keras.backend.backend() == "tensorflow":
                self.summary.graph(_scoring_graph(self.model))

    def _measure(self, epoch):
        """Write what is due after an epoch; the scalars measured, by tag."""
        due = {name for name, freq in self._frequencies.items() if self._is_due(epoch, freq)}
        if self.measure_freq and epoch % self.measure_freq == 0:
            due.add("scalars")
        self._last = epoch, due
        if not due:
            return {}
        measured = self._measurements()
        self._write_measured(measured, epoch, due)
        return tags.measured_scalars(measured) if "scalars" in due else {}

    def _learning_rates(self):
        return {
            f"{optimizer.name}/{tags.LEARNING_RATE}": float(
                ops.convert_to_numpy(optimizer.learning_rate)
            )
            for optimizer in self.model.optimizer.optimizers
        }

    @property
    def _frequencies(self):
        """Epochs between what is also written after the last epoch; 0 for none."""
        return {"distributions": self.distribution_freq, "pictures": self.picture_freq}

    def _is_due(self, epoch, frequency):
        """Whether the turn has come, and is not so near the last epoch that this one will do."""
        left = self.params.get("epochs", math.inf) - 1 - epoch
        return bool(frequency) and epoch % frequency == 0 and left >= frequency / 2

    def _measurements(self):
        return measurements.measure(self.model, *self.samples)

    def _write_measured(self, measured, epoch, due):
        with self._val_writer.as_default():
            if "distributions" in due:
                self._write_distributions(measured, epoch)
            if "pictures" in due:
                self._write_pictures(measured, epoch)

    def _write_scalars(self, writer, scalars, epoch):
        with writer.as_default():
            for tag, value in scalars.items():
                self.summary.scalar(tag, value, step=epoch)

    def _write_distributions(self, measured, epoch):
        for layer in measured.layers:
            for what, values in (
                ("positive goodness", layer.positive_goodness),
                ("negative goodness", layer.negative_goodness.ravel()),
                ("activities", layer.activities),
            ):
                tag = tags.of_layer(layer.number, f"distribution of {what}")
                self.summary.histogram(tag, values, step=epoch)

    def _write_pictures(self, measured, epoch):
        from keras_ff import visualization
        from keras_ff.visualization import style

        model, (x, _), names = self.model, self.samples, self.class_names
        sheet = (model, x, measured.labels, SHEET_SAMPLES, names)
        for tag, draw, arguments in (
            ("all layers/goodness densities", visualization.goodness_densities, [measured]),
            ("all layers/goodness by label", visualization.label_goodness, [measured, names]),
            ("all layers/accuracy by layer", visualization.layer_accuracy, [measured]),
            ("layer_1/filters", visualization.filters, [model]),
            ("samples/positives, negatives and neutrals", visualization.samples, sheet),
        ):
            # Some models and some samples have no such picture.
            with contextlib.suppress(ValueError):
                image = style.pixels(draw(*arguments))
                self.summary.image(tag, image[np.newaxis], step=epoch)

    def _write_projector(self):
        x, y = self.samples
        labels = None
        if y is not None:
            from keras_ff.visualization import style

            names = style.class_names_of(self.class_names, self.model.num_classes)
            labels = [names[label] for label in measurements.class_numbers(y, len(names))]
        activities = measurements.neutral_activities(self.model, x)
        projector.write(self._train_dir, activities, labels, x)


def _scoring_graph(model):
    """The graph by which a model scores samples."""
    import tensorflow as tf

    samples = tf.TensorSpec((None, *model.sample_shape), "float32")
    scores = tf.function(model.scores, autograph=False)
    return scores.get_concrete_function(samples).graph
