"""Keras layers before the first FF layer, and what any of them may do among FF layers."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import negatives
from keras_ff.fast import activation_cache
from keras_ff.labels import Append, Overlay
from keras_ff.layers import FFConv2D, FFDense, FFLayer
from tests.helpers import activities_of, drawn

layers = keras.layers
IMAGES = np.random.default_rng(0).random((6, 8, 8, 1)).astype("float32")
IDS = np.random.default_rng(1).integers(1, 50, (6, 7))
LABELS = np.arange(6) % 3
GROUPS = {"label_embedding": None, "negatives": None}


def model_of(*stack, **settings):
    settings = {"layer_schedule": "simultaneous", **settings}
    model = keras_ff.FFModel(list(stack), 3, **settings)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


def moves(variable, action):
    """Whether a variable has another value after an action."""
    before = convert_to_numpy(variable).copy()
    action()
    return bool(np.any(convert_to_numpy(variable) != before))


# --- before the first FF layer ------------------------------------------------------------------


def test_an_embedding_sees_the_sample_and_the_label_joins_behind_it():
    embedding = layers.Embedding(50, 4)
    model = model_of(embedding, FFDense(5))
    model.build((None, 7))
    found = model.samples(IDS, LABELS)
    rows = convert_to_numpy(embedding(IDS)).reshape(6, -1)
    expected = convert_to_numpy(Append()(rows, LABELS, 3))
    np.testing.assert_allclose(found["positive"], expected, rtol=1e-6)
    assert np.ptp(model.predict(IDS, verbose=0), axis=1).min() > 1e-6
    model.train_on_batch(IDS, LABELS)


def test_samples_of_a_single_entry():
    """Of shape (batch,), as a column of categories has it."""
    model = model_of(layers.CategoryEncoding(50, output_mode="one_hot"), FFDense(5))
    model.train_on_batch(IDS[:, 0], LABELS)
    positive = model.samples(IDS[:, 0], LABELS)["positive"]
    np.testing.assert_array_equal(positive[:, :50], np.eye(50)[IDS[:, 0]])


def test_a_normalization_is_adapted_to_samples_alone():
    normalization = layers.Normalization()
    normalization.adapt(IDS.astype("float32"))
    positive = model_of(normalization, FFDense(5)).samples(IDS, LABELS)["positive"]
    expected = (IDS - IDS.mean(0)) / IDS.std(0)
    np.testing.assert_allclose(positive[:, :7], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.CenterCrop(4, 4),
        lambda: layers.Cropping2D(2),
        lambda: keras.Sequential([layers.CenterCrop(6, 6), layers.Cropping2D(1)]),
    ],
    ids=["center crop", "cropping", "sequential"],
)
def test_a_label_in_the_first_pixels_is_not_cropped_away(make):
    model = model_of(make(), FFDense(5), label_embedding="overlay")
    positive = model.samples(IMAGES, LABELS)["positive"]
    expected = Overlay()(IMAGES[:, 2:6, 2:6], LABELS, 3)
    np.testing.assert_allclose(positive, expected, rtol=1e-6)


class Rows(keras.layers.Layer):
    """Passes on what it gets, and remembers how many rows, and in which mode."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.built = True

    def call(self, inputs, training=None):
        self.calls.append((inputs.shape[0], training))
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("source", ["random_labels", "all_labels", "adversarial", "fixed_labels"])
def test_it_is_applied_once_to_every_sample(source):
    leading = Rows()
    model = model_of(leading, FFDense(5), FFDense(4), negatives=source)
    model.build(IMAGES.shape)
    leading.calls.clear()
    model.train_on_batch(IMAGES, LABELS)
    assert leading.calls == [(6, True)]
    leading.calls.clear()
    model.predict_on_batch(IMAGES)
    assert leading.calls == [(6, False)]


@pytest.mark.parametrize("source", [negatives.HybridImages, negatives.TwoViews])
def test_negatives_that_are_images_are_made_behind_it(source):
    settings = {"label_embedding": None, "negatives": source(seed=1), "readout": "softmax"}
    model = model_of(layers.Resizing(4, 4), FFDense(5), **settings)
    model.train_on_batch(IMAGES)
    assert model.samples(IMAGES)["negative"].shape[1:4] == (6, 4, 4)


def test_images_are_varied_in_training_alone():
    flip = layers.RandomFlip("horizontal", seed=1)
    model = model_of(flip, FFDense(5), FFDense(4))
    model.build(IMAGES.shape)
    state = flip.generator.state
    assert moves(state, lambda: model.train_on_batch(IMAGES, LABELS))
    assert not moves(state, lambda: model.evaluate(IMAGES, LABELS, verbose=0))
    np.testing.assert_array_equal(
        model.samples(IMAGES, LABELS)["positive"], Append()(IMAGES, LABELS, 3)
    )


def test_images_are_varied_whichever_layers_learn():
    before, between = (layers.RandomTranslation(0.4, 0.4, seed=seed) for seed in (1, 2))
    stack = [before, FFConv2D(3), between, FFConv2D(3), FFDense(3)]
    model = model_of(*stack, label_embedding="spatial_pattern")
    model.build(IMAGES.shape)
    model.learning_layers = (2,)
    for one in (before, between):
        assert moves(one.generator.state, lambda: model.train_on_batch(IMAGES, LABELS))


def test_dropout_before_a_frozen_layer_rests():
    dropout = layers.Dropout(0.5, seed=1)
    model = model_of(dropout, FFDense(5), FFDense(4))
    model.build(IMAGES.shape)
    state = dropout.seed_generator.state
    assert moves(state, lambda: model.train_on_batch(IMAGES, LABELS))
    model.learning_layers = (1,)
    assert not moves(state, lambda: model.train_on_batch(IMAGES, LABELS))


@pytest.mark.not_under("jax", "no activities are kept")
@pytest.mark.parametrize(
    ("leading", "between", "kept"),
    [
        (layers.RandomFlip, None, False),
        (None, layers.RandomFlip, False),
        (lambda: keras.Sequential([layers.RandomFlip()]), None, False),
        (lambda: layers.Rescaling(2.0), lambda: layers.Dropout(0.1), True),
    ],
)
def test_activities_are_not_kept_where_samples_are_varied(leading, between, kept, monkeypatch):
    monkeypatch.setenv("KERAS_FF_FAST", "1")
    others = [[] if make is None else [make()] for make in (leading, between)]
    stack = [*others[0], FFConv2D(3), *others[1], FFConv2D(3), FFConv2D(3)]
    model = keras_ff.FFModel(stack, 3, label_embedding="spatial_pattern")
    model.compile()
    assert activation_cache.suits(model, IMAGES) == kept


def test_a_softmax_readout_learns_from_varied_images():
    """As the layers do: `fit_readout` draws too."""
    flip = layers.RandomFlip(seed=1)
    model = model_of(flip, FFDense(5), readout="softmax")
    model.build(IMAGES.shape)
    model.compile(run_eagerly=True)

    def fit():
        model.fit_readout(IMAGES, LABELS, verbose=0)

    assert moves(flip.generator.state, fit)


def test_files_of_earlier_versions_embed_the_label_first():
    model = model_of(layers.Rescaling(2.0, offset=1.0), FFDense(5))
    config = model.get_config()
    assert keras_ff.FFModel.from_config(config).labels_first is False
    del config["labels_first"]
    old = keras_ff.FFModel.from_config(config)
    old.build((None, 6))
    x = drawn(6, 6)
    embedded = convert_to_numpy(old.streams.embed(x, LABELS))
    np.testing.assert_allclose(embedded, Append()(x, LABELS, 3), rtol=1e-6)
    expected = old.ff_layers[0](2 * embedded + 1)
    np.testing.assert_allclose(activities_of(old, embedded)[0], expected, rtol=1e-5, atol=1e-6)


# --- batch normalisation ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("position", [0, 1])
def test_a_batch_normalization_learns_its_statistics_with_the_layer_behind_it(position):
    normalization = layers.BatchNormalization()
    stack = [FFDense(5), FFDense(4)]
    stack.insert(position, normalization)
    model = model_of(*stack)
    model.build((None, 6))
    weights = {weight.name: weight for weight in normalization.weights}
    x = drawn(6, 6) + 3
    model.learning_layers = (position,)
    for name in ("moving_mean", "moving_variance"):
        assert moves(weights[name], lambda: model.train_on_batch(x, LABELS))
    for name in ("gamma", "beta"):
        assert not moves(weights[name], lambda: model.train_on_batch(x, LABELS))
    assert len(model.trainable_variables) == 4  # those of two dense layers
    model.learning_layers = (1 - position,)
    assert not moves(weights["moving_mean"], lambda: model.train_on_batch(x, LABELS))


@pytest.mark.slow
def test_statistics_come_near_those_of_the_data():
    normalization = layers.BatchNormalization(momentum=0.5)
    model = model_of(normalization, FFDense(5))
    x = 2 * drawn(6, 6) + 3
    for _ in range(12):
        model.train_on_batch(x, LABELS)
    np.testing.assert_allclose(normalization.moving_mean, x.mean(0), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(normalization.moving_variance, x.var(0), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("within", [False, True])
def test_one_that_is_frozen_keeps_its_statistics(within):
    normalization = layers.BatchNormalization(trainable=False)
    between = keras.Sequential([normalization]) if within else normalization
    model = model_of(FFDense(5), between, FFDense(4))
    model.build((None, 6))
    assert not moves(
        normalization.moving_mean, lambda: model.train_on_batch(drawn(6, 6) + 3, LABELS)
    )


def test_augmentation_beside_it_does_not_have_it_learn():
    normalization = layers.BatchNormalization()
    between = keras.Sequential([layers.RandomFlip(), normalization])
    model = model_of(FFConv2D(2), between, FFDense(4), label_embedding="overlay")
    model.build((None, 8, 8, 1))
    statistics = normalization.moving_mean
    model.learning_layers = (0,)
    assert not moves(statistics, lambda: model.train_on_batch(IMAGES, LABELS))
    model.learning_layers = (1,)
    assert moves(statistics, lambda: model.train_on_batch(IMAGES, LABELS))


def test_other_weights_beside_it_learn_nothing():
    between = keras.Sequential([layers.Dense(5), layers.BatchNormalization()])
    model = model_of(FFDense(5), between, FFDense(4))
    model.build((None, 6))
    kernel, statistics = between.layers[0].kernel, between.layers[1].moving_mean
    assert not moves(kernel, lambda: model.train_on_batch(drawn(6, 6), LABELS))
    assert moves(statistics, lambda: model.train_on_batch(drawn(6, 6), LABELS))


# --- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inner", "name"),
    [
        (layers.RandomFlip, "RandomFlip"),
        (lambda: layers.CenterCrop(4, 4), "CenterCrop"),
        (lambda: layers.Resizing(4, 4), "Resizing"),
        (lambda: layers.Rescaling(2.0), "Rescaling"),
        (layers.Normalization, "Normalization"),
        (lambda: layers.Cropping2D(2), "Cropping2D"),
        (lambda: layers.Embedding(50, 4), "Embedding"),
    ],
)
def test_what_is_for_samples_is_refused_within_the_first_ff_layer(inner, name):
    transform = keras.Sequential([inner(), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match=rf"{name} within.*label.*stand before.*Received: '.*_"):
        model_of(FFLayer(transform, name="_"), label_embedding="overlay")
    model_of(FFDense(5), FFLayer(keras.Sequential([layers.Flatten(), layers.Dense(3)])))


def test_numbers_of_entries_are_not_normalized_first():
    transform = keras.Sequential([layers.Embedding(50, 4), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"Embedding within.*look up numbers that are normalised"):
        model_of(FFLayer(transform, goodness="class_groups"), **GROUPS)
    unchanged = FFLayer(transform, goodness="class_groups", normalization=None)
    model_of(unchanged, **GROUPS).train_on_batch(IDS, LABELS)


def test_samples_are_not_varied_by_a_layer_that_will_be_frozen():
    transform = keras.Sequential([layers.RandomFlip(), layers.Conv2D(3, 3)])
    with pytest.raises(ValueError, match=r"RandomFlip within.*stop varying"):
        model_of(FFLayer(transform, goodness="class_groups"), **GROUPS)
    with pytest.raises(ValueError, match=r"RandomFlip within.*stop varying"):
        model_of(FFConv2D(3), FFLayer(transform), label_embedding="overlay")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomCrop(4, 4), "two sizes: use RandomTranslation"),
        (layers.MixUp, "mixes samples of different classes"),
        (layers.CutMix, "mixes samples of different classes"),
        (lambda: keras.Sequential([layers.RandomCrop(4, 4)]), "two sizes"),
    ],
)
def test_what_cannot_be_right_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        model_of(make(), FFDense(5))


def test_a_layer_that_cannot_take_the_samples_is_named():
    model = model_of(layers.RandomFlip(name="flip"), layers.Conv2D(3, 3, name="seen"), FFDense(5))
    with pytest.raises(ValueError, match=r"'seen', which stands before.*shape \(6,\)"):
        model.build((None, 6))


# --- text ---------------------------------------------------------------------------------------

TEXTS = np.array(["good day", "bad night", "good night", "bad day", "good", "bad"])
TABLES = pytest.mark.tensorflow("tables of words are TensorFlow's")


def vectorization(**settings):
    made = layers.TextVectorization(output_mode="multi_hot", **settings)
    made.adapt(TEXTS)
    return made


@pytest.mark.slow
@TABLES
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_text_becomes_numbers_in_the_model(shape):
    model = model_of(vectorization(), FFDense(5))
    x, y = TEXTS.reshape(shape), np.arange(6) % 2
    model.train_on_batch(x, y)
    positive = model.samples(x, y)["positive"]
    assert positive.shape == (6, 5 + 3)  # unknown, and four words
    np.testing.assert_array_equal(positive[:, :5].sum(1), [2, 2, 2, 2, 1, 1])
    assert model.predict(x, verbose=0).shape == (6, 3)
    assert model.predict(x.tolist(), verbose=0).shape == (6, 3)


@pytest.mark.slow
@TABLES
def test_a_vocabulary_travels_with_the_configuration():
    """Presets and copies hold configurations and weights, and nothing else."""
    inner = keras.Sequential([layers.Input((1,), dtype="string"), vectorization()])
    for leading in (vectorization(), inner):
        model = model_of(leading, FFDense(5))
        model.build((None, 1))
        copy = keras_ff.FFModel.from_config(model.get_config())
        copy.build((None, 1))
        for one, other in zip(copy.weights, model.weights, strict=True):
            one.assign(other)
        x = TEXTS[:, None]
        np.testing.assert_array_equal(copy.predict(x, verbose=0), model.predict(x, verbose=0))


@TABLES
def test_numbers_where_text_is_wanted():
    model = model_of(vectorization(), FFDense(5))
    with pytest.raises(ValueError, match=r"take text. Received: x of dtype float64"):
        model.train_on_batch(np.ones((6, 1)), LABELS)


@TABLES
def test_text_of_unknown_length_is_refused():
    made = layers.TextVectorization()
    made.adapt(TEXTS)
    with pytest.raises(ValueError, match="output_sequence_length"):
        model_of(made, layers.Embedding(20, 4), FFDense(5)).build((None, 1))


def test_tables_under_another_backend_are_refused():
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has them")
    with pytest.raises(ValueError, match=r"IntegerLookup looks up.*dataset\.map"):
        model_of(layers.IntegerLookup(vocabulary=[1, 2]), FFDense(5))
