"""FFTensorBoard: what stands in the event files is what was measured."""

import json
import math
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_ff
from keras_ff import measurements, training, visualization
from keras_ff.callbacks import FFTensorBoard
from keras_ff.callbacks.tensorboard import hyperparameters, layout, projector
from keras_ff.layers import FFConv2D, FFDense
from keras_ff.recipes import TrainingConfig
from keras_ff.training import checkpoint
from keras_ff.visualization import style
from tests.helpers import ROOT

CLASSES, IMAGE, SAMPLES = 3, (6, 6, 1), 45
NAMES = ["ant", "bee", "cat"]
EPOCHS = 3


def data(seed=3):
    rng = np.random.default_rng(seed)
    y = np.arange(SAMPLES) % CLASSES
    x = rng.random((SAMPLES, *IMAGE))
    for sample, label in zip(x, y, strict=True):
        sample[2 * label : 2 * label + 2] += 0.7  # two brighter rows a class
    return x.astype("float32"), y


def new_model(layers=2, **arguments):
    keras.utils.set_random_seed(5)
    layer = arguments.pop("layer", {})
    model = keras_ff.FFModel(
        [FFDense(12, **layer) for _ in range(layers)],
        CLASSES,
        **{"layer_schedule": "simultaneous", **arguments},
    )
    # With both negatives of a sample nothing that is measured is random.
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"], run_eagerly=True)
    return model


ALL = {"negatives": keras_ff.negatives.AllLabels()}
# Scalars and histograms after every epoch, and pictures as well.
OFTEN = {"measure_freq": 1, "distribution_freq": 1}
ALWAYS = {**OFTEN, "picture_freq": 1}


def fit(model, board, epochs=EPOCHS, **arguments):
    x, y = data()
    given = {"validation_data": data(4), **arguments}
    return model.fit(
        x, y, batch_size=15, epochs=epochs, verbose=0, callbacks=[board], **given
    ).history


class Events:
    """What stands in the event files of a run."""

    def __init__(self, folder):
        self.events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
        self.events.Reload()
        self.tags = self.events.Tags()["tensors"]

    def of(self, tag):
        """Steps and values of a tag."""
        import tensorflow as tf

        found = self.events.Tensors(tag)
        return [one.step for one in found], [tf.make_ndarray(one.tensor_proto) for one in found]

    def last(self, tag):
        return self.of(tag)[1][-1]

    def picture(self, tag):
        """Step and pixels of the last picture, as numbers from 0 to 1."""
        import io

        steps, values = self.of(tag)
        width, height, content = values[-1]
        pixels = imread(io.BytesIO(content))[..., :3]
        assert pixels.shape[:2] == (int(height), int(width))
        return steps[-1], pixels


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A training with everything shown after every epoch: model, history, folder."""
    folder = tmp_path_factory.mktemp("logs")
    model = new_model(**ALL)
    hparams = {"units": (12, 12), "rate": 0.01, "alpha": None, "fast": True}
    board = FFTensorBoard(folder, class_names=NAMES, hparams=hparams, **ALWAYS)
    return model, fit(model, board), folder


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FFTensorBoard("~/logs").log_dir == str(tmp_path / "logs")


# Scalars.


@pytest.mark.slow
def test_the_metrics_of_layers_are_those_of_the_history(shown):
    _, history, folder = shown
    for run, prefix in (("train", ""), ("validation", "val_")):
        events = Events(folder / run)
        for number in (1, 2):
            name, tag = f"{prefix}layer_{number}/", f"layer_{number}/"
            for figure, written in (
                ("loss", "loss"),
                ("positive_goodness", "positive goodness"),
                ("negative_goodness", "negative goodness"),
                ("pair_accuracy", "pair accuracy"),
            ):
                steps, values = events.of(tag + written)
                assert steps == list(range(EPOCHS))
                np.testing.assert_allclose(values, history[name + figure], rtol=1e-6)
            positive, negative = (
                np.array(history[f"{name}{stream}_goodness"]) for stream in ("positive", "negative")
            )
            _, separation = events.of(tag + "goodness separation")
            np.testing.assert_allclose(separation, positive - negative, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            events.of("epoch_accuracy")[1], history[f"{prefix}accuracy"], rtol=1e-6
        )


@pytest.mark.slow
def test_metrics_of_layers_stand_under_their_layer_alone(shown):
    _, _, folder = shown
    for run in ("train", "validation"):
        tags = Events(folder / run).tags
        assert not [tag for tag in tags if "layer_" in tag and not re.match(r"layer_\d/", tag)]
        # At these, custom scalars part a tag from its run.
        assert not [tag for tag in tags if "(" in tag]


@pytest.mark.slow
def test_learning_rates_stand_under_their_layers(shown):
    _, _, folder = shown
    _, values = Events(folder / "train").of("layer_2/learning rate")
    np.testing.assert_allclose(values, [0.01] * EPOCHS, rtol=1e-6)


def activities_by_hand(model, x):
    """Activities of every layer for every label, in numpy: lists by label and layer."""
    found = []
    for label in range(CLASSES):
        pixels = x.reshape(len(x), -1).astype("float64")
        length = np.sqrt(0.1 * np.sum(pixels**2, axis=1, keepdims=True))
        handed = np.concatenate([pixels, length * np.eye(CLASSES)[[label] * len(x)]], axis=1)
        each = []
        for layer in model.ff_layers:
            kernel, bias = map(keras.ops.convert_to_numpy, layer.transform.weights)
            handed = handed / np.sqrt(np.mean(handed**2, axis=1, keepdims=True) + 1e-8)
            handed = np.maximum(handed @ kernel + bias, 0)
            each.append(handed)
        found.append(each)
    return found


@pytest.mark.slow
def test_accuracies_and_dead_units_are_those_of_numpy(shown):
    model, history, folder = shown
    x, y = data(4)
    every = activities_by_hand(model, x)
    # Of both negatives one tells what the units do.
    wrong = keras.ops.convert_to_numpy(model.negatives.labels(y, CLASSES, seed=0))[:, 0]
    events = Events(folder / "validation")
    together = 0.0
    for index in range(2):
        goodness = np.stack([np.mean(every[c][index] ** 2, axis=1) for c in range(CLASSES)], axis=1)
        together = together + goodness
        tag = f"layer_{index + 1}/"
        alone = np.mean(np.argmax(goodness, axis=1) == y)
        assert events.last(tag + "accuracy alone") == pytest.approx(alone)
        first = np.mean(np.argmax(together, axis=1) == y)
        assert events.last(tag + "accuracy with layers below") == pytest.approx(first)
        labelled = np.stack([every[c][index] for c in range(CLASSES)])
        activities = np.concatenate([labelled[labels, np.arange(len(y))] for labels in (y, wrong)])
        dead = np.mean(np.ptp(activities, axis=0) < 1e-6)
        assert events.last(tag + "share of dead units") == pytest.approx(dead)
        silent = np.mean(activities <= 1e-3)
        written = events.last(tag + "share of saturated activities")
        assert written == pytest.approx(silent, abs=2e-3) and 0 < silent < 1
    assert first == pytest.approx(history["val_accuracy"][-1])


@pytest.mark.slow
def test_every_epoch_is_measured_as_it_ended(tmp_path):
    """That of the first epoch is not that of the last one."""
    found = []

    class Measure(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            measured = measurements.measure(self.model, *data(4))
            found.append([layer.saturated_share for layer in measured.layers])

    x, y = data()
    board = FFTensorBoard(tmp_path, samples=data(4), picture_freq=0, distribution_freq=0)
    model = new_model(**ALL)
    model.fit(x, y, batch_size=15, epochs=3, verbose=0, callbacks=[board, Measure()])
    events = Events(tmp_path / "validation")
    for layer in range(2):
        _, written = events.of(f"layer_{layer + 1}/share of saturated activities")
        np.testing.assert_allclose(written, np.array(found)[:, layer], rtol=1e-6)
    assert len({tuple(row) for row in found}) == 3


# Distributions.


@pytest.mark.slow
def test_histograms_hold_all_values(shown):
    model, _, folder = shown
    events = Events(folder / "validation")
    for layer in measurements.measure(model, *data(4)).layers:
        for what, values in (
            ("positive goodness", layer.positive_goodness),
            ("negative goodness", layer.negative_goodness),
            ("activities", layer.activities),
        ):
            tag = f"layer_{layer.number}/distribution of {what}"
            assert events.of(tag)[0] == list(range(EPOCHS))
            left, right, count = events.last(tag).T
            assert count.sum() == values.size
            assert (left[0], right[-1]) == pytest.approx((values.min(), values.max()), rel=1e-5)
            middle = np.sum(count * (left + right) / 2) / count.sum()
            assert middle == pytest.approx(values.mean(), abs=(right - left).max())


# Pictures.


@pytest.mark.slow
def test_pictures_are_those_of_the_trained_model(shown):
    model, _, folder = shown
    events = Events(folder / "validation")
    x, y = data(4)
    measured = measurements.measure(model, x, y)
    for tag, figure in (
        ("all layers/goodness densities", visualization.goodness_densities(measured)),
        ("all layers/goodness by label", visualization.label_goodness(measured, NAMES)),
        ("all layers/accuracy by layer", visualization.layer_accuracy(measured)),
        ("layer_1/filters", visualization.filters(model)),
        (
            "samples/positives, negatives and neutrals",
            visualization.samples(model, x, y, class_names=NAMES),
        ),
    ):
        step, pixels = events.picture(tag)
        assert step == EPOCHS - 1
        np.testing.assert_allclose(pixels, style.pixels(figure) / 255, atol=1 / 255)
        assert pixels.std() > 0.05


@pytest.mark.slow
def test_heavy_things_come_at_their_frequency_and_after_the_last_epoch(tmp_path):
    board = FFTensorBoard(tmp_path, distribution_freq=2, picture_freq=4, measure_freq=3)
    fit(new_model(), board, epochs=8)
    events = Events(tmp_path / "validation")
    assert events.of("layer_1/distribution of activities")[0] == [0, 2, 4, 6, 7]
    assert events.of("layer_1/accuracy alone")[0] == [0, 3, 6]
    assert events.of("all layers/goodness densities")[0] == [0, 4, 7]
    assert events.of("layer_1/loss")[0] == list(range(8))


@pytest.mark.slow
def test_what_comes_shortly_before_the_end_is_left_to_the_end(tmp_path):
    board = FFTensorBoard(tmp_path, distribution_freq=4, picture_freq=12)
    fit(new_model(layers=1), board, epochs=6)
    events = Events(tmp_path / "validation")
    assert events.of("layer_1/distribution of activities")[0] == [0, 5]
    assert events.of("layer_1/filters")[0] == [5]


@pytest.mark.slow
def test_frequencies_of_zero_write_nothing(tmp_path):
    board = FFTensorBoard(
        tmp_path, distribution_freq=0, picture_freq=0, measure_freq=0, write_projector=False
    )
    fit(new_model(), board, epochs=1)
    tags = Events(tmp_path / "validation").tags
    assert not [tag for tag in tags if "distribution" in tag or "accuracy alone" in tag]
    assert "layer_1/filters" not in tags and "layer_1/loss" in tags
    assert not (tmp_path / "train" / "projector_config.pbtxt").exists()


# The projector.


@pytest.mark.slow
def test_the_projector_is_given_neutral_activities_labels_and_thumbnails(shown):
    model, _, folder = shown
    folder, (x, y) = folder / "train", data(4)
    activities = measurements.neutral_activities(model, x)
    for number, expected in enumerate(activities, start=1):
        points = np.loadtxt(folder / f"layer_{number}_activities.tsv", delimiter="\t")
        np.testing.assert_allclose(points, expected, rtol=1e-4, atol=1e-6)
    labels = (folder / "labels.tsv").read_text().splitlines()
    assert labels == [NAMES[label] for label in y]
    sheet = imread(folder / "samples.png")
    assert sheet.shape[:2] == (7 * 6, 7 * 6)
    fourth = (x[8, ..., 0] - x.min()) / (x.max() - x.min())  # row 1, column 1 of seven
    np.testing.assert_allclose(sheet[6:12, 6:12, 0], fourth, atol=1 / 255)
    config = (folder / "projector_config.pbtxt").read_text()
    for name in ("layer_1_activities.tsv", "layer_2_activities.tsv", "labels.tsv", "samples.png"):
        assert f'"{name}"' in config


@pytest.mark.slow
def test_many_units_are_reduced_to_principal_components():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(80, 8)) @ rng.normal(size=(8, 70)) + 5.0
    points = projector.coordinates(flat)
    assert points.shape == (80, 50)
    # Eight dimensions hold all there is, so that no distance changes.
    apart, expected = (
        np.linalg.norm(each[:, np.newaxis] - each, axis=2) for each in (points, flat)
    )
    np.testing.assert_allclose(apart, expected, atol=1e-8)
    assert (np.diff(points.std(axis=0)) < 1e-9).all()


# Hyperparameters, layout, graph.


@pytest.mark.slow
def test_hyperparameters_can_be_compared(shown):
    from tensorboard.plugins.hparams import plugin_data_pb2

    _, _, folder = shown
    events = Events(folder / "validation")
    metadata = events.events.SummaryMetadata("_hparams_/session_start_info")
    content = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
    values = content.session_start_info.hparams
    assert values["units"].string_value == "12,12" and values["fast"].bool_value is True
    assert values["rate"].number_value == 0.01 and "alpha" not in values


def test_a_configuration_can_stand_for_hyperparameters():
    config = TrainingConfig.for_dataset("digits", units=(24, 16))
    values = hyperparameters.as_values(config)
    assert values["units"] == "24,16" and values["loss"] == config.loss
    assert "threshold" not in values  # which this loss has none of
    with pytest.raises(ValueError, match=r"TrainingConfig. Received: hparams=3"):
        FFTensorBoard(hparams=3)


@pytest.mark.slow
def test_charts_are_laid_out_by_layer_and_find_their_tags(shown):
    from tensorboard.plugins.custom_scalar import layout_pb2

    _, _, folder = shown
    tags = set(Events(folder / "train").tags) | set(Events(folder / "validation").tags)
    stored = Events(folder / "train").last("custom_scalars__config__")
    read = layout_pb2.Layout.FromString(stored.item())
    assert read == layout.layout(2)
    titles = [category.title for category in read.category]
    assert titles == ["Forward-Forward: all layers", "Layer 1", "Layer 2"]
    for index, category in enumerate(read.category):
        for chart in category.chart:
            for pattern in chart.multiline.tag:
                found = [tag for tag in tags if re.match(pattern, tag)]
                assert found, (category.title, chart.title)
                if index:
                    assert all(tag.startswith(f"layer_{index}/") for tag in found)


@pytest.mark.slow
@pytest.mark.tensorflow("only its functions have a graph")
def test_the_graph_is_that_of_scoring(shown):
    _, _, folder = shown
    graph = Events(folder / "train").events.Graph()
    kernels = [node for node in graph.node if node.op == "ReadVariableOp"]
    inputs = [node.attr["shape"].shape for node in graph.node if node.op == "Placeholder"]
    assert [-1, *IMAGE] in [[dimension.size for dimension in shape.dim] for shape in inputs]
    assert len(kernels) >= 4


# Families, schedules and data.


@pytest.mark.slow
def test_greedy_layers_are_shown_from_their_turn_on(tmp_path):
    model = new_model(layer_schedule="greedy")
    fit(model, FFTensorBoard(tmp_path, **OFTEN), epochs=4)
    events = Events(tmp_path / "validation")
    assert events.of("layer_1/goodness separation")[0] == [0, 1, 2, 3]
    for figure in ("goodness separation", "accuracy alone", "distribution of activities"):
        assert events.of(f"layer_2/{figure}")[0] == [2, 3], figure
    training_events = Events(tmp_path / "train")
    assert training_events.of("layer_2/loss")[0] == [2, 3]
    _, values = training_events.of("layer_1/loss")
    assert all(math.isfinite(value) for value in values)


@pytest.mark.slow
def test_class_groups(tmp_path):
    model = new_model(layer={"goodness": "class_groups"}, label_embedding=None, negatives=None)
    history = fit(model, FFTensorBoard(tmp_path, **OFTEN))
    events = Events(tmp_path / "validation")
    _, accuracy = events.of("layer_2/accuracy alone")
    np.testing.assert_allclose(accuracy, history["val_layer_2/accuracy"], rtol=1e-6)
    _, positive = events.of("layer_2/positive goodness")
    np.testing.assert_allclose(positive, history["val_layer_2/goodness"], rtol=1e-5)
    x, y = data(4)
    scores = measurements.measure(model, x, y).layers[0].class_scores
    own = scores[np.arange(len(y)), y]
    apart = own.mean() - (scores.sum(axis=1) - own).mean() / (CLASSES - 1)
    written = events.last("layer_1/goodness separation")
    assert written == pytest.approx(apart, rel=1e-4, abs=1e-6)
    assert "all layers/goodness by label" in events.tags


@pytest.mark.slow
def test_learning_without_labels(tmp_path):
    model = keras_ff.FFModel(
        [FFConv2D(4), FFDense(5)],
        CLASSES,
        label_embedding=None,
        negatives="hybrid_images",
        readout="softmax",
    )
    model.compile(run_eagerly=True)
    x, _ = data()
    board = FFTensorBoard(tmp_path, samples=x, **OFTEN)
    model.fit(x, epochs=2, batch_size=15, verbose=0, callbacks=[board])
    events = Events(tmp_path / "validation")
    told = measurements.measure(model, x).layers[1].pair_accuracy
    assert events.last("layer_2/pair accuracy") == pytest.approx(told)
    assert {"layer_1/filters", "samples/positives, negatives and neutrals"} <= set(events.tags)
    others = [tag for tag in events.tags if not tag.endswith("/pair accuracy")]
    assert not [tag for tag in others if "accuracy" in tag or "by label" in tag]
    assert not (tmp_path / "train" / "labels.tsv").exists()


@pytest.mark.slow
def test_flat_samples_have_no_pictures_of_themselves(tmp_path):
    x, y = data()
    x = x.reshape(len(x), -1)
    model = new_model()
    model.fit(x, y, verbose=0, callbacks=[FFTensorBoard(tmp_path, samples=(x, y), **OFTEN)])
    tags = Events(tmp_path / "validation").tags
    assert "all layers/goodness by label" in tags
    assert "layer_1/filters" not in tags
    assert not (tmp_path / "train" / "samples.png").exists()
    assert (tmp_path / "train" / "layer_1_activities.tsv").exists()


@pytest.mark.slow
def test_without_held_out_samples_there_is_what_the_logs_hold(tmp_path):
    x, y = data()
    history = new_model().fit(x, y, batch_size=15, verbose=0, callbacks=[FFTensorBoard(tmp_path)])
    events = Events(tmp_path / "train")
    assert events.last("layer_2/loss") == pytest.approx(history.history["layer_2/loss"][0])
    assert not (tmp_path / "validation").exists()


@pytest.mark.slow
def test_validation_data_that_can_be_seen_once_are_left_to_validation(tmp_path):
    def once():
        x, y = data(4)
        yield x[:20], y[:20]
        yield x[20:], y[20:]

    history = fit(new_model(**ALL), FFTensorBoard(tmp_path), epochs=1, validation_data=once())
    expected = fit(new_model(**ALL), FFTensorBoard(tmp_path / "other"), epochs=1)
    assert history["val_loss"] == pytest.approx(expected["val_loss"])
    assert "layer_1/accuracy alone" not in Events(tmp_path / "validation").tags


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "waits"),
    [({}, False), ({"update_freq": 1}, True), ({"write_steps_per_second": True}, True)],
)
def test_keras_waits_for_the_metrics_of_batches_only_where_they_are_written(
    arguments, waits, tmp_path
):
    board = FFTensorBoard(tmp_path, picture_freq=0, write_projector=False, **arguments)
    assert board.async_safe is not waits
    fit(new_model(), board, epochs=1)
    tags = Events(tmp_path / "train").tags
    assert ("batch_loss" in tags) is ("update_freq" in arguments)


@pytest.mark.slow
def test_samples_that_are_given_win_over_validation_data_and_are_not_all_taken():
    x, y = data()
    board = FFTensorBoard(samples=(x, y), sample_count=7)
    board.show_validation_data((x[10:], y[10:]))
    np.testing.assert_array_equal(board.samples[0], x[:7])
    other = FFTensorBoard(sample_count=7)
    other.show_validation_data((x[10:], y[10:]))
    np.testing.assert_array_equal(other.samples[1], y[10:17])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"picture_freq": -1}, r"`picture_freq` must be an integer of at least 0. Received: .*-1"),
        ({"sample_count": 0}, r"`sample_count` must be an integer of at least 1. Received: .*0"),
        ({"samples": 3}, r"`samples` must be arrays.*Received: samples=3"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        FFTensorBoard(**arguments)


def test_names_that_do_not_fit_are_refused_at_once(tmp_path):
    board = FFTensorBoard(tmp_path, class_names=["a", "b"])
    with pytest.raises(ValueError, match=r"each of the 3 classes. Received: 2 names"):
        fit(new_model(), board)


# Training is what it would be without.


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
def test_a_training_that_is_shown_ends_as_one_that_is_not(schedule, tmp_path):
    def trained(callbacks):
        model = new_model(layer_schedule=schedule, layer={"dropout": 0.3})
        x, y = data()
        history = model.fit(
            x, y, batch_size=15, epochs=2, verbose=0, validation_data=data(4), callbacks=callbacks
        ).history
        return history, [keras.ops.convert_to_numpy(variable) for variable in model.variables]

    history, values = trained([FFTensorBoard(tmp_path, **ALWAYS)])
    others, expected = trained([])
    for name, metrics in others.items():
        np.testing.assert_array_equal(history[name], metrics)
    for one, other in zip(values, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_events_are_on_disk_after_every_epoch(tmp_path):
    """A kill loses nothing that a checkpoint has kept."""
    found = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            last = "layer_2/share of saturated activities"
            found.append(Events(tmp_path / "validation").of(last)[0])

    x, y = data()
    board = FFTensorBoard(tmp_path, samples=(x, y), distribution_freq=0, picture_freq=0)
    new_model().fit(x, y, epochs=2, verbose=0, callbacks=[board, Look()])
    assert found == [[0], [0, 1]]


# Runs.

SMALL = {"units": (12, 8), "batch_size": 512, "learning_rate": 0.01}


@pytest.mark.slow
def test_a_resumed_run_goes_on_in_the_same_folder(tmp_path, monkeypatch):
    class Interruption(Exception):
        pass

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise Interruption

    config = TrainingConfig.for_dataset("digits", epochs=3, **SMALL)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.Checkpoint, "on_epoch_begin", on_epoch_begin)
        with pytest.raises(Interruption):
            training.train(config, tmp_path / "run", verbose=0, tensorboard=True)
    training.train(config, tmp_path / "run", resume=True, verbose=0)
    history = training.read_json(tmp_path / "run" / "history.json")
    events = Events(tmp_path / "run" / "tensorboard" / "validation")
    steps, values = events.of("layer_2/loss")
    assert steps == [0, 1, 2]
    np.testing.assert_allclose(values, history["val_layer_2/loss"], rtol=1e-6)


@pytest.mark.slow
def test_the_command_says_how_to_look_inside(tmp_path, capsys):
    words = ["train", "--out", str(tmp_path / "run"), "--units", "12,8", "--epochs", "1"]
    assert keras_ff.cli.main([*words, "--batch-size", "512", "--tensorboard"]) == 0
    folder = tmp_path / "run" / "tensorboard"
    assert f"tensorboard --logdir {folder}" in capsys.readouterr().out
    from tensorboard.plugins.hparams import plugin_data_pb2

    metadata = Events(folder / "validation").events.SummaryMetadata("_hparams_/session_start_info")
    content = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
    assert content.session_start_info.hparams["units"].string_value == "12,8"


# Under strategies, and of data of every kind.


@pytest.mark.slow
@pytest.mark.tensorflow("tf.distribute is TensorFlow's")
def test_two_devices_are_measured_as_one(tmp_path):
    """With validation data of unknown length."""
    script = ROOT / "tests" / "scripts" / "board.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    there, here = json.loads(done.stdout.splitlines()[-1])
    for one, same in zip(there, here, strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-5)
    events = Events(tmp_path / "validation")
    assert events.of("layer_1/accuracy alone")[0] == [0, 1, 2, 3]
    assert events.last("layer_2/accuracy alone") == pytest.approx(here[1][1])
    assert events.of("layer_2/distribution of activities")[0][-1] == 3
    assert (tmp_path / "train" / "layer_2_activities.tsv").exists()


@pytest.mark.slow
@pytest.mark.tensorflow("tf.distribute is TensorFlow's")
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
@pytest.mark.parametrize("strategy", ["MirroredStrategy", "OneDeviceStrategy"])
def test_under_a_strategy(strategy, schedule, tmp_path):
    import tensorflow as tf

    device = ["CPU:0"] if strategy == "MirroredStrategy" else "CPU:0"
    with getattr(tf.distribute, strategy)(device).scope():
        model = new_model(layer_schedule=schedule, **ALL)
        model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    fit(model, FFTensorBoard(tmp_path, class_names=NAMES, **ALWAYS), epochs=2)
    events = Events(tmp_path / "validation")
    measured = measurements.measure(model, *data(4))
    assert events.last("layer_2/accuracy alone") == pytest.approx(measured.accuracy_alone()[1])
    assert events.picture("layer_1/filters")[0] == 1


class Numbered(keras.utils.PyDataset):
    def __init__(self, number):
        super().__init__()
        self.number = number

    @property
    def num_batches(self):
        return self.number

    def __getitem__(self, index):
        x, y = data(4)
        rows = slice(15 * (index % 3), 15 * (index % 3) + 15)
        return x[rows], y[rows]


def unknown():
    import tensorflow as tf

    x, y = data(4)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(15).filter(lambda *batch: True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("validation", "steps"),
    [
        (lambda: Numbered(3), None),
        (lambda: Numbered(None), 3),
        (unknown, None),
        (lambda: unknown().repeat(), 3),
    ],
    ids=["PyDataset", "endless PyDataset", "of unknown length", "endless"],
)
def test_validation_data_of_every_kind_are_measured(validation, steps, tmp_path):
    board = FFTensorBoard(tmp_path, sample_count=SAMPLES, picture_freq=0)
    model = new_model(**ALL)
    fit(model, board, epochs=1, validation_data=validation(), validation_steps=steps)
    np.testing.assert_array_equal(board.samples[0], data(4)[0])
    expected = measurements.measure(model, *data(4)).accuracy_alone()
    found = Events(tmp_path / "validation").last("layer_1/accuracy alone")
    assert found == pytest.approx(expected[0])
