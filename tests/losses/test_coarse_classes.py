"""CoarseClasses: cross-entropy over classes taken together, and how layers get their level."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import goodness, losses
from keras_ff.layers import Batch, FFDense
from tests.helpers import copies, drawn
from tests.helpers.either_backend import value_and_gradients
from tests.helpers.refusals import refused

COARSE = [1, 0, 1, 0, 1]
TREE = [[0, 0, 1, 1, 0], [0, 1, 2, 2, 0]]  # the classes themselves are the third level
LABELS = np.array([0, 1, 2, 3, 4, 0])


def cross_entropy(logits, labels):
    logits = np.asarray(logits, "float64")
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]


def by_hand(values, labels, classes):
    classes = np.array(classes)
    coarse = [values[:, classes == j].mean(axis=1) for j in range(classes.max() + 1)]
    return cross_entropy(np.stack(coarse, axis=1), classes[labels])


def test_the_loss_is_the_cross_entropy_over_means_of_coarse_classes():
    values = 3 * drawn(6, 5)
    for classes in (COARSE, TREE[1]):
        value = np.array(losses.CoarseClasses(classes)(LABELS, values))
        assert value.dtype == "float32"
        np.testing.assert_allclose(value, by_hand(values, LABELS, classes), rtol=1e-5)


def test_classes_of_one_coarse_class_get_equal_gradients():
    values = 3 * drawn(6, 5)
    loss = losses.CoarseClasses(COARSE)
    _, (gradient,) = value_and_gradients(lambda tensor: loss(LABELS, tensor), values)
    np.testing.assert_allclose(gradient[:, [0, 0]], gradient[:, [2, 4]], rtol=1e-6)
    # That of a coarse logit, shared out: softmax less one of the coarse label, by three or by two.
    means = np.stack([values[:, [1, 3]].mean(axis=1), values[:, [0, 2, 4]].mean(axis=1)], axis=1)
    softmax = np.exp(means) / np.exp(means).sum(axis=1, keepdims=True)
    by_mean = softmax - np.eye(2)[np.array(COARSE)[LABELS]]
    np.testing.assert_allclose(gradient[:, 1], by_mean[:, 0] / 2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient[:, 0], by_mean[:, 1] / 3, rtol=1e-4, atol=1e-6)


def test_every_class_by_itself_is_the_plain_loss():
    values = 3 * drawn(6, 5)
    alone = losses.CoarseClasses(list(range(5)))(LABELS, values)
    np.testing.assert_allclose(alone, losses.ClassLoss()(LABELS, values), rtol=1e-6)


def levels_of(num_layers, **arguments):
    """The classes of each layer's loss, `None` where it is the loss for classes."""
    loss = losses.CoarseClasses(TREE, **arguments)
    dealt = [loss.for_layer(index, num_layers) for index in range(num_layers)]
    return [getattr(one, "classes", None) for one in dealt]


def test_levels_are_dealt_out_from_coarse_to_fine():
    coarse, middle, fine = [*TREE, None]
    assert levels_of(3) == [coarse, middle, fine]
    assert levels_of(6) == [coarse, coarse, middle, middle, fine, fine]
    assert levels_of(2) == [coarse, middle]  # min(1 + ⌊i·3/2⌋, 3)
    assert levels_of(1) == [coarse]
    assert levels_of(5, levels="increasing") == [coarse, middle, fine, fine, fine]
    assert levels_of(4, levels=[2, 2, 3, 3]) == [middle, middle, fine, fine]


def test_a_tree_that_names_the_classes_gets_no_further_level():
    named = losses.CoarseClasses([*TREE, [0, 1, 2, 3, 4]])
    assert type(named.for_layer(2, 3)) is losses.ClassLoss
    assert named.for_layer(1, 3) == losses.CoarseClasses(TREE[1])
    assert losses.CoarseClasses(COARSE).for_layer(4, 5) == losses.CoarseClasses(COARSE)


def test_the_loss_over_coarse_classes_can_be_chosen():
    class Doubled(losses.ClassLoss):
        def __call__(self, labels, class_goodness):
            return 2 * super().__call__(labels, class_goodness)

    values, doubled = drawn(6, 5), Doubled()
    value = losses.CoarseClasses(COARSE, loss=doubled)(LABELS, values)
    np.testing.assert_allclose(value, 2 * by_hand(values, LABELS, COARSE), rtol=1e-5)
    dealt = losses.CoarseClasses(TREE, loss=doubled)
    assert dealt.for_layer(0, 3).loss is dealt.for_layer(2, 3) is doubled


@pytest.mark.parametrize(
    "loss",
    [
        losses.CoarseClasses(COARSE),
        losses.CoarseClasses(np.array(TREE), levels=(1, 3)),
        losses.CoarseClasses(TREE, levels="increasing", loss=losses.ClassLoss()),
    ],
)
def test_round_trip(loss):
    for copy in copies(loss):
        assert copy == loss
        assert losses.get(copy) is copy
    assert losses.get(keras.saving.serialize_keras_object(loss)) == loss


def test_refusals():
    refused(lambda: losses.CoarseClasses([0, 2, 2]), "without a gap", "[0, 2, 2]")
    refused(lambda: losses.CoarseClasses([0, 0]), "two or more", "[0, 0]")
    refused(lambda: losses.CoarseClasses([-1, 0, 1]), "from 0", "[-1, 0, 1]")
    refused(lambda: losses.CoarseClasses([[0, 1], [0]]), "one length", "[[0, 1], [0]]")
    refused(lambda: losses.CoarseClasses([]), "coarse class of every class", "[]")
    refused(lambda: losses.CoarseClasses([0.5, 1.0]), "integer", "[0.5, 1.0]")
    refused(lambda: losses.CoarseClasses(TREE[::-1]), "from coarse to fine", "behind")
    refused(lambda: losses.CoarseClasses(TREE, levels="linear"), "'even' or 'increasing'", "linear")
    refused(lambda: losses.CoarseClasses(TREE, levels=[1, 4]), "from 1 to 3", "[1, 4]")
    refused(lambda: losses.CoarseClasses(COARSE, loss="mse"), "from_logits=True", "mse")
    of_three = losses.CoarseClasses(TREE, levels=[1, 2, 3])
    refused(lambda: of_three.for_layer(0, 2), "one number per layer, 2", "[1, 2, 3]")
    refused(lambda: of_three(LABELS, drawn(6, 5)), "for_layer", "classes=[[")
    refused(lambda: losses.CoarseClasses(COARSE)(LABELS, drawn(6, 4)), "5 classes", "(6, 4)")


def model_of(count, loss=None):
    keras.utils.set_random_seed(2)
    groups = {"goodness": goodness.ClassGroups(), "normalization": "centered_length"}
    return keras_ff.FFModel(
        [FFDense(20, loss=loss, **groups) for _ in range(count)],
        5,
        label_embedding=None,
        negatives=None,
        layer_schedule="simultaneous",
    )


def test_compile_deals_the_tree_out_to_the_layers():
    model = model_of(3)
    model.compile(loss=losses.CoarseClasses(TREE))
    assert [layer.loss for layer in model.ff_layers] == [
        losses.CoarseClasses(TREE[0]),
        losses.CoarseClasses(TREE[1]),
        losses.ClassLoss(),
    ]
    own = model_of(2, losses.CoarseClasses(COARSE))
    own.compile()
    assert [layer.loss for layer in own.ff_layers] == 2 * [losses.CoarseClasses(COARSE)]


def test_a_contrastive_layer_refuses_coarse_classes():
    with pytest.raises(ValueError, match="does not fit MeanOfSquares"):
        FFDense(8, loss=losses.CoarseClasses(COARSE))


def test_a_layers_accuracy_counts_classes_not_coarse_ones():
    layer = FFDense(10, goodness=goodness.ClassGroups(num_classes=5), optimizer="sgd")
    layer.set_objective(losses.CoarseClasses(COARSE), keras.optimizers.SGD())
    metrics, _ = layer.train_step(Batch(drawn(6, 4), 1, labels=LABELS))
    values = np.array(metrics["class_goodness"])
    assert values.shape == (6, 5)
    np.testing.assert_allclose(metrics["loss"], by_hand(values, LABELS, COARSE).mean(), rtol=1e-5)
    np.testing.assert_array_equal(metrics["accuracy"], values.argmax(axis=1) == LABELS)


@pytest.mark.slow
def test_a_coarse_layer_learns_coarse_classes_and_a_fine_one_behind_it_classes(tmp_path):
    rng = np.random.default_rng(3)
    centers = 3 * rng.normal(size=(5, 8))
    y = rng.integers(0, 5, 400)
    x = (centers[y] + rng.normal(size=(400, 8))).astype("float32")
    model = model_of(2)
    loss = losses.CoarseClasses([COARSE], levels=[1, 2])
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    model.fit(x, y, epochs=15, batch_size=50, verbose=0)
    activities, coarse = x, np.array(COARSE)
    accuracies = []
    for layer in model.ff_layers:
        activities = layer(activities)
        values = np.array(layer.compute_goodness(activities))
        means = np.stack([values[:, coarse == j].mean(axis=1) for j in (0, 1)], axis=1)
        right = np.mean(means.argmax(axis=1) == coarse[y])
        accuracies.append((right, np.mean(values.argmax(axis=1) == y)))
    assert accuracies[0][0] > 0.95 and accuracies[0][1] < 0.8
    assert accuracies[1][1] > 0.95

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.loss == loss
    assert [layer.loss for layer in loaded.ff_layers] == [layer.loss for layer in model.ff_layers]
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))
