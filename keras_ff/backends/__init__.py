"""The seam between keras_ff and the array framework below Keras.

A backend is a module with these names:

- `Trainer`: a mixin that hands Keras's `train_step` and `test_step` to the model's
  `learn_from` and `score_on`, and tells by `keeps_tensors` whether a compiled step leaves large
  tensors that it reads where they are;
- `auxiliary_and_gradients(function, variables, tensors)`: calls `function() -> (loss, auxiliary)`
  and returns `(auxiliary, gradients of loss by tensors and variables)`;
- `pull_back(function, tensors, delta)`: the gradients by `tensors` from `delta`, the one by
  `function(*tensors)`; nothing but these is computed;
- `biased(product, bias)`: as `ops.add`, of one dtype; the product may then write its sum with the
  bias to memory, and the maximum of a ReLU behind it;
- `can_fuse(tensors)` and `fused(function)`: whether functions of tensors may be compiled into
  one kernel here, and such a function;
- `is_fusing()`: whether what is computed becomes part of such a kernel;
- `is_on_processors()`: whether this machine computes on processors alone, without a GPU;
- `rounded(x, dtype)`: as `ops.cast`, in a kernel in less time, but without a gradient there;
- `compiled(function, variables)`: a function of tensors, compiled when it is first called;
  `variables()` lists those that it reads or assigns;
- `input_gradient(function, inputs)`: returns the gradient of the sum of `function(inputs)` by
  `inputs`;
- `choose(condition, ways)`: what one of two functions answers, both of which may assign variables;
- `numpy_function(function, inputs, shape)`: calls a function on arrays from within a graph;
- `shared(function, variables)`: a function that is compiled once, and works on other variables
  in the places of these;
- `after(done, tensor)`: a tensor as it is, but not before another one has been computed;
- `random_bits(shape, seed)`: uint16 tensor of random numbers, equal for equal seeds of a
  `keras.random.SeedGenerator`;
- `outside_graph()`: a context in which variables are created and assigned at once, even while a
  step is being traced;
- `DataParallel(across_workers)`: all devices of this machine, or of all workers: in its `scope()`
  models are made or loaded, and trained in the context `training()`, within which `saving()` is
  one for what a worker does by itself; `part(batches)` is what `fit` is given of a dataset, and
  `worker` is the number of this one;
- `spread(rows)`: the same rows, a part on every device where a program is one of all devices;
- `gathered(rows)`, `own_rows(rows, size, streams)`, `total(tensor)` and `share(size)`: where the
  samples of a batch are spread over replicas that each take the step for their own, the rows of
  all of them, those of this replica, a sum over all, and this replica's share of the samples.

`biased`, `fused`, `pull_back`, `shared` and `after` are called where `can_fuse` holds, and nowhere
else. All else in keras_ff is written in `keras.ops`.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_ff.backends import tensorflow as chosen
elif keras.backend.backend() == "jax":
    from keras_ff.backends import jax as chosen
else:
    raise ImportError(
        "keras_ff trains on the TensorFlow and the JAX backend; set the environment variable "
        "KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )

DataParallel = chosen.DataParallel
Trainer = chosen.Trainer
after = chosen.after
auxiliary_and_gradients = chosen.auxiliary_and_gradients
biased = chosen.biased
can_fuse = chosen.can_fuse
choose = chosen.choose
compiled = chosen.compiled
fused = chosen.fused
gathered = chosen.gathered
input_gradient = chosen.input_gradient
is_fusing = chosen.is_fusing
is_on_processors = chosen.is_on_processors
numpy_function = chosen.numpy_function
outside_graph = chosen.outside_graph
own_rows = chosen.own_rows
pull_back = chosen.pull_back
random_bits = chosen.random_bits
rounded = chosen.rounded
share = chosen.share
shared = chosen.shared
spread = chosen.spread
total = chosen.total
