"""What each layer of a trained network is worth by itself."""

from keras_ff import measurements
from keras_ff.readouts import Softmax

# Validation samples on which goodness is measured, and epochs in which a probe learns.
SAMPLES, PROBE_EPOCHS = 2000, 3


def measured(model, train, validation):
    """Accuracy, separation and a linear probe of every layer, a list of dictionaries.

    The accuracy is that of a layer's goodness alone, the separation its mean over positives less
    that over negatives, and the probe the accuracy of a linear classifier on the layer's
    activities: all on validation samples.

    Args:
        model: a trained `FFModel`.
        train, validation: pipelines of batches (x, y).
    """
    found = measurements.measure(model, *measurements.first_samples(validation, SAMPLES))
    return [
        {
            "accuracy": accuracy,
            "separation": layer.separation,
            "probe": _probe(model, index, train, validation),
        }
        for index, (layer, accuracy) in enumerate(
            zip(found.layers, found.accuracy_alone(), strict=True)
        )
    ]


def _probe(model, index, train, validation):
    """Accuracy of a linear classifier on the activities of one layer, pooled to 4 × 4 positions."""
    head = Softmax([index], optimizer="adam", regions=4, standardized=True)
    probe = model.rebuild(readout=head)
    probe.fit_readout(train, epochs=PROBE_EPOCHS, verbose=0)
    return float(probe.evaluate(validation, verbose=0, return_dict=True)["accuracy"])
