"""Recipes take the dtype policy that this machine trains fastest under."""

import keras
import pytest

from keras_ff.recipes import TrainingConfig, dtypes


@pytest.fixture
def machine(monkeypatch):
    """A machine on which products of bfloat16 take so many times the seconds of float32."""

    def set_to(products, convolutions):
        dtypes.fastest_policy.cache_clear()
        taken = {False: products, True: convolutions}
        monkeypatch.setattr(
            dtypes,
            "_seconds",
            lambda policy, convolutional: taken[convolutional] if "bfloat16" in policy else 1.0,
        )

    yield set_to
    dtypes.fastest_policy.cache_clear()


def policy_of(**chosen):
    return TrainingConfig.for_dataset("mnist", num_classes=10, **chosen).dtype_policy


def test_recipes_take_what_is_faster_here(machine):
    machine(products=0.5, convolutions=6.0)
    assert policy_of() == "mixed_bfloat16"
    assert policy_of(architecture="cnn") == "float32"
    machine(products=0.95, convolutions=0.6)  # a tenth at least, for what rounding costs
    assert policy_of() == "float32"
    assert policy_of(architecture="resnet") == "mixed_bfloat16"


def test_what_is_chosen_is_not_measured(monkeypatch):
    monkeypatch.setattr(dtypes, "_seconds", None)
    dtypes.fastest_policy.cache_clear()
    assert policy_of(dtype_policy="mixed_bfloat16") == "mixed_bfloat16"
    assert TrainingConfig.for_dataset("digits").dtype_policy == "float32"
    assert " --dtype-policy float32" in TrainingConfig.for_dataset("digits").command()


@pytest.mark.parametrize("convolutional", [False, True])
def test_measuring_leaves_names_and_random_numbers_as_they_are(convolutional):
    keras.utils.set_random_seed(1)
    expected = keras.random.normal((3,))
    keras.utils.set_random_seed(1)
    dtypes.fastest_policy.cache_clear()
    assert dtypes.fastest_policy(convolutional) in ("float32", "mixed_bfloat16")
    assert keras.ops.all(keras.random.normal((3,)) == expected)
    assert keras.layers.Dense(2).name == "dense" and keras.layers.Conv2D(2, 3).name == "conv2d"
    assert keras.config.dtype_policy().name == "float32"
