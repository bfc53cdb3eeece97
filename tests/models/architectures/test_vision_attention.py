"""The network of attention among patches."""

import numpy as np

from keras_ff import labels, models
from keras_ff.layers import Batch
from tests.helpers.architectures import CLASSES, built


def test_vision_attention_has_the_label_in_every_patch():
    model = built(models.vision_attention(4, 2, 3, units=(8, 8)), 8, 12, 3)
    assert model.label_embedding == labels.TokenLabels(4)
    attention, dense, _ = model.ff_layers
    assert attention.transform.projection.kernel.shape[0] == 4 * 4 * 3 + 10
    assert dense.kernel.shape[0] == 6 * 2 * 3


def test_groups_behind_attention_are_normalised_before_they_are_flattened():
    model = models.vision_attention(4, 1, 8, units=(8,), num_classes=CLASSES, class_groups=True)
    built(model, 8, 8, 1)
    # A class whose units answer a hundred times as loudly is heard no better behind.
    activities = np.random.default_rng(2).random((3, 4, 8))
    louder = activities * np.repeat([1.0, 100.0, 1.0, 1.0], 2)
    batches = [Batch(each, streams=1, layer=1) for each in (activities, louder)]
    heard = [model.stack.enter(batch).inputs for batch in batches]
    np.testing.assert_allclose(*heard, rtol=1e-3, atol=1e-3)
