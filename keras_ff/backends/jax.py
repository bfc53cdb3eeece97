"""The JAX backend: every step is a function of the state, which Keras passes in and takes back."""

import contextlib
import functools
import itertools

import jax
import keras
from keras import ops

from keras_ff.backends import building


class _State(keras.StatelessScope):
    """Values that some variables have for a while, and which were assigned meanwhile."""

    def __init__(self, values=()):
        super().__init__(list(values), collect_losses=True, initialize_variables=False)
        self.assigned = {}

    def __enter__(self):
        super().__enter__()
        self.outside = self.original_scope
        return self

    def add_update(self, update):
        self.assigned[id(update[0])] = update[0]
        super().add_update(update)

    def get_current_value(self, variable):
        value = super().get_current_value(variable)
        if value is None and self.outside is not None:
            return self.outside.get_current_value(variable)
        return value

    def assignments(self):
        """The variables that were assigned, and their values."""
        variables = list(self.assigned.values())
        return variables, [self.get_current_value(variable) for variable in variables]


def value_and_grad(function, variables, tensors=()):
    """Call `function` and differentiate its loss by `variables`; see the TensorFlow backend."""
    if tensors:
        raise ValueError("Under JAX gradients are by variables. Received: tensors beside them")
    assigned, reached = [], set()

    def objective(values):
        values = [_noted(value, reached, index) for index, value in enumerate(values)]
        with _State(zip(variables, values, strict=True)) as state:
            loss, auxiliary = function()
        assigned[:], news = state.assignments()
        return loss, (loss, auxiliary, news)

    values = [ops.convert_to_tensor(variable) for variable in variables]
    gradients, (loss, auxiliary, news) = jax.grad(objective, has_aux=True)(values)
    for variable, value in zip(assigned, news, strict=True):
        variable.assign(value)
    return (loss, auxiliary), [
        gradient if index in reached else None for index, gradient in enumerate(gradients)
    ]


def _noted(value, reached, index):
    """The value; where a gradient comes back to it, `reached` is given the index."""

    def backward(_, gradient):
        reached.add(index)
        return (gradient,)

    # JAX itself gives zeros to what has no part in a loss, by which momentum would go on.
    same = jax.custom_vjp(lambda value: value)
    same.defvjp(lambda value: (value, None), backward)
    return same(value)


def can_fuse(tensors=()):
    """Never: a whole step is one program here, and the compiler fuses what it likes."""
    del tensors
    return False


def is_fusing():
    """Always, as the compiler fuses what it likes."""
    return True


def is_on_processors():
    """Whether this machine computes on processors alone."""
    return jax.default_backend() == "cpu"


devices = keras.distribution.list_devices
rounded = ops.cast
# Called where `can_fuse` holds, and nowhere else.
bias_add = compile_once = control_dependency = fused = sums_biases = vjp = None


def compiled(function, variables=tuple):
    """A function that is compiled when it is first called; see the seam's documentation."""

    @jax.jit
    def stateless(values, *tensors):
        with _State(zip(variables(), values, strict=True)) as state:
            outputs = function(*tensors)
        return outputs, [state.get_current_value(variable) for variable in variables()]

    def call(*tensors):
        outputs, values = stateless([variable.value for variable in variables()], *tensors)
        for variable, value in zip(variables(), values, strict=True):
            variable.assign(value)
        return outputs

    return call


def cond(condition, branches):
    """The result of the first of two functions where `condition` holds, else of the second."""
    assigned = {}

    def probe(branch):
        with _State() as state:
            branch()
        assigned.update(state.assigned)

    for branch in branches:
        jax.eval_shape(functools.partial(probe, branch))

    def with_assignments(branch):
        with _State():
            return branch(), [ops.convert_to_tensor(variable) for variable in assigned.values()]

    branches = [functools.partial(with_assignments, branch) for branch in branches]
    result, values = jax.lax.cond(condition, *branches)
    for variable, value in zip(assigned.values(), values, strict=True):
        variable.assign(value)
    return result


def updating(optimizer):
    """Nothing: updates are compiled."""
    del optimizer
    return contextlib.nullcontext()


def numpy_function(function, inputs, shape):
    """Call a function on arrays from within a program; see the TensorFlow backend."""
    inputs = jax.lax.stop_gradient(ops.cast(inputs, "float32"))
    shape = (inputs.shape[0] if shape[0] is None else shape[0], *shape[1:])
    return jax.pure_callback(function, jax.ShapeDtypeStruct(shape, "float32"), inputs)


def input_gradient(function, inputs):
    """Gradient of the sum of `function(inputs)` by `inputs`, and by nothing else."""
    return jax.grad(lambda inputs: ops.sum(function(inputs)))(inputs)


def random_bits(shape, seed):
    """uint16 tensor of random numbers from a seed."""
    return jax.random.bits(seed, shape, "uint16")


def init_scope():
    """Nothing: variables are created before a step is traced."""
    return contextlib.nullcontext()


class DataParallel:
    """All devices of this machine, or of all workers; see the seam's documentation."""

    def __init__(self, across_workers):
        if across_workers:
            keras.distribution.initialize()
        self.worker = jax.process_index()
        self.distribution = keras.distribution.DataParallel(auto_shard_dataset=False)

    def scope(self):
        return self.distribution.scope()

    training = scope

    @contextlib.contextmanager
    def saving(self):
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(self.distribution)

    def part(self, batches):
        """Of every batch as many samples as all devices have equal parts of: those of this one."""
        import tensorflow as tf

        workers, devices = jax.process_count(), jax.device_count()

        def of_worker(x, y):
            rows = tf.shape(x)[0] // devices * devices // workers
            mine = slice(self.worker * rows, (self.worker + 1) * rows)
            return x[mine], y[mine]

        return batches.map(of_worker)


# A program is one of the whole batch, wherever its parts are computed.


def spread(rows):
    """The same rows, of which every device computes an equal part where there are several.

    Left to itself the compiler gives all rows to every device as soon as streams stand one after
    the other, of which each device has a piece.
    """
    distribution = keras.distribution.distribution()
    if distribution is None or rows.shape[0] % distribution.device_mesh.shape[0]:
        return rows
    return keras.distribution.distribute_tensor(rows, distribution.get_data_layout(rows.shape))


def is_replicated():
    """Never: a program is one of all devices."""
    return False


def all_gather(rows):
    """The rows of the whole batch."""
    return rows


def own_rows(rows, size, streams=1):
    """The rows of the whole batch."""
    del size, streams
    return rows


def all_reduce_sum(tensor):
    """What is computed of the whole batch already."""
    return tensor


def share(size):
    """All of the batch."""
    del size
    return 1.0


# Of a model's variables, in the order of the state that Keras passes.
KINDS = (
    "trainable_variables",
    "non_trainable_variables",
    "optimizer_variables",
    "metrics_variables",
)


def keeps_tensors(model):
    """Never: they would be copied into the compiled program."""
    del model
    return False


def kept(rows):
    """Not called where no tensors are kept."""
    raise NotImplementedError


class Layer:
    """Nothing beside Keras's layer."""


@contextlib.contextmanager
def _of_its_own(model, name):
    """Have Keras compile a function that equals no other.

    Of equal ones, such as a method of one object, `jit` takes what it has traced, and a model keeps
    several steps that differ in who learns.
    """
    method = getattr(type(model), name)
    vars(model)[name] = lambda *arguments: method(model, *arguments)
    try:
        yield
    finally:
        del vars(model)[name]


class Trainer:
    """Keras's training and test steps as functions of the state, which call those of the model."""

    def train_step(self, state, data):
        return _step(self.train_on, _kinds(self), state, data)

    def test_step(self, state, data):
        return _step(self.test_on, _kinds(self, with_optimizer=False), state, data)

    def make_train_function(self, force=False):
        runner = self._fitting.start(self, force)
        if runner is None:
            with _of_its_own(self, "train_step"):
                super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = functools.partial(_train_by, self, runner)

    def make_test_function(self, force=False):
        with _of_its_own(self, "test_step"):
            super().make_test_function(force)

    # Keras takes the values out of the variables before a step, and where one fails, as on bad
    # data, does not always put them back.

    def evaluate(self, *args, **kwargs):
        with _values_put_back(self):
            return super().evaluate(*args, **kwargs)

    def predict(self, *args, **kwargs):
        with _values_put_back(self):
            return super().predict(*args, **kwargs)

    def _get_jax_state(self, purge_model_variables=False, **wanted):
        state = super()._get_jax_state(purge_model_variables=purge_model_variables, **wanted)
        state = _each_its_own(state)
        kinds = [kind for kind in KINDS if wanted.get(kind)]
        self._jax_state = dict(zip(kinds, state, strict=True)) if purge_model_variables else None
        return state

    def _make_function(self, step_function, concatenate_outputs=False):
        def remembering(state, data):
            outputs, state = step_function(state, data)
            if self._jax_state:
                self._jax_state = dict(zip(self._jax_state, state, strict=True))
            return outputs, state

        # Of several steps Keras itself remembers what the last one left.
        several = self.steps_per_execution > 1
        return super()._make_function(
            remembering if several else step_function, concatenate_outputs
        )

    def _symbolic_build(self, iterator=None, data_batch=None):
        building.make_variables(self, iterator, data_batch)


def _step(function, kinds, state, data):
    """A step of the model as a function of the state, which it returns with the logs."""
    pairs = [zip(*both, strict=True) for both in zip(kinds, state, strict=True)]
    with _State(itertools.chain(*pairs)) as scope:
        logs = function(*keras.utils.unpack_x_y_sample_weight(data))
    return logs, tuple(
        [scope.get_current_value(variable) for variable in variables] for variables in kinds
    )


def _kinds(model, with_optimizer=True):
    """All variables, as Keras groups them."""
    return [
        model.trainable_variables,
        model.non_trainable_variables,
        *([model.optimizer.variables] if with_optimizer else []),
        model.metrics_variables,
    ]


def _train_by(model, runner, state, iterator):
    """Keras's train function over a runner, whose stages work on the variables themselves."""
    for variables, values in zip(_kinds(model), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    model._jax_state_synced = True
    logs = runner.train(model.steps_per_execution, iterator)
    values = [[variable.value for variable in variables] for variables in _kinds(model)]
    return logs, tuple(values)


@contextlib.contextmanager
def _values_put_back(model):
    try:
        yield
    finally:
        model.jax_state_sync()


def _each_its_own(state):
    """The state, in which no two variables share an array: a program overwrites each it is given.

    Averages of weights share theirs with the weights when they begin and when they end.
    """
    seen = set()

    def own(value):
        value = value.copy() if id(value) in seen else value
        seen.add(id(value))
        return value

    return jax.tree.map(own, state)
