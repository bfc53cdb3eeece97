"""What the layers give for samples that are to be scored."""

from keras import ops

from keras_ff.layers.batch import Batch
from keras_ff.readouts import layer_choice


def trained(model):
    """Which of a model's layers may count in scores: boolean tensor of shape (layers,)."""
    return layer_choice.trained(model.layers_trained, len(model.ff_layers))


def values(model, x):
    """What a model's readout reads of samples, per layer.

    Activities of the samples with a neutral label, or the goodness of every class, float32 of shape
    (batch, num_classes).
    """
    if model.readout.reads_activities:
        return model.stack.activities(Batch(model.streams.embed(x), streams=1))
    return class_goodness(model, x)


def class_goodness(model, x):
    """Goodness of samples with the label of every class: per layer, of (batch, num_classes)."""
    batch = model.streams.every_class(x)
    goodness = model.stack.goodness(model.stack.activities(batch))
    if model.class_groups:
        return goodness
    return [ops.transpose(ops.reshape(each, (batch.streams, -1))) for each in goodness]
