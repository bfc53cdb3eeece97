"""Former names do what the present ones do, and say which version removes them."""

import functools
import inspect

import keras
import numpy as np
import pytest
from keras import ops

from keras_ff import measurements, training
from keras_ff.callbacks import FFTensorBoard
from keras_ff.layers import layer_metrics
from keras_ff.negatives import RandomLabels
from tests.helpers import ROOT

REMOVED_IN = "0.3.0"
# Former names and present ones; of logs there is no warning.
NAMES = {
    "keras_ff.training.figures": "keras_ff.training.classification_metrics",
    "FFTensorBoard.show": "FFTensorBoard.show_validation_data",
    "LayerMeasurements.pairs_told_apart": "LayerMeasurements.pair_accuracy",
    "Negatives.figures": "Negatives.sampling_keys",
}


def told(former):
    """A context that asserts a warning about a former name, at a line of this file."""
    name = NAMES[former].replace("Negatives", "Ours").replace("LayerMeasurements.", "")
    former = former.replace("Negatives", "Ours").replace("LayerMeasurements.", "")
    message = f"^`{former}` is now `{name}`; keras_ff {REMOVED_IN} removes the former name.$"
    return pytest.warns(DeprecationWarning, match=message)


def test_figures_of_a_model():
    class Model:
        num_classes = 2

        def predict(self, data, verbose):
            return np.eye(2)[[0, 1, 1]]

    data = [(None, np.array([0, 1, 0]))]
    with told("keras_ff.training.figures") as warned:
        found = training.figures(Model(), data)
    assert found == training.classification_metrics(Model(), data)
    assert found["confusion_matrix"] == [[1, 1], [0, 1]]
    assert warned[0].filename == __file__


def test_show(tmp_path):
    board = FFTensorBoard(tmp_path)
    x, y = np.zeros((3, 4)), np.arange(3)
    with told("FFTensorBoard.show"):
        board.show((x, y))
    np.testing.assert_array_equal(board.samples[1], y)


def test_pairs_told_apart():
    goodness = {"positive_goodness": np.array([1.0, 3.0]), "negative_goodness": np.full((2, 1), 2)}
    unknown = dict.fromkeys(inspect.signature(measurements.LayerMeasurements).parameters)
    layer = measurements.LayerMeasurements(**{**unknown, **goodness})
    with told("LayerMeasurements.pairs_told_apart"):
        assert layer.pairs_told_apart == layer.pair_accuracy == 0.5


def test_figures_of_a_source_of_negatives():
    define = functools.partial(
        type(RandomLabels), "Ours", (RandomLabels,), {"figures": lambda self, shape, *_: KEYS}
    )
    with told("Negatives.figures"):
        ours = define()
    np.testing.assert_array_equal(ops.convert_to_numpy(ours().labels(np.array([2, 2]), 3)), [1, 0])


KEYS = keras.ops.convert_to_tensor(np.array([[0.1, 0.2, 0.9], [0.7, 0.2, 0.1]], "float32"))


def test_contributing_lists_every_former_name():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    logs = {f"layer_1/{old}": f"layer_1/{new}" for new, old in layer_metrics.ALIASES.items()}
    for former, name in {**NAMES, **logs}.items():
        assert f"| `{former}` | `{name}` | {REMOVED_IN} |" in page, former
