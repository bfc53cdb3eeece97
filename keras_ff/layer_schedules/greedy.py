"""Greedy: one layer after the other."""

from keras_ff.layer_schedules.base import LayerSchedule
from keras_ff.utils import checks
from keras_ff.utils.registry import registered

ALWAYS = "always"  # `cache=True`, in a configuration


@registered
class Greedy(LayerSchedule):
    """One layer after the other: layer 1 learns, is frozen, then layer 2 (Hinton 2022).

    `fit(epochs=E)` runs E epochs in all. They are divided evenly among the layers, or as
    `epochs_per_layer` says. With fewer epochs than layers, neighbouring layers share an epoch and
    learn simultaneously. Frozen layers get no epochs.

    Args:
        epochs_per_layer: `None` (evenly), an integer for every layer, or a list with one integer
            per layer. Where `fit` runs fewer epochs in all, the later layers stay untrained until
            it goes on with `initial_epoch`; where it runs more, the last layer goes on learning.
            Defaults to `None`.
        cache: `"auto"`, or boolean. Whether activities of frozen layers are kept, instead of being
            computed in every epoch, where negatives are labels and it takes no more than 2 GiB.
            `"auto"` keeps those of numpy arrays and of what `keras_ff.datasets.load` gives without
            augmentation. `True` keeps those of any `tf.data.Dataset` as well: `fit` reads it once,
            as arrays, so its samples must be the same in every epoch. Defaults to `"auto"`.

    Raises:
        ValueError: if an entry is not an integer above 0, if a list has not one entry per layer,
            or if `cache` is none of the three.

    Example:

    >>> Greedy().learning_layers(epoch=3, epochs=6, num_layers=3)
    (1,)
    """

    def __init__(self, epochs_per_layer=None, cache="auto"):
        if cache not in ("auto", True, False):
            raise ValueError(f"`cache` must be 'auto', True or False. Received: cache={cache!r}")
        self.caches = cache
        listed = isinstance(epochs_per_layer, (list, tuple)) and len(epochs_per_layer) > 0
        entries = epochs_per_layer if listed else [epochs_per_layer]
        if epochs_per_layer is not None:
            try:
                entries = [checks.whole_number(entry, "epochs_per_layer") for entry in entries]
            except ValueError:
                raise ValueError(
                    "`epochs_per_layer` must be None, an integer above 0 or a list of them. "
                    f"Received: epochs_per_layer={epochs_per_layer!r}"
                ) from None
        self.epochs_per_layer = entries if listed else entries[0]

    divides_epochs = True

    def learning_layers(self, epoch, epochs, num_layers):
        if self.epochs_per_layer is None and epochs < num_layers:
            ends = [-(-number * num_layers // max(epochs, 1)) for number in (epoch, epoch + 1)]
            return tuple(range(num_layers))[slice(*ends)] or (num_layers - 1,)
        if self.epochs_per_layer is None:
            return (min(epoch * num_layers // epochs, num_layers - 1),)
        end = 0
        for layer, layer_epochs in enumerate(self._list(num_layers)):
            end += layer_epochs
            if epoch < end:
                return (layer,)
        return (num_layers - 1,)

    def for_layers(self, indices, num_layers):
        if not isinstance(self.epochs_per_layer, list) or len(indices) == num_layers:
            return self
        entries = self._list(num_layers)
        return Greedy([entries[index] for index in indices], self.caches)

    def _list(self, num_layers):
        if isinstance(self.epochs_per_layer, int):
            return [self.epochs_per_layer] * num_layers
        if len(self.epochs_per_layer) != num_layers:
            raise ValueError(
                f"`epochs_per_layer` must hold one number per layer, {num_layers} here. "
                f"Received: {len(self.epochs_per_layer)} numbers, {self.epochs_per_layer!r}"
            )
        return self.epochs_per_layer

    def get_config(self):
        entries = self.epochs_per_layer
        return {
            "epochs_per_layer": list(entries) if isinstance(entries, list) else entries,
            "cache": ALWAYS if self.caches is True else self.caches,
        }

    @classmethod
    def from_config(cls, config):
        # In earlier files `True` is what "auto" is now.
        cache = config.get("cache", "auto")
        return cls(**{**config, "cache": {ALWAYS: True, True: "auto"}.get(cache, cache)})
