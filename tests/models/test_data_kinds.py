"""Data of every kind that Keras takes, and polars: the same values as with arrays, or an error."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import sparse

from keras_ff.models import data_kinds
from tests.helpers import mostly_slow

FEATURES = 6
CLASSES = 3
COLUMNS = list("abcdef")
WEIGHTS = np.linspace(0.5, 1.5, 30)


@pytest.fixture(scope="module")
def data(three_classes):
    """Samples, a third of whose entries is zero, and labels."""
    x, y = three_classes
    return np.where(np.arange(FEATURES) < 2, 0.0, x).astype("float32"), y


@pytest.fixture(scope="module")
def learned(new_model, data):
    """A function that fits to data of a kind: scores and losses afterwards."""

    def fit(x, y, sample_weight=None, **arguments):
        model = new_model(num_classes=CLASSES)
        weight = WEIGHTS if sample_weight is None else sample_weight
        model.fit(x, y, sample_weight=weight, shuffle=False, verbose=0, **arguments)
        scores = model.predict(x, verbose=0)
        loss = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
        model.train_on_batch(x, y)
        model.test_on_batch(x, y)
        return scores, loss, model.predict_on_batch(x)

    return fit


@pytest.fixture(scope="module")
def expected(learned, data):
    return learned(*data)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


# --- frames and series --------------------------------------------------------------------------


def pandas_kinds(pandas, x, y):
    frame = pandas.DataFrame(x, columns=COLUMNS)
    series = pandas.Series(y, name="species")
    return {
        "series": (frame, series),
        "a column": (frame, series.to_frame()),
        "dummies": (frame, pandas.get_dummies(series)),
        "nullable": (frame.astype("Float64"), series.astype("Int64")),
        "objects": (frame.astype(object), series.astype(object)),
        "weights": (frame, series, pandas.Series(WEIGHTS)),
    }


def polars_kinds(polars, x, y):
    frame = polars.DataFrame(x, schema=COLUMNS)
    series = polars.Series("species", y)
    return {
        "series": (frame, series),
        "a column": (frame, series.to_frame()),
        "dummies": (frame, series.to_dummies()),
        "weights": (frame, series, polars.Series(WEIGHTS)),
    }


@mostly_slow(
    "kind", ["series", "a column", "dummies", "nullable", "objects", "weights"], quick=(1,)
)
def test_pandas(kind, data, learned, expected):
    pandas = pytest.importorskip("pandas")
    assert_same(learned(*pandas_kinds(pandas, *data)[kind]), expected)


@pytest.mark.slow
@mostly_slow("kind", ["series", "a column", "dummies", "weights"], quick=(1,))
def test_polars(kind, data, learned, expected):
    polars = pytest.importorskip("polars")
    assert_same(learned(*polars_kinds(polars, *data)[kind]), expected)


@pytest.mark.slow
def test_frames_as_validation_data(data, new_model):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    x, y = data
    losses = []
    for of_frames in (
        (x, y, WEIGHTS),
        (pandas.DataFrame(x), pandas.Series(y), pandas.Series(WEIGHTS)),
        (polars.DataFrame(x), polars.Series(y), polars.Series(WEIGHTS)),
    ):
        model = new_model(num_classes=CLASSES)
        history = model.fit(x, y, shuffle=False, verbose=0, validation_data=of_frames)
        losses.append(history.history["val_loss"][0])
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def test_numbers_and_truth_values_in_one_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": [0.5, 1.5], "wild": [True, False], "count": [3, 4]})
    found = data_kinds.as_array(frame, "x")
    assert found.dtype.kind == "f"
    np.testing.assert_array_equal(found, [[0.5, 1, 3], [1.5, 0, 4]])


def frame_with(pandas, x, value):
    frame = pandas.DataFrame(x, columns=COLUMNS).astype("Float64")
    frame["c"] = frame["c"].astype(object)
    frame.loc[3, "c"] = value
    return frame


@pytest.mark.parametrize("value", ["red", None])
def test_a_column_without_numbers_is_named(value, data, learned):
    pandas = pytest.importorskip("pandas")
    x, y = data
    with pytest.raises(ValueError, match=rf"column 'c' of `x`, in which there is {value!r}"):
        learned(frame_with(pandas, x, value), y)


def test_names_of_classes_are_refused(data, learned):
    pandas = pytest.importorskip("pandas")
    x, y = data
    names = pandas.Series(np.array(["bee", "fly", "wasp"])[y])
    for kind in (names, names.astype("category"), names.tolist()):
        with pytest.raises(ValueError, match=r"numbers from 0 to 2; .*np\.unique"):
            learned(x, kind)


def test_a_series_of_samples_is_refused(data, learned):
    pandas = pytest.importorskip("pandas")
    x, y = data
    with pytest.raises(ValueError, match=r"x\[:, None\] are samples of a single feature"):
        learned(pandas.Series(x[:, 0]), y)


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.slow
@mostly_slow(
    "make",
    [
        lambda x, y: (x.tolist(), y.tolist(), WEIGHTS.tolist()),
        lambda x, y: ([x], [y], [WEIGHTS]),
        lambda x, y: ((x,), y.tolist()),
    ],
    ids=["of numbers", "of one array", "a tuple"],
)
def test_lists(make, data, learned, expected):
    assert_same(learned(*make(*data)), expected)


def test_lists_that_are_refused(data, learned):
    x, y = data
    with pytest.raises(ValueError, match=r"one input.*Received: a list of 2"):
        learned([x, x], y)
    with pytest.raises(ValueError, match=r"one length. Received: `x`, a list of 30"):
        learned([[1.0, 2.0], [3.0]] * 15, y)


# --- sparse -------------------------------------------------------------------------------------


@pytest.mark.slow
@mostly_slow("kind", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array], quick=(1,))
def test_sparse_samples(kind, data, learned, expected):
    x, y = data
    assert_same(learned(kind(x), y), expected)


def test_entries_in_any_order():
    values, columns, ends = [1.0, 2.0, 3.0, 4.0], [2, 0, 1, 1], [0, 2, 4]
    unordered = sparse.csr_matrix((values, columns, ends), shape=(2, 3))
    found, *_ = data_kinds.as_arrays(unordered, keep_sparse=True)
    if data_kinds.is_sparse(found):
        assert found.has_canonical_format
    np.testing.assert_array_equal(data_kinds.dense(found), [[2, 0, 1], [0, 7, 0]])


@pytest.mark.slow
def test_sparse_labels(data, learned, expected):
    x, y = data
    assert_same(learned(x, sparse.csr_matrix(np.eye(CLASSES)[y])), expected)


@pytest.mark.slow
@pytest.mark.tensorflow("sparse tensors of its own")
def test_sparse_tensors(data, learned, expected, new_model):
    import tensorflow as tf

    x, y = data
    tensor = tf.sparse.from_dense(x)
    assert_same(learned(tensor, y), expected)
    model = new_model(num_classes=CLASSES)
    batches = tf.data.Dataset.from_tensor_slices((tensor, y, WEIGHTS)).batch(32)
    model.fit(batches, verbose=0)
    np.testing.assert_allclose(model.predict(batches, verbose=0), expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.tensorflow("sparse tensors of its own")
def test_sparse_tensors_under_the_default_schedule(data, new_model):
    """Which would read a dataset of numbers whole, to keep activities by row."""
    import tensorflow as tf

    x, y = data
    model = new_model(num_classes=CLASSES, model={"layer_schedule": "greedy"})
    batches = tf.data.Dataset.from_tensor_slices((tf.sparse.from_dense(x), y)).batch(32)
    model.fit(batches, epochs=2, verbose=0)
    assert int(model.layers_trained) == 2


@pytest.mark.slow
def test_sparse_samples_without_checks(data, learned, expected, new_model):
    x, y = data
    model = new_model(num_classes=CLASSES, model={"check_data": False})
    model.fit(sparse.csr_matrix(x), y, sample_weight=WEIGHTS, shuffle=False, verbose=0)
    found = model.predict(sparse.csr_matrix(x), verbose=0)
    np.testing.assert_allclose(found, expected[0], rtol=1e-5, atol=1e-6)


def test_entries_that_are_not_finite_are_found(data, learned):
    x, y = data
    bad = sparse.csr_matrix(x)
    bad.data[5] = np.nan
    with pytest.raises(ValueError, match=r"finite. Received: 1 values"):
        learned(bad, y)


@pytest.mark.tensorflow("ragged tensors are its own")
def test_ragged_samples_are_refused(data, learned):
    import tensorflow as tf

    ragged = tf.ragged.constant([[1.0, 2.0], [3.0]] * 15)
    with pytest.raises(ValueError, match=r"pad those that are ragged.*Received: a RaggedTensor"):
        learned(ragged, data[1])


# --- streams ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_batches_of_frames(data, new_model, expected):
    pandas = pytest.importorskip("pandas")
    x, y = data

    class Frames(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return pandas.DataFrame(x), pandas.Series(y), pandas.Series(WEIGHTS)

    model = new_model(num_classes=CLASSES)
    model.fit(Frames(), verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected[0], rtol=1e-5, atol=1e-6)


def test_tensors_stay_as_they_are(data):
    x, y = map(ops.convert_to_tensor, data)
    found = data_kinds.as_arrays(x, y)
    assert found[0] is x
    assert found[1] is y
    assert found[2] is None
