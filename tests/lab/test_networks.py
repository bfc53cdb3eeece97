"""What the networks of all tables have in common."""

from keras_ff.lab.experiments.networks import other_parts
from keras_ff.negatives import TwoViews
from keras_ff.recipes import TrainingConfig


def test_other_negatives_may_change_what_layers_see():
    parts = {"negatives": "hybrid_images", "negatives_count": 1, "readout": "softmax"}
    config = TrainingConfig.for_dataset("digits", units=(6, 5), **parts)
    network = other_parts(config, (8, 8, 1), 10, 1, 3, negatives=TwoViews())
    assert network.compiled
    assert network.ff_layers[0].transform.kernel.shape == (2 * 64, 6)
    assert isinstance(network.negatives, TwoViews)
