"""Data of other kinds than arrays: lists, frames and series, sparse matrices.

Whatever has a method `to_numpy` counts as a frame or a series: those of pandas, polars and others.
"""

import keras
import numpy as np

NUMBERS = "fiub"


def as_arrays(x, y=None, sample_weight=None, keep_sparse=False):
    """Samples, labels and weights as arrays or tensors; what is none of these stays as it is.

    Samples stay sparse with `keep_sparse` under TensorFlow, where Keras draws batches of them; JAX
    would compile a step anew for every number of entries.
    """
    x = _by_rows(as_array(x, "x"))
    if not (keep_sparse and keras.backend.backend() == "tensorflow"):
        x = dense(x)
    y, sample_weight = as_array(y, "y"), as_array(sample_weight, "sample_weight")
    return x, dense(y), dense(sample_weight)


def as_array(data, name):
    """One of them; `name` is what an error calls it."""
    if isinstance(data, (list, tuple)) and len(data):
        if len(data) == 1 and _is_array(data[0]):
            return as_array(data[0], name)  # the list of a model's inputs, of which there is one
        if not any(_is_array(each) for each in data):
            return _of_list(data, name)
    if hasattr(data, "to_numpy"):
        return _of_frame(data, name)
    return data


def text_as_tensor(data):
    """An array of text as a tensor, the one form of it that Keras draws batches of."""
    if isinstance(data, np.ndarray) and data.dtype.kind in "OSU":
        return keras.ops.convert_to_tensor(data, dtype="string")
    return data


def refuse_ragged(data):
    """Raise ValueError where rows, or those that a specification stands for, differ in length."""
    if type(data).__name__ in ("RaggedTensor", "RaggedTensorSpec"):
        raise ValueError(
            "Samples must be of one shape: pad those that are ragged, x.to_tensor(shape=(None, "
            f"length)), or keras.utils.pad_sequences(rows). Received: a {type(data).__name__} of "
            f"shape {data.shape}"
        )


def is_sparse(data):
    """Whether it is a sparse matrix of scipy, or a sparse tensor."""
    return _is_scipy(data) or _is_sparse_tensor(data)


def dense(data):
    """A sparse matrix or tensor as a dense one; all else as it is."""
    if _is_scipy(data):
        return np.asarray(data.todense())
    if _is_sparse_tensor(data):
        return keras.ops.convert_to_tensor(_of_backend(data), sparse=False)
    return data


def sparse_values(data):
    """The entries of a sparse matrix or tensor that are not zero, as an array."""
    return np.asarray(data.data if hasattr(data, "data") else data.values)


def _is_scipy(data):
    return type(data).__module__.startswith("scipy.sparse")


def _by_rows(data):
    """A sparse matrix with its entries in order, row by row, as Keras draws them."""
    if not _is_scipy(data):
        return data
    rows = data.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def _is_sparse_tensor(data):
    """Whether it is a `tf.SparseTensor` or a sparse array of JAX."""
    return type(data).__name__ in ("SparseTensor", "BCOO", "BCSR")


def _of_backend(tensor):
    """A sparse tensor as one that the backend knows."""
    if keras.backend.backend() == "tensorflow" or not hasattr(tensor, "dense_shape"):
        return tensor
    array = np.zeros(tuple(tensor.shape), tensor.dtype.as_numpy_dtype)
    array[tuple(np.asarray(tensor.indices).T)] = np.asarray(tensor.values)
    return array


def keeps_order(data):
    """Whether it is a `tf.data.Dataset` or PyTorch's `DataLoader`, which Keras cannot shuffle."""
    return hasattr(data, "element_spec") or hasattr(data, "collate_fn")


def _is_array(data):
    return hasattr(data, "shape") and not np.isscalar(data)


def _of_list(data, name):
    try:
        return np.asarray(data)
    except ValueError as error:
        raise ValueError(
            f"Rows in a list must be of one length. Received: `{name}`, a list of {len(data)}: "
            f"{error}"
        ) from error


def _of_frame(frame, name):
    array = frame.to_numpy()
    if array.dtype.kind in NUMBERS or not array.size:
        return array
    # Columns of several types, booleans among them, come as objects.
    known = np.asarray(array.tolist())
    if known.dtype.kind in NUMBERS or _is_text(array):
        return known
    columns = getattr(frame, "columns", None)
    for position, column in enumerate(array.reshape(len(array), -1).T):
        strange = [value for value in column if not isinstance(value, (int, float, np.number))]
        if strange:
            which = f"column {columns[position]!r} of `{name}`" if columns is not None else name
            raise ValueError(
                "A frame must hold numbers, and none may be missing; text becomes numbers by "
                "dummies, pandas.get_dummies(frame), or by codes, pandas.factorize(column). "
                f"Received: {which}, in which there is {strange[0]!r}"
            )
    return known


def _is_text(array):
    return all(isinstance(value, str) for value in array.ravel())
