"""What the layers give for samples that are to be scored."""

import functools

from keras import ops

from keras_ff.readouts import layer_choice


def trained(model):
    """Which of a model's layers may count in scores: boolean tensor of shape (layers,)."""
    return layer_choice.trained(model.layers_trained, len(model.ff_layers))


def layers_trained(model):
    """How many of a model's layers have been trained so far: an integer, outside of any graph."""
    return int(ops.convert_to_numpy(model.layers_trained))  # also of a copy for each replica


def values(model, x):
    """What a model's readout reads of samples, per layer.

    Activities of the samples with a neutral label; the goodness of every class, float32 of shape
    (batch, num_classes); or both, as a pair of goodness and activities.
    """
    if model.readout.reads_activities:
        return values_of_samples(model, model.streams.lead(x))
    return class_goodness(model, x)


def values_of_samples(model, samples):
    """What a readout of activities reads of led samples; of goodness too, for class groups."""
    found = activities(model, samples)
    return (model.stack.goodness(found), found) if model.readout.reads_goodness else found


def activities(model, samples):
    """Activities of led samples with a neutral label, per layer."""
    return model.stack.activities(model.streams.neutral(samples))


def scores_of_samples(model, samples):
    """Scores of led samples by a readout of activities: float32 of shape (batch, num_classes)."""
    values_of = functools.partial(activities, model)
    return model.readout.scores(values_of, samples, trained(model))


def class_goodness(model, x):
    """Goodness of samples with the label of every class: per layer, of (batch, num_classes)."""
    batch = model.streams.every_class(x)
    goodness = model.stack.goodness(model.stack.activities(batch))
    if model.class_groups:
        return goodness
    return [ops.transpose(ops.reshape(each, (batch.streams, -1))) for each in goodness]
