"""DataConfig: how data are prepared, written down and read again."""

import json

import numpy as np
import pytest

from keras_ff import datasets
from keras_ff.datasets import DataConfig


def first_batch(pipeline):
    return [np.asarray(part) for part in next(iter(pipeline))]


@pytest.mark.slow
def test_it_loads_what_load_gives():
    config = DataConfig(batch_size=50, shift=1, erase=2, image_size=[10, 10], seed=3)
    expected = datasets.load(
        batch_size=50, augment={"shift": 1, "erase": 2}, image_size=(10, 10), seed=3
    )
    for one, other in zip(config.load(), expected, strict=True):
        for x, y in zip(first_batch(one), first_batch(other), strict=True):
            np.testing.assert_array_equal(x, y)


def test_training_data_go_on_from_an_epoch():
    config = DataConfig(validation_share=0)
    train, validation, _ = config.load(initial_epoch=2)
    again = config.load()[0]
    batches = [first_batch(again) for _ in range(3)]
    np.testing.assert_array_equal(first_batch(train)[0], batches[2][0])
    assert validation is None and not np.array_equal(batches[0][0], batches[2][0])


def test_it_survives_json():
    config = DataConfig("mnist", crop=0.5, flip=True, image_size=(16, 16))
    assert DataConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    alternating = DataConfig(flip="alternating")
    assert DataConfig.from_dict(json.loads(json.dumps(alternating.to_dict()))) == alternating
    assert DataConfig.from_dict({"dataset": "mnist"}) == DataConfig("mnist")
    with pytest.raises(ValueError, match=r"not a DataConfig .* Received: {'units': 3}"):
        DataConfig.from_dict({"units": 3})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dataset": ""}, "name=''"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"validation_share": 1}, "validation_share=1"),
        ({"seed": -1}, "seed=-1"),
        ({"shift": 0.5}, "shift=0.5"),
        ({"rotate": 181}, "rotate=181"),
        ({"flip": 1}, "flip=1"),
        ({"flip": "random"}, "flip='random'"),
        ({"crop": 2}, "crop=2"),
        ({"colors": 1.5}, "colors=1.5"),
        ({"erase": -1}, "erase=-1"),
        ({"image_size": 8}, "image_size=8"),
    ],
)
def test_values_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError) as caught:
        DataConfig(**options)
    assert f"Received: {words}" in str(caught.value)
