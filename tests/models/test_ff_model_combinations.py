"""Parts combine: every two of them work in one model, or are refused before anything is trained."""

import inspect
import itertools

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import losses, negatives, readouts
from keras_ff.layers import (
    FFAttention,
    FFConv2D,
    FFDense,
    FFLocallyConnected2D,
    FFResidual,
    PeerNormalization,
)

CLASSES = 3
WIDTH = 12  # which three classes divide, as class groups need
SHAPE = (8, 8, 1)

KINDS = {
    "layer": ["dense", "conv", "locally_connected", "attention", "residual"],
    "activation": ["relu", "tanh", "t_distribution", "sign", "step", "quantized_relu"],
    "goodness": [
        "sum_of_squares",
        "mean_of_squares",
        "mean_activity",
        "class_groups",
        "local_classifier",
    ],
    "loss": [
        "logistic",
        "learned_threshold",
        "symba",
        "label_softmax",
        "sparse_categorical_crossentropy",
    ],
    "normalization": ["length", "centered_length", "batch", "layer", "class_groups", None],
    "label_embedding": [
        "append",
        "overlay",
        "label_map",
        "spatial_pattern",
        "token_labels",
        None,
    ],
    "negatives": [
        "random_labels",
        "fixed_labels",
        "all_labels",
        "hard_labels",
        "adversarial",
        "hybrid_images_wrong_labels",
        "hybrid_images",
        "perturbation",
        "two_views",
        None,
    ],
    "layer_schedule": ["greedy", "simultaneous", "alternating", "pipelined", "windows"],
    "readout": ["goodness", "validation", "softmax"],
    "auxiliary": ["supcon", "peer_normalization", "activity_regularization", None],
}

LOGIT_GOODNESS = ("class_groups", "local_classifier")
LOGIT_LOSSES = ("sparse_categorical_crossentropy",)
UNLABELLED = ("hybrid_images", "perturbation", "two_views")


FAMILIES = ("contrastive", "class_groups", "unsupervised")


def family(combination):
    """Which of the three families a combination that works belongs to."""
    if combination["goodness"] in LOGIT_GOODNESS:
        return "class_groups"
    return "unsupervised" if combination["label_embedding"] is None else "contrastive"


# What is refused: words of the message, and when. A rule looks at the kinds that it names.
RULES = [
    (
        "The loss does not fit",
        lambda goodness, loss: (goodness in LOGIT_GOODNESS) != (loss in LOGIT_LOSSES),
    ),
    (
        "pass label_embedding=None",
        lambda goodness, label_embedding: (
            goodness in LOGIT_GOODNESS and label_embedding is not None
        ),
    ),
    (
        "pass negatives=None",
        lambda goodness, negatives: goodness in LOGIT_GOODNESS and negatives is not None,
    ),
    (
        "cannot do without `negatives`",
        lambda goodness, negatives: goodness not in LOGIT_GOODNESS and negatives is None,
    ),
    (
        "cannot do without `label_embedding`",
        lambda goodness, label_embedding, negatives: (
            goodness not in LOGIT_GOODNESS
            and label_embedding is None
            and negatives not in (*UNLABELLED, None)
        ),
    ),
    (
        "images without a label",
        lambda label_embedding, negatives: label_embedding is not None and negatives in UNLABELLED,
    ),
    (
        "no goodness of a label to score by",
        lambda negatives, readout: negatives in UNLABELLED and readout != "softmax",
    ),
    (
        "cannot have an auxiliary term",
        lambda negatives, auxiliary: negatives in UNLABELLED and auxiliary == "supcon",
    ),
    (
        "draws from the scores of a softmax readout",
        lambda negatives, readout: negatives == "hard_labels" and readout != "softmax",
    ),
    (
        "goodness is a constant",
        lambda activation, goodness: (
            activation == "sign" and goodness in ("sum_of_squares", "mean_of_squares")
        ),
    ),
    (
        "cannot take such samples",
        lambda layer, label_embedding: (
            (label_embedding == "append" and layer != "dense")
            or (label_embedding == "token_labels" and layer not in ("dense", "attention"))
        ),
    ),
    (
        "leaves nothing of a single channel",
        lambda layer, label_embedding, negatives, normalization: (
            normalization == "layer"
            and layer != "dense"
            and label_embedding not in ("label_map", "token_labels")
            and negatives != "two_views"
        ),
    ),
]


RULES = [(words, inspect.signature(refuses).parameters, refuses) for words, refuses in RULES]


def broken_rules(combination):
    """Words of the rules that a combination breaks, as far as its kinds are chosen yet."""
    return [
        words
        for words, names, refuses in RULES
        if all(name in combination for name in names)
        and refuses(*(combination[name] for name in names))
    ]


# --- which combinations --------------------------------------------------------------------------


def pairs(combination):
    """All pairs of chosen values, that of the family included once it is known."""
    chosen = dict(combination)
    if {"goodness", "label_embedding"} <= set(chosen):
        chosen["family"] = family(chosen)
    return {frozenset(pair) for pair in itertools.combinations(chosen.items(), 2)}


def completed(start, wanted, allowance=0):
    """`start` with all kinds chosen, so that many of the `wanted` pairs are in it.

    Returns `None` where every completion breaks more than `allowance` rules.
    """
    if len(broken_rules(start)) > allowance:
        return None
    missing = [kind for kind in KINDS if kind not in start]
    if not missing:
        return {kind: start[kind] for kind in KINDS}
    # The kinds with the most values first: what is left must fit them, not they what is left.
    kind = max(missing, key=lambda name: len(KINDS[name]))
    chosen = list(start.items())

    def gain(value):
        return sum(frozenset([(kind, value), other]) in wanted for other in chosen)

    for value in sorted(KINDS[kind], key=gain, reverse=True):
        found = completed({**start, kind: value}, wanted, allowance)
        if found is not None:
            return found
    return None


def every_pair():
    """All pairs of values of different kinds, in a fixed order."""
    for one, other in itertools.combinations(KINDS, 2):
        for values in itertools.product(KINDS[one], KINDS[other]):
            yield dict(zip((one, other), values, strict=True))


def every_member():
    """All combinations of a family and a value: (pair, a start for each way to the family)."""
    starts = [
        dict(zip(("goodness", "label_embedding"), values, strict=True))
        for values in itertools.product(KINDS["goodness"], KINDS["label_embedding"])
    ]
    for name, values in KINDS.items():
        for each, value in itertools.product(FAMILIES, values):
            ways = [{**start, name: value} for start in starts]
            yield (
                frozenset([("family", each), (name, value)]),
                [way for way in ways if family(way) == each],
            )


def combinations():
    """Combinations that work and hold every pair that can, and one for every pair that cannot.

    Of a pair that cannot, the rest is chosen so that as few rules as possible are broken.
    """
    uncovered = {frozenset(pair.items()) for pair in every_pair()}
    uncovered |= {pair for pair, _ in every_member()}
    working, refused = [], []
    needed = [(frozenset(pair.items()), [pair]) for pair in every_pair()]
    for pair, starts in [*needed, *every_member()]:
        if pair not in uncovered:
            continue
        found = next(filter(None, (completed(start, uncovered) for start in starts)), None)
        if found is not None:
            working.append(found)
            uncovered -= pairs(found)
        elif "family" not in dict(pair):
            tries = (completed(*starts, set(), count) for count in range(1, len(RULES)))
            refused.append(next(filter(None, tries)))
    return working, refused


WORKING, REFUSED = combinations()


def few(combinations):
    """Positions of some combinations that hold every value once."""
    chosen, seen = [], set()
    by_news = list(enumerate(combinations))
    while by_news:
        position, best = max(by_news, key=lambda one: len(set(one[1].items()) - seen))
        if not set(best.items()) - seen:
            break
        chosen.append(position)
        seen |= set(best.items())
    return chosen


def label(combination):
    return "-".join(str(value) for value in combination.values())


def test_every_pair_of_values_is_tested():
    """What the tests below go through, and what of it must work."""
    tested = set().union(*map(pairs, WORKING + REFUSED))
    assert {frozenset(pair.items()) for pair in every_pair()} <= tested
    for combination in REFUSED:
        assert broken_rules(combination)
    # Each rule also breaks alone, so that no other one hides it; of four kinds see below.
    alone = [broken_rules(combination) for combination in REFUSED]
    for words, names, _ in RULES:
        assert len(names) > 3 or [words] in alone, words
    working = set().union(*map(pairs, WORKING))
    shared = {"layer", "activation", "normalization", "layer_schedule"}
    for name in shared:  # these go with every family
        for value, each in itertools.product(KINDS[name], FAMILIES):
            assert frozenset([("family", each), (name, value)]) in working, (each, value)
    print(f"{len(WORKING)} combinations that work, {len(REFUSED)} that are refused")


# --- models of them ------------------------------------------------------------------------------

LOSSES = {"learned_threshold": lambda: losses.Logistic(threshold="learned")}
NEGATIVES = {
    "hybrid_images_wrong_labels": lambda: negatives.HybridImages(wrong_labels=True),
}
READOUTS = {"validation": lambda: readouts.Goodness("validation")}
AUXILIARY = {
    "supcon": lambda: keras_ff.losses.SupCon(units=4),
    "peer_normalization": PeerNormalization,
    "activity_regularization": lambda: keras.layers.ActivityRegularization(l2=1e-3),
    None: lambda: None,
}


def part(makers, name):
    """The part of a name: made here, or by the library."""
    return makers[name]() if name in makers else name


def ff_layers(combination):
    """Two FF layers of the combination's kind; a shortcut leads around the second one."""

    def settings():
        return {
            "activation": combination["activation"],
            "goodness": combination["goodness"],
            "normalization": combination["normalization"],
            "auxiliary": part(AUXILIARY, combination["auxiliary"]),
        }

    kind = combination["layer"]
    if kind == "dense":
        return [FFDense(WIDTH, **settings()) for _ in range(2)]
    if kind == "conv":
        return [FFConv2D(WIDTH, **settings()) for _ in range(2)]
    if kind == "locally_connected":
        return [FFLocallyConnected2D(WIDTH, strides=2, **settings()) for _ in range(2)]
    if kind == "attention":
        # Labels in tokens come with the image cut.
        cut = {"patch_size": None if combination["label_embedding"] == "token_labels" else 4}
        return [FFAttention(2, WIDTH // 2, **more, **settings()) for more in (cut, {})]
    convolution = keras.layers.Conv2D(WIDTH, 3, padding="same")
    return [FFConv2D(WIDTH, **settings()), FFResidual(convolution, **settings())]


def built_model(combination):
    """The combination's model, compiled and built."""
    model = keras_ff.FFModel(
        ff_layers(combination),
        CLASSES,
        label_embedding=combination["label_embedding"],
        negatives=part(NEGATIVES, combination["negatives"]),
        layer_schedule=combination["layer_schedule"],
        readout=part(READOUTS, combination["readout"]),
    )
    model.compile(keras.optimizers.Adam(0.01), part(LOSSES, combination["loss"]), run_eagerly=True)
    model.build((None, *SHAPE))
    return model


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(8, *SHAPE)).astype("float32")
    return x, np.arange(8) % CLASSES


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.parametrize("combination", WORKING, ids=label)
def test_parts_that_work_together(combination, samples):
    """Two epochs of one step: enough for a greedy schedule to reach both layers."""
    model = built_model(combination)
    before = [[convert_to_numpy(w) for w in layer.trainable_variables] for layer in model.ff_layers]
    history = model.fit(
        *samples,
        batch_size=8,
        epochs=2,
        validation_data=samples,
        validation_freq=2,
        shuffle=False,
        verbose=0,
    )
    metrics = history.history
    assert np.isfinite(metrics["loss"] + metrics["val_loss"]).all()
    assert np.isfinite([metrics[f"val_layer_{number}/loss"] for number in (1, 2)]).all()
    for layer, old in zip(model.ff_layers, before, strict=True):
        for weight, value in zip(layer.trainable_variables, old, strict=True):
            assert np.isfinite(convert_to_numpy(weight)).all()
            assert (convert_to_numpy(weight) != value).any(), f"{weight.path} did not move"
    scores = model.predict_on_batch(samples[0])
    assert scores.shape == (8, CLASSES)
    assert np.isfinite(scores).all() and np.ptp(scores) > 0


@pytest.mark.parametrize("combination", REFUSED, ids=label)
def test_parts_that_are_refused(combination):
    with pytest.raises(ValueError) as caught:
        built_model(combination)
    message = str(caught.value)
    assert any(words in message for words in broken_rules(combination)), message
    assert "Received: " in message


def test_layer_normalization_of_a_single_channel():
    model = keras_ff.FFModel(
        [keras_ff.layers.FFConv2D(6, normalization="layer")], 3, label_embedding="spatial_pattern"
    )
    with pytest.raises(ValueError, match=r"nothing of a single channel.*Received: inputs"):
        model.build((None, 8, 8, 1))
