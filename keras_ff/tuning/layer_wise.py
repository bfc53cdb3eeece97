"""A search that takes one layer after the other, which only local learning allows."""

import dataclasses
import math

import numpy as np

from keras_ff.fast import activation_cache
from keras_ff.recipes import VARIATIONS
from keras_ff.tuning.hyper_model import FFHyperModel, trained, usual_of
from keras_ff.tuning.space import Between
from keras_ff.utils import registry

# What a configuration has for each layer, by the name under which it is searched.
OF_A_LAYER = {
    "threshold": "threshold",
    "margin": "margin",
    "learning_rate": "learning_rate",
    "width": "units",
}
# Which of several trained stacks of the layers below a trial stands on, 0 for the best.
BELOW = "layers_below"


class LayerHyperModel(FFHyperModel):
    """A `keras_tuner.HyperModel` for one layer, on top of layers that are trained and frozen.

    A trial trains that layer alone, for an equal share of the configuration's epochs, and is judged
    by the accuracy of all layers so far. The layer that scores best by itself need not be the best
    ground for the next one, so that there may be several candidates of the layers below: which of
    them a trial stands on is searched like the rest. What each of them gives for the training
    samples is computed once for all trials; samples are therefore not augmented.

    Args:
        base: a `TrainingConfig` of all layers. Its layer schedule is taken to be `"greedy"`.
        search: what is searched, as for `FFHyperModel`: names out of `"threshold"`, `"margin"`,
            `"learning_rate"` and `"width"`, or a dictionary from them to ranges.
        below: list of trained `FFModel`s, candidates of the layers below, best first. Defaults to
            none: the first layer is searched.
        found: list of the `TrainingConfig`s that they were trained by. Defaults to none.
        data: what `samples_in_memory` returned. Defaults to `None`: the configuration's data are
            read.
        data_dir: folder of the prepared datasets. Defaults to `None`.
        **kwargs: `name` and `tunable`, as for `keras_tuner.HyperModel`.

    Raises:
        ValueError: as for `FFHyperModel`; if a name cannot be searched layer by layer; if the
            epochs cannot be divided evenly among the layers; or if samples are to be varied.
    """

    def __init__(self, base, search, below=(), found=(), data=None, data_dir=None, **kwargs):
        self.index = len(found[0].units) if found else 0
        self.epochs = _epochs_of_a_layer(base)
        # Its base is a network of this layer alone: so are the ranges that it draws from.
        super().__init__(_layer_of(base, self.index, self.epochs), search, data_dir, **kwargs)
        for name in self.space:
            if name not in OF_A_LAYER:
                raise ValueError(
                    f"Layer by layer {name!r} cannot be searched. "
                    f"{registry.nearest(name, OF_A_LAYER)} Received: search={list(self.space)}"
                )
        self.below = below
        self.found = found
        each = {name for name in OF_A_LAYER.values() if isinstance(getattr(base, name), tuple)}
        self._of_each_layer = each | {OF_A_LAYER[name] for name in self.space}
        self._data = data or samples_in_memory(base, data_dir)
        self._kept = {}  # by candidate

    def config(self, hp):
        """The configuration of a trial: the layers below as they were found, and this one.

        Args:
            hp: `keras_tuner.HyperParameters`.

        Returns:
            A `TrainingConfig` of as many layers.
        """
        own = super().config(hp)
        found = self.found[self._candidate(hp)] if self.found else None
        joined = {name: _joined(found, own, name) for name in self._of_each_layer}
        return dataclasses.replace(own, epochs=(self.index + 1) * self.epochs, **joined)

    def _candidate(self, hp):
        """The number of the candidate below that a trial stands on."""
        if len(self.found) < 2:
            return 0
        return hp.Choice(BELOW, list(range(len(self.found))))

    def beginnings(self):
        """What the base has on every candidate below, then on each what suited its last layer."""
        usual = self._in_range({name: self.usual(name) for name in self.space})
        first, second = [], []
        for number, found in enumerate(self.found):
            on = {BELOW: number} if len(self.found) > 1 else {}
            suited = {name: usual_of(found, name, self.index) for name in self.space}
            suited = self._in_range(suited)
            first.append(on)
            if not all(math.isclose(suited[name], usual[name]) for name in usual):
                second.append(suited | on)
        return first[1:] + second

    def _in_range(self, values):
        """Values as near as this layer's ranges go."""
        ranges = {name: one for name, one in self.space.items() if isinstance(one, Between)}
        return values | {name: one.nearest(values[name]) for name, one in ranges.items()}

    def _shape_and_steps(self, config):
        x = self._data["x"]
        return x.shape[1:], math.ceil(len(x) / config.batch_size)

    def build(self, hp):
        """The model of a trial, the layers below with their trained weights."""
        model = super().build(hp)
        if self.below:
            below = self.below[self._candidate(hp)]
            for layer, known in zip(model.ff_layers, below.ff_layers, strict=False):
                for variable, value in zip(layer.variables, known.variables, strict=True):
                    variable.assign(value)
            model.layers_trained.assign(self.index)
        return model

    def fit(self, hp, model, *args, **kwargs):
        """Train the layer, and measure the accuracy of all so far in the end.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: what `build` returned.
            *args, **kwargs: for `FFModel.fit`; the data are those of the configuration.

        Returns:
            A dictionary, as of `FFHyperModel.fit`.
        """
        config = self.config(hp)
        self._lend_frozen(model, self._candidate(hp))
        metrics = trained(
            model,
            config,
            *args,
            **self._data,
            batch_size=config.batch_size,
            initial_epoch=self.index * self.epochs,
            epochs=config.epochs,
            # Activities of the layers below for validation samples are not kept.
            validation_freq=self.epochs,
            **kwargs,
        )
        if model.readout.chooses and not metrics["failed"]:
            # The layers that score were chosen by the one validation, which came too late for it.
            found = model.evaluate(self._data["validation_data"], verbose=0, return_dict=True)
            metrics["val_accuracy"] = found["accuracy"]
        return metrics

    def _lend_frozen(self, model, candidate):
        x = self._data["x"]
        if candidate not in self._kept and self.index and activation_cache.suits(model, x):
            self._kept[candidate] = activation_cache.ActivationCache(model, x)
            self._kept[candidate].prepare(self.index)
        activation_cache.borrow(model, self._kept.get(candidate))


def samples_in_memory(base, data_dir=None):
    """What the searches of all layers are given for `fit`: `x`, `y` and `validation_data`.

    `x` and `y` are arrays, so that rows can be looked up in the activities of frozen layers;
    ValueError if samples are to be varied.
    """
    chosen = {name: getattr(base, name) for name in VARIATIONS}
    if any(chosen.values()):
        raise ValueError(
            "A search layer by layer keeps the activities of frozen layers, which must be the same "
            f"in every epoch: take {_listed(VARIATIONS)}. Received: {_listed(chosen)}"
        )
    training, validation, _ = base.load_data(data_dir=data_dir)
    x, y = (np.concatenate(part) for part in zip(*training, strict=True))
    return {"x": x, "y": y, "validation_data": validation}


def _epochs_of_a_layer(base):
    layers = len(base.units)
    if base.epochs % layers:
        lower = base.epochs - base.epochs % layers
        near = " or ".join(str(epochs) for epochs in (lower, lower + layers) if epochs)
        raise ValueError(
            f"The {layers} layers learn one after the other, each for as many epochs: take {near} "
            f"epochs. Received: epochs={base.epochs}"
        )
    return base.epochs // layers


def _layer_of(base, index, epochs):
    """The configuration of a network that has layer `index` alone."""
    own = {"units": (base.units[index],), "epochs": epochs, "layer_schedule": "greedy"}
    for name in ("threshold", "margin", "learning_rate"):
        value = getattr(base, name)
        if isinstance(value, tuple):
            own[name] = value[index]
    return dataclasses.replace(base, **own)


def _joined(found, own, name):
    """A value for each layer: those found below, and this layer's own."""
    below = () if found is None else getattr(found, name)
    value = getattr(own, name)
    return (*below, *(value if isinstance(value, tuple) else (value,)))


def _listed(options):
    return ", ".join(f"{name}={value}" for name, value in options.items())
