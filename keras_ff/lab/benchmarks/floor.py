"""The least that a training step or a prediction can take: its bare products and one update.

A layer's step needs its forward product and the gradient of its weights, and never the gradient of
its inputs. Samples that differ in their labels alone share the first dense layer's products. What
no algorithm could spare is measured as it is: matrix products and convolutions of the same shapes
and dtype, and one optimizer update of all weights, compiled.
"""

import keras


def of_step(model, batch_size):
    """A function that does the products and the update of one training step of a built model."""
    import tensorflow as tf

    streams = 1 if model.class_groups else 1 + model.negatives.count
    products = _products(model, batch_size, streams)
    weights = [keras.Variable(weight) for weight in model.trainable_variables]
    optimizer = keras.optimizers.Adam()
    optimizer.build(weights)
    gradients = [tf.random.normal(weight.shape) for weight in weights]

    @tf.function
    def multiply():
        return [part for forward, backward in products for part in (forward(), backward())]

    @tf.function(jit_compile=True)
    def update():
        optimizer.apply(gradients, weights)

    def step():
        multiply()
        update()

    return step


def of_prediction(model, batch_size):
    """A function that does the products of scoring a batch; as `of_step`."""
    import tensorflow as tf

    products = _products(model, batch_size, model.scoring_passes)

    @tf.function
    def multiply():
        return [forward() for forward, _ in products]

    return multiply


def _products(model, batch_size, streams):
    """Pairs of functions, a layer's forward product and that of its weights' gradient."""
    pairs = []
    for layer, shape in zip(model.ff_layers, model.stack.input_shapes, strict=True):
        transform = layer.transform
        shared = not pairs and isinstance(transform, keras.layers.Dense)
        rows = batch_size if shared else streams * batch_size
        if isinstance(transform, keras.layers.Dense):
            pairs.append(_dense(rows, transform))
        elif isinstance(transform, keras.layers.Conv2D):
            pairs.append(_convolution((rows, *shape[1:]), transform))
        else:
            raise ValueError(
                "The least time is known for Dense and Conv2D layers. "
                f"Received: a transform {transform!r}"
            )
    return pairs


def _dense(rows, transform):
    import tensorflow as tf

    features, units = transform.kernel.shape
    inputs = tf.cast(tf.random.normal((rows, features)), transform.compute_dtype)
    kernel = tf.cast(tf.random.normal((features, units)), transform.compute_dtype)
    deltas = tf.cast(tf.random.normal((rows, units)), transform.compute_dtype)
    return (lambda: tf.matmul(inputs, kernel), lambda: tf.matmul(inputs, deltas, transpose_a=True))


def _convolution(shape, transform):
    import tensorflow as tf

    kernel = tf.cast(tf.random.normal(transform.kernel.shape), transform.compute_dtype)
    inputs = tf.cast(tf.random.normal(shape), transform.compute_dtype)
    settings = {"strides": [1, *transform.strides, 1], "padding": transform.padding.upper()}
    deltas = tf.cast(
        tf.random.normal(transform.compute_output_shape(shape)), transform.compute_dtype
    )
    return (
        lambda: tf.nn.conv2d(inputs, kernel, **settings),
        lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=inputs, filter_sizes=kernel.shape, out_backprop=deltas, **settings
        ),
    )
