"""MNIST by every family of Forward-Forward networks: what each reaches within 20 minutes.

`python -m keras_ff.experiments.mnist_families NAME` trains one and writes
`results/mnist_families/NAME.json`; without a name it lists them. With `--preset FOLDER` the trained
network becomes a preset of the zoo. Settings were chosen on validation data; the test set is read
once, at the end.
"""

import argparse
import pathlib
import time

import keras

import keras_ff
from keras_ff import datasets, models, training, zoo
from keras_ff.lab.experiments import results
from keras_ff.losses import LabelSoftmax
from keras_ff.negatives import HybridImages, RandomLabels
from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.readouts import Goodness, Softmax

RESULTS = pathlib.Path("results/mnist_families")
SEED = 0
DATA = {"dataset": "mnist", "batch_size": 128, "shift": 2}


def class_group_cnn(run):
    """Class groups in a convolutional network, scored by the layers best on validation data."""
    model = models.cnn(readout=Goodness("validation"))
    rate = keras.optimizers.schedules.CosineDecay(0.01, run.steps, alpha=0.01)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=5e-4, clipnorm=1.0)
    model.compile(optimizer, metrics=["accuracy"])
    run.fit(model)
    return run.metrics(model)


def contrastive_cnn(run):
    """Positives and negatives in a convolutional network, the label a learned channel."""
    layers = [
        keras_ff.layers.FFConv2D(
            filters,
            # Without weights of its own, a gradient by which would take a third product.
            normalization=keras.layers.BatchNormalization(center=False, scale=False),
            pooling=keras.layers.AveragePooling2D(2),
            kernel_initializer="he_normal",
        )
        for filters in (32, 64)
    ]
    layers += [keras_ff.layers.FFDense(1000), keras_ff.layers.FFDense(1000)]
    model = keras_ff.FFModel(
        layers,
        num_classes=10,
        label_embedding="label_map",
        negatives=RandomLabels(count=3),
        layer_schedule="simultaneous",
        readout=Goodness("validation"),
    )
    model.compile(run.adam(2e-3), "label_softmax", metrics=["accuracy"])
    run.fit(model)
    return run.metrics(model)


def attention(run):
    """Self-attention among patches, then dense layers, all with class groups."""
    model = models.vision_attention(
        patch_size=7, units=(1000, 1000), class_groups=True, readout=Goodness("validation")
    )
    model.compile(run.adam(1e-3), metrics=["accuracy"])
    run.fit(model)
    return run.metrics(model)


def unsupervised(run):
    """Hybrid images as negatives, then a linear readout; the same network untrained beside it."""
    found = {}
    for name in ("untrained", "trained"):
        keras.utils.set_random_seed(SEED)
        model = models.mlp(
            (1500, 1500, 1500),
            label_embedding=None,
            negatives=HybridImages(),
            readout=Softmax(layers="all", optimizer=run.adam(1e-3)),
        )
        model.compile(run.adam(1e-3), metrics=["accuracy"])
        if name == "trained":
            model.fit(run.train.map(lambda x, y: x), epochs=run.epochs, verbose=2)
        run.fit(model, model.fit_readout)
        found[name] = run.metrics(model)
    return {**found.pop("trained"), **found}


def hybrids(run):
    """Forward-Forward, then backpropagation, and the other way round; each beside the plain one.

    Every stage takes `epochs`; beside the hybrids stand backpropagation from random weights for
    the same epochs as their second stage, and for both stages together.
    """

    def forward_forward():
        keras.utils.set_random_seed(SEED)
        model = models.mlp((1000, 1000), negatives="all_labels", readout=Goodness("validation"))
        model.compile(run.adam(1e-3), LabelSoftmax(alpha=32.0), metrics=["accuracy"])
        model.build((None, *run.sample_shape))
        return model

    def backpropagation(network, stages=1):
        optimizer = run.adam(1e-3, stages)
        network.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        run.fit(network, epochs=stages * run.epochs)
        return run.metrics(network)

    found = {}
    model = forward_forward()
    network = model.to_backprop(carry_weights=False)
    found["backpropagation"] = backpropagation(network)
    x, y = next(iter(run.train))
    model.carry_from_backprop(network, x, y)
    run.fit(model)
    found["backpropagation_then_forward_forward"] = run.metrics(model)

    model = forward_forward()
    run.fit(model)
    found["forward_forward"] = run.metrics(model)
    network = model.to_backprop()
    head = network.layers[-1]
    for layer in network.layers:
        layer.trainable = layer is head
    network.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    network.fit(run.train, verbose=2)
    for layer in network.layers:
        layer.trainable = True
    found["forward_forward_then_backpropagation"] = backpropagation(network)

    network = forward_forward().to_backprop(carry_weights=False)
    found["backpropagation_both_stages"] = backpropagation(network, stages=2)
    return found


# Function, epochs, dtype policy, by name.
EXPERIMENTS = {
    "class_group_cnn": (class_group_cnn, 16, "mixed_bfloat16"),
    "contrastive_cnn": (contrastive_cnn, 12, "mixed_bfloat16"),
    "attention": (attention, 12, "mixed_bfloat16"),
    "unsupervised": (unsupervised, 14, "mixed_bfloat16"),
    "hybrids": (hybrids, 8, "mixed_bfloat16"),
}


class Run:
    """The data of a run, and what all experiments do with them."""

    def __init__(self, epochs):
        self.epochs = epochs
        # The last model that was measured.
        self.measured = None
        self.train, self.validation, self.test = datasets.load(
            DATA["dataset"], DATA["batch_size"], augment={"shift": DATA["shift"]}
        )
        self.steps = epochs * len(self.train)
        self.sample_shape = self.train.element_spec[0].shape[1:]

    def adam(self, learning_rate, stages=1):
        """Adam whose rate is constant to half of the training, then falls to zero."""
        return keras.optimizers.Adam(ConstantThenLinear(learning_rate, stages * self.steps))

    def fit(self, model, method=None, epochs=None):
        """Train a compiled model on the training part."""
        (method or model.fit)(
            self.train, epochs=epochs or self.epochs, validation_data=self.validation, verbose=2
        )

    def metrics(self, model):
        """Accuracies on validation and test data, as fractions."""
        self.measured = model
        return {
            f"{name}_accuracy": float(model.evaluate(part, verbose=0, return_dict=True)["accuracy"])
            for name, part in (("validation", self.validation), ("test", self.test))
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=EXPERIMENTS)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--preset", type=pathlib.Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.name is None:
        for name, (experiment, epochs, policy) in EXPERIMENTS.items():
            print(f"{name}: {experiment.__doc__.splitlines()[0]} {epochs} epochs, {policy}.")
        return
    experiment, epochs, policy = EXPERIMENTS[arguments.name]
    epochs = arguments.epochs or epochs
    keras.mixed_precision.set_global_policy(policy)
    keras.utils.set_random_seed(SEED)
    run = Run(epochs)
    start = time.perf_counter()
    found = experiment(run)
    command = f"python -m keras_ff.experiments.mnist_families {arguments.name} --epochs {epochs}"
    result = {
        "command": command,
        "dataset": "mnist, 50,000 / 10,000 / 10,000, shifts of up to 2 pixels",
        **found,
        "epochs": epochs,
        "seed": SEED,
        "policy": policy,
        "seconds": time.perf_counter() - start,
    }
    results.write(RESULTS / f"{arguments.name}.json", result)
    if arguments.preset is not None:
        zoo.publish(
            run.measured,
            arguments.preset,
            DATA,
            architecture=arguments.name,
            description=experiment.__doc__,
            command=command,
            epochs=epochs,
            seed=SEED,
            seconds=result["seconds"],
            machine=training.machine(),
            versions=training.versions(),
        )


if __name__ == "__main__":
    main()
