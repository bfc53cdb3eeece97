"""Streams: from samples and their labels to the batch that the first layer takes."""

from keras import ops

from keras_ff import backends
from keras_ff.layers.batch import Batch

# Validation draws its negatives from here, so that it is repeatable and leaves training alone.
VALIDATION_SEED = 20220627


class Streams:
    """Puts positives and negatives side by side.

    The Keras layers before the first FF layer, `lead`, are applied to samples first, once and
    without a label; what comes as it is from a user is called `x` here, what they give `samples`.

    Labels stay beside the samples, for the first layer to embed: an embedding that learns belongs
    to its tape, and it computes once what the labels of a sample share. Negatives may draw from
    `scores`, a function of these samples, or follow the gradient of `first_goodness`, one of
    embedded samples.
    """

    def __init__(self, num_classes, label_embedding, negatives, scores, first_goodness, lead):
        self.num_classes = num_classes
        self.label_embedding = label_embedding
        self.negatives = negatives
        self.scores = scores
        self.first_goodness = first_goodness
        self.lead = lead
        self.class_groups = negatives is None
        self.unsupervised = label_embedding is None and not self.class_groups

    def __call__(self, x, labels=None, sample_weight=None, seed=None):
        """The batch to validate on, whose negatives `seed` draws."""
        return self.draw(self.lead(x), labels, sample_weight, seed)

    def draw(self, samples, labels=None, sample_weight=None, seed=None):
        """The batch to learn from, or with a `seed` the one to validate on, of led samples."""
        known = {"labels": labels, "sample_weight": sample_weight}
        negatives, size = self.negatives, ops.shape(samples)[0]
        if self.class_groups:
            return Batch(self._embedded(samples), streams=1, **known)
        # Drawn for the whole batch, of which this may be one replica's part.
        whole_samples, whole_labels = backends.all_gather(samples), backends.all_gather(labels)
        if negatives.are_images:
            streams = 1 + negatives.count
            images = [draw(whole_samples, seed) for draw in (negatives.positives, negatives.images)]
            images = backends.own_rows(ops.concatenate(images), size, streams)
            if self.unsupervised:
                return Batch(images, streams, **known)
            wrong = negatives.labels(whole_labels, self.num_classes, seed)
            stream_labels = _true_and_wrong(labels, backends.own_rows(wrong, size))
            return Batch(images, streams, ops.reshape(stream_labels, (1, -1)), **known)
        scores = self.scores(samples) if negatives.needs_scores else None
        wrong = negatives.labels(
            whole_labels, self.num_classes, seed, whole_samples, backends.all_gather(scores)
        )
        stream_labels = _true_and_wrong(labels, backends.own_rows(wrong, size))
        batch = Batch(samples, stream_labels.shape[0], stream_labels, **known)
        return self._perturbed(batch) if negatives.adjusts else batch

    def _perturbed(self, batch):
        """The batch with its negatives moved up the first layer's goodness."""
        embedded = batch.embedded(self.label_embedding, self.num_classes)
        positive, negative = ops.split(ops.stop_gradient(embedded), 2)
        adjusted = self.negatives.adjust(negative, self.first_goodness)
        perturbation = ops.concatenate([ops.zeros_like(positive), adjusted - negative])
        return batch.replace(perturbation=perturbation)

    def every_class(self, x):
        """The batch to score: every sample with every label, or as it is for class groups."""
        samples = self.lead(x)
        if self.class_groups:
            return Batch(self._embedded(samples), streams=1)
        labels = ops.expand_dims(ops.arange(self.num_classes, dtype="int32"), 1)
        labels = labels + ops.zeros((1, ops.shape(samples)[0]), dtype="int32")
        return Batch(samples, self.num_classes, labels)

    def neutral(self, samples):
        """The batch of led samples with a label of no class."""
        return Batch(self._embedded(samples), streams=1)

    def embed(self, x, labels=None):
        """Samples with their labels, as the first layer takes them; without labels neutral ones."""
        return self._embedded(self.lead(x), labels)

    def _embedded(self, samples, labels=None):
        if self.unsupervised:
            return self.negatives.neutral(samples)
        if self.label_embedding is None:
            return ops.cast(samples, "float32")
        return self.label_embedding(samples, labels, self.num_classes)


def checked_samples(x, sample_shape):
    """Samples as a tensor of the shape that the model was built for, or a ValueError."""
    if isinstance(x, (dict, list, tuple)):
        raise ValueError(
            "The model takes one input, a tensor of shape (batch, ...). "
            f"Received: a {type(x).__name__} of {len(x)}"
        )
    x = ops.convert_to_tensor(x, sparse=False)
    if sample_shape is not None and tuple(x.shape[1:]) != tuple(sample_shape):
        hint = ""
        if tuple(x.shape) == tuple(sample_shape):
            hint = " They come in batches: x[None] is one of a single sample."
        raise ValueError(
            f"The model was built for samples of shape {tuple(sample_shape)}.{hint} "
            f"Received: x of shape {tuple(x.shape)}"
        )
    return x


def class_numbers(y, num_classes):
    """Labels as int32 of shape (batch,), from integers or one-hot rows; `None` stays."""
    if y is None:
        return None
    if len(y.shape) == 2 and y.shape[1] == num_classes:
        return ops.cast(ops.argmax(y, axis=1), "int32")
    return ops.cast(ops.reshape(y, (-1,)), "int32")


def _true_and_wrong(labels, wrong):
    """True labels above wrong ones: int32 tensor of shape (streams, batch)."""
    wrong = ops.expand_dims(wrong, 1) if len(wrong.shape) == 1 else wrong
    return ops.concatenate([ops.expand_dims(labels, 0), ops.transpose(wrong)], axis=0)
