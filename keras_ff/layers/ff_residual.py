"""FFResidual: a Forward-Forward layer with a skip connection around it."""

from keras import ops

from keras_ff import backends
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.normalizations.class_group_normalization import ClassGroupNormalization
from keras_ff.normalizations.length_normalization import LengthNormalization
from keras_ff.utils import checks, registry
from keras_ff.utils.registry import registered

MERGES = ("add", "concatenate", "class_groups")


@registered
class FFResidual(FFLayer):
    """An `FFLayer` whose outputs are its activities joined with the inputs of an earlier layer.

    Goodness is measured on the layer's own activities y; the next layer takes `y' + x'`, or both
    side by side, where x is the skip connection and ' a normalisation that removes the
    length: to mean square 1, or, for class groups, group by group. No gradient passes through the
    skip connection.

    Args:
        transform: as for `FFLayer`.
        merge: `"add"`; `"concatenate"`, along the last axis; or `"class_groups"`, which puts each
            class's channels of the skip connection beside its own, so that the groups stay
            together (Sun et al. 2025). Defaults to `"add"`.
        span: integer above 0, how many FF layers the skip connection leads around, this one
            included. Defaults to `1`: from this layer's own inputs.
        **kwargs: as for `FFLayer`.

    Call arguments:
        inputs: tensor of shape (batch, ...).

    Returns:
        The layer's own activities; `outputs` joins the skip connection to them.

    Raises:
        ValueError: if `merge` is unknown, the skip connection does not fit the activities, some of
            the units of class groups are free, or as for `FFLayer`.

    Example:

    >>> import keras, numpy as np
    >>> layer = FFResidual(keras.layers.Dense(8), activation="relu", merge="concatenate")
    >>> inputs = np.ones((2, 5))
    >>> tuple(layer.outputs(layer(inputs), skip=inputs).shape)
    (2, 13)
    """

    def __init__(self, transform, activation=None, merge="add", span=1, **kwargs):
        super().__init__(transform, activation=activation, **kwargs)
        if merge not in MERGES:
            raise ValueError(
                f"`merge` must be one of {', '.join(map(repr, MERGES))}. "
                f"{registry.nearest(merge, MERGES)} Received: merge={merge!r}"
            )
        if merge == "class_groups" and not self.goodness.per_class:
            raise ValueError(
                "Activities without class groups cannot be joined group by group; use "
                f"'add' or 'concatenate'. Received: merge={merge!r}, goodness={self.goodness!r}"
            )
        if getattr(self.goodness, "free", 0):
            raise ValueError(
                "The units of a residual layer all belong to class groups, as its activities and "
                f"the skip connection are joined group by group. Received: {self.goodness!r}"
            )
        self.merge = merge
        self.span = checks.whole_number(span, "span")

    def build(self, input_shape):
        normalization = LengthNormalization
        if self.goodness.per_class:
            normalization = ClassGroupNormalization
        # Their outputs are rounded by `leveled`.
        self.leveling = [normalization(dtype="float32") for _ in range(2)]
        super().build(input_shape)

    def outputs_shape(self, activities_shape, skip_shape):
        activities_shape, skip_shape = tuple(activities_shape), tuple(skip_shape)
        same = activities_shape[1:] == skip_shape[1:]
        fits = activities_shape[1:-1] == skip_shape[1:-1]
        if not (same if self.merge == "add" else fits and skip_shape[-1] % self.groups == 0):
            raise ValueError(
                f"The skip connection of layer {self.name!r} does not fit its activities, which "
                f"have shape {activities_shape[1:]}. Received: a skip connection of shape "
                f"{skip_shape[1:]} to be joined by merge={self.merge!r}"
            )
        for leveling, shape in zip(self.leveling, (activities_shape, skip_shape), strict=True):
            if isinstance(leveling, ClassGroupNormalization):
                leveling.num_classes = self._known_classes
            if not leveling.built:
                leveling.build(shape)
        if self.merge == "add":
            return activities_shape
        return (*activities_shape[:-1], activities_shape[-1] + skip_shape[-1])

    def skip(self, batch):
        if not batch.skips:  # the layer stands alone
            return self.embed(batch)
        if self.span > len(batch.skips):
            raise ValueError(
                f"The skip connection of layer {self.name!r} begins before the model's first "
                f"layer. Received: span={self.span} at FF layer {len(batch.skips)}"
            )
        return batch.skips[-self.span]

    def outputs(self, activities, skip=None):
        return self.join(self.leveled(activities, skip))

    def leveled(self, activities, skip):
        """Both after normalisation, in a list; only their sum where they are added."""
        self.outputs_shape(activities.shape, skip.shape)
        tensors = [
            leveling(ops.cast(tensor, self.compute_dtype))
            for leveling, tensor in zip(self.leveling, (activities, skip), strict=True)
        ]
        if self.merge == "add":
            tensors = [ops.add(*tensors)]
        return [backends.rounded(tensor, self.compute_dtype) for tensor in tensors]

    def join(self, tensors, concatenate=ops.concatenate):
        """The tensors' groups side by side; where there is one tensor, that."""
        if len(tensors) == 1:
            return tensors[0]
        groups = [
            ops.reshape(one, (-1, self.groups, one.shape[-1] // self.groups)) for one in tensors
        ]
        width = sum(one.shape[-1] for one in tensors)
        shape = (-1, *ops.shape(tensors[0])[1:-1], width)
        return ops.reshape(concatenate(groups, axis=-1), shape)

    @property
    def groups(self):
        """Number of groups whose channels stay together: one but for `"class_groups"`."""
        return self._known_classes if self.merge == "class_groups" else 1

    def get_config(self):
        return {**super().get_config(), "merge": self.merge, "span": self.span}
