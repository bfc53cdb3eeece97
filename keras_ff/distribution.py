"""Training runs on several devices or machines, by the backends' own engines."""

import contextlib

from keras_ff import backends
from keras_ff.utils import registry

KNOWN = ("devices", "workers")


class Alone:
    """A run on one device."""

    is_chief = True
    across_workers = False

    def scope(self):
        """A context in which models are made or loaded."""
        return contextlib.nullcontext()

    def training(self):
        """A context in which they are trained."""
        return contextlib.nullcontext()

    def saving(self):
        """A context within that one in which one worker saves them by itself."""
        return contextlib.nullcontext()

    def part(self, batches):
        """What of a `tf.data.Dataset` of whole batches `fit` is given."""
        return batches

    def measurable(self, model):
        """A trained model as one that scores without the other devices."""
        return model


class Parallel(Alone):
    """A run in which every device works on its part of each batch, with copies of all weights.

    Args:
        name: `"devices"`: all devices of this machine. `"workers"`: those of all machines, each of
            which runs the same command; the environment says which they are, under
            TensorFlow by `TF_CONFIG`, under JAX by `KERAS_DISTRIBUTION_JOB_ADDRESSES`,
            `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`.
    """

    def __init__(self, name):
        self.across_workers = name == "workers"
        self.engine = backends.DataParallel(self.across_workers)
        self.is_chief = self.engine.worker == 0

    def scope(self):
        return self.engine.scope()

    def training(self):
        return self.engine.training()

    def saving(self):
        return self.engine.saving()

    def part(self, batches):
        return self.engine.part(batches)

    def measurable(self, model):
        copy = type(model).from_config(model.get_config())
        copy.build((None, *model.sample_shape))
        copy.set_weights(model.get_weights())
        return copy


def get(name):
    """The distribution of a run: by name, or `None` for one device.

    Raises:
        ValueError: if there is no distribution of that name.
    """
    if name is None:
        return Alone()
    if name not in KNOWN:
        raise ValueError(
            f"`distribution` must be {' or '.join(map(repr, KNOWN))}. "
            f"{registry.nearest(str(name), KNOWN)} Received: distribution={name!r}"
        )
    return Parallel(name)
