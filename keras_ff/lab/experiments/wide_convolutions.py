"""A wide convolutional network for CIFAR-10, trained on a GPU under JAX.

Four steps, of which the second one needs the GPU, and neither TensorFlow nor the dataset:

    python -m keras_ff.experiments.wide_convolutions pack images.npz
    KERAS_BACKEND=jax python -m keras_ff.experiments.wide_convolutions train images.npz trained
    python -m keras_ff.experiments.wide_convolutions read_out trained read
    python -m keras_ff.experiments.wide_convolutions publish read zoo/cifar10_wide_cnn_relu

Training images wait in the GPU's memory and are varied there, as an epoch takes it two seconds.
The learning rate was chosen on validation data, of 0.0015, 0.003 and 0.006 in five epochs each, and
then taken a little lower; nothing else was searched. How scores are read from the layers was chosen
afterwards, by validation as well. The test set is read by `publish` alone.
"""

import argparse
import itertools
import pathlib
import time

import keras
import numpy as np

from keras_ff import FFModel, readouts, training, zoo
from keras_ff.datasets import splits, tfds_images
from keras_ff.lab.experiments import convolutional_recipes
from keras_ff.zoo import measuring

DATASET, CLASSES = "cifar10", 10
SETTINGS = {
    "units": (160, 160, 320, 320, 640, 640),
    "epochs": 185,
    "batch_size": 250,
    "learning_rate": 0.0012,
    "weight_decay": 0.02,
    "erase": 16,
    "readout": "mirrored_best_layers",
}
# A linear head separates classes better than goodness does, which counts all channels of a class
# alike. From averages over more regions than one it learns the training images by heart.
READOUT = {"layers": [2, 3, 4, 5], "regions": 1, "standardized": True, "mirrored": True, "shift": 1}
READOUT_EPOCHS, READOUT_RATE, READOUT_L2 = 5, 0.002, 0.003
MODULE = "python -m keras_ff.experiments.wide_convolutions"
COMMAND = (
    f"{MODULE} pack images.npz && KERAS_BACKEND=jax {MODULE} train images.npz trained && "
    f"{MODULE} read_out trained read"
)


def recipe(**changed):
    """The `TrainingConfig` of the network."""
    settings = {**SETTINGS, **changed}
    return convolutional_recipes.class_groups(DATASET, num_classes=CLASSES, **settings)


def pack(path, config):
    """Write the images that are trained on, and those for validation, into one `.npz` file."""
    samples, _ = tfds_images.samples(DATASET, data_dir=None, image_size=None)
    share = config.validation_share
    parts = splits.cut(*samples, share, config.seed, "A validation part")
    arrays = {}
    for name, (images, labels) in zip(("training", "validation"), parts, strict=True):
        arrays |= {f"{name}_images": images, f"{name}_labels": labels}
    np.savez_compressed(path, **arrays)


def batches(images, labels, config):
    """Varied, standardised batches without end, all of one size: the rest is left out."""
    import jax

    size = config.batch_size
    standardized = standardization(images)

    @jax.jit
    def batch(images, labels, samples, key):
        return standardized(varied(images[samples], key, config)), labels[samples]

    images, labels = jax.device_put(images), jax.device_put(labels)
    seed = jax.random.key(config.seed)
    for epoch in itertools.count():
        order_key, images_key = jax.random.split(jax.random.fold_in(seed, epoch))
        order = jax.random.permutation(order_key, len(labels))
        for step in range(len(labels) // size):
            samples = order[step * size : (step + 1) * size]
            yield batch(images, labels, samples, jax.random.fold_in(images_key, step))


def standardization(images):
    """A function that standardises channels by the moments of `images`."""
    pixels = images.reshape(-1, images.shape[-1])
    center, scale = pixels.mean(axis=0, dtype="float64"), pixels.std(axis=0, dtype="float64")
    center, scale = np.float32(center), np.float32(scale)
    return lambda images: (images.astype("float32") - center) / scale


def varied(images, key, config):
    """Images shifted, flipped and erased at random, as `keras_ff.datasets.load` varies them."""
    import jax
    from jax import numpy

    (count, height, width, _), shift = images.shape, config.shift
    corner_key, flip_key, middle_key = jax.random.split(key, 3)
    corners = jax.random.randint(corner_key, (2, count, 1), -shift, shift + 1)
    rows = numpy.clip(numpy.arange(height) + corners[0], 0, height - 1)
    columns = numpy.clip(numpy.arange(width) + corners[1], 0, width - 1)
    if config.flip:
        mirrored = jax.random.bernoulli(flip_key, 0.5, (count, 1))
        columns = numpy.where(mirrored, columns[:, ::-1], columns)
    each = numpy.arange(count)[:, None, None]
    images = images[each, rows[:, :, None], columns[:, None, :]]
    if not config.erase:
        return images
    middles = jax.random.randint(middle_key, (2, count, 1), 0, numpy.array([[[height]], [[width]]]))
    within = [
        (numpy.arange(side) >= middle - config.erase // 2)
        & (numpy.arange(side) < middle - config.erase // 2 + config.erase)
        for side, middle in zip((height, width), middles, strict=True)
    ]
    square = within[0][:, :, None, None] & within[1][:, None, :, None]
    colour = images.astype("float32").mean(axis=(1, 2), keepdims=True)
    return numpy.where(square, numpy.round(colour).astype("uint8"), images)


def train(images, config):
    """Train the network on images that `pack` wrote; the model, and metadata of its training."""
    x, y = images["training_images"], images["training_labels"]
    steps = len(y) // config.batch_size
    keras.utils.set_random_seed(config.seed)
    model = config.new_model(x.shape[1:], CLASSES, steps)
    validation = standardization(x)(images["validation_images"]), images["validation_labels"]
    begin = time.perf_counter()
    model.fit(
        batches(x, y, config),
        steps_per_epoch=steps,
        epochs=config.epochs,
        validation_data=validation,
        validation_batch_size=config.batch_size,
        callbacks=[keras.callbacks.SwapEMAWeights()],
        verbose=2,
    )
    return model, {
        "epochs": config.epochs,
        "seed": config.seed,
        "seconds": time.perf_counter() - begin,
        "machine": machine(),
        "versions": training.versions(),
    }


def machine():
    """The machine, with the name of its accelerators in place of the processor's."""
    import jax

    devices = jax.devices()
    return {**training.machine(), "processor": devices[0].device_kind, "processors": len(devices)}


def read_out(trained, samples, epochs=READOUT_EPOCHS):
    """Train a softmax readout on the layers of the network that `train` wrote."""
    rate = keras.optimizers.schedules.CosineDecay(READOUT_RATE, epochs * len(samples))
    readout = readouts.Softmax(
        **READOUT,
        optimizer=keras.optimizers.Adam(rate),
        kernel_regularizer=keras.regularizers.L2(READOUT_L2),
    )
    model = FFModel.from_preset(trained, readout=readout)
    model.fit_readout(samples, epochs=epochs, verbose=2)
    return model


def known_of(trained):
    """What the preset that `train` wrote says of the training."""
    names = ("command", "epochs", "seed", "seconds", "machine", "versions")
    return {name: zoo.get(trained).metadata[name] for name in names}


def publish(trained, path, config):
    """Make a preset with metrics and a card of the network that `read_out` wrote."""
    model = FFModel.from_preset(trained)
    _, validation, test = config.load_data()
    known = known_of(trained)
    known["as_trained"] = {
        "validation_accuracy": measuring.accuracy(model, validation),
        "test_accuracy": measuring.accuracy(model, test),
    }
    return zoo.publish(
        model,
        path,
        config.data.to_dict(),
        # int8 loses too much by the zoo's rule as well, and float16 takes more than a file may.
        weights="int6",
        architecture="wide_cnn",
        description=f"{__doc__.splitlines()[0]} A softmax readout, trained on its last four layers "
        f"for {READOUT_EPOCHS} epochs, scores images as they are, mirrored, and moved by a pixel.",
        **known,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    step = steps.add_parser("pack", help=pack.__doc__.splitlines()[0])
    step.add_argument("images", type=pathlib.Path, help="file to write")
    step = steps.add_parser("train", help=train.__doc__.splitlines()[0])
    step.add_argument("images", type=pathlib.Path, help="what pack wrote")
    step.add_argument("trained", type=pathlib.Path, help="folder to write")
    step.add_argument("--units", type=int, nargs="+", default=SETTINGS["units"], help="channels")
    step.add_argument("--epochs", type=int, default=SETTINGS["epochs"])
    step = steps.add_parser("read_out", help=read_out.__doc__.splitlines()[0])
    step.add_argument("trained", type=pathlib.Path, help="what train wrote")
    step.add_argument("read", type=pathlib.Path, help="folder to write")
    step = steps.add_parser("publish", help=publish.__doc__.splitlines()[0])
    step.add_argument("read", type=pathlib.Path, help="what read_out wrote")
    step.add_argument("preset", type=pathlib.Path, help="folder to write")
    arguments = parser.parse_args()
    if arguments.step == "pack":
        pack(arguments.images, recipe())
    elif arguments.step == "train":
        config = recipe(units=arguments.units, epochs=arguments.epochs)
        with np.load(arguments.images) as file:
            model, known = train(dict(file), config)
        zoo.save(model, arguments.trained, "float32", command=COMMAND, **known)
    elif arguments.step == "read_out":
        keras.utils.set_random_seed(recipe().seed)
        samples, _, _ = recipe().load_data()
        model = read_out(arguments.trained, samples)
        zoo.save(model, arguments.read, "float32", **known_of(arguments.trained))
    else:
        publish(arguments.read, arguments.preset, recipe())


if __name__ == "__main__":
    main()
