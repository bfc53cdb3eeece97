"""Functions of one's own between FF layers, applied as they are."""

import keras
import numpy as np
import pytest

from keras_ff.layers import Opaque
from tests.helpers import drawn
from tests.helpers.either_backend import in_graph, value_and_gradients
from tests.helpers.functions import four_levels

SHAPE = (8, 6)


def table(array):
    return np.array([3.0, 1.0, 4.0, 1.0, 5.0])[np.clip(array, 0, 4).astype(int)]


def first_three(array):
    return array.reshape(len(array), -1)[:, :3]


FUNCTIONS = {
    "a numpy function": (np.sign, np.sign),
    "a quantiser": (four_levels, four_levels),
    "a look-up": (table, table),
    "another shape": (first_three, first_three),
    "float64 inside": (lambda a: a.astype("float64") / 3, lambda a: a / np.float32(3)),
    "integers": (np.argsort, np.argsort),
    "a list": (lambda a: np.abs(a).tolist(), np.abs),
}


@pytest.mark.parametrize("shape", [(4, 5), (4, 3, 2, 5)], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_applied_as_it_is(name, shape):
    function, expected = FUNCTIONS[name]
    x = drawn(shape)
    layer = Opaque(function)
    answer = layer(x)
    assert keras.backend.standardize_dtype(answer.dtype) == "float32"
    np.testing.assert_allclose(answer, expected(x), rtol=1e-6)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *expected(x).shape[1:])
    assert layer.weights == []


def test_in_a_graph_of_unknown_batch_size():
    layer = Opaque(lambda array: array[:, :2] + 1)

    seen = set()

    def answer(x):
        found = layer(x)
        seen.add(tuple(found.shape))
        return found

    apply = in_graph(answer, ((None, 5), "float32"))
    for size in (1, 4):
        x = drawn((size, 5))
        np.testing.assert_array_equal(apply(x), x[:, :2] + 1)
    in_tensorflow = keras.backend.backend() == "tensorflow"
    assert seen == ({(None, 2)} if in_tensorflow else {(1, 2), (4, 2)})


def test_no_gradient_passes():
    _, gradients = value_and_gradients(Opaque(lambda array: 3 * array), drawn(SHAPE))
    assert gradients == [None]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_function_sees_float32_under_every_policy(policy):
    keras.config.set_dtype_policy(policy)
    seen = []

    def function(array):
        seen.append(array.dtype)
        return array

    Opaque(function)(keras.ops.cast(drawn(SHAPE), policy.removeprefix("mixed_")))
    assert set(seen) == {np.dtype("float32")}


@pytest.mark.parametrize("bad", [3, "relu", None, np.ones(3)], ids=repr)
def test_what_cannot_be_called_is_refused(bad):
    with pytest.raises(ValueError, match=r"must be callable.*Received: function="):
        Opaque(bad)


def test_it_is_not_compiled_by_xla():
    """Which has no host to call back; Keras then compiles the step without."""
    assert not Opaque(np.sign).supports_jit


def test_round_trip_of_a_registered_function():
    layer = Opaque(four_levels, name="levels")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.function is four_levels and again.name == "levels"
    assert Opaque.from_config(layer.get_config()).function is four_levels
