"""Scores added over shifted and mirrored views."""

import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff import readouts
from keras_ff.models import scoring
from tests.helpers.readouts import CLASSES, VIEWS, class_group_model, image_model, model_with


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "layers"), [("contrastive", "validation"), ("class groups", "all")]
)
@pytest.mark.parametrize("options", VIEWS)
def test_goodness_of_other_views_is_added(kind, layers, options):
    options, views_of = VIEWS[options]
    x = np.random.default_rng(1).normal(size=(60, 6, 5, 1)).astype("float32")
    y = np.arange(60) % CLASSES
    model = image_model(kind, readouts.Goodness(layers, **options))
    model.fit(x, y, validation_data=(x, y), verbose=0)
    plain = image_model(kind, readouts.Goodness())
    plain.fit(x, y, verbose=0)
    for one, other in zip(plain.ff_layers, model.ff_layers, strict=True):
        one.set_weights(other.get_weights())

    views = [scoring.class_goodness(plain, view) for view in views_of(x)]
    views = np.array([[convert_to_numpy(one) for one in view] for view in views])
    goodness = views.sum(axis=0)
    counted = slice(None)
    if layers == "validation":
        # Chosen by what layers score on all views.
        hits = {
            (first, end): (goodness[first:end].sum(axis=0).argmax(axis=1) == y).sum()
            for first, end in ((0, 1), (1, 2), (0, 2))
        }
        assert list(hits.values()).count(max(hits.values())) == 1
        counted = slice(*max(hits, key=hits.get))
    expected = goodness[counted].sum(axis=0)
    assert np.abs(views[0] - views[1])[counted].max() > 0.01
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-4)
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    answers = expected.argmax(axis=1)
    assert found["accuracy"] == pytest.approx((answers == y).mean())
    assert (answers != views[0][counted].sum(axis=0).argmax(axis=1)).any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", readouts.KNOWN.values())
def test_only_images_can_be_mirrored_or_moved(kind):
    name = kind.__name__
    for options in ({"mirrored": True}, {"shift": 2}):
        with pytest.raises(ValueError, match=rf"{name}.*needs images.*samples of shape \(5,\)"):
            make = class_group_model if kind is readouts.Joint else model_with
            make(kind(**options))
    with pytest.raises(ValueError, match=r"must be a boolean.*mirrored=2"):
        kind(mirrored=2)
    with pytest.raises(ValueError, match=r"must be an integer of at least 0.*shift=-1"):
        kind(shift=-1)
