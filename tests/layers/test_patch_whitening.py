"""Whitening of patches: uncorrelated components of equal variance, found by `adapt`."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.layers import FFConv2D, FFDense, PatchWhitening
from tests.helpers import copies, drawn

LINEAR = {"both_signs": False, "activation": None, "padding": "valid"}


def smooth_images(count=300, side=9, channels=3, seed=1):
    """Images whose neighbouring pixels and channels are alike, about a mean of 0.4."""
    noise = drawn(count, side + 2, side + 2, channels, seed=seed)
    rows = noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]
    smooth = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return (0.4 + 0.2 * smooth + 0.1 * smooth.sum(axis=-1, keepdims=True)).astype("float32")


def adapted(x, **settings):
    layer = PatchWhitening(**settings)
    layer.adapt(x)
    return layer


def patches_by_hand(x, size):
    """All patches within images, their pixels in reading order and of each pixel its channels."""
    places = range(x.shape[1] - size + 1)
    return np.array(
        [
            [[image[i : i + size, j : j + size].ravel() for j in places] for i in places]
            for image in x.astype("float64")
        ]
    )


@pytest.mark.parametrize(("size", "channels"), [(2, 3), (3, 1)])
def test_formula(size, channels):
    x = smooth_images(60, 7, channels)
    patches = patches_by_hand(x, size)
    rows = patches.reshape(-1, patches.shape[-1])
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    expected = (patches - rows.mean(axis=0)) @ vectors / np.sqrt(values + 0.01)
    found = np.array(adapted(x, patch_size=size, epsilon=0.01, **LINEAR)(x))
    # The greatest eigenvalue comes first; an eigenvector's sign is free.
    signs = np.sign((found * expected[..., ::-1]).sum(axis=(0, 1, 2)))
    np.testing.assert_allclose(found, signs * expected[..., ::-1], rtol=1e-3, atol=1e-3)


def test_components_have_equal_variance_and_nothing_in_common():
    x = smooth_images()
    layer = adapted(x, patch_size=2, epsilon=1e-6, **LINEAR)
    z = np.array(layer(x), "float64").reshape(-1, 12)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(z.T, bias=True), np.eye(12), atol=5e-3)
    raw = patches_by_hand(x, 2).reshape(-1, 12)
    assert np.corrcoef(raw.T).min() > 0.2  # which the pixels had


def test_both_signs_are_rectified_halves_of_one_component():
    x = smooth_images(20)
    z = np.array(adapted(x, components=4, **LINEAR)(x))
    y = np.array(adapted(x, components=4, padding="valid")(x))
    assert y.shape == (20, 8, 8, 8)
    np.testing.assert_allclose(y[..., :4], np.maximum(z, 0), atol=1e-6)
    np.testing.assert_allclose(y[..., 4:], np.maximum(-z, 0), atol=1e-6)
    whole = adapted(x, components=4)
    assert whole.compute_output_shape((None, 9, 9, 3)) == (None, 9, 9, 8)
    np.testing.assert_allclose(np.array(whole(x))[:, :-1, :-1], y, atol=1e-6)


def test_images_are_taken_from_whatever_holds_them():
    x = smooth_images(30)
    kernel = convert_to_numpy(built(adapted(x), x).kernel)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return x[10 * index : 10 * index + 10], np.zeros(10)

    batches = [x[:10], x[10:20], x[20:]]
    labelled = [(batch, np.zeros(10)) for batch in batches]
    for data in (keras.ops.convert_to_tensor(x), batches, iter(labelled), Batches()):
        np.testing.assert_allclose(built(adapted(data), x).kernel, kernel, rtol=1e-3, atol=1e-3)
    few = PatchWhitening()
    few.adapt([x[:10], x[10:]], samples=15)
    np.testing.assert_allclose(
        built(few, x).kernel, built(adapted(x[:15]), x).kernel, rtol=1e-3, atol=1e-3
    )
    spread = PatchWhitening()
    spread.adapt(x, samples=2)
    ends = built(adapted(x[[0, -1]]), x).kernel
    np.testing.assert_allclose(built(spread, x).kernel, ends, rtol=1e-3, atol=1e-3)


@pytest.mark.tensorflow("a tf.data pipeline")
def test_images_are_taken_from_a_pipeline():
    import tensorflow as tf

    x = smooth_images(30)
    dataset = tf.data.Dataset.from_tensor_slices((x, np.arange(30))).batch(8)
    kernels = [built(adapted(data), x).kernel for data in (dataset, x)]
    np.testing.assert_allclose(*kernels, rtol=1e-3, atol=1e-3)


def built(layer, x):
    layer.build(x.shape)
    return layer


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"patch_size": 0}, "patch_size"),
        ({"components": 0}, "components"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"padding": "full"}, "'same' or 'valid'"),
        ({"activation": "rellu"}, "relu"),
        ({"kernel": np.ones((2, 2, 1, 4))}, "belong together"),
        ({"kernel": np.ones((3, 3, 1, 4)), "bias": np.ones(4)}, "patch_size=2"),
    ],
    ids=str,
)
def test_refused_arguments(settings, match):
    with pytest.raises(ValueError, match=rf"(?s){match}.*Received"):
        PatchWhitening(**settings)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.ones((0, 4, 4, 1)), "no images"),
        ([], "no images"),
        (drawn(5, 16), "batches of images"),
        ([drawn(4, 4, 3)], "batches of images"),  # no batch
        (drawn(5, 1, 4, 3), "at least 2 by 2"),
        (np.full((5, 4, 4, 3), np.nan), "finite"),
        ([drawn(5, 4, 4, 3), drawn(5, 4, 4, 1)], "of 3 channels"),
    ],
    ids=["empty", "no batch", "flat", "single", "small", "nan", "channels"],
)
def test_refused_images(data, match):
    with pytest.raises(ValueError, match=rf"(?s){match}.*Received"):
        PatchWhitening().adapt(data)


def test_an_impossible_number_of_components_is_refused():
    with pytest.raises(ValueError, match=r"Patches of 12 numbers.*components=13"):
        PatchWhitening(components=13).adapt(smooth_images(5))


def test_it_says_that_it_was_not_adapted():
    x = smooth_images(4)
    with pytest.raises(ValueError, match=r"call `adapt`.*first\.adapt\(x_train\)"):
        PatchWhitening(name="first")(x)
    model = keras_ff.FFModel([PatchWhitening(), FFDense(4)], num_classes=2)
    model.compile()
    with pytest.raises(ValueError, match=r"before the first FF layer.*call `adapt`"):
        model.fit(x, [0, 1, 0, 1], verbose=0)
    with pytest.raises(ValueError, match=r"adapted to images of 3 channels.*9, 1"):
        adapted(x)(x[..., :1])


def test_it_may_be_adapted_anew():
    x, other = smooth_images(20), smooth_images(20, seed=2) ** 2
    layer = built(adapted(x), x)
    layer.adapt(other)
    np.testing.assert_allclose(layer(x), adapted(other)(x), atol=1e-6)
    with pytest.raises(ValueError, match="of 3 channels"):
        layer.adapt(other[..., :2])


def test_copies_are_adapted():
    x = smooth_images(20)
    layer = adapted(x, patch_size=3, components=5, padding="valid", activation="gelu")
    for copy in copies(layer):
        assert copy.get_config() == layer.get_config()
        np.testing.assert_array_equal(copy(x), layer(x))
    layer.set_weights([2 * weight for weight in layer.get_weights()])
    for copy in copies(layer):
        np.testing.assert_array_equal(copy(x), layer(x))
    assert all(copy._found is None for copy in copies(PatchWhitening()))


def test_it_computes_in_float32_under_mixed_precision():
    x = 100 + smooth_images(20)  # which bfloat16 knows to the nearest half
    whole, mixed = (adapted(x, dtype=policy) for policy in ("float32", "mixed_bfloat16"))
    found = mixed(x)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    expected = np.array(whole(x))
    found = np.array(keras.ops.cast(found, "float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)
    assert [weight.dtype for weight in mixed.weights] == ["float32", "float32"]
    pixels = (255 * smooth_images(20)).astype("uint8")
    numbers = pixels.astype("float32")
    np.testing.assert_allclose(adapted(pixels)(pixels), adapted(numbers)(numbers), atol=1e-5)


def model_of(whitening, groups=True):
    if not groups:
        layers = [whitening, FFConv2D(8, activation="relu"), FFDense(16, activation="relu")]
        return keras_ff.FFModel(layers, num_classes=4, label_embedding="overlay")
    settings = {"goodness": "class_groups", "normalization": "class_groups", "activation": "relu"}
    return keras_ff.FFModel(
        [whitening, FFConv2D(8, **settings), FFConv2D(8, **settings)],
        num_classes=4,
        label_embedding=None,
        negatives=None,
        layer_schedule="simultaneous",
    )


@pytest.mark.slow
@pytest.mark.parametrize("groups", [True, False])
def test_a_model_learns_behind_it_and_is_saved_with_it(groups, tmp_path):
    x, y = smooth_images(64), np.arange(64) % 4
    model = model_of(adapted(x), groups)
    model.compile("adam", metrics=["accuracy"])
    model.build(x.shape)
    before = [convert_to_numpy(weight) for weight in model.weights]
    fixed = {id(weight) for weight in model.other_layers[0].weights}
    assert len(fixed) == 2 and model.other_layers[0].trainable_variables == []
    model.fit(x, y, epochs=2, verbose=0)
    for weight, old in zip(model.weights, before, strict=True):
        assert np.array_equal(weight, old) == (id(weight) in fixed), weight.path
    scores = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), scores)
    loaded.fit(x, y, verbose=0)
    model.save_to_preset(tmp_path / "preset", weights="float32")
    preset = keras_ff.FFModel.from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(preset.predict(x, verbose=0), scores)
    # Whoever wants the network without its weights has the patches all the same.
    untrained = keras_ff.FFModel.from_preset(tmp_path / "preset", load_weights=False)
    found = [convert_to_numpy(one.other_layers[0].kernel) for one in (untrained, model)]
    np.testing.assert_array_equal(*found)
    network = model.to_backprop()
    network.compile("sgd", "sparse_categorical_crossentropy")
    network.fit(x, y, verbose=0)


@pytest.mark.slow
def test_a_model_is_rebuilt_for_other_classes_with_it():
    x = smooth_images(16)
    model = model_of(adapted(x))
    model.build(x.shape)
    other = model.rebuild(num_classes=2)
    np.testing.assert_array_equal(other.other_layers[0](x), model.other_layers[0](x))


@pytest.mark.slow
def test_data_are_checked_before_it():
    x, y = smooth_images(16), np.arange(16) % 4
    model = model_of(adapted(x))
    model.compile("adam")
    with pytest.raises(ValueError, match="finite"):
        model.fit(np.full_like(x, np.inf), y, verbose=0)
    with pytest.raises(ValueError, match="channels"):
        model.fit(x[..., :1], y, verbose=0)
