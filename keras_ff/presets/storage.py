"""Weights in little room: a `.npz` of numpy, never pickled."""

import io
import math
import zipfile
import zlib

import keras
import numpy as np

# Steps to each side of zero, by storage. Either takes a byte, and compression makes less of it
# where steps are few.
STEPS = {"int6": 31, "int8": 127}
STORAGES = (*STEPS, "float16", "float32")  # by size
SCALE = ".scale"
# Bytes before an array's own in a file of numpy, at most.
LARGEST_HEADER = 10_000


def packed(model, storage):
    """A model's weights as the content of a `.npz` file.

    Those of auxiliary terms, such as the heads of `keras_ff.losses.SupCon`, are left out: they
    serve learning alone, and may be larger than the layers. Matrices and kernels (two axes or
    more) are stored as `storage` says, with `"int8"` in steps of a scale of each output unit, the
    largest weight of the unit being 127 steps, with `"int6"` 31 steps. Biases, thresholds and other
    vectors stay float32, integers what they are.

    Args:
        model: a built `FFModel`.
        storage: `"float32"`, `"float16"`, `"int8"` or `"int6"`.

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
    needed, _ = _named(model)
    for name, variable in needed.items():
        array = _as_numpy(variable)
        if array.ndim > 1 and array.dtype == np.float32 and storage in STEPS:
            arrays[name], arrays[name + SCALE] = _in_steps(array, STEPS[storage])
        elif array.ndim > 1 and array.dtype == np.float32:
            arrays[name] = _narrowed(array, storage, variable)
        else:
            arrays[name] = array
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unpack(content, model, where):
    """Give a model the weights of a `.npz` file that `packed` made of such a one.

    Args:
        content: bytes.
        model: a built `FFModel`. Its auxiliary terms keep the weights they have, unless the file
            holds others.
        where: string, what the file is called in errors.

    Raises:
        ValueError: if the content is not such a file, or its weights are not those of the
            model, all of which then stay as they were.
    """
    arrays = _arrays(content, model, where)
    is_format_1 = any(name[:3].isdigit() for name in arrays)
    needed, spare = _named_in_format_1(model) if is_format_1 else _named(model)
    found = {name for name in arrays if not name.endswith(SCALE)}
    if TEMPERATURE not in found:  # as in older presets
        needed.pop(TEMPERATURE, None)
    named = {name: one for name, one in {**needed, **spare}.items() if name in {*needed, *found}}
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


TEMPERATURE = "temperature"

# The parts of an FF layer that may have weights, by their attributes.
PARTS = (
    "label_embedding",
    "normalization",
    "transform",
    "activation",
    "pooling",
    "goodness",
    "auxiliary",
)


def _named(model):
    """A model's weights by paths that do not depend on other parts: needed ones, and spare ones."""
    named = {"layers_trained": model.layers_trained, TEMPERATURE: model.readout.temperature}
    for number, layer in enumerate(model.all_layers):
        for part in PARTS:
            held = getattr(layer, part, None)
            for one in held if isinstance(held, (list, tuple)) else [held]:
                named |= _of_part(f"layers/{number}/{part}", one, named)
        named |= _of_part(f"layers/{number}", layer, named)
    named |= _of_part("readout", model.readout, named)
    known = {id(one) for one in named.values()}
    named |= {
        f"others/{number}": one
        for number, one in enumerate(one for one in model.weights if id(one) not in known)
    }
    return _without_spare(model, named)


def _of_part(path, part, named):
    """Those weights of a part that have no name yet."""
    known = {id(one) for one in named.values()}
    weights = [one for one in getattr(part, "weights", ()) if id(one) not in known]
    first = sum(name.startswith(f"{path}/") for name in named)
    return {f"{path}/{number}_{one.name}": one for number, one in enumerate(weights, start=first)}


def _named_in_format_1(model):
    """The same by their places among all, as presets of format 1 name them."""
    weights = [one for one in model.weights if one is not model.readout.temperature]
    choice = getattr(model.readout, "layer_choice", None)
    if choice is not None:
        # It stood behind the first weight, and with it what it was counted from.
        others = [one for one in weights if one is not choice]
        weights = [others[0], choice, _Counted(choice.shape[0]), *others[1:]]
    return _without_spare(
        model, {f"{place:03d}_{one.name}": one for place, one in enumerate(weights)}
    )


class _Counted:
    """Stands for a weight that models do not have any more."""

    name = "layer_hits"
    path = name
    dtype = "int32"

    def __init__(self, num_layers):
        self.shape = (num_layers * (num_layers + 1) // 2,)

    def assign(self, value):
        """Forget the value."""


def _without_spare(model, named):
    terms = [term for layer in model.ff_layers for term in layer.auxiliary]
    learning_alone = {id(one) for term in terms for one in term.weights}
    spare = {name: one for name, one in named.items() if id(one) in learning_alone}
    return {name: one for name, one in named.items() if name not in spare}, spare


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


def _in_steps(array, steps):
    """An array as int8, up to `steps`, and the float32 scale of each output unit."""
    axes = tuple(range(array.ndim - 1))
    scale = np.abs(array).max(axis=axes) / np.float32(steps)
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


def _arrays(content, model, where):
    try:
        _check_sizes(content, model)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    # What a file that is none leads to.
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{where} is not a file of weights: {error}.") from error


def _check_sizes(content, model):
    """Raise ValueError where arrays are larger than the model's, before they are unpacked.

    A file of a few kilobytes may otherwise fill the memory.
    """
    sizes = [math.prod(one.shape) for one in model.weights]
    largest = max(*sizes, len(model.ff_layers) ** 2, 1)
    # Arrays are scaled by others, which are smaller, and some terms of a loss may be spare.
    left = 2 * sum(sizes) + largest
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as file:
                shape, dtype = _header(file)
            if dtype.kind not in "fiub":
                raise ValueError(f"{entry.filename!r} holds no numbers, but {dtype}")
            bytes_needed = math.prod(shape) * dtype.itemsize
            left -= math.prod(shape)
            too_large = math.prod(shape) > largest or left < 0
            if too_large or entry.file_size > bytes_needed + LARGEST_HEADER:
                raise ValueError(
                    f"{entry.filename!r} of shape {shape} would unpack to more than the weights of "
                    "the network"
                )


def _header(file):
    """Shape and type of an array of numpy, as the beginning of its file says."""
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in read:
        raise ValueError(f"an array of numpy's format {version}")
    shape, _, dtype = read[version](file)
    return shape, dtype


def _values(arrays, name):
    """A stored array as it is used."""
    array = arrays[name]
    return array * arrays[name + SCALE] if name + SCALE in arrays else array
