"""Checks on the data before a model uses them: arrays whole, streams batch by batch.

The checks run on the host, in numpy, so that bad data end in a `ValueError` that names what was
received, whatever the backend and however the training step is compiled.
"""

import copy
import functools
import types

import keras
import numpy as np

from keras_ff.models import data_kinds, other_layers

NO_DATA = "There is no data to work on. Received: a stream without batches"


class DataCheck:
    """Checks samples and labels against what a model expects."""

    def __init__(
        self, num_classes, sample_shape=None, least_axes=1, takes_text=False, needs_text=False
    ):
        self.num_classes = num_classes
        self.sample_shape = sample_shape
        # Of a sample; and whether it may be text, which the layers before the first one take.
        self.least_axes = least_axes
        self.takes_text = takes_text
        self.needs_text = needs_text
        # What a check inside an input pipeline found. The pipeline raises an error of its own
        # kind; `checking_data` puts this one in its place.
        self.found = None

    def samples(self, x):
        """Raise ValueError where samples are not finite numbers of the right shape."""
        shape = self.sample_shape
        if shape is not None and tuple(x.shape) == tuple(shape) and len(shape):
            raise ValueError(
                f"Samples come in batches, of shape (batch, {', '.join(map(str, shape))}): give a "
                "single one an axis, x[None], and batch a dataset, dataset.batch(32). "
                f"Received: a single sample, x of shape {tuple(x.shape)}"
            )
        if len(x.shape) < 1 + self.least_axes:
            raise ValueError(
                "Samples must have a batch axis and at least one more: (batch, features) or "
                "(batch, height, width, channels); x[None] is a batch of a single sample, x[:, "
                f"None] are samples of a single feature. Received: x of shape {x.shape}"
            )
        self._sample_values(x)
        if shape is not None and tuple(x.shape[1:]) != tuple(shape):
            raise ValueError(
                f"The model was built for samples of shape {tuple(shape)}. "
                f"Received: x of shape {x.shape}"
            )

    def _sample_values(self, x):
        values = data_kinds.sparse_values(x) if data_kinds.is_sparse(x) else x
        if values.dtype.kind in "OSU" and self.takes_text:
            return
        if self.needs_text:
            raise ValueError(
                "The layers before the first FF layer take text. "
                f"Received: x of dtype {values.dtype}"
            )
        if values.dtype.kind not in "fiub" and values.dtype.name != "bfloat16":
            raise ValueError(
                "Samples must be numbers; of text a layer makes them that stands before the first "
                "FF layer, keras.layers.TextVectorization or StringLookup. "
                f"Received: x of dtype {values.dtype}"
            )
        if values.dtype.kind not in "iub":
            finite = np.isfinite(values)
            if not finite.all():
                bad = values[~finite]
                raise ValueError(
                    "Samples must be finite. "
                    f"Received: {bad.size} values that are not, the first of them {bad[0]}"
                )

    def labels(self, y, batch=None):
        """Raise ValueError where labels are not whole numbers of 0 to num_classes − 1."""
        classes = self.num_classes
        if y.dtype.kind not in "fiub":
            raise ValueError(
                f"Labels must be numbers from 0 to {classes - 1}; of names they are made by "
                "np.unique(y, return_inverse=True), or in a dataset by keras.layers.StringLookup. "
                f"Received: y of dtype {y.dtype}"
            )
        if len(y.shape) == 0:
            raise ValueError(
                "Samples come in batches: batch a dataset, dataset.batch(32), and give a single "
                "sample an axis, x[None] and y[None]. Received: y of shape ()"
            )
        if batch is not None and len(y.shape) and y.shape[0] != batch:
            raise ValueError(
                f"There must be as many labels as samples. Received: {batch} samples and "
                f"{y.shape[0]} labels"
            )
        one_hot = len(y.shape) == 2 and y.shape[1] == classes
        if not one_hot and not (len(y.shape) == 1 or (len(y.shape) == 2 and y.shape[1] == 1)):
            raise ValueError(
                f"Labels must have shape (batch,), (batch, 1) or, one-hot, (batch, {classes}). "
                f"Received: y of shape {y.shape}"
            )
        if one_hot:
            if not (((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()):
                raise ValueError(
                    "One-hot labels must hold a single 1 a row and 0 elsewhere. "
                    f"Received: a row {y[_first_bad_row(y)].tolist()}"
                )
            return
        if y.dtype.kind == "f" and not (y == np.floor(y)).all():
            fractional = y[~(y == np.floor(y))]
            raise ValueError(
                f"Labels must be whole numbers. Received: {fractional.flat[0]} among others"
            )
        outside = (y < 0) | (y >= classes)
        if outside.any():
            raise ValueError(
                f"Labels must lie in 0 to {classes - 1} for a model of {classes} classes. "
                f"Received: {y[outside].flat[0]} among others"
            )

    def weights(self, sample_weight, batch):
        """Raise ValueError where weights are not finite numbers, one for each sample."""
        if sample_weight.dtype.kind not in "fiub":
            raise ValueError(
                "Sample weights must be numbers. Received: sample_weight of dtype "
                f"{sample_weight.dtype}"
            )
        strange = sample_weight[~np.isfinite(sample_weight)]
        if strange.size:
            raise ValueError(
                "Sample weights must be finite. "
                f"Received: {strange.size} values that are not, the first of them {strange[0]}"
            )
        if sample_weight.shape not in ((batch,), (batch, 1)):
            raise ValueError(
                f"There must be one weight for each sample, of shape ({batch},). "
                f"Received: sample_weight of shape {sample_weight.shape}"
            )

    def arrays(self, x, y=None, sample_weight=None, needs_labels=True):
        """Check whole arrays."""
        x = x if data_kinds.is_sparse(x) else _numpy(x)
        if not len(x.shape) or x.shape[0] == 0:
            raise ValueError(f"There is no data to work on. Received: x of shape {x.shape}")
        self.samples(x)
        if y is not None:
            self.labels(_numpy(y), batch=x.shape[0])
        elif needs_labels:
            raise ValueError(
                "Labels are needed: pass y, or a dataset of (x, y) pairs. Received: y=None"
            )
        if sample_weight is not None:
            self.weights(_numpy(sample_weight), x.shape[0])

    def batch(self, batch, needs_labels=True):
        """Check a batch of a stream: x, (x,), (x, y) or (x, y, sample_weight)."""
        x, *others = keras.utils.unpack_x_y_sample_weight(batch)
        _refuse_structures(x)
        self.arrays(x, *others, needs_labels)

    def data(self, x, y=None, sample_weight=None, needs_labels=True):
        """Check arrays now, or return a stream that checks its batches as they are drawn."""
        if x is None:
            raise ValueError("There is no data to work on. Received: x=None")
        if isinstance(x, keras.utils.PyDataset):
            if len_or_none(x) == 0:
                raise ValueError("There is no data to work on. Received: a PyDataset of length 0")
            return _CheckedPyDataset(x, self, needs_labels)
        if hasattr(x, "element_spec"):
            return self._tf_dataset(x, needs_labels) if hasattr(x, "map") else x
        if isinstance(x, types.GeneratorType):
            return self._generator(x, needs_labels)
        if hasattr(x, "collate_fn"):
            return self._torch_loader(x, needs_labels)
        _refuse_structures(x)
        if hasattr(x, "shape"):
            self.arrays(x, y, sample_weight, needs_labels)
        return x

    def _generator(self, batches, needs_labels):
        for batch in batches:
            batch = _of_arrays(batch)
            self._remembering(self.batch, batch, needs_labels)
            yield batch

    def _torch_loader(self, loader, needs_labels):
        """A PyTorch `DataLoader` that checks its batches when it has put them together."""
        checked = copy.copy(loader)
        checked.collate_fn = functools.partial(self._collated, loader.collate_fn, needs_labels)
        return checked

    def _collated(self, collate, needs_labels, samples):
        batch = collate(samples)
        self._remembering(self.batch, _of_arrays(batch), needs_labels)
        return batch

    def _tf_dataset(self, dataset, needs_labels):
        import tensorflow as tf

        if int(dataset.cardinality()) == 0:
            raise ValueError("There is no data to work on. Received: a dataset without elements")
        self.elements(dataset)
        spec = dataset.element_spec
        _, y_spec, _ = keras.utils.unpack_x_y_sample_weight(spec)
        if needs_labels and y_spec is None:
            raise ValueError(
                f"Labels are needed: a dataset of (x, y) pairs. Received: elements {spec}"
            )

        def on_host(x, *others):
            arrays = [None if each is None else each.numpy() for each in (x, *others)]
            self._remembering(self.arrays, *arrays, *[None] * (3 - len(arrays)), needs_labels)

        @tf.autograph.experimental.do_not_convert
        def check(*batch):
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(
                batch if isinstance(spec, tuple) else batch[0]
            )
            x = tf.sparse.to_dense(x) if isinstance(x, tf.SparseTensor) else x
            given = [each for each in (x, y, sample_weight) if each is not None]
            checked = tf.cond(
                self._suspicious(x, y, sample_weight),
                lambda: tf.py_function(on_host, given, []),
                tf.no_op,
            )
            with tf.control_dependencies([checked]):
                x = tf.identity(x)
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

        @tf.autograph.experimental.do_not_convert
        def check_with_rows(x, *others):
            samples, *others = check(x[0], *others)
            return (samples, x[1]), *others

        checked = dataset.map(check).prefetch(tf.data.AUTOTUNE)
        if hasattr(dataset, "batches_with_rows"):
            # The same batches, by whose rows `fit` looks up what frozen layers give.
            checked.samples_by_row = dataset.samples_by_row
            with_rows = dataset.batches_with_rows.map(check_with_rows)
            checked.batches_with_rows = with_rows.prefetch(tf.data.AUTOTUNE)
        return checked

    def elements(self, dataset):
        """Raise ValueError where the elements of a dataset are not batches of samples."""
        spec = dataset.element_spec
        x, y, _ = keras.utils.unpack_x_y_sample_weight(spec)
        _refuse_structures(x)
        x, y = (None if each is None else each.shape for each in (x, y))
        if x.rank is None or (y is not None and y.rank is None):
            return
        single = y is not None and y.rank == 0
        single |= self.sample_shape is not None and tuple(x) == tuple(self.sample_shape)
        # A one-hot label is as long as there are classes, and not as a batch.
        one_hot = y is not None and tuple(y) == (self.num_classes,)
        if single or (one_hot and x.rank > 0 and x[0] not in (None, self.num_classes)):
            raise ValueError(
                "The dataset gives samples one by one: batch it, dataset.batch(32). "
                f"Received: elements {spec}"
            )

    def _suspicious(self, x, y, sample_weight=None):
        """Whether a batch of tensors needs the full check: half the rate of `fit` is saved by it.

        True where `arrays` would find a flaw, or where shapes are not known to be right.
        """
        import tensorflow as tf

        shape = self.sample_shape
        right = x.shape.rank is not None and x.shape.rank > self.least_axes
        right = right and (shape is None or tuple(x.shape[1:]) == tuple(shape))
        allowed = self.takes_text if x.dtype == tf.string else not self.needs_text
        if not right or not allowed:
            return tf.constant(True)
        flaws = [tf.equal(tf.shape(x)[0], 0)]
        if x.dtype.is_floating:
            flaws.append(tf.logical_not(tf.reduce_all(tf.math.is_finite(x))))
        if y is not None:
            if y.shape.rank not in (1, 2) or y.dtype == tf.string:
                return tf.constant(True)
            flaws.append(tf.not_equal(tf.shape(x)[0], tf.shape(y)[0]))
            y = tf.cast(y, tf.float64)
            if y.shape.rank == 2 and y.shape[1] == self.num_classes:
                single = tf.equal(tf.reduce_sum(y, axis=1), 1)
                flaws.append(tf.reduce_any(tf.logical_and(tf.not_equal(y, 0), tf.not_equal(y, 1))))
                flaws.append(tf.logical_not(tf.reduce_all(single)))
            elif y.shape.rank == 2 and y.shape[1] != 1:
                return tf.constant(True)
            else:
                whole = tf.equal(y, tf.floor(y))
                inside = tf.logical_and(y >= 0, y < self.num_classes)
                flaws.append(tf.logical_not(tf.reduce_all(tf.logical_and(whole, inside))))
        if sample_weight is not None:
            if sample_weight.shape.rank != 1 or not sample_weight.dtype.is_floating:
                return tf.constant(True)
            flaws.append(tf.not_equal(tf.shape(x)[0], tf.shape(sample_weight)[0]))
            flaws.append(tf.logical_not(tf.reduce_all(tf.math.is_finite(sample_weight))))
        return tf.reduce_any(tf.stack(flaws))

    def _remembering(self, function, *args):
        try:
            function(*args)
        except ValueError as error:
            self.found = error
            raise


class _CheckedPyDataset(keras.utils.PyDataset):
    """A PyDataset that checks every batch of another one."""

    def __init__(self, dataset, check, needs_labels):
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self.dataset = dataset
        self.check = check
        self.needs_labels = needs_labels

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        batch = _of_arrays(self.dataset[index])
        self.check._remembering(self.check.batch, batch, self.needs_labels)
        return batch

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


def data_check(model):
    """The check of a model's data."""
    leading = model.stack.leading
    return DataCheck(
        model.num_classes,
        model.sample_shape,
        least_axes=0 if leading else 1,
        takes_text=other_layers.takes_text(leading),
        needs_text=other_layers.needs_text(leading),
    )


def checked(model, x, y=None, sample_weight=None, needs_labels=True, one_batch=False):
    """What `fit` and others are given, (x, y, sample_weight), as arrays and checked.

    A model that checks nothing gets them as arrays; `one_batch` is a batch by itself.
    """
    x, y, sample_weight = data_kinds.as_arrays(x, y, sample_weight, keep_sparse=not one_batch)
    if model.check_data:
        if model.unsupervised and model._fitting.schedule.trains_layers and y is None:
            needs_labels = False
        x = model._data_check.data(x, y, sample_weight, needs_labels)
    return data_kinds.text_as_tensor(x), y, sample_weight


def check_class_weight(class_weight, num_classes):
    """Raise ValueError where the weights of classes are not finite, or of other classes."""
    for number, weight in (class_weight or {}).items():
        if number not in range(num_classes) or not np.isfinite(weight):
            raise ValueError(
                f"`class_weight` must give classes out of 0 to {num_classes - 1} finite weights. "
                f"Received: class_weight={class_weight}"
            )


def checking_data(method):
    """Give a model's method a `DataCheck`, and let it raise what the check found.

    Calls inside the method, as of `evaluate` in `fit`, use the same check.
    """

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        if self._data_check is not None:
            return method(self, *args, **kwargs)
        check = self._data_check = data_check(self)
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            if check.found is not None:
                raise check.found from None
            if _had_no_batch(error):
                raise ValueError(NO_DATA) from None
            raise
        finally:
            self._data_check = None

    return wrapper


def _had_no_batch(error):
    """Whether Keras ended by asking for what its first batch would have left."""
    unset = ("'logs'", "'batch_outputs'")
    return isinstance(error, UnboundLocalError) and any(name in str(error) for name in unset)


def len_or_none(dataset):
    """Number of batches of a PyDataset, or `None` where it does not know."""
    try:
        return dataset.num_batches
    except NotImplementedError:
        return None


def _of_arrays(batch):
    """A batch of a stream, as arrays what is lists, frames or sparse."""
    if not isinstance(batch, (list, tuple)):
        return data_kinds.as_arrays(batch)[0]
    given = data_kinds.as_arrays(*batch) if len(batch) <= 3 else batch
    return tuple(given[: len(batch)])


def _refuse_structures(x):
    data_kinds.refuse_ragged(x)
    if isinstance(x, (dict, list, tuple)):
        kind = f"a {type(x).__name__} of {len(x)}"
        raise ValueError(
            "The model takes one input, as one array or tensor of shape (batch, ...). "
            f"Received: {kind}"
        )


def _first_bad_row(y):
    bad = ~((y == 0) | (y == 1)).all(axis=1) | (y.sum(axis=1) != 1)
    return int(np.argmax(bad))


def _numpy(array):
    if isinstance(array, np.ndarray):
        return array
    if isinstance(array, (list, tuple, int, float)):
        return np.asarray(array)
    return keras.ops.convert_to_numpy(array)
