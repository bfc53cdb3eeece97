"""FFEnsemble: networks that score together, in memory and in a file."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import zoo
from keras_ff.models import FFEnsemble
from tests.helpers import mostly_slow

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")

NAMES = ("digits_mlp_relu", "digits_mlp_tanh")

SHAPE = (8, 8, 1)


def contrastive():
    return keras_ff.models.mlp((16,))


def class_groups():
    return keras_ff.models.cnn((20,), dtype="mixed_bfloat16")


def built(model, shape=SHAPE):
    model.build((None, *shape))
    return model


def of_samples(x, *models):
    """What each model answers."""
    return [model.predict(x, verbose=0) for model in models]


@pytest.fixture(scope="module")
def data():
    """Samples and labels of the digits' validation part and test set, as the presets see them."""
    _, *parts = zoo.get(NAMES[0]).load_data()
    return [
        tuple(map(np.concatenate, zip(*part.as_numpy_iterator(), strict=True))) for part in parts
    ]


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(0).normal(size=(30, *SHAPE)).astype("float32")


@pytest.mark.slow
@mostly_slow("shares", [None, (3, 1)], quick=(1,))
def test_scores_are_averaged_with_shares(shares, samples):
    members = [built(contrastive()), built(class_groups())]
    first, second, found = of_samples(samples, *members, FFEnsemble(members, shares))
    one, other = (0.5, 0.5) if shares is None else (0.75, 0.25)
    assert found.dtype == np.float32 and np.ptp(found) > 0
    np.testing.assert_allclose(found, one * first + other * second, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_evaluate_tells_accuracy(data):
    _, (x, y) = data
    members = [zoo.get(name).model() for name in NAMES]
    ensemble = FFEnsemble(members)
    ensemble.compile(loss=keras.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"])
    found = ensemble.evaluate(x, y, batch_size=100, verbose=0, return_dict=True)
    scores = np.mean(of_samples(x, *members), axis=0)
    assert found["accuracy"] == pytest.approx(np.mean(np.argmax(scores, axis=1) == y))
    likely = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    assert found["loss"] == pytest.approx(-np.mean(likely[np.arange(len(y)), y]), rel=1e-4)


@pytest.mark.slow
def test_a_file_gives_it_back(samples, tmp_path, recwarn):
    ensemble = FFEnsemble([built(contrastive()), built(class_groups())], [1, 0.2], name="both")
    ensemble.compile("adam", keras.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"])
    metrics = ensemble.evaluate(samples, np.arange(30) % 10, verbose=0)
    ensemble.save(tmp_path / "both.keras")
    recwarn.clear()
    loaded = keras.saving.load_model(tmp_path / "both.keras")
    assert not [one for one in recwarn if "keras" in str(one.filename)]
    assert isinstance(loaded, FFEnsemble) and loaded.name == "both"
    assert loaded.shares == [1.0, 0.2]
    assert loaded.members[1].dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_array_equal(*of_samples(samples, ensemble, loaded))
    assert loaded.evaluate(samples, np.arange(30) % 10, verbose=0) == metrics


@pytest.mark.slow
@pytest.mark.tensorflow("what is exported is read by TensorFlow")
def test_it_is_exported_for_serving(samples, tmp_path):
    import tensorflow as tf

    ensemble = FFEnsemble([built(contrastive()), built(contrastive())])
    ensemble.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.serve(samples), *of_samples(samples, ensemble), rtol=1e-5)


def test_it_tells_what_its_members_are():
    first, second = (
        built(contrastive()),
        built(keras_ff.models.vision_attention(4, 2, 4, 1)),
    )
    ensemble = FFEnsemble([first, second])
    assert ensemble.num_classes == 10 and tuple(ensemble.sample_shape) == SHAPE
    assert first.locality == 1 < second.locality == ensemble.locality
    assert ensemble.count_params() == first.count_params() + second.count_params()
    assert ensemble.compute_output_shape((5, *SHAPE)) == (5, 10)


@pytest.mark.slow
def test_it_does_not_learn_but_its_members_do(data):
    _, (x, y) = data
    ensemble = FFEnsemble([zoo.get(name).model() for name in NAMES])
    ensemble.compile("adam", "mse")
    before = ensemble.predict(x, verbose=0)
    for learn in (ensemble.fit, ensemble.train_on_batch):
        with pytest.raises(RuntimeError, match="call `fit` of its `members`"):
            learn(x, y)
    np.testing.assert_array_equal(ensemble.predict(x, verbose=0), before)
    ensemble.members[0].fit(x[:128], y[:128], epochs=1, verbose=0)
    assert np.any(ensemble.predict(x, verbose=0) != before)


def test_bad_data_are_refused(samples):
    ensemble = FFEnsemble([built(contrastive()), built(contrastive())])
    ensemble.compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="Samples must be finite"):
        ensemble.predict(np.where(samples > 1, np.nan, samples), verbose=0)
    with pytest.raises(ValueError, match=r"samples of shape \(8, 8, 1\)"):
        ensemble.predict(samples[:, :4], verbose=0)
    with pytest.raises(ValueError, match="Labels must lie in 0 to 9"):
        ensemble.evaluate(samples, np.full(30, 10), 32, 0)
    with pytest.raises(ValueError, match="Labels must lie in 0 to 9"):
        ensemble.test_on_batch(samples, np.full(30, 10))
    with pytest.raises(ValueError, match="Samples must be finite"):
        ensemble.predict_on_batch(samples / 0)


def twice():
    model = built(contrastive())
    return [model, model]


@pytest.mark.parametrize(
    ("members", "shares", "sentence"),
    [
        (lambda: [built(contrastive())], None, "at least two members"),
        (twice, None, "at least two members, each once"),
        (lambda: [built(contrastive()), contrastive()], None, "FFModels that are built"),
        (lambda: [built(contrastive()), keras.Sequential()], None, "FFModels that are built"),
        (
            lambda: [built(contrastive()), built(contrastive(), (4, 4, 1))],
            None,
            r"Received: 10 classes and \(8, 8, 1\), 10 classes and \(4, 4, 1\)",
        ),
        (
            lambda: [
                built(contrastive()),
                built(keras_ff.models.mlp((16,), num_classes=3)),
            ],
            None,
            "Received: 10 classes and .*, 3 classes",
        ),
        (lambda: [built(contrastive()), built(contrastive())], [1], r"each of the 2 .*\[1\]"),
        (lambda: [built(contrastive()), built(contrastive())], [1, 0], "`shares` must be above 0"),
    ],
)
def test_what_cannot_score_together_is_refused(members, shares, sentence):
    with pytest.raises(ValueError, match=sentence):
        FFEnsemble(members(), shares)
