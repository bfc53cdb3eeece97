"""Joint: the sum of the softmaxes of goodness and of a linear head."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.readouts import Goodness, Joint, Softmax
from tests.helpers import copies, drawn
from tests.helpers.readouts import (
    CLASSES,
    VIEWS,
    class_group_model,
    image_model,
    model_with,
    normalised,
    samples,
)
from tests.helpers.refusals import refused


def softmax(values):
    values = np.asarray(values, "float64")
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def set_head(model, seed=1, scale=3.0):
    """Give the head of a joint readout weights that it has not learned."""
    for number, weight in enumerate(model.readout.softmax.head.weights):
        weight.assign(scale * drawn(tuple(weight.shape), seed=seed + 10 * number))


def parts_by_hand(model, x):
    """Scores by goodness and logits of the head, of a class-group model of dense layers."""
    rows, goodness, features = x.astype("float64"), 0.0, []
    for index, layer in enumerate(model.ff_layers):
        kernel, bias = (convert_to_numpy(one).astype("float64") for one in layer.transform.weights)
        rows = normalised(rows)
        rows = np.maximum(rows @ kernel + bias, 0)
        goodness = goodness + 10 * rows.reshape(len(x), CLASSES, -1).mean(axis=2)
        if index:  # a softmax readout leaves out the first layer
            features.append(normalised(rows))
    kernel, bias = map(convert_to_numpy, model.readout.softmax.head.weights)
    return goodness, np.concatenate(features, axis=1) @ kernel + bias


@pytest.mark.parametrize("use", ["both", "goodness", "softmax"])
def test_scores_are_logarithms_of_the_mean_of_both_softmaxes(use):
    model = class_group_model(Joint(use=use))
    set_head(model)
    model.readout.goodness.temperature.assign(2.5)
    model.readout.softmax.temperature.assign(0.5)
    x, _ = samples()
    goodness, logits = parts_by_hand(model, x)
    each = {"goodness": softmax(goodness / 2.5), "softmax": softmax(logits / 0.5)}
    each["both"] = (each["goodness"] + each["softmax"]) / 2
    scores = model.predict(x, verbose=0)
    np.testing.assert_allclose(scores, np.log(each[use]), rtol=1e-3, atol=1e-4)
    probabilities = model.predict_proba(x, verbose=0)
    np.testing.assert_allclose(probabilities, each[use], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    assert np.abs(each["goodness"] - each["softmax"]).max() > 0.2


def test_scores_that_are_far_apart_stay_finite():
    model = class_group_model(Joint())
    set_head(model, scale=1e4)
    x, _ = samples()
    assert np.isfinite(model.predict(x, verbose=0)).all()
    assert np.isfinite(model.predict_proba(x, verbose=0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("views", VIEWS)
def test_test_time_augmentation_goes_over_both_parts(views):
    """Goodness is added up over the views, and logits are averaged."""
    options, seen = VIEWS[views]
    x, y = drawn(7, 6, 5, 2), np.arange(7) % CLASSES
    model = image_model("class groups", Joint(softmax=Softmax(regions=1), **options))
    model.build(x.shape)
    set_head(model)
    parts = {"goodness": Goodness(**options), "softmax": Softmax(regions=1, **options)}
    scores = {}
    for name, part in parts.items():
        alone = image_model("class groups", part)
        alone.build(x.shape)
        if name == "softmax":
            part.head.set_weights(model.readout.softmax.head.get_weights())
        scores[name] = softmax(alone.predict(x, verbose=0))
    expected = np.log((scores["goodness"] + scores["softmax"]) / 2)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-3, atol=1e-5)
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert found["accuracy"] == pytest.approx(np.mean(expected.argmax(axis=1) == y))
    assert len(seen(x)) > 1


def accuracies(model, x, y):
    """Accuracy by both, by goodness and by the head, at temperatures of 1."""
    goodness, logits = parts_by_hand(model, x)
    both = softmax(goodness) + softmax(logits)
    return [np.mean(scores.argmax(axis=1) == y) for scores in (both, goodness, logits)]


@pytest.mark.slow
def test_validation_data_choose_what_is_used():
    still = {"optimizer": keras.optimizers.SGD(0.0)}
    x, _ = samples(40, seed=5)
    chosen = set()
    for use, seed in [(0, 1), (1, 2), (2, 3)]:
        model = class_group_model(Joint(use="validation"), **still)
        set_head(model, seed=seed)
        goodness, logits = parts_by_hand(model, x)
        # Labels that one of the three tells, but for some samples.
        scores = (softmax(goodness) + softmax(logits), goodness, logits)[use]
        y = np.where(np.arange(40) % 10 == 0, 0, scores.argmax(axis=1))
        found = accuracies(model, x, y)
        assert int(np.argmax(found)) == use and sorted(found)[-1] > sorted(found)[-2]
        model.fit(x, y, verbose=0, validation_data=(x, y), validation_batch_size=16)
        assert int(convert_to_numpy(model.readout.use_choice)) == use
        chosen.add(use)
        if use:  # both depend on the temperatures that have been chosen meanwhile
            accuracy = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
            assert accuracy == pytest.approx(found[use])
        # Other data change nothing.
        model.evaluate(x, (y + 1) % CLASSES, verbose=0)
        assert int(convert_to_numpy(model.readout.use_choice)) == use
    assert chosen == {0, 1, 2}


@pytest.mark.slow
def test_of_equally_good_ones_both_are_chosen():
    model = class_group_model(Joint(use="validation"), optimizer=keras.optimizers.SGD(0.0))
    x, _ = samples(30)
    # The head, which is all zeros, changes no order.
    y = parts_by_hand(model, x)[0].argmax(axis=1)
    model.readout.use_choice.assign(1)
    model.fit(x, y, verbose=0, validation_data=(x, y))
    assert int(convert_to_numpy(model.readout.use_choice)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("validation", [True, False], ids=["validation", "training samples"])
def test_parts_learn_and_choose_as_each_by_itself(validation):
    x, y = samples(60)
    valid = {"validation_data": samples(40, seed=2)} if validation else {}
    layers = "validation" if validation else "all"

    def fitted(readout):
        model = class_group_model(readout)
        history = model.fit(x, y, epochs=3, batch_size=20, shuffle=False, verbose=0, **valid)
        return model, history.history

    joint, logs = fitted(Joint(Goodness(layers), Softmax()))
    by_goodness, _ = fitted(Goodness(layers))
    by_head, _ = fitted(Softmax())
    for weight, other in zip(joint.ff_layers[0].weights, by_head.ff_layers[0].weights, strict=True):
        np.testing.assert_array_equal(weight, other)
    for weight, other in zip(joint.readout.softmax.weights, by_head.readout.weights, strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-6)
    assert float(joint.readout.softmax.temperature) != 1.0
    if validation:
        for weight, other in zip(
            joint.readout.goodness.weights, by_goodness.readout.weights, strict=True
        ):
            np.testing.assert_allclose(weight, other, rtol=1e-5)
    assert float(joint.readout.goodness.temperature) != 1.0
    assert float(joint.readout.temperature) == 1.0
    assert "accuracy" in logs and ("val_accuracy" in logs) == validation


@pytest.mark.slow
def test_fit_readout_trains_the_head_alone():
    x, y = samples(60)
    valid = samples(30, seed=2)
    model, other = (class_group_model(readout) for readout in (Joint(), Softmax()))
    before = [convert_to_numpy(weight) for layer in model.ff_layers for weight in layer.weights]
    how = {"epochs": 4, "batch_size": 20, "shuffle": False, "verbose": 0, "validation_data": valid}
    logs, others = (one.fit_readout(x, y, **how).history for one in (model, other))
    after = [convert_to_numpy(weight) for layer in model.ff_layers for weight in layer.weights]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_allclose(model.readout.softmax.head.kernel, other.readout.head.kernel)
    # Losses are those of the head.
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(logs[name], others[name], rtol=1e-5)
    assert logs["loss"][-1] < logs["loss"][0]


@pytest.mark.slow
def test_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(CLASSES, 5))

    def data(count):
        y = rng.integers(0, CLASSES, count)
        return (centers[y] + 0.8 * rng.normal(size=(count, 5))).astype("float32"), y

    train, valid, (x, y) = data(500), data(500), data(2000)
    model = class_group_model(Joint(), (30, 30), run_eagerly=False, optimizer="adam")
    model.fit(*train, epochs=8, validation_data=valid, verbose=0)
    probabilities = model.predict_proba(x, verbose=0)
    right = probabilities.argmax(axis=1) == y
    assert right.mean() > 0.6
    assert probabilities.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.06)


@pytest.mark.slow
def test_saved_and_loaded(tmp_path):
    x, y = samples(40)
    valid = samples(30, seed=2)
    readout = Joint(Goodness("validation"), Softmax("all", standardized=True), "validation")
    model = class_group_model(readout)
    how = {"batch_size": 20, "shuffle": False, "verbose": 0, "validation_data": valid}
    model.fit(x, y, epochs=2, **how)
    scores = model.predict(x, verbose=0)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), scores)
    for one in (model, loaded):
        one.fit(x, y, epochs=4, initial_epoch=2, **how)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))

    model.save_to_preset(tmp_path / "preset", weights="float32")
    from_preset = keras_ff.FFModel.from_preset(tmp_path / "preset")
    np.testing.assert_allclose(
        from_preset.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6
    )
    assert from_preset.readout.get_config() == model.readout.get_config()


@pytest.mark.slow
def test_a_network_is_rebuilt_with_it_and_from_it(tmp_path):
    x, y = samples(40)
    model = class_group_model("goodness")
    model.fit(x, y, verbose=0)
    joint = model.rebuild(readout=Joint(use="validation"))
    joint.fit_readout(x, y, epochs=2, verbose=0, validation_data=(x, y))
    goodness, logits = parts_by_hand(joint, x)
    np.testing.assert_allclose(goodness, model.predict(x, verbose=0), rtol=1e-4, atol=1e-4)
    assert np.abs(logits).max() > 0
    kept = joint.rebuild()
    np.testing.assert_array_equal(kept.predict(x, verbose=0), joint.predict(x, verbose=0))
    model.save_to_preset(tmp_path / "preset")
    assert type(keras_ff.FFModel.from_preset(tmp_path / "preset", readout="joint").readout) is Joint


def test_round_trip():
    head = Softmax(regions=2, optimizer="adam")
    readout = Joint(Goodness([0, -1]), head, "validation", mirrored=True, shift=1)
    for copy in copies(readout):
        assert copy.get_config() == readout.get_config()
        assert (copy.goodness.layers, copy.softmax.regions) == ([0, -1], 2)
        assert (copy.use, copy.mirrored, copy.shift, copy.chooses) == ("validation", True, 1, True)
    assert not keras_ff.readouts.get("joint").chooses


def test_refusals():
    refused(lambda: model_with(Joint()), "class groups alone", "Joint(")
    refused(lambda: Joint(use="all"), "'validation'", "use='all'")
    refused(lambda: Joint(Goodness(mirrored=True)), "said once", "mirrored=True")
    refused(lambda: Joint(softmax=Softmax(shift=1)), "said once", "shift=1")
    refused(lambda: Joint("softmax"), "'goodness'", "softmax")
    refused(lambda: Joint(softmax=Goodness()), "softmax", "Goodness(")
    refused(lambda: Joint(goodness=None), "readouts.Goodness", "None")
    x, y = samples()
    for readout in (Joint(use="validation"), Joint(Goodness("validation"))):
        model = class_group_model(readout)
        refused(lambda model=model: model.fit(x, y, verbose=0), "validation_data", "None")
