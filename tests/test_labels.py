"""Label embeddings: where the label goes, and that its energy is the same share for everyone."""

import json
import math

import keras
import numpy as np
import pytest
from either_backend import in_graph, value_and_gradients
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import labels
from keras_ff.labels.spatial_pattern import fourier_waves

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

    embed = in_graph(
        lambda x, y: (embedding(x, y, 3), embedding(x, None, 3)),
        ((None, 4, 4, 1), "float32"),
        ((None,), "int32"),
    )
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


# --- embeddings of images ------------------------------------------------------------------------

PATTERNED = [((5, 5), 2), ((4, 6), 10), ((3, 5, 2), 14), ((8, 8, 3), 10), ((1, 9, 1), 8)]
CUT = [((6, 6), 10, 2), ((4, 8, 3), 3, 4), ((6, 9, 1), 2, 3), ((5, 5, 2), 10, 1)]
ADDED = [
    *[(labels.SpatialPattern, shape, classes, {}) for shape, classes in PATTERNED],
    *[(labels.LabelMap, shape, classes, {"seed": 3}) for shape, classes in PATTERNED],
    *[(labels.TokenLabels, shape, classes, {"patch_size": size}) for shape, classes, size in CUT],
]
ADDED_NAMES = [f"{kind.__name__}-{shape}-{classes}" for kind, shape, classes, _ in ADDED]


def in_float64(x):
    """Images as (batch, height, width, channels)."""
    return np.asarray(x, "float64").reshape(*x.shape[:3], -1)


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
    embedding, x, y = kind(strength=strength, **settings), drawn(shape), drawn_labels(classes)
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
    embedding, x = kind(strength=2.0, **settings), drawn(shape)
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
    embedding, x, y = kind(**settings), drawn(shape), drawn_labels(classes)
    others, other_labels = x.copy(), (y + 1) % classes
    others[1:], other_labels[0] = 1e3, y[0]
    for given, other in ((y, other_labels), (None, None)):
        first = np.array(embedding(x, given, classes))
        np.testing.assert_array_equal(first[0], embedding(others, other, classes)[0])
        np.testing.assert_allclose(embedding(8.0 * x, given, classes), 8.0 * first, rtol=1e-5)


@pytest.mark.parametrize(("kind", "shape", "classes", "settings"), ADDED, ids=ADDED_NAMES)
@pytest.mark.parametrize("dtype", ["uint8", "float64", "bool", "bfloat16"])
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
        x, y = drawn((4, 4, 1), samples), drawn_labels(3, samples).astype("int32")
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


# --- SpatialPattern ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 2), (2, 2), (3, 4), (5, 5), (1, 9), (8, 6)], ids=str)
def test_waves_are_an_orthonormal_basis_of_all_but_the_mean(size):
    count = math.prod(size) - 1
    waves = fourier_waves(*size, count).astype("float64")
    assert waves.shape == (count, math.prod(size))
    np.testing.assert_allclose(waves @ waves.T, np.eye(count), atol=1e-6)
    np.testing.assert_allclose(waves.sum(axis=1), 0.0, atol=1e-6)


@pytest.mark.parametrize("size", [(6, 6), (5, 8), (28, 28)], ids=str)
def test_waves_hold_one_frequency_each_lowest_first(size):
    """By numpy's own Fourier transform."""
    count = min(math.prod(size) - 1, 40)
    waves = fourier_waves(*size, count).astype("float64").reshape(count, *size)
    down = np.fft.fftfreq(size[0])[:, None]
    across = np.fft.fftfreq(size[1])[None, :]
    radius = np.hypot(down, across)
    found = []
    for wave in waves:
        spectrum = np.abs(np.fft.fft2(wave))
        strongest = spectrum > 0.5 * spectrum.max()
        assert strongest.sum() in (1, 2)
        assert np.sum(spectrum[~strongest] ** 2) < 1e-9
        found.append(radius[strongest][0])
    assert np.all(np.diff(found) > -1e-9)
    all_radii = np.sort(radius.ravel())[1 : count + 1]
    np.testing.assert_allclose(found, all_radii, atol=1e-9)


def test_a_pattern_is_added_alike_to_every_channel():
    x = drawn((4, 6, 3))
    y = np.arange(6)
    label = np.array(labels.SpatialPattern(strength=0.5)(x, y, 6), "float64") - x
    scale = np.sqrt(0.5 * np.sum(x.astype("float64") ** 2, axis=(1, 2, 3)) / 3)
    expected = scale[:, None] * fourier_waves(4, 6, 6)
    for channel in range(3):
        np.testing.assert_allclose(
            label[..., channel].reshape(6, -1), expected, rtol=1e-3, atol=2e-6 * scale.max()
        )


@pytest.mark.parametrize(("shape", "classes"), [((3, 3), 9), ((2, 4, 3), 8), ((1, 2), 2)])
def test_more_classes_than_waves(shape, classes):
    x = np.ones((2, *shape))
    for refused in (
        lambda: labels.SpatialPattern()(x, np.array([0, 1]), classes),
        lambda: labels.SpatialPattern().output_shape(x.shape, classes),
    ):
        with pytest.raises(ValueError, match=rf"{classes - 1} waves.*Received: samples of shape"):
            refused()
    assert labels.SpatialPattern().output_shape(x.shape, classes - 1) == x.shape


# --- TokenLabels ---------------------------------------------------------------------------------


def test_token_labels_by_hand():
    x = np.arange(16.0).reshape(1, 2, 4, 2)
    embedded = np.array(labels.TokenLabels(2, strength=2.0)(x, np.array([1]), 3))
    own = np.sqrt(2.0 * np.sum(x**2) / 2)
    expected = [
        [0, 1, 2, 3, 8, 9, 10, 11, 0, own, 0],
        [4, 5, 6, 7, 12, 13, 14, 15, 0, own, 0],
    ]
    np.testing.assert_allclose(embedded, [expected], rtol=1e-6)
    neutral = np.array(labels.TokenLabels(2, strength=2.0)(x, None, 3))
    np.testing.assert_allclose(neutral[0, :, 8:], own / np.sqrt(3), rtol=1e-6)


def test_patches_that_do_not_fill_the_image():
    for refused in (
        lambda: labels.TokenLabels(4)(np.ones((2, 6, 9, 1)), np.array([0, 1]), 3),
        lambda: labels.TokenLabels(4).output_shape((None, 6, 9), 3),
    ):
        with pytest.raises(ValueError, match=r"6 by 9 .*: 1, 3\. Received: patch_size=4"):
            refused()


@pytest.mark.parametrize("bad", [0, -1, 2.0, "two", True, None])
def test_a_patch_size_that_is_none(bad):
    with pytest.raises(ValueError, match=f"Received: patch_size={bad!r}"):
        labels.TokenLabels(bad)


# --- LabelMap ------------------------------------------------------------------------------------


def maps_by_hand(embedding, x, y):
    """The label's channel in float64, for labels or for `None`."""
    maps = convert_to_numpy(embedding.maps).astype("float64")
    maps /= np.sqrt((maps**2).sum(axis=(1, 2), keepdims=True))
    if y is None:
        mean = maps.mean(axis=0)
        chosen = np.broadcast_to(mean / np.sqrt(np.sum(mean**2)), (len(x), *mean.shape))
    else:
        chosen = maps[y]
    length = np.sqrt(embedding.strength * np.sum(in_float64(x) ** 2, axis=(1, 2, 3)))
    return length[:, None, None] * chosen


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)], ids=str)
def test_a_label_map_by_hand(shape):
    embedding, x, y = labels.LabelMap(strength=0.3), drawn(shape), drawn_labels(5)
    for given in (y, None):
        embedded = np.array(embedding(x, given, 5))
        np.testing.assert_array_equal(embedded[..., :-1], in_float64(x).astype("float32"))
        expected = maps_by_hand(embedding, x, given)
        np.testing.assert_allclose(embedded[..., -1], expected, rtol=1e-4, atol=1e-6)
    assert tuple(embedding.maps.shape) == (5, 4, 6)
    lengths = np.sqrt(np.sum(convert_to_numpy(embedding.maps) ** 2, axis=(1, 2)))
    assert np.all((lengths > 0.5) & (lengths < 1.6))


def test_a_maps_own_length_is_of_no_account():
    embedding, x, y = labels.LabelMap(seed=1), drawn((4, 6, 1)), drawn_labels(5)
    before = [np.array(embedding(x, given, 5)) for given in (y, None)]
    scales = np.array([0.01, 1.0, 3.0, 10.0, 100.0], "float32").reshape(5, 1, 1)
    embedding.maps.assign(embedding.maps * scales)
    for old, given in zip(before, (y, None), strict=True):
        np.testing.assert_allclose(embedding(x, given, 5), old, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("given", [[1, 1, 3], None], ids=["labels", "neutral"])
def test_a_gradient_flows_into_the_maps_that_were_shown(given):
    """The gradient along finite differences; across a map, for its length counts nothing."""
    embedding, x = labels.LabelMap(strength=0.5, seed=1), drawn((2, 3, 1), samples=3)
    x /= np.abs(x).max(axis=(1, 2), keepdims=True)
    y = None if given is None else np.array(given)
    weights = drawn((2, 3), samples=3, seed=5)
    embedding.build_for(x.shape, 4)
    _, (gradient,) = value_and_gradients(
        lambda: embedding(x, y, 4)[..., -1] * weights, embedding.maps
    )
    gradient = gradient.astype("float64")
    maps = convert_to_numpy(embedding.maps).astype("float64")
    shown = [np.any(one != 0) for one in gradient]
    assert shown == ([True] * 4 if y is None else [False, True, False, True])
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(np.sum(gradient * maps, axis=(1, 2)), 0.0, atol=1e-5 * scale)
    for place in np.ndindex(maps.shape):
        sides = []
        for step in (1e-2, -1e-2):
            moved = maps.copy()
            moved[place] += step
            embedding.maps.assign(moved)
            sides.append(np.sum(maps_by_hand(embedding, x, y) * weights))
        slope = (sides[0] - sides[1]) / 2e-2
        assert gradient[place] == pytest.approx(slope, rel=2e-2, abs=5e-3 * scale)


def test_maps_are_made_when_built_or_called_first():
    by_hand, called = labels.LabelMap(seed=4), labels.LabelMap(seed=4)
    assert by_hand.weights == [] and not by_hand.built
    by_hand.build_for((None, 4, 6, 3), 5)
    x, y = drawn((4, 6, 3)), drawn_labels(5)
    np.testing.assert_array_equal(by_hand(x, y, 5), called(x, y, 5))
    (maps,) = by_hand.trainable_weights
    assert maps is by_hand.maps and maps.name == "maps" and by_hand.num_classes == 5
    before = convert_to_numpy(maps)
    by_hand.build_for((None, 4, 6, 3), 5)  # as a model does that is built anew
    np.testing.assert_array_equal(by_hand.maps, before)
    assert len(by_hand.weights) == 1


@pytest.mark.parametrize(("shape", "classes"), [((4, 6, 1), 6), ((6, 4, 1), 5), ((4, 7), 5)])
def test_maps_made_for_others(shape, classes):
    embedding = labels.LabelMap()
    embedding.build_for((None, 4, 6, 1), 5)
    for refused in (
        lambda: embedding.build_for((None, *shape), classes),
        lambda: embedding(np.ones((2, *shape)), None, classes),
    ):
        with pytest.raises(ValueError, match=rf"5 classes .* 4 by 6 .*Received: {classes} classes"):
            refused()


def test_maps_without_a_number_of_classes():
    with pytest.raises(ValueError, match=r"build_for.*Received: num_classes=None"):
        labels.LabelMap().build((None, 4, 6, 1))


def test_maps_are_float32_under_mixed_precision():
    exact, mixed = labels.LabelMap(seed=2), labels.LabelMap(seed=2, dtype="mixed_bfloat16")
    x, y = drawn((4, 6, 1)), drawn_labels(5)
    embedded = mixed(x, y, 5)
    assert keras.backend.standardize_dtype(mixed.maps.dtype) == "float32"
    assert keras.backend.standardize_dtype(embedded.dtype) == "float32"
    np.testing.assert_array_equal(embedded, exact(x, y, 5))


def test_only_label_maps_are_learned():
    learned = [name for name, part in labels.KNOWN.items() if part.learned]
    assert learned == ["label_map"]


@pytest.mark.parametrize("build_first", [False, True])
def test_a_label_map_round_trip(build_first):
    embedding, x, y = labels.LabelMap(0.3, seed=7, name="maps"), drawn((6, 6)), drawn_labels(3)
    if build_first:
        embedding.build_for((None, 6, 6), 3)
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(embedding)))
    assert labels.get(embedding) is embedding
    for copy in (
        labels.LabelMap.from_config(embedding.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        labels.get(serialised),
    ):
        assert type(copy) is labels.LabelMap
        assert copy.get_config() == embedding.get_config()
        np.testing.assert_array_equal(copy(x, y, 3), embedding(x, y, 3))  # of one seed
    assert keras.saving.deserialize_keras_object(serialised).built == build_first


def test_label_maps_are_saved(tmp_path):
    class Owner(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.embedding = labels.LabelMap(0.3)

        def build(self, input_shape):
            self.embedding.build_for(input_shape, 3)

        def call(self, x):
            return self.embedding(x, None, 3)

    owner, other, x = Owner(), Owner(), drawn((6, 6, 1))
    expected = owner(x)
    owner.save_weights(tmp_path / "maps.weights.h5")
    assert np.abs(np.array(other(x)) - expected).max() > 1e-3
    other.load_weights(tmp_path / "maps.weights.h5")
    np.testing.assert_array_equal(other(x), expected)


# --- configuration -----------------------------------------------------------------------------


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
    x, y = drawn((8, 8)), drawn_labels(3)
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
