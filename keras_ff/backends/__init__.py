"""The seam between keras_ff and the array framework below Keras.

A backend is a module with these names:

- `Trainer`: a mixin whose `train_step` and `test_step` call the model's `train_on` and `test_on`,
  and which runs the runner of a layer schedule that has one;
- `Layer`: a mixin of FF layers, in front of Keras's;
- `value_and_grad(function, variables, tensors)`: calls `function() -> (loss, auxiliary)` and
  returns `((loss, auxiliary), gradients)`, the gradients of the loss by tensors and variables;
- `vjp(function, tensors, delta)`: the gradients by `tensors`, from `delta`, the one by
  `function(*tensors)`; nothing but these is computed;
- `input_gradient(function, inputs)`: the gradient of the sum of `function(inputs)` by `inputs`;
- `cond(condition, branches)`: the result of one of two functions, both of which may assign
  variables;
- `compiled(function, variables)`: a function of tensors, compiled when it is first called;
  `variables()` lists those that it reads or assigns;
- `compile_once(function, variables)`: a function that is compiled once and works on other
  variables in the places of these;
- `control_dependency(done, tensor)`: the tensor as it is, but not before `done` is computed;
- `init_scope()`: a context in which variables are created and assigned at once, even while a step
  is being traced;
- `numpy_function(function, inputs, shape)`: calls a function on arrays from within a graph;
- `random_bits(shape, seed)`: uint16 tensor of random numbers (int32 under PyTorch), equal for equal
  seeds of a `keras.random.SeedGenerator`;
- `can_fuse(tensors)`, `fused(function)` and `is_fusing()`: whether functions of tensors may be
  compiled into one kernel here, such a function, and whether this is part of one;
- `updating(optimizer)`: a context in which updates that are not compiled take fewer operations;
- `bias_add(product, bias)`: as `ops.add`, in a form that a product writes to memory along with its
  result, and a ReLU behind it;
- `sums_biases(dtype)`: whether that product's gradient by the bias is summed in float32;
- `rounded(x, dtype)`: as `ops.cast`, faster within a kernel, but without a gradient there;
- `is_on_processors()`: whether this machine computes without a GPU;
- `devices()`: names of this machine's devices;
- `keeps_tensors(model)`: whether a compiled step reads large tensors where they are, instead of
  copying them into the program;
- `kept(rows)`: a variable for any number of such rows, where a backend keeps them;
- `DataParallel(across_workers)`: all devices of this machine, or of all workers: in its `scope()`
  models are made or loaded, and trained in the context `training()`, within which `saving()` is
  one for what a worker does by itself; `part(batches)` is what `fit` is given of a dataset, and
  `worker` is the number of this one;
- `is_replicated()`: whether replicas each take the step for their part of a batch;
- `spread(rows)`: the same rows, a part on every device where a program is one of all devices;
- `all_gather(rows)`, `own_rows(rows, size, streams)`, `all_reduce_sum(tensor)` and `share(size)`:
  with replicas, the rows of all of them, those of this replica, a sum over all, and this replica's
  share of the samples; without, what belongs to the one.

`bias_add`, `sums_biases`, `fused`, `vjp`, `compile_once` and `control_dependency` are called where
`can_fuse` holds, and nowhere else. All else in keras_ff is written in `keras.ops`.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_ff.backends import tensorflow as chosen
elif keras.backend.backend() == "jax":
    from keras_ff.backends import jax as chosen
elif keras.backend.backend() == "torch":
    from keras_ff.backends import torch as chosen
else:
    raise ImportError(
        "keras_ff trains on the backends TensorFlow, JAX and PyTorch; set the environment variable "
        "KERAS_BACKEND to 'tensorflow', 'jax' or 'torch'. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )

DataParallel = chosen.DataParallel
Layer = chosen.Layer
Trainer = chosen.Trainer
all_gather = chosen.all_gather
all_reduce_sum = chosen.all_reduce_sum
bias_add = chosen.bias_add
can_fuse = chosen.can_fuse
compile_once = chosen.compile_once
compiled = chosen.compiled
cond = chosen.cond
control_dependency = chosen.control_dependency
devices = chosen.devices
fused = chosen.fused
init_scope = chosen.init_scope
input_gradient = chosen.input_gradient
is_fusing = chosen.is_fusing
is_on_processors = chosen.is_on_processors
is_replicated = chosen.is_replicated
keeps_tensors = chosen.keeps_tensors
kept = chosen.kept
numpy_function = chosen.numpy_function
own_rows = chosen.own_rows
random_bits = chosen.random_bits
rounded = chosen.rounded
share = chosen.share
spread = chosen.spread
sums_biases = chosen.sums_biases
updating = chosen.updating
value_and_grad = chosen.value_and_grad
vjp = chosen.vjp
