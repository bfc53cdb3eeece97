"""What label embeddings have in common: the label's energy is the same share for everyone."""

import math

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import labels
from tests.helpers.either_backend import in_graph
from tests.helpers.labelled import drawn_labels, energy, in_float64, uneven

IMAGES = [(4, 6), (4, 7, 3), (25,)]

LARGE = [(11, 11), (12, 10, 3)]

APPENDED = [(shape, classes) for shape in [*IMAGES, (3,), (2, 2, 2, 2)] for classes in (2, 10)]

APPENDED += [(shape, 100) for shape in [*LARGE, (3,)]]

OVERLAID = [(shape, classes) for shape in IMAGES for classes in (2, 10)]

OVERLAID += [(shape, 100) for shape in LARGE]

STRENGTHS = [0.03, 0.1, 2.0]


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
    embedding, x, y = kind(strength=strength), uneven(shape), drawn_labels(classes)
    for given in (y, (y + 1) % classes, np.full(6, classes - 1), None):
        embedded = embedding(x, given, classes)
        assert keras.backend.standardize_dtype(embedded.dtype) == "float32"
        pixels, label = parts_of(embedding, embedded, shape, classes)
        np.testing.assert_allclose(
            energy(label.reshape(6, -1)), strength * energy(pixels), rtol=1e-5
        )


@pytest.mark.parametrize(("kind", "shape", "classes"), EMBEDDED, ids=EMBEDDED_NAMES)
def test_the_label_stands_in_its_classs_place_alone(kind, shape, classes):
    embedding, x, y = kind(), uneven(shape), drawn_labels(classes)
    _, label = parts_of(embedding, embedding(x, y, classes), shape, classes)
    for row, own in zip(label, y, strict=True):
        assert np.all(row[own] > 0)
        assert np.count_nonzero(row) == row.shape[1]  # as many as channels
        np.testing.assert_array_equal(row[own], row[own][0])


@pytest.mark.parametrize(("kind", "shape", "classes"), EMBEDDED, ids=EMBEDDED_NAMES)
def test_in_the_neutral_label_all_classes_stand_equally(kind, shape, classes):
    embedding, x = kind(), uneven(shape)
    _, label = parts_of(embedding, embedding(x, None, classes), shape, classes)
    flat = label.reshape(6, -1)
    assert np.all(flat > 0)
    np.testing.assert_array_equal(flat, np.repeat(flat[:, :1], flat.shape[1], axis=1))


@pytest.mark.parametrize(("kind", "shape", "classes"), EMBEDDED, ids=EMBEDDED_NAMES)
def test_the_samples_own_pixels_are_left_alone(kind, shape, classes):
    embedding, x = kind(strength=2.0), uneven(shape)
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
    embedded = embedding(uneven(shape), drawn_labels(classes), classes)
    assert embedding.output_shape((None, *shape), classes) == (None, *embedded.shape[1:])
    if kind is labels.Append:
        assert tuple(embedded.shape) == (6, math.prod(shape) + classes)
    else:
        assert tuple(embedded.shape) == (6, *shape)


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_a_sample_does_not_depend_on_the_rest_of_the_batch(name):
    embedding, x, y = labels.get(name), uneven((4, 6)), drawn_labels(3)
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
    embedding, x, y = labels.get(name), uneven((4, 6)), drawn_labels(3)
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
    x = keras.ops.cast(uneven((20,)), "bfloat16")
    exact = np.array(keras.ops.cast(x, "float32"))
    y = drawn_labels(3)
    np.testing.assert_array_equal(labels.get(name)(x, y, 3), labels.get(name)(exact, y, 3))


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_batches_of_unknown_size_in_a_graph(name):
    embedding = labels.get(name)

    embed = in_graph(
        lambda x, y: (embedding(x, y, 3), embedding(x, None, 3)),
        ((None, 4, 4, 1), "float32"),
        ((None,), "int32"),
    )
    for samples in (5, 2):
        x, y = uneven((4, 4, 1), samples), drawn_labels(3, samples).astype("int32")
        with_label, neutral = embed(x, y)
        np.testing.assert_allclose(with_label, embedding(x, y, 3), rtol=1e-6)
        np.testing.assert_allclose(neutral, embedding(x, None, 3), rtol=1e-6)


PATTERNED = [((5, 5), 2), ((4, 6), 10), ((3, 5, 2), 14), ((8, 8, 3), 10), ((1, 9, 1), 8)]

CUT = [((6, 6), 10, 2), ((4, 8, 3), 3, 4), ((6, 9, 1), 2, 3), ((5, 5, 2), 10, 1)]

ADDED = [
    *[(labels.SpatialPattern, shape, classes, {}) for shape, classes in PATTERNED],
    *[(labels.LabelMap, shape, classes, {"seed": 3}) for shape, classes in PATTERNED],
    *[(labels.TokenLabels, shape, classes, {"patch_size": size}) for shape, classes, size in CUT],
]

ADDED_NAMES = [f"{kind.__name__}-{shape}-{classes}" for kind, shape, classes, _ in ADDED]


def label_of(embedding, embedded, x):
    """The label alone, one row a sample, and what is left of the sample."""
    embedded, images = np.asarray(embedded, "float64"), in_float64(x)
    if isinstance(embedding, labels.SpatialPattern):
        return (embedded.reshape(images.shape) - images).reshape(len(x), -1), images
    features = embedded.shape[-1]
    own = images.shape[-1]
    if isinstance(embedding, labels.TokenLabels):
        own = embedding.patch_size**2 * own
    label, rest = np.split(embedded, [own], axis=-1)[::-1]
    assert label.shape[-1] == features - own
    return label.reshape(len(x), -1), rest


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("kind", "shape", "classes", "settings"), ADDED, ids=ADDED_NAMES)
def test_energy_of_an_images_label(kind, shape, classes, settings, strength):
    """The same share for true labels, for wrong ones, and for the neutral one."""
    embedding, x, y = kind(strength=strength, **settings), uneven(shape), drawn_labels(classes)
    own = np.sum(in_float64(x) ** 2, axis=(1, 2, 3))
    for given in (y, (y + 1) % classes, np.full(6, classes - 1), None):
        embedded = embedding(x, given, classes)
        assert keras.backend.standardize_dtype(embedded.dtype) == "float32"
        assert embedding.output_shape((None, *shape), classes) == (None, *embedded.shape[1:])
        label, _ = label_of(embedding, embedded, x)
        np.testing.assert_allclose(np.sum(label**2, axis=1), strength * own, rtol=1e-4)


@pytest.mark.parametrize(("kind", "shape", "classes", "settings"), ADDED, ids=ADDED_NAMES)
def test_in_an_images_neutral_label_all_classes_stand_equally(kind, shape, classes, settings):
    """It is the mean of the labels of all classes, brought to their energy."""
    embedding, x = kind(strength=2.0, **settings), uneven(shape)
    neutral, _ = label_of(embedding, embedding(x, None, classes), x)
    of_classes = [
        label_of(embedding, embedding(x, np.full(6, label), classes), x)[0]
        for label in range(classes)
    ]
    mean = np.mean(of_classes, axis=0)
    lengths = [np.sqrt(np.sum(part**2, axis=1, keepdims=True)) for part in (neutral, mean)]
    np.testing.assert_allclose(
        neutral / lengths[0], mean / lengths[1], atol=2e-5 if kind is labels.LabelMap else 1e-5
    )


@pytest.mark.parametrize(("kind", "shape", "classes", "settings"), ADDED, ids=ADDED_NAMES)
def test_an_image_neither_depends_on_its_batch_nor_on_its_scale(kind, shape, classes, settings):
    embedding, x, y = kind(**settings), uneven(shape), drawn_labels(classes)
    others, other_labels = x.copy(), (y + 1) % classes
    others[1:], other_labels[0] = 1e3, y[0]
    for given, other in ((y, other_labels), (None, None)):
        first = np.array(embedding(x, given, classes))
        np.testing.assert_array_equal(first[0], embedding(others, other, classes)[0])
        np.testing.assert_allclose(embedding(8.0 * x, given, classes), 8.0 * first, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "shape", "classes", "settings"), ADDED, ids=ADDED_NAMES)
@pytest.mark.parametrize("dtype", ["uint8", "bfloat16"])
def test_images_of_any_number_type(kind, shape, classes, settings, dtype):
    x = keras.ops.cast(np.random.default_rng(3).integers(0, 255, (6, *shape)), dtype)
    exact = np.array(keras.ops.cast(x, "float32"))
    embedding, y = kind(**settings), drawn_labels(classes)
    embedded = embedding(x, y, classes)
    assert keras.backend.standardize_dtype(embedded.dtype) == "float32"
    np.testing.assert_array_equal(embedded, embedding(exact, y, classes))


@pytest.mark.parametrize("name", ["spatial_pattern", "token_labels", "label_map"])
def test_blank_images_still_get_a_label_that_can_be_read(name):
    embedding = labels.get(name)
    embedded = np.array(embedding(np.zeros((3, 8, 8, 1)), np.array([0, 1, 2]), 3))
    np.testing.assert_allclose(energy(embedded.reshape(3, -1)), 1e-7, rtol=1e-4)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(embedded[first] - embedded[second]).max() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spatial_pattern", "token_labels", "label_map"])
def test_batches_of_images_of_unknown_size_in_a_graph(name):
    embedding = labels.get(name)
    if embedding.learned:
        embedding.build_for((None, 4, 4, 1), 3)

    embed = in_graph(
        lambda x, y: (embedding(x, y, 3), embedding(x, None, 3)),
        ((None, 4, 4, 1), "float32"),
        ((None,), "int32"),
    )
    for samples in (5, 2):
        x, y = uneven((4, 4, 1), samples), drawn_labels(3, samples).astype("int32")
        with_label, neutral = embed(x, y)
        np.testing.assert_allclose(with_label, embedding(x, y, 3), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(neutral, embedding(x, None, 3), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["spatial_pattern", "token_labels", "label_map"])
@pytest.mark.parametrize("shape", [(25,), (2, 2, 2, 2)])
def test_samples_that_are_no_images(name, shape):
    embedding = labels.get(name)
    for refused in (
        lambda: embedding(np.ones((2, *shape)), np.array([0, 1]), 3),
        lambda: embedding.output_shape((None, *shape), 3),
    ):
        with pytest.raises(ValueError, match=r"images of shape .*Append.*Received: samples of"):
            refused()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spatial_pattern", "token_labels"])
def test_a_model_learns_with_it(name):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 96)
    x = rng.uniform(0, 0.2, (96, 8, 8, 1)).astype("float32")
    x[y == 0, :2, :2] += 1.0
    x[y == 1, -2:, -2:] += 1.0
    model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=2, label_embedding=name)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(x, y, batch_size=16, epochs=8, verbose=0)
    assert np.mean(np.argmax(model.predict(x, verbose=0), axis=1) == y) > 0.9


def test_only_label_maps_are_learned():
    learned = [name for name, part in labels.KNOWN.items() if part.learned]
    assert learned == ["label_map"]


@pytest.mark.parametrize("name", labels.KNOWN)
def test_get(name):
    embedding = labels.get(name)
    assert type(embedding) is labels.KNOWN[name]
    assert embedding.strength == 0.1
    assert labels.get(embedding) is embedding


@pytest.mark.parametrize(
    "embedding",
    # Learned ones are compared above: as layers they are no parts, equal where their settings are.
    [part() for part in labels.KNOWN.values() if not part.learned]
    + [labels.Append(0.4), labels.Overlay(0.4), labels.SpatialPattern(0.4)]
    + [labels.TokenLabels(2, 0.4)],
    ids=repr,
)
def test_round_trip(embedding):
    serialised = keras.saving.serialize_keras_object(embedding)
    x, y = uneven((8, 8)), drawn_labels(3)
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
    assert labels.TokenLabels(2) != labels.TokenLabels(4)


@pytest.mark.parametrize("kind", labels.KNOWN.values(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("bad", [0.0, -0.1, float("nan"), "strong", True])
def test_a_strength_that_is_not_above_zero(kind, bad):
    with pytest.raises(ValueError, match=f"Received: strength={bad!r}"):
        kind(strength=bad)
