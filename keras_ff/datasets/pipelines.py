"""`tf.data` pipelines over arrays in memory."""

from keras_ff.datasets.augmentation import ALTERNATING, alternating_flips, augmented, is_varied

# Batches that are made at a time, and that wait for the model. A batch takes a processor a
# millisecond or two, a training step many.
PARALLEL, AHEAD = 2, 2


def _in_memory(images, labels):
    import tensorflow as tf

    # Input pipelines run on the processor, so the images stay out of an accelerator's memory.
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(images), tf.convert_to_tensor(labels)


def _num_batches(labels, batch_size):
    return -(-len(labels) // batch_size)


def in_order(images, labels, batch_size, to_float):
    """Batches of float32 images and labels, as they come."""
    import tensorflow as tf

    num_batches = _num_batches(labels, batch_size)
    images, labels = _in_memory(images, labels)

    def batch(index):
        samples = slice(index * batch_size, (index + 1) * batch_size)
        return to_float(images[samples]), labels[samples]

    return _ahead(_mapped(tf.data.Dataset.range(num_batches), batch))


def shuffled(images, labels, batch_size, seed, initial_epoch, augment, to_float):
    """Batches in an order, and augmented in a way, that the seed and the epoch decide."""
    import tensorflow as tf

    num_samples, num_batches = len(labels), _num_batches(labels, batch_size)
    images, labels = _in_memory(images, labels)
    with tf.device("CPU:0"):
        epochs_begun = tf.Variable(initial_epoch, dtype=tf.int64)
        alternate = augment["flip"] == ALTERNATING
        flips = alternating_flips(num_samples, seed) if alternate else lambda epoch, rows: None

    def epoch_now(_):
        # Runs with the first batch of an iteration: iterators that nothing is drawn from do not
        # count, and Keras makes some of them.
        return epochs_begun.assign_add(1) - 1

    def batches_of(epoch):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(num_samples), seed=tf.stack([seed, epoch]), alg="philox"
        )
        return _mapped(
            tf.data.Dataset.range(num_batches),
            lambda index: (epoch, index, order[index * batch_size : (index + 1) * batch_size]),
        )

    def batch(epoch, index, rows):
        x = tf.gather(images, rows)
        batch_seed = tf.random.fold_in(tf.stack([seed, epoch]), index)
        x = augmented(x, batch_seed, mirrored=flips(epoch, rows), **augment)
        return to_float(x), tf.gather(labels, rows)

    def batch_with_rows(epoch, index, rows):
        x, y = batch(epoch, index, rows)
        return (x, rows), y

    as_it_is = tf.autograph.experimental.do_not_convert
    epochs = _mapped(tf.data.Dataset.from_tensors(0), epoch_now).flat_map(as_it_is(batches_of))

    def batches(make):
        made = _mapped(epochs, make, num_parallel_calls=PARALLEL, deterministic=True)
        return _ahead(made.apply(tf.data.experimental.assert_cardinality(num_batches)))

    dataset = batches(batch)
    if not is_varied(augment):
        # By these `fit` looks up what frozen layers give for a sample.
        dataset.samples_by_row = _SamplesByRow(images, to_float)
        dataset.batches_with_rows = batches(batch_with_rows)
    return dataset


class _SamplesByRow:
    """The samples of a training pipeline, by their rows."""

    def __init__(self, images, to_float):
        self._images = images
        self._to_float = to_float
        self.shape = tuple(images.shape)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        return self._to_float(self._images[rows])


def _mapped(dataset, function, **how):
    """`dataset.map` without AutoGraph, which takes seconds for what needs no conversion."""
    import tensorflow as tf

    return dataset.map(tf.autograph.experimental.do_not_convert(function), **how)


def _ahead(batches):
    """The same batches, made while the model is still busy with those before."""
    import tensorflow as tf

    # What tunes pipelines on the way makes an iterator's end wait for its own next look: up to
    # ten seconds between two epochs, in TensorFlow 2.21.
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(AHEAD).with_options(options)
