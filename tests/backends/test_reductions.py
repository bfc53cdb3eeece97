"""Sums of samples and of groups of channels in kernels, against independent computation."""

import functools

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff import backends
from keras_ff.backends import reductions
from keras_ff.fast import fused_step
from keras_ff.goodness import ClassGroups, MeanActivity, MeanOfSquares, SumOfSquares
from keras_ff.layers import ClassGroupNormalization, FFResidual, LengthNormalization
from tests.helpers import drawn

pytestmark = pytest.mark.tensorflow("JAX compiles a whole step, and fuses in it what it likes")

# Of even and odd sides, of one row, of more positions than are summed at a time, of many channels.
SHAPES = [(3, 6, 6, 8), (2, 7, 5, 4), (2, 37, 4), (3, 40, 48, 4), (2, 66, 64, 8), (3, 4, 4, 520)]


def about_two(shape, seed=1):
    """Values about 2."""
    return 2.0 + drawn(shape, seed=seed)


def split(x, groups):
    return x.astype("float64").reshape(len(x), -1, groups, x.shape[-1] // groups)


def in_kernel(function, *arrays):
    return convert_to_numpy(backends.fused(function)(*map(keras.ops.convert_to_tensor, arrays)))


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_means_of_groups_and_back(shape, groups):
    x = about_two(shape)
    channels = reductions.ChannelGroups(shape, groups)
    found = in_kernel(lambda x: channels.means(keras.ops.mean(channels.fold(x), axis=1)), x)
    means = split(x, groups).mean((1, 3))
    np.testing.assert_allclose(found, means, rtol=1e-5)

    def centered(x, means):
        return keras.ops.reshape(channels.fold(x) - channels.spread(means), shape)

    found = in_kernel(centered, x, means.astype("float32"))
    expected = split(x, groups) - means[:, None, :, None]
    np.testing.assert_allclose(found, expected.reshape(shape), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_more_rows_than_are_summed_at_a_time(shape):
    made = reductions.ChannelGroups(shape, groups=1)
    assert made.rows <= reductions.MOST_ROWS
    assert made.blocks == 1 or made.lanes >= reductions.LEAST_LANES
    assert made.lanes < 2 * max(reductions.LEAST_LANES, shape[-1]) or made.blocks == 1


@pytest.mark.parametrize("shape", [*SHAPES, (4, 12), (4, 1), (3, 37), (2, 2000)], ids=str)
@pytest.mark.parametrize("figure", ["mean", "sum"])
def test_values_of_samples_and_their_gradients(shape, figure):
    x, weight = about_two(shape), about_two(shape[:1], seed=2)
    axes = tuple(range(1, len(shape)))
    of_squares = getattr(reductions, figure)

    def judged(x, weight):
        assert reductions.apply(x)

        def objective():
            values = of_squares(keras.ops.square(x), axes)
            return keras.ops.sum(weight * values), values

        (_, values), (gradient,) = backends.value_and_grad(objective, [], [x])
        return values, gradient

    found, gradient = backends.fused(judged)(*map(keras.ops.convert_to_tensor, (x, weight)))
    exact = x.astype("float64")
    share = 1 if figure == "sum" else 1 / exact[0].size
    np.testing.assert_allclose(found, share * (exact**2).sum(axes), rtol=1e-5)
    by_figures = weight.reshape(-1, *[1] * len(axes))
    np.testing.assert_allclose(gradient, 2 * share * by_figures * exact, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("center", [False, True])
def test_normalization_by_length(shape, center):
    """The same in a kernel and outside."""
    normalization = LengthNormalization(center=center)
    x = about_two(shape)
    flat = x.astype("float64").reshape(len(x), -1)
    flat = flat - center * flat.mean(1, keepdims=True)
    expected = (flat / np.sqrt((flat**2).mean(1, keepdims=True) + 1e-8)).reshape(shape)
    np.testing.assert_allclose(in_kernel(normalization, x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(normalization(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_normalization_of_positions_stays_one_of_positions(shape):
    normalization = LengthNormalization(axis=-1)
    x = about_two(shape)
    np.testing.assert_allclose(in_kernel(normalization, x), normalization(x), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [*SHAPES, (4, 12)], ids=str)
@pytest.mark.parametrize("of", [MeanActivity, MeanOfSquares, SumOfSquares])
def test_goodness_of_groups(shape, of):
    """The same in a kernel and outside: the figure of a group's activities."""
    goodness = ClassGroups(of(scale=0.5, center=0.25), scale=3.0, num_classes=4)
    x = about_two(shape)
    centered = split(x, 4) - 0.25
    figure = centered if of is MeanActivity else centered**2
    reduce = np.sum if of is SumOfSquares else np.mean
    expected = 1.5 * reduce(figure, axis=(1, 3))
    np.testing.assert_allclose(in_kernel(goodness, x), expected, rtol=1e-5)
    np.testing.assert_allclose(goodness(x), expected, rtol=1e-5)


def test_a_goodness_of_ones_own_is_measured_on_whole_groups():
    class Strongest(MeanActivity):
        def measure(self, activities, axes):
            return keras.ops.max(activities, axis=axes)

    goodness = ClassGroups(Strongest(), scale=1.0, num_classes=4)
    x = about_two((3, 6, 6, 8))
    np.testing.assert_array_equal(in_kernel(goodness, x), split(x, 4).max((1, 3)).astype("float32"))


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_normalization_of_groups(shape, classes):
    """Three classes do not divide the channels, so that the whole sample is one group."""
    layer = ClassGroupNormalization(classes)
    layer.build(shape)
    x = 100 + about_two(shape)  # far from zero, where squares of means are no way to a variance
    groups = split(x, classes if shape[-1] % classes == 0 else 1)
    axes = {"axis": (1, 3), "keepdims": True}
    expected = (groups - groups.mean(**axes)) / np.sqrt(groups.var(**axes) + 1e-5)
    np.testing.assert_allclose(in_kernel(layer, x), expected.reshape(shape), atol=2e-4)


def outputs_of_a_step(layer, tensors):
    """Outputs for activities and a skip connection, as a fused step computes them."""
    to_join = backends.fused(functools.partial(fused_step._to_join, layer))(*tensors)
    return fused_step._joined(layer, to_join)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("merge", ["add", "concatenate", "class_groups"])
@pytest.mark.parametrize("group", [1, 3, 8])
def test_outputs_are_joined_as_outside_a_kernel(policy, merge, group):
    keras.config.set_dtype_policy(policy)
    goodness = ClassGroups(num_classes=2)
    own = 8 if merge == "add" else 2 * group
    layer = FFResidual(keras.layers.Conv2D(own, 1), merge=merge, goodness=goodness)
    layer.build((None, 5, 4, 3))
    shapes = (3, 5, 4, own), (3, 5, 4, 8)
    tensors = [
        keras.ops.cast(about_two(shape, seed), layer.compute_dtype)
        for seed, shape in enumerate(shapes)
    ]
    expected, found = layer.outputs(*tensors), outputs_of_a_step(layer, tensors)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    found, expected = (
        convert_to_numpy(keras.ops.cast(one, "float32")) for one in (found, expected)
    )
    np.testing.assert_allclose(found, expected, **TOLERANCES[policy])


def test_what_a_layer_of_ones_own_hands_on():
    class Doubling(FFResidual):
        def outputs(self, activities, skip=None):
            return 2.0 * super().outputs(activities, skip)

    layer = Doubling(keras.layers.Conv2D(4, 1), merge="concatenate")
    layer.build((None, 3, 3, 2))
    tensors = [keras.ops.convert_to_tensor(about_two((2, 3, 3, 4), seed)) for seed in (1, 2)]
    found = outputs_of_a_step(layer, tensors)
    np.testing.assert_allclose(found, layer.outputs(*tensors), rtol=1e-5)
    assert float(keras.ops.mean(keras.ops.square(found))) == pytest.approx(4.0, rel=1e-3)


# In bfloat16 a sum at half way may go to either side.
TOLERANCES = {"float32": {"rtol": 1e-4, "atol": 1e-5}, "mixed_bfloat16": {"rtol": 2**-7}}
