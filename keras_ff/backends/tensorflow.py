"""The TensorFlow backend: one gradient tape per layer, and Keras's step functions."""

import contextlib
import contextvars
import functools
import math
from concurrent import futures

import keras
import tensorflow as tf
from keras import ops

from keras_ff.backends import building


def value_and_grad(function, variables, tensors=()):
    """Call `function` under a tape that watches `variables`, `tensors`, and nothing else.

    Gradients are those of the tensors, then of the variables; `None` without a part in the loss.
    """
    watched = [*tensors, *[variable.value for variable in variables]]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        loss, auxiliary = function()
    return (loss, auxiliary), tape.gradient(loss, watched)


def vjp(function, tensors, delta):
    """The gradients by tensors from that by their function; see the seam's documentation."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        outputs = function(*tensors)
    return tape.gradient(outputs, tensors, delta)


def can_fuse(tensors=()):
    """Whether functions of tensors may be compiled into kernels here."""
    return (
        tf.inside_function()  # a user who runs eagerly wants to look inside
        and not tf.distribute.has_strategy()
        and all(isinstance(tensor, tf.Tensor) for tensor in tensors)
    )


_fusing = contextvars.ContextVar("fusing", default=False)


def fused(function):
    """A function of tensors as one kernel, made by XLA; for element-wise work."""

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def kernel(*tensors):
        before = _fusing.set(True)
        try:
            return function(*tensors)
        finally:
            _fusing.reset(before)

    return kernel


def is_fusing():
    """Whether what is being traced becomes part of one kernel."""
    return _fusing.get()


def is_on_processors():
    """Whether this machine has no GPU."""
    return not tf.config.list_logical_devices("GPU")


devices = keras.distribution.list_devices


def rounded(x, dtype):
    """As `ops.cast`; see the seam's documentation."""
    if not is_fusing() or (x.dtype.name, dtype) != ("float32", "bfloat16"):
        return ops.cast(x, dtype)
    # XLA's own conversion takes twice as long: half of the last place is added, less one bit where
    # that place is even, and the upper bits are taken. The NaN of arithmetic stays one.
    bits = tf.bitcast(x, tf.uint32)
    is_odd = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, tf.constant(16, bits.dtype)), 1)
    bits = tf.bitwise.right_shift(bits + is_odd + 0x7FFF, tf.constant(16, bits.dtype))
    return tf.bitcast(tf.cast(bits, tf.uint16), tf.bfloat16)


def compile_once(function, variables):
    """A function that is compiled once, and called with other variables in the places of these."""

    # Kept in one piece: put in the place of each of its calls, it would be compiled there.
    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def standing_in(given, *tensors):
        own = [variable._value for variable in variables]
        try:
            for variable, value in zip(variables, given, strict=True):
                variable._value = value
            return function(*tensors)
        finally:
            for variable, value in zip(variables, own, strict=True):
                variable._value = value

    return lambda given, *tensors: standing_in([one._value for one in given], *tensors)


def bias_add(product, bias):
    """A product with a bias, in a form in which both are computed at once, and a ReLU with them."""
    return tf.nn.bias_add(product, bias)


@functools.cache
def sums_biases(dtype):
    """Whether this processor sums a bias's gradient in float32 along with a convolution's.

    It is found out by counting ones: bfloat16 by itself counts no further than 256.
    """
    if dtype == "float32":
        return True

    def gradients(ones, kernel, bias):
        return vjp(
            lambda kernel, bias: bias_add(tf.nn.conv2d(ones, kernel, 1, "SAME"), bias),
            [kernel, bias],
            ones,
        )

    def count():
        shapes = (1, 64, 64, 4), (3, 3, 4, 4), (4,)
        _, of_bias = tf.function(gradients, autograph=False)(
            *(tf.ones(shape, dtype) for shape in shapes)
        )
        return float(of_bias[0])

    # A thread of its own is outside of whatever is being traced here, tapes included.
    with futures.ThreadPoolExecutor(1) as thread:
        return abs(thread.submit(count).result() - 64 * 64) < 64


def control_dependency(done, tensor):
    """The tensor as it is, but not before `done` has been computed."""
    with tf.control_dependencies([done]):
        return tf.identity(tensor)


def compiled(function, variables=tuple):
    """A function of tensors that is compiled when it is first called."""
    del variables  # found by TensorFlow itself
    return tf.function(function, reduce_retracing=True, autograph=False)


def cond(condition, branches):
    """The result of the first of two functions where `condition` holds, else of the second."""
    return ops.cond(condition, *branches)


def updating(optimizer):
    """Nothing: updates are compiled."""
    del optimizer
    return contextlib.nullcontext()


def numpy_function(function, inputs, shape):
    """Call a function on float32 arrays from within a graph, without a gradient."""
    outputs = tf.numpy_function(function, [tf.cast(inputs, tf.float32)], tf.float32)
    outputs.set_shape(shape)
    return tf.stop_gradient(outputs)


def input_gradient(function, inputs):
    """Gradient of the sum of `function(inputs)` by `inputs`; 0 where they have no part in it."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        result = function(inputs)
    return tape.gradient(result, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def random_bits(shape, seed):
    """uint16 tensor of random numbers from a seed, two of a random word."""
    rows, *others = shape
    width = math.prod(others)
    words = tf.random.stateless_uniform(
        (rows, (width + 1) // 2), tf.cast(seed, tf.int32), None, None, tf.uint32
    )
    halves = tf.reshape(tf.bitcast(words, tf.uint16), (rows, (width + 1) // 2 * 2))
    return tf.reshape(halves[:, :width], shape)


def init_scope():
    """A context in which variables are created and assigned at once, while a graph is traced."""
    return tf.init_scope()


class DataParallel:
    """All devices of this machine, or of all workers; see the seam's documentation."""

    def __init__(self, across_workers):
        if across_workers:
            # To be made before anything else is done with TensorFlow.
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            self.worker = self.strategy.cluster_resolver.task_id or 0
        else:
            self.strategy = tf.distribute.MirroredStrategy(keras.distribution.list_devices())
            self.worker = 0
        self.scope = self.strategy.scope
        # `fit` finds the strategy by the model.
        self.training = self.saving = contextlib.nullcontext

    def part(self, batches):
        return batches  # which Keras divides


# Under `tf.distribute` a step is taken by replicas, each with its own part of the batch and copies
# of all variables. They stay alike, since random numbers are drawn for the whole batch, statistics
# are those of the whole batch, and gradients, of which each has its samples' part, are summed.


def _replicas():
    """The replica context where there are several replicas, else `None`."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def spread(rows):
    """Rows as they are: a replica has its part."""
    return rows


def is_replicated():
    """Whether replicas take steps."""
    return _replicas() is not None


def all_gather(rows):
    """The rows of all replicas, one replica after the other; differentiable."""
    replicas = _replicas()
    if replicas is None or rows is None:
        return rows
    every = _gather(replicas, rows)
    every.set_shape((None, *rows.shape[1:]))
    return every


def _gather(replicas, rows):
    devices = replicas.strategy.extended.worker_devices
    # A worker's only replica has its tensors anywhere, but a gathering asks where they lie.
    with tf.device(devices[0]) if len(devices) == 1 else contextlib.nullcontext():
        return replicas.all_gather(tf.identity(rows), axis=0)


def own_rows(rows, size, streams=1):
    """The rows of this replica's samples, in all streams, among those of the whole batch."""
    replicas = _replicas()
    if replicas is None:
        return rows
    sizes = _gather(replicas, tf.reshape(size, (1,)))
    first = tf.reduce_sum(sizes[: replicas.replica_id_in_sync_group])
    apart = tf.reshape(rows, tf.concat([[streams, -1], tf.shape(rows)[1:]], axis=0))
    own = apart[:, first : first + size]
    own = tf.reshape(own, tf.concat([[-1], tf.shape(rows)[1:]], axis=0))
    own.set_shape((None, *rows.shape[1:]))
    return own


def all_reduce_sum(tensor):
    """Sum over all replicas."""
    replicas = _replicas()
    return tensor if replicas is None else replicas.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def share(size):
    """This replica's share of the batch, of which it has `size` samples: float32, or 1."""
    if _replicas() is None:
        return 1.0
    size = tf.cast(size, tf.float32)
    return size / tf.maximum(all_reduce_sum(size), 1.0)


def _reducible(logs):
    """Logs in the shape in which Keras takes their means over replicas: rows, between workers."""
    if _replicas() is None:
        return logs
    return {name: tf.reshape(value, (1,)) for name, value in logs.items()}


def _one_spec(spec):
    """The specification of a batch, from that of a distributed dataset."""
    return tf.nest.map_structure(lambda one: tf.nest.flatten(one, expand_composites=True)[0], spec)


def keeps_tensors(model):
    """Whether a compiled step reads large tensors where they are; replicas would need copies."""
    return model._distribute_strategy is None


def kept(rows):
    """A variable that holds rows of such a shape, as many as there may be."""
    return tf.Variable(rows, trainable=False, shape=(None, *rows.shape[1:]))


class Layer:
    """Nothing beside Keras's layer."""


class Trainer:
    """Keras's training and test steps, which call those of the model."""

    def train_step(self, data):
        with _synchronized(self):
            return _reducible(self.train_on(*keras.utils.unpack_x_y_sample_weight(data)))

    def test_step(self, data):
        return _reducible(self.test_on(*keras.utils.unpack_x_y_sample_weight(data)))

    def fit(self, x=None, y=None, **arguments):
        """As in Keras, with all variables made beforehand: else the step is traced twice."""
        if self._distribute_strategy is None:
            samples, labels, _ = keras.utils.unpack_x_y_sample_weight(
                getattr(x, "element_spec", (x, y))
            )
            _make_variables(self, samples, labels)
        return super().fit(x=x, y=y, **arguments)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Create all variables before replicas step, which cannot do so."""
        strategy = self._distribute_strategy
        if strategy is None:
            return
        if iterator is not None:
            # A batch is not drawn: workers would have to do so together.
            data_batch = _one_spec(iterator._distributed_dataset.element_spec)
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data_batch)
        with strategy.scope():
            self.build_for(x)
            if y is not None:  # without labels there is nothing to build metrics from
                self._symbolic_build(data_batch=data_batch)
        if strategy.num_replicas_in_sync > 1:
            _check_replicas(self)

    def make_train_function(self, force=False):
        runner = self._fitting.start(self, force)
        if runner is None:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = functools.partial(runner.train, self.steps_per_execution)
        return self.train_function


def _make_variables(model, samples, labels):
    """Make weights, optimizers' variables and metrics where the shapes say all they need."""
    samples = samples[0] if isinstance(samples, tuple) else samples  # else with their rows
    shape = tf.TensorShape(getattr(samples, "shape", None))
    if shape.rank is None or not shape[1:].is_fully_defined():
        return
    model.build_for(samples)
    if tf.TensorShape(getattr(labels, "shape", None)).rank is not None:
        building.make_metrics(model, labels)


@contextlib.contextmanager
def _synchronized(model):
    """A step in which batch normalisation takes the statistics of all replicas."""
    layers = [] if _replicas() is None else model._flatten_layers()
    layers = [one for one in layers if isinstance(one, keras.layers.BatchNormalization)]
    before = [layer.synchronized for layer in layers]
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer, setting in zip(layers, before, strict=True):
            layer.synchronized = setting


def _check_replicas(model):
    for variable in [*model.variables, *model.optimizer.variables]:
        if not isinstance(variable.value, tf.distribute.DistributedValues):
            raise ValueError(
                "Replicas need copies of everything: create the model and all its parts, "
                "sources of negatives included, and compile it within `strategy.scope()`. "
                f"Received: the variable {variable.path!r}, which has no copies"
            )
    if model.layer_schedule.delayed or model.layer_schedule.layers_per_gradient > 1:
        raise ValueError(
            "With several replicas layers learn by 'simultaneous', 'greedy' or 'windows'. "
            f"Received: layer_schedule={model.layer_schedule!r}"
        )
