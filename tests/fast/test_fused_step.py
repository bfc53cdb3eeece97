"""The fused step against the plain one: the same metrics, weights and activities."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import backends
from keras_ff.fast import fused_step, fused_update
from keras_ff.goodness import ClassGroups, MeanOfSquares, SumOfSquares
from keras_ff.labels import LabelMap
from keras_ff.layers import (
    Batch,
    FFAttention,
    FFConv2D,
    FFDense,
    FFLayer,
    FFResidual,
    LengthNormalization,
    PeerNormalization,
)
from keras_ff.losses import LabelSoftmax, Logistic, SupCon
from keras_ff.negatives import AllLabels, HybridImages, RandomLabels
from tests.helpers import drawn, mostly_slow

pytestmark = pytest.mark.tensorflow("JAX compiles a whole step, and fuses in it what it likes")

CLASSES = 4
SHAPE = (12, 6, 6, 1)


def groups():
    return {"label_embedding": None, "negatives": None}


def grouped(**arguments):
    return {"goodness": "class_groups", "normalization": "class_groups", **arguments}


class Doubling(FFLayer):
    """Whose second ReLU would change something."""

    def activate(self, pre_activation, training=False, dropout_mask=None):
        return super().activate(2.0 * pre_activation + 1.0, training, dropout_mask)


# Layers and arguments of the model, by what is particular about them.
MODELS = {
    "dense": (lambda: [FFDense(16), FFDense(12)], dict),
    "overlay": (lambda: [FFDense(16), FFDense(12)], lambda: {"label_embedding": "overlay"}),
    "all labels": (
        lambda: [FFDense(16, loss=LabelSoftmax()), FFDense(12, loss=LabelSoftmax())],
        lambda: {"negatives": AllLabels()},
    ),
    "learned threshold": (
        lambda: [FFDense(16, loss=Logistic("learned"), goodness=SumOfSquares()), FFDense(12)],
        dict,
    ),
    "no normalization, no bias": (
        lambda: [FFDense(16, normalization=None, use_bias=False), FFDense(12, use_bias=False)],
        dict,
    ),
    "centered": (
        lambda: [
            FFDense(
                16,
                activation="sigmoid",
                goodness=MeanOfSquares(center=0.5),
                normalization="centered_length",
            )
            for _ in range(2)
        ],
        dict,
    ),
    "axis": (
        lambda: [
            FFConv2D(4, normalization=LengthNormalization(axis=-1)),
            FFLayer(keras.layers.Dense(5), activation="tanh"),
            FFDense(8),
        ],
        lambda: {"label_embedding": "spatial_pattern"},
    ),
    "convolutional": (
        lambda: [FFConv2D(4, pooling=keras.layers.AveragePooling2D(2)), FFConv2D(4, 2, strides=2)],
        lambda: {"label_embedding": "spatial_pattern"},
    ),
    "batch statistics": (
        lambda: [
            FFDense(16, normalization=keras.layers.BatchNormalization(center=False, scale=False))
            for _ in range(2)
        ],
        dict,
    ),
    "learned label": (
        lambda: [FFConv2D(4), FFConv2D(4)],
        lambda: {"label_embedding": LabelMap(seed=1)},
    ),
    "class groups": (
        lambda: [FFDense(16, **grouped()), FFDense(8, **grouped(activation="gelu"))],
        groups,
    ),
    "residual": (
        lambda: [
            FFConv2D(8, goodness=ClassGroups("mean_of_squares"), normalization="class_groups"),
            FFResidual(
                keras.layers.Conv2D(8, 3, padding="same", name="convolution"),
                activation="relu",
                merge="class_groups",
                **grouped(pooling=None),
            ),
            FFConv2D(8, pooling=keras.layers.AveragePooling2D(2), **grouped()),
        ],
        groups,
    ),
    "residual, added": (
        lambda: [
            FFConv2D(8, activation="tanh", **grouped()),
            FFResidual(
                keras.layers.Conv2D(8, 3, padding="same", name="convolution"),
                activation="relu",
                dropout=0.3,
                **grouped(),
            ),
            FFConv2D(8, use_bias=False, **grouped(normalization=None)),
        ],
        groups,
    ),
    "residual, beside": (
        lambda: [
            FFConv2D(4),
            FFResidual(
                keras.layers.Conv2D(3, 3, padding="same", name="convolution"),
                activation="relu",
                merge="concatenate",
                normalization=None,
            ),
            FFConv2D(4),
        ],
        lambda: {"label_embedding": "spatial_pattern"},
    ),
    "a response of one's own": (
        lambda: [Doubling(keras.layers.Conv2D(4, 3, padding="same"), activation="relu")],
        lambda: {"label_embedding": "spatial_pattern"},
    ),
    "dropout": (lambda: [FFDense(16, dropout=0.3), FFDense(12, dropout=0.3)], dict),
    "dropout, convolutional": (
        lambda: [
            FFConv2D(8, pooling=keras.layers.AveragePooling2D(2), dropout=0.3, **grouped()),
            FFDense(8, dropout=0.3, **grouped()),
        ],
        groups,
    ),
    "images": (
        lambda: [FFConv2D(4), FFDense(8)],
        lambda: {"label_embedding": None, "negatives": HybridImages(seed=1), "readout": "softmax"},
    ),
}


RESIDUAL = [name for name in MODELS if name.startswith("residual")]


def counted(monkeypatch):
    """The layers that take fused steps from now on, a list that grows as they are traced."""
    taken = []
    compute_gradients = fused_step.compute_gradients

    def counting(layer, *others):
        taken.append(layer)
        return compute_gradients(layer, *others)

    monkeypatch.setattr(fused_step, "compute_gradients", counting)
    return taken


def trained(name, compiled, monkeypatch, policy="float32", batch_size=6, **compile_arguments):
    """A model after an epoch of two steps, with the logs; plain steps are taken eagerly."""
    far = 0 if compiled else 10**9
    monkeypatch.setattr(fused_step, "LEAST_ACTIVITIES", far)
    # Only where it is what is tested, for compiling takes its time.
    updates = far if "optimizer" in compile_arguments else 10**9
    monkeypatch.setattr(fused_update, "LEAST_WEIGHTS", updates)
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(3)
    make, settings = MODELS[name]
    settings = {"negatives": RandomLabels(seed=1), **settings()}
    model = keras_ff.FFModel(make(), CLASSES, layer_schedule="simultaneous", **settings)
    arguments = {"optimizer": keras.optimizers.SGD(0.05), "run_eagerly": not compiled}
    arguments |= compile_arguments
    model.compile(**arguments)
    taken = counted(monkeypatch)
    history = model.fit(
        drawn(SHAPE), np.arange(12) % CLASSES, batch_size=batch_size, shuffle=False, verbose=0
    ).history
    return model, history, taken


def compare(models, histories, rtol, atol):
    for one, other in zip(models[0].weights, models[1].weights, strict=True):
        one, other = (convert_to_numpy(each).astype("float32") for each in (one, other))
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)
    assert set(histories[0]) == set(histories[1])
    for figure in histories[0]:
        np.testing.assert_allclose(
            histories[0][figure], histories[1][figure], rtol=rtol, atol=10 * atol, err_msg=figure
        )


@mostly_slow("name", MODELS, quick=(0,))
def test_steps_are_the_plain_ones(name, monkeypatch):
    results = [trained(name, compiled, monkeypatch) for compiled in (True, False)]
    models, histories, taken = zip(*results, strict=True)
    learned_first = name == "learned label"  # whose first layer has the embedding under its tape
    assert set(taken[0]) == set(models[0].ff_layers[learned_first:]) and not taken[1]
    compare(models, histories, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_short_last_batch(monkeypatch):
    results = [trained("dense", compiled, monkeypatch, batch_size=8) for compiled in (True, False)]
    models, histories, _ = zip(*results, strict=True)
    compare(models, histories, rtol=1e-4, atol=1e-5)


@mostly_slow("name", ["dense", "convolutional", RESIDUAL[0]], quick=())
def test_steps_are_the_plain_ones_in_mixed_precision(name, monkeypatch):
    """As far as bfloat16 goes; between two products the compiled step does not round."""
    results = [trained(name, compiled, monkeypatch, "mixed_bfloat16") for compiled in (True, False)]
    models, histories, taken = zip(*results, strict=True)
    assert taken[0] and not taken[1]
    compare(models, histories, rtol=0.05, atol=0.03)
    assert all(weight.dtype == "float32" for weight in models[0].trainable_weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adam(0.01, clipnorm=0.1),
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True, ema_momentum=0.5),
        lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5), momentum=0.9
        ),
    ],
    ids=["Adam", "AdamW", "SGD"],
)
def test_updates_are_the_plain_ones(optimizer, monkeypatch):
    """Slots, averages, clipping, decay and schedule included."""
    results = [
        trained("learned threshold", compiled, monkeypatch, optimizer=optimizer())
        for compiled in (True, False)
    ]
    models, histories, _ = zip(*results, strict=True)
    compare(models, histories, rtol=1e-3, atol=1e-5)
    slots = [model.optimizer.variables for model in models]
    for one, other in zip(*slots, strict=True):
        np.testing.assert_allclose(
            convert_to_numpy(one), convert_to_numpy(other), rtol=1e-3, atol=1e-5
        )


@pytest.mark.slow
def test_constraints_hold(monkeypatch):
    def layers():
        return [FFDense(16, kernel_constraint=keras.constraints.MaxNorm(0.1)), FFDense(8)]

    monkeypatch.setitem(MODELS, "constrained", (layers, dict))
    models, histories, taken = zip(
        *[trained("constrained", compiled, monkeypatch) for compiled in (True, False)], strict=True
    )
    assert taken[0]
    compare(models, histories, rtol=1e-4, atol=1e-5)
    norms = np.linalg.norm(convert_to_numpy(models[0].ff_layers[0].kernel), axis=0)
    assert norms.max() < 0.1 + 1e-5


def overlay():
    return {"label_embedding": "overlay"}


# What has more to it than a product and element-wise work takes the plain way.
OTHERS = {
    "regularizer": lambda: FFDense(8, kernel_regularizer="l2"),
    "activity regularizer": lambda: FFDense(8, activity_regularizer="l2"),
    "peer normalization": lambda: FFDense(8, auxiliary=PeerNormalization()),
    "supervised contrast": lambda: FFDense(8, auxiliary=SupCon()),
    "batch normalization": lambda: FFDense(8, normalization="batch"),
    "trained activation": lambda: FFDense(8, activation=keras.layers.PReLU()),
    "maximum": lambda: FFConv2D(4, pooling=keras.layers.MaxPooling2D(2)),
    "attention": lambda: FFAttention(1, 4, patch_size=3),
    "layers in a row": lambda: FFLayer(
        keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(8)])
    ),
    "own activation": lambda: FFLayer(keras.layers.Dense(8, activation="relu")),
    "channels first": lambda: FFLayer(
        keras.layers.Conv2D(4, 3, padding="same", data_format="channels_first")
    ),
    "a product a channel": lambda: FFLayer(keras.layers.DepthwiseConv2D(3, depth_multiplier=4)),
    "frozen kernel": lambda: _frozen(FFDense(8, loss=Logistic("learned"))),
}


def _frozen(layer):
    layer.transform.trainable = False
    return layer


@pytest.mark.slow
def test_a_missing_shortcut_is_what_the_layer_takes(monkeypatch):
    monkeypatch.setattr(fused_step, "LEAST_ACTIVITIES", 0)
    x, labels = drawn((12, 6, 6, 8)), np.arange(12) % CLASSES

    def stepped(**arguments):
        keras.utils.set_random_seed(3)
        layer = FFResidual(
            keras.layers.Conv2D(8, 3, padding="same"),
            activation="relu",
            loss="sparse_categorical_crossentropy",
            optimizer="sgd",
            goodness=ClassGroups(num_classes=CLASSES),
            normalization="class_groups",
        )
        layer.build(x.shape)
        layer.optimizer.build(layer.trainable_variables)

        def step(x, labels):
            assert fused_step.applies(layer)
            batch = Batch(x, streams=1, labels=labels, **arguments)
            _, outputs, found = fused_step.compute_gradients(layer, batch, layer.skip(batch))
            fused_step.apply_gradients(layer, found)
            return outputs

        return convert_to_numpy(backends.compiled(step)(x, labels))

    np.testing.assert_array_equal(stepped(), stepped(skips=(x,)))


def test_a_bias_has_its_gradient_summed_in_float32():
    """Of ones, of which bfloat16 could count no more than 256."""
    if not backends.sums_biases("bfloat16"):
        pytest.skip("The library of this processor sums in bfloat16; kernels sum instead")
    rows = keras.ops.ones((3, 40, 40, 4), "bfloat16")
    kernel, bias = keras.ops.zeros((3, 3, 4, 4), "bfloat16"), keras.ops.zeros((4,), "bfloat16")

    def multiplied(kernel, bias):
        return backends.bias_add(keras.ops.conv(rows, kernel, padding="same"), bias)

    gradients = backends.compiled(lambda delta: backends.vjp(multiplied, [kernel, bias], delta))
    by_kernel, by_bias = gradients(keras.ops.ones_like(rows))
    np.testing.assert_allclose(convert_to_numpy(by_bias).astype("float32"), 4800, rtol=2**-8)
    inner = convert_to_numpy(by_kernel).astype("float32")[1, 1]
    np.testing.assert_allclose(inner, np.full((4, 4), 4800), rtol=2**-8)


@pytest.mark.slow
def test_the_bias_of_a_convolution_learns_alike_in_bfloat16(monkeypatch):
    """Whether the library sums its gradient or a kernel does."""
    monkeypatch.setattr(fused_step, "LEAST_ACTIVITIES", 0)
    x = np.random.default_rng(0).normal(size=(64, 16, 16, 4)).astype("float32")
    labels = np.arange(64) % 2
    moved = {}
    for dtype in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(2)
        layer = FFConv2D(4, goodness="class_groups", normalization=None, dtype=dtype)
        model = keras_ff.FFModel([layer], 2, label_embedding=None, negatives=None)
        model.compile(keras.optimizers.SGD(1.0))
        model.train_on_batch(x, labels)
        moved[dtype] = convert_to_numpy(layer.transform.bias)
    assert np.abs(moved["float32"]).max() > 1e-3
    np.testing.assert_allclose(moved["mixed_bfloat16"], moved["float32"], rtol=0.1, atol=3e-3)


def _trains_channels_first():
    x, kernel = keras.ops.ones((1, 1, 4, 4)), keras.ops.ones((3, 3, 1, 1))

    def convolved(kernel):
        return keras.ops.conv(x, kernel, padding="same", data_format="channels_first")

    try:
        backends.compiled(lambda delta: backends.vjp(convolved, [kernel], delta))(x)
    except Exception:  # of any kind, by version and processor
        return False
    return True


@mostly_slow("name", OTHERS, quick=(0, 4, 8))
def test_all_others_take_the_plain_way(name, monkeypatch):
    if name == "channels first" and not _trains_channels_first():
        pytest.skip("TensorFlow does not train channels_first convolutions on this processor")
    monkeypatch.setitem(MODELS, name, (lambda: [OTHERS[name]()], overlay))
    _, history, taken = trained(name, True, monkeypatch)
    assert not taken
    assert np.isfinite(history["loss"]).all()


@pytest.mark.slow
def test_eager_steps_stay_plain(monkeypatch):
    _, _, taken = trained("dense", True, monkeypatch, run_eagerly=True)
    assert not taken


@pytest.mark.slow
def test_small_layers_stay_plain(monkeypatch):
    keras.utils.set_random_seed(1)
    for width, compiled in ((511, False), (512, True)):
        with monkeypatch.context() as patch:
            taken = counted(patch)
            model = keras_ff.FFModel([FFDense(width)], CLASSES)
            model.compile()
            model.train_on_batch(drawn(SHAPE), np.arange(12) % CLASSES)
        assert bool(taken) is compiled


def test_a_kernel_rounds_as_a_cast_does():
    """All of bfloat16, and what lies a little above, at, and about half way to the next."""
    upper = np.arange(2**16, dtype="uint32") << 16
    lower = [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF]
    numbers = np.concatenate([(upper + bits).view("float32") for bits in lower])
    # Not-a-number is one, whatever its bits.
    numbers = np.append(numbers[~np.isnan(numbers)], [np.nan, -np.nan]).astype("float32")
    x = keras.ops.convert_to_tensor(numbers)
    found = backends.fused(lambda x: backends.rounded(x, "bfloat16"))(x)
    assert found.dtype == "bfloat16"
    np.testing.assert_array_equal(
        convert_to_numpy(keras.ops.cast(found, "float32")),
        convert_to_numpy(keras.ops.cast(keras.ops.cast(x, "bfloat16"), "float32")),
    )
