"""Label embeddings: where the label goes, and that its energy is the same share for everyone."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ff import labels

IMAGES = [(5, 5), (4, 6), (4, 4, 1), (4, 7, 3), (3, 5, 2), (25,)]
LARGE = [(11, 11), (10, 12, 1), (12, 10, 3), (150,)]
APPENDED = [(shape, classes) for shape in [*IMAGES, (3,), (2, 2, 2, 2)] for classes in (2, 10)]
APPENDED += [(shape, 100) for shape in [*LARGE, (3,)]]
OVERLAID = [(shape, classes) for shape in IMAGES for classes in (2, 10)]
OVERLAID += [(shape, 100) for shape in LARGE]
STRENGTHS = [0.03, 0.1, 2.0]


def drawn(shape, samples=6, seed=1):
    """Samples of very different energies, and a label for each."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, *shape)) * np.logspace(-2, 2, samples).reshape(
        (samples,) + (1,) * len(shape)
    )
    return x.astype("float32")


def drawn_labels(classes, samples=6, seed=2):
    return np.random.default_rng(seed).integers(0, classes, samples)


def energy(rows):
    return np.sum(np.asarray(rows, "float64") ** 2, axis=1)


def parts_of(embedding, embedded, shape, classes):
    """Embedded samples as (pixels (batch, n), label (batch, classes, copies))."""
    embedded = np.array(embedded)
    if isinstance(embedding, labels.Append):
        return embedded[:, : math.prod(shape)], embedded[:, math.prod(shape) :, None]
    channels = shape[-1] if len(shape) == 3 else 1
    pixels = embedded.reshape(len(embedded), -1, channels)
    return pixels[:, classes:].reshape(len(embedded), -1), pixels[:, :classes]


EMBEDDED = [(labels.Append, *case) for case in APPENDED] + [
    (labels.Overlay, *case) for case in OVERLAID
]
EMBEDDED_NAMES = [f"{kind.__name__}-{shape}-{classes}" for kind, shape, classes in EMBEDDED]


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("kind", "shape", "classes"), EMBEDDED, ids=EMBEDDED_NAMES)
def test_energy_of_the_label_is_its_share_of_each_samples(kind, shape, classes, strength):
    """For true labels, for wrong ones, for the neutral one, and so for every score's pass."""
    embedding, x, y = kind(strength=strength), drawn(shape), drawn_labels(classes)
    for given in (y, (y + 1) % classes, np.full(6, classes - 1), None):
        embedded = embedding(x, given, classes)
        assert keras.backend.standardize_dtype(embedded.dtype) == "float32"
        pixels, label = parts_of(embedding, embedded, shape, classes)
        np.testing.assert_allclose(
            energy(label.reshape(6, -1)), strength * energy(pixels), rtol=1e-5
        )


@pytest.mark.parametrize(("kind", "shape", "classes"), EMBEDDED, ids=EMBEDDED_NAMES)
def test_the_label_stands_in_its_classs_place_alone(kind, shape, classes):
    embedding, x, y = kind(), drawn(shape), drawn_labels(classes)
    _, label = parts_of(embedding, embedding(x, y, classes), shape, classes)
    for row, own in zip(label, y, strict=True):
        assert np.all(row[own] > 0)
        assert np.count_nonzero(row) == row.shape[1]  # as many as channels
        np.testing.assert_array_equal(row[own], row[own][0])


@pytest.mark.parametrize(("kind", "shape", "classes"), EMBEDDED, ids=EMBEDDED_NAMES)
def test_in_the_neutral_label_all_classes_stand_equally(kind, shape, classes):
    embedding, x = kind(), drawn(shape)
    _, label = parts_of(embedding, embedding(x, None, classes), shape, classes)
    flat = label.reshape(6, -1)
    assert np.all(flat > 0)
    np.testing.assert_array_equal(flat, np.repeat(flat[:, :1], flat.shape[1], axis=1))


@pytest.mark.parametrize(("kind", "shape", "classes"), EMBEDDED, ids=EMBEDDED_NAMES)
def test_the_samples_own_pixels_are_left_alone(kind, shape, classes):
    embedding, x = kind(strength=2.0), drawn(shape)
    if kind is labels.Append:
        expected = x.reshape(6, -1)
    else:
        channels = shape[-1] if len(shape) == 3 else 1
        expected = x.reshape(6, -1, channels)[:, classes:].reshape(6, -1)
    for given in (drawn_labels(classes), None):
        pixels, _ = parts_of(embedding, embedding(x, given, classes), shape, classes)
        np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(("kind", "shape", "classes"), EMBEDDED, ids=EMBEDDED_NAMES)
def test_output_shape(kind, shape, classes):
    embedding = kind()
    embedded = embedding(drawn(shape), drawn_labels(classes), classes)
    assert embedding.output_shape((None, *shape), classes) == (None, *embedded.shape[1:])
    if kind is labels.Append:
        assert tuple(embedded.shape) == (6, math.prod(shape) + classes)
    else:
        assert tuple(embedded.shape) == (6, *shape)


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_a_sample_does_not_depend_on_the_rest_of_the_batch(name):
    embedding, x, y = labels.get(name), drawn((4, 6)), drawn_labels(3)
    others, other_labels = x.copy(), (y + 1) % 3
    others[1:] = 1e3
    other_labels[0] = y[0]
    for given, other in ((y, other_labels), (None, None)):
        both = np.array(embedding(x, given, 3)), np.array(embedding(others, other, 3))
        np.testing.assert_array_equal(both[0][0], both[1][0])
        assert np.abs(both[0][1] - both[1][1]).max() > 1
        alone = embedding(x[:1], None if given is None else given[:1], 3)
        np.testing.assert_allclose(alone[0], both[0][0], rtol=1e-6)


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_a_scaled_sample_gets_a_scaled_label(name):
    embedding, x, y = labels.get(name), drawn((4, 6)), drawn_labels(3)
    np.testing.assert_allclose(
        embedding(8.0 * x, y, 3), 8.0 * np.array(embedding(x, y, 3)), rtol=1e-5
    )


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_a_blank_sample_still_gets_a_label_that_can_be_read(name):
    embedding = labels.get(name)
    embedded = np.array(embedding(np.zeros((3, 20)), np.array([0, 1, 2]), 3))
    assert np.all(np.isfinite(embedded))
    np.testing.assert_allclose(energy(embedded), embedding.strength * 1e-6, rtol=1e-5)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(embedded[first] - embedded[second]).max() > 1e-4


@pytest.mark.parametrize("name", ["append", "overlay"])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64", "bool"])
def test_any_number_type(name, dtype):
    x = np.random.default_rng(3).integers(0, 255, (4, 5, 5, 2)).astype(dtype)
    y = drawn_labels(3, samples=4)
    embedded = labels.get(name)(x, y, 3)
    assert keras.backend.standardize_dtype(embedded.dtype) == "float32"
    np.testing.assert_array_equal(embedded, labels.get(name)(x.astype("float32"), y, 3))


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_bfloat16_samples_get_a_float32_label(name):
    x = keras.ops.cast(drawn((20,)), "bfloat16")
    exact = np.array(keras.ops.cast(x, "float32"))
    y = drawn_labels(3)
    np.testing.assert_array_equal(labels.get(name)(x, y, 3), labels.get(name)(exact, y, 3))


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_batches_of_unknown_size_in_a_graph(name):
    embedding = labels.get(name)

    @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 1)), tf.TensorSpec((None,), "int32")])
    def embed(x, y):
        return embedding(x, y, 3), embedding(x, None, 3)

    for samples in (5, 2):
        x, y = drawn((4, 4, 1), samples), drawn_labels(3, samples).astype("int32")
        with_label, neutral = embed(x, y)
        np.testing.assert_allclose(with_label, embedding(x, y, 3), rtol=1e-6)
        np.testing.assert_allclose(neutral, embedding(x, None, 3), rtol=1e-6)


# --- Append and Overlay, number by number ------------------------------------------------------


def test_append_by_hand():
    x = np.array([[[3.0], [4.0]], [[0.0], [2.0]]])
    embedded = labels.Append(strength=0.04)(x, np.array([1, 2]), 3)
    np.testing.assert_allclose(embedded, [[3, 4, 0, 1, 0], [0, 2, 0, 0, 0.4]], rtol=1e-6)
    neutral = labels.Append(strength=3.0)(x, None, 3)
    np.testing.assert_allclose(neutral, [[3, 4, 5, 5, 5], [0, 2, 2, 2, 2]], rtol=1e-6)


def test_overlay_writes_in_reading_order():
    x = np.full((4, 2, 3), 5.0)
    embedded = np.array(labels.Overlay(strength=0.5)(x, np.array([0, 1, 2, 3]), 4))
    length = np.sqrt(0.5 * 2 * 25.0)
    for sample, place in enumerate([(0, 0), (0, 1), (0, 2), (1, 0)]):
        expected = np.zeros((2, 3))
        expected[place] = length
        expected[1, 1:] = 5.0
        np.testing.assert_allclose(embedded[sample], expected, rtol=1e-6)


def test_overlay_writes_into_every_channel():
    x = np.ones((1, 2, 2, 4), "float32")
    embedded = np.array(labels.Overlay(strength=1.0)(x, np.array([1]), 2))[0]
    # Two pixels of four channels are left, energy 8, which the label shares among its channels.
    np.testing.assert_array_equal(embedded[0, 0], 0)
    np.testing.assert_allclose(embedded[0, 1], np.sqrt(8 / 4), rtol=1e-6)
    np.testing.assert_array_equal(embedded[1], 1)


@pytest.mark.parametrize("given", [[2, 0], None], ids=["label", "neutral"])
def test_overlay_blanks_its_pixels_first(given):
    """What stood there neither shows nor counts as the sample's energy."""
    given = None if given is None else np.array(given)
    x = drawn((4, 4, 2), samples=2)
    other = x.copy()
    other[:, 0, :3] = 1e4
    embedding = labels.Overlay()
    np.testing.assert_array_equal(embedding(x, given, 3), embedding(other, given, 3))


@pytest.mark.parametrize(
    ("shape", "classes"), [((4,), 4), ((3,), 10), ((3, 3), 9), ((3, 3, 3), 10), ((2, 5, 7), 10)]
)
def test_overlay_refuses_samples_too_small(shape, classes):
    embedding = labels.Overlay()
    pixels = math.prod(shape[:2])
    with pytest.raises(ValueError, match=rf"Received: .*{pixels} pixels"):
        embedding(np.ones((2, *shape)), np.array([0, 1]), classes)
    with pytest.raises(ValueError, match=r"Append"):
        embedding.output_shape((None, *shape), classes)


@pytest.mark.parametrize(("shape", "classes"), [((5,), 4), ((3, 3, 3), 8), ((2, 2), 3)])
def test_one_pixel_to_spare_is_enough(shape, classes):
    x = np.full((2, *shape), 2.0)
    embedding = labels.Overlay(strength=1.0)
    embedded = np.array(embedding(x, np.array([0, 1]), classes))
    channels = shape[-1] if len(shape) == 3 else 1
    np.testing.assert_allclose(energy(embedded.reshape(2, -1)), 2 * 4.0 * channels, rtol=1e-6)


# --- configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_get(name):
    embedding = labels.get(name)
    assert type(embedding) is labels.KNOWN[name]
    assert embedding.strength == 0.1
    assert labels.get(embedding) is embedding


@pytest.mark.parametrize(
    "embedding",
    [part() for part in labels.KNOWN.values()] + [labels.Append(0.4), labels.Overlay(0.4)],
    ids=repr,
)
def test_round_trip(embedding):
    serialised = keras.saving.serialize_keras_object(embedding)
    x, y = drawn((6, 6)), drawn_labels(3)
    for copy in (
        type(embedding).from_config(embedding.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        labels.get(serialised),
    ):
        assert type(copy) is type(embedding)
        assert copy == embedding
        assert copy.get_config() == embedding.get_config()
        np.testing.assert_array_equal(copy(x, y, 3), embedding(x, y, 3))


def test_embeddings_that_differ_are_not_equal():
    assert labels.Append(0.4) != labels.Append(0.1)
    assert labels.Append(0.1) != labels.Overlay(0.1)
