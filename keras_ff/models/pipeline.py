"""Training in which every layer works one step behind the layer before it."""

import keras

from keras_ff import backends
from keras_ff.models.passage import Passage


class Pipeline:
    """The batches under way between an `FFModel`'s layers.

    Args:
        model: the `FFModel`.
    """

    def __init__(self, model):
        self.model = model
        compiled = (lambda function: function) if model.run_eagerly else self._compile
        self.first = compiled(self._arrive)
        number = len(model.ff_layers)
        self.later = [compiled(self._stage(index)) for index in range(1, number)]
        self.last = compiled(self._leave)
        self._compiled = compiled
        self._logs = None
        self.streams = None
        # What each layer but the first will work on, and what has left the last one.
        self.waiting = [None] * number

    def _compile(self, function):
        model = self.model
        return backends.compiled(
            function,
            lambda: [*model.variables, *model.optimizer.variables, *model.metrics_variables],
        )

    def train(self, steps, iterator):
        """Keras's train function: `steps` batches, or what is left of them, and the logs."""
        for step in range(steps):
            try:
                data = next(iterator)
            except StopIteration:
                if step == 0:
                    raise
                break
            self.advance(*keras.utils.unpack_x_y_sample_weight(data))
        return self.logs()

    def advance(self, x, y=None, sample_weight=None):
        """One step: every layer that has something to work on does, the last one first."""
        self._move()
        self.waiting[0] = self.first(x, y, sample_weight)

    def logs(self):
        """Figures and metrics so far."""
        return (self._logs or self.model.get_metrics_result)()

    def drain(self):
        """Work off what is under way."""
        while any(batch is not None for batch in self.waiting):
            self._move()

    def _move(self):
        if self.waiting[-1] is not None:
            self.last(self.waiting[-1])
            self.waiting[-1] = None
            # Before a batch has left there are metrics that do not exist yet.
            self._logs = self._logs or self._compiled(self.model.get_metrics_result)
        for index in reversed(range(len(self.later))):
            if self.waiting[index] is not None:
                self.waiting[index + 1] = self.later[index](self.waiting[index])
                self.waiting[index] = None

    # A batch is a dictionary of tensors between the stages, which are compiled one by one.

    def _arrive(self, x, y, sample_weight):
        passage, data = self.model.arrive(x, y, sample_weight)
        self.streams = passage.streams  # a number, and the same for all batches
        batch = {"passage": None, "data": data, "total": 0.0, "class_goodness": []}
        return self._learn(passage, batch, 0)

    def _stage(self, index):
        def stage(batch):
            passage = Passage.unpacked(self.model.layer_order, self.streams, batch["passage"])
            return self._learn(passage, batch, index)

        return stage

    def _learn(self, passage, batch, index):
        total, class_goodness = self.model.learn_chains(passage, [(index,)], None)
        return {
            **batch,
            "passage": passage.packed(),
            "total": batch["total"] + total,
            "class_goodness": [*batch["class_goodness"], *class_goodness],
        }

    def _leave(self, batch):
        self.model.leave(*batch["data"], batch["total"], batch["class_goodness"], None)
