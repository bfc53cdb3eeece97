"""What is TensorFlow's alone."""

import keras
import pytest

from keras_ff import datasets, models

pytestmark = pytest.mark.tensorflow("its AutoGraph")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"class_groups": True}, {"layer_schedule": "greedy"}, {"readout": "softmax"}]
)
def test_nothing_is_rewritten_by_autograph_which_takes_seconds(settings, monkeypatch):
    from tensorflow.python.autograph.impl import api

    rewritten = []
    convert = api._convert_actual

    def recorded(entity, context):
        rewritten.append(getattr(entity, "__qualname__", entity))
        return convert(entity, context)

    monkeypatch.setattr(api, "_convert_actual", recorded)
    train, validation, test = datasets.load("digits", 500)
    varied, _, _ = datasets.load("digits", 500, augment={"shift": 1, "rotate": 10.0, "erase": 2})
    model = models.mlp((20, 10), **settings)
    model.compile(keras.optimizers.Adam(), metrics=["accuracy"])
    for part in (train, varied):
        model.fit(part, validation_data=validation, epochs=2, verbose=0)
    model.predict(test, verbose=0)
    assert rewritten == []
