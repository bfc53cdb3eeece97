"""A plain Keras script, which `keras-ff bench start` times beside `keras-ff train`.

It trains a network on scikit-learn's digits by backpropagation and leaves the model, its metrics
and a picture of its learning curves in a folder. It imports nothing of keras_ff.
"""

import argparse
import json
import pathlib

import keras


def main(folder, units, epochs, batch_size, learning_rate, test_size, validation_size):
    """Train, measure and write everything into a folder."""
    from matplotlib.figure import Figure
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    keras.utils.set_random_seed(0)
    x, y = load_digits(return_X_y=True)
    x = x.astype("float32") / 16
    x, x_test, y, y_test = train_test_split(x, y, test_size=test_size, stratify=y)
    x, x_validation, y, y_validation = train_test_split(x, y, test_size=validation_size, stratify=y)
    hidden = [keras.layers.Dense(width, activation="relu") for width in units]
    model = keras.Sequential([*hidden, keras.layers.Dense(10, activation="softmax")])
    model.compile(
        keras.optimizers.Adam(learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        x,
        y,
        batch_size,
        epochs,
        verbose=2,
        validation_data=(x_validation, y_validation),
    )
    metrics = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    model.save(folder / "model.keras")
    figure = Figure()
    axes = figure.subplots()
    for name in ("accuracy", "val_accuracy"):
        axes.plot(history.history[name], label=name)
    axes.legend()
    figure.savefig(folder / "learning_curves.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--units", type=int, nargs="+", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--test-size", type=int, required=True)
    parser.add_argument("--validation-size", type=int, required=True)
    main(**vars(parser.parse_args()))
