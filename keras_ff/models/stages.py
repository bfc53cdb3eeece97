"""Stages: runs of epochs in which the same layers learn."""

import dataclasses

from keras_ff.utils.user_warnings import warn

# Why a stage ended.
EPOCHS, EARLY_STOPPING, STOPPED = "epochs", "early stopping", "stopped"


@dataclasses.dataclass(frozen=True)
class Stage:
    """A run of epochs of `fit` in which the same layers learned.

    Attributes:
        layers: tuple of integers, the indices of the FF layers that learned.
        first, end: integers, the first epoch and the one after the last, counted from 0.
        reason: why it ended: `"epochs"` (it had its share of them), `"early stopping"`, or
            `"stopped"`, by another callback that ended `fit`. `None` while it is under way.
    """

    layers: tuple
    first: int
    end: int
    reason: str | None = None

    @classmethod
    def from_list(cls, fields):
        layers, first, end, reason = fields
        return cls(tuple(layers), first, end, reason)

    def to_list(self):
        """The fields as JSON can hold them."""
        return [list(self.layers), self.first, self.end, self.reason]


def plan(schedule, epochs, ff_layers):
    """How a layer schedule divides `fit`: pairs of the layers that learn and a number of epochs.

    Layers that cannot learn get no epochs under schedules that divide them among the layers.
    """
    able = [index for index, layer in enumerate(ff_layers) if _can_learn(layer)]
    if not (schedule.divides_epochs and able):
        able = range(len(ff_layers))
    schedule = schedule.for_layers(tuple(able), len(ff_layers))
    parts = []
    for epoch in range(epochs):
        chosen = schedule.learning_layers(epoch, epochs, len(able))
        layers = tuple(able[index] for index in chosen)
        if parts and parts[-1][0] == layers:
            parts[-1] = (layers, parts[-1][1] + 1)
        else:
            parts.append((layers, 1))
    return parts


def check(schedule, epochs, ff_layers):
    """Warn where `fit` of so many epochs leaves layers untrained that could learn."""
    reached = {index for layers, _ in plan(schedule, epochs, ff_layers) for index in layers}
    late = [
        index
        for index, layer in enumerate(ff_layers)
        if reached and index > max(reached) and _can_learn(layer)
    ]
    if late:
        warn(
            f"{schedule!r} over {epochs} epochs reaches layer {max(reached) + 1} of "
            f"{len(ff_layers)}; the later layers stay untrained and are left out of scores. Train "
            "for more epochs, or leave their number per layer to the schedule."
        )


def _can_learn(layer):
    return layer.trainable and (not layer.built or bool(layer.trainable_variables))


def position(parts, stages, epoch):
    """Where `fit` begins: the index of a part of its plan, and the epochs that are left of it.

    It goes on with the stages so far where these end at `epoch` and some of the plan is left; else
    it begins where the plan has that epoch.
    """
    if stages and stages[-1].end == epoch:
        last = stages[-1]
        same = [index for index, (layers, _) in enumerate(parts) if layers == last.layers]
        if same:
            (index, *_) = same
            left = parts[index][1] - (last.end - last.first)
            if last.reason in (EPOCHS, EARLY_STOPPING) or left <= 0:
                index, left = index + 1, None
            if index < len(parts):
                return index, parts[index][1] if left is None else left
    for index, (_, share) in enumerate(parts):
        if epoch < share:
            return index, share - epoch
        epoch -= share
    return len(parts) - 1, 1
