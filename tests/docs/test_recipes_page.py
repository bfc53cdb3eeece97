"""Every recipe of docs/recipes.md is short, runs as it stands, and teaches every layer."""

import re
import runpy

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.ops import convert_to_numpy

import keras_ff
from tests.helpers import ROOT

PAGE = ROOT / "docs" / "recipes.md"
LONGEST = 17

# The recipes, and the shape of the images that each is for.
SHAPES = {
    "Hinton's multilayer perceptron": (28, 28, 1),
    "The Trifecta": (32, 32, 3),
    "Channel-wise competition": (32, 32, 3),
    "DeeperForward": (32, 32, 3),
    "HCL-FF": (28, 28, 1),
    "SymBa": (28, 28, 1),
    "Without labels": (28, 28, 1),
    "Attention": (28, 28, 1),
    "Prediction and similarity": (32, 32, 3),
}


def recipes():
    """The code of the page by heading: a list of blocks for each."""
    page = PAGE.read_text(encoding="utf-8")
    sections = [section.split("\n", 1) for section in re.split(r"(?m)^## ", page)[1:]]
    return {title: re.findall(r"(?ms)^```python\n(.*?)^```$", text) for title, text in sections}


def test_the_page_has_nine_recipes_of_one_short_block_each():
    found = recipes()
    assert list(found) == list(SHAPES)
    for title, blocks in found.items():
        assert len(blocks) == 1, title
        lines = blocks[0].splitlines()
        assert len(lines) <= LONGEST, title
        assert max(map(len, lines)) <= 100, title
        # Imported once, as the page says, and of no other library.
        assert "import" not in blocks[0], title
    assert "`import keras, keras_ff`" in PAGE.read_text(encoding="utf-8")
    # No code stands outside the recipes.
    assert PAGE.read_text(encoding="utf-8").count("```") == 2 * len(found)


def samples(shape):
    """Twelve random images of ten classes, one of which has two images in each half."""
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9])
    return rng.uniform(size=(12, *shape)).astype("float32"), labels


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.parametrize("title", SHAPES)
def test_a_recipe_trains_every_layer(title, monkeypatch, tmp_path):
    x, y = samples(SHAPES[title])
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(6)
    fits = []  # the weights that each call of `fit` began with, and its metrics

    def fit(model, *data, **arguments):
        model.run_eagerly = True  # quicker for a few steps than to compile them
        if not model.built:
            model.build(x.shape)
        before = [
            convert_to_numpy(weight) for layer in model.ff_layers for weight in weights(layer)
        ]
        history = original(model, *data, verbose=0, **arguments)
        fits.append((before, history.history))
        return history

    def weights(layer):
        return layer.trainable_variables

    original = keras_ff.FFModel.fit
    monkeypatch.setattr(keras_ff.FFModel, "fit", fit)
    given = {"keras": keras, "keras_ff": keras_ff, "epochs": 1, "train": data, "validation": data}
    recipe = tmp_path / "recipe.py"
    recipe.write_text(recipes()[title][0], encoding="utf-8")
    model = runpy.run_path(str(recipe), given)["model"]

    assert len(fits) == 1 + ("fit_readout" in recipe.read_text(encoding="utf-8"))
    before, metrics = fits[0]
    layers = [f"layer_{number}/loss" for number, _ in enumerate(model.ff_layers, start=1)]
    assert set(layers) <= set(metrics)
    assert np.isfinite([metrics[name] for name in ["loss", *layers]]).all()
    now = [weight for layer in model.ff_layers for weight in weights(layer)]
    assert len(now) == len(before) > len(model.ff_layers)
    unmoved = [
        weight.path
        for weight, old in zip(now, before, strict=True)
        if (convert_to_numpy(weight) == old).all()
    ]
    assert unmoved == []
    scores = model.predict(x[:3], verbose=0)
    assert scores.shape == (3, 10)
    assert np.isfinite(scores).all() and np.ptp(scores, axis=1).min() > 0
