"""Weights in little room: a `.npz` of numpy, never pickled."""

import io
import zipfile
import zlib

import keras
import numpy as np

STORAGES = ("int8", "float16", "float32")  # by size
# Steps of an int8 to each side of zero.
STEPS = 127
SCALE = ".scale"


def packed(variables, storage):
    """Variables as the content of a `.npz` file.

    Matrices and kernels (two axes or more) are stored as told, with `"int8"` in steps of a scale
    of each output unit, the largest weight of the unit being 127 steps. Biases, thresholds and
    other vectors stay float32, integers what they are.

    Args:
        variables: list of Keras variables.
        storage: `"float32"`, `"float16"` or `"int8"`.

    Returns:
        The file's content, bytes.

    Raises:
        ValueError: if the storage is none of these, or a weight is not finite or too large for it.
    """
    if storage not in STORAGES:
        raise ValueError(
            f"Weights are stored as {', '.join(map(repr, STORAGES[:-1]))} or {STORAGES[-1]!r}. "
            f"Received: {storage!r}"
        )
    arrays = {}
    for name, variable in _named(variables):
        array = _as_numpy(variable)
        if array.ndim > 1 and array.dtype == np.float32 and storage == "int8":
            arrays[name], arrays[name + SCALE] = _in_steps(array)
        elif array.ndim > 1 and array.dtype == np.float32:
            arrays[name] = _narrowed(array, storage, variable)
        else:
            arrays[name] = array
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unpack(content, variables, where):
    """Give variables the values of a `.npz` file that `packed` made for such ones.

    Args:
        content: bytes.
        variables: list of Keras variables, in the order of those that were packed.
        where: string, what the file is called in errors.

    Raises:
        ValueError: if the content is not such a file, or its weights are not those of the
            variables, all of which then stay as they were.
    """
    arrays = _arrays(content, where)
    named = dict(_named(variables))
    found = {name for name in arrays if not name.endswith(SCALE)}
    if found != set(named):
        raise ValueError(
            f"{where} holds the weights of another network: this one has "
            f"{', '.join(named) or 'none'}. Received: {', '.join(sorted(found)) or 'none'}"
        )
    values = {name: _values(arrays, name) for name in named}
    for name, variable in named.items():
        if values[name].shape != tuple(variable.shape):
            raise ValueError(
                f"{where} holds the weights of another network: {variable.path!r} has the shape "
                f"{tuple(variable.shape)}. Received: {values[name].shape}"
            )
    for name, variable in named.items():
        variable.assign(values[name].astype(_plain_dtype(variable)))


def _named(variables):
    """Each variable with a name of its own, the place in their order and what it is."""
    return [(f"{place:03d}_{one.name}", one) for place, one in enumerate(variables)]


def _as_numpy(variable):
    """A variable's value, floats as float32."""
    array = keras.ops.convert_to_numpy(variable)
    if "float" not in str(variable.dtype):
        return array
    array = array.astype("float32")
    if not np.isfinite(array).all():
        raise ValueError(
            f"A weight of {variable.path!r} is not a finite number, and so not worth keeping. "
            f"Received: {array[~np.isfinite(array)][0]}"
        )
    return array


def _plain_dtype(variable):
    return "float32" if "float" in str(variable.dtype) else variable.dtype


def _in_steps(array):
    """An array as int8 and the float32 scale of each output unit."""
    axes = tuple(range(array.ndim - 1))
    scale = np.abs(array).max(axis=axes) / np.float32(STEPS)
    scale = np.where(scale > 0, scale, np.float32(1)).astype("float32")
    return np.rint(array / scale).astype("int8"), scale


def _narrowed(array, storage, variable):
    largest = np.finfo(storage).max
    if np.abs(array).max(initial=0) > largest:
        raise ValueError(
            f"{variable.path!r} holds weights above {largest:g}, the largest {storage}: store it "
            f"as 'float32'. Received: storage={storage!r}"
        )
    return array.astype(storage)


def _arrays(content, where):
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    # What a file that is none leads to.
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{where} is not a file of weights: {error}.") from error


def _values(arrays, name):
    """A stored array as it is used."""
    array = arrays[name]
    return array * arrays[name + SCALE] if name + SCALE in arrays else array
