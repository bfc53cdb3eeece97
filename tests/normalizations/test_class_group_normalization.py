"""ClassGroupNormalization: every class standardised by itself."""

import keras
import numpy as np
import pytest

from keras_ff import backends
from keras_ff.layers import ClassGroupNormalization
from tests.helpers import copies, drawn
from tests.helpers.either_backend import value_and_gradients


def standardised(x, classes, epsilon=1e-5):
    """Class groups standardised in float64."""
    x = np.asarray(x, "float64")
    groups = x.reshape(len(x), -1, classes, x.shape[-1] // classes)
    mean = groups.mean(axis=(1, 3), keepdims=True)
    spread = np.sqrt(groups.var(axis=(1, 3), keepdims=True) + epsilon)
    return ((groups - mean) / spread).reshape(x.shape)


GROUPS = [((4, 12), 3), ((4, 12), 1), ((2, 5, 4, 6), 2), ((2, 5, 4, 6), 6), ((2, 7, 8), 4)]


@pytest.mark.parametrize(("shape", "classes"), GROUPS, ids=str)
def test_every_class_is_standardised_by_itself(shape, classes):
    x = drawn(*shape) * np.linspace(0.5, 5.0, shape[-1]) + np.arange(shape[-1])
    y = np.array(ClassGroupNormalization(classes)(x.astype("float32")))
    np.testing.assert_allclose(y, standardised(x, classes), rtol=1e-3, atol=1e-5)
    groups = y.reshape(shape[0], -1, classes, shape[-1] // classes).astype("float64")
    np.testing.assert_allclose(groups.mean(axis=(1, 3)), 0.0, atol=1e-5)
    np.testing.assert_allclose(groups.var(axis=(1, 3)), 1.0, rtol=1e-3)


@pytest.mark.tensorflow("it makes kernels")
@pytest.mark.parametrize(("shape", "classes"), GROUPS, ids=str)
def test_a_kernel_of_its_own_gives_the_same(shape, classes):
    layer = ClassGroupNormalization(classes)
    layer.build((None, *shape[1:]))
    x = 1.0 + drawn(*shape)
    np.testing.assert_allclose(
        backends.fused(layer)(keras.ops.convert_to_tensor(x)), layer(x), rtol=1e-4, atol=1e-5
    )


def test_no_trace_of_which_class_won():
    x = 1.0 + drawn(3, 4, 4, 6)
    won = x.copy()
    won[..., 2:4] *= 30.0
    won[..., 2:4] += 5.0
    layer = ClassGroupNormalization(3)
    np.testing.assert_allclose(layer(won), layer(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("shape", "classes"), [((4, 12), 5), ((3, 5, 5, 3), 10), ((3, 6, 4), 7)])
def test_other_widths_are_one_group(shape, classes):
    x = 3.0 * drawn(*shape) + 2.0
    y = ClassGroupNormalization(classes)(x)
    expected = standardised(x.reshape(len(x), -1), 1).reshape(shape)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5)


def test_integer_images():
    x = np.random.default_rng(1).integers(0, 255, (3, 5, 5, 3)).astype("uint8")
    y = np.array(ClassGroupNormalization(10)(x))
    expected = standardised(x.reshape(3, -1), 1).reshape(x.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)


def test_silent_groups_stay_at_zero_with_a_finite_gradient():
    x = np.hstack([np.zeros((2, 3)), drawn(2, 3)]).astype("float32")
    layer = ClassGroupNormalization(2)
    y = np.array(layer(x))
    _, (gradient,) = value_and_gradients(
        lambda x: keras.ops.multiply(layer(x), drawn(2, 6, seed=2)), x
    )
    np.testing.assert_array_equal(y[:, :3], 0.0)
    assert np.abs(y[:, 3:]).max() > 0.5
    assert np.all(np.isfinite(gradient))


def test_class_groups_under_mixed_precision():
    """Statistics in float32: an offset that bfloat16 can hold costs no digits of the spread."""
    x = keras.ops.cast(128.0 + drawn(64, 16), "bfloat16")
    y = ClassGroupNormalization(2, dtype="mixed_bfloat16")(x)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    exact = standardised(np.array(keras.ops.cast(x, "float32")), 2)
    np.testing.assert_allclose(keras.ops.cast(y, "float32"), exact, rtol=2**-8, atol=1e-3)


def test_a_model_sets_the_number_of_classes():
    layer = ClassGroupNormalization()
    assert layer.num_classes is None
    with pytest.raises(ValueError, match=r"num_classes=10\)\. Received: num_classes=None"):
        layer.build((None, 6))
    layer.num_classes = 3
    x = drawn(4, 6)
    np.testing.assert_allclose(layer(x), standardised(x, 3), rtol=1e-3, atol=1e-5)
    layer.num_classes = 3  # as a model does that is built anew
    with pytest.raises(ValueError, match=r"3 classes already\. Received: num_classes=2"):
        layer.num_classes = 2
    np.testing.assert_allclose(layer(x), standardised(x, 3), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("bad", [0, -2, 2.0, "ten", True])
def test_a_number_of_classes_that_is_none(bad):
    with pytest.raises(ValueError, match=f"Received: num_classes={bad!r}"):
        ClassGroupNormalization(bad)
    with pytest.raises(ValueError, match=f"Received: num_classes={bad!r}"):
        ClassGroupNormalization().num_classes = bad


def test_groups_of_one_unit_are_refused():
    with pytest.raises(ValueError, match=r"width of 6 or more\. Received: .*\(None, 3\)"):
        ClassGroupNormalization(3).build((None, 3))
    ClassGroupNormalization(3).build((None, 4, 4, 3))  # positions have a spread


@pytest.mark.parametrize("epsilon", [0.0, -1.0, "small"])
def test_an_epsilon_of_class_groups_that_is_not_above_zero(epsilon):
    with pytest.raises(ValueError, match=f"Received: epsilon={epsilon!r}"):
        ClassGroupNormalization(epsilon=epsilon)


def test_class_group_round_trip():
    layer, x = ClassGroupNormalization(2, epsilon=0.5, name="classes"), drawn(3, 6)
    layer(x)
    for copy in copies(layer):
        assert copy.get_config() == layer.get_config()
        np.testing.assert_array_equal(copy(x), layer(x))
    assert layer.weights == []
    np.testing.assert_allclose(layer(x), standardised(x, 2, 0.5), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 11), (3, 5, 4, 11)], ids=str)
def test_free_channels_are_standardised_by_themselves(shape):
    x = drawn(*shape) * np.linspace(0.5, 5.0, 11) + np.arange(11)
    x = x.astype("float32")
    layer = ClassGroupNormalization(3, free=5)
    expected = [standardised(x[..., :6], 3), standardised(x[..., 6:], 1)]
    np.testing.assert_allclose(layer(x), np.concatenate(expected, -1), rtol=1e-3, atol=1e-5)
    for free in (11, 20):
        whole = ClassGroupNormalization(3, free=free)(x)
        np.testing.assert_allclose(whole, standardised(x, 1), rtol=1e-3, atol=1e-5)
    for copy in copies(layer):
        np.testing.assert_array_equal(copy(x), layer(x))


def test_a_number_of_free_channels_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"at least 0\. Received: free=-1"):
        ClassGroupNormalization(3, free=-1)
    with pytest.raises(ValueError, match="group of one unit"):
        ClassGroupNormalization(3, free=1)(drawn(4, 7))
