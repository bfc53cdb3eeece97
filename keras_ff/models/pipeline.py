"""Training in which every layer works one step behind the layer before it."""

from concurrent import futures

import keras

from keras_ff import backends
from keras_ff.models.passage import Passage
from keras_ff.utils.devices import on_device


class Pipeline:
    """The batches under way between an `FFModel`'s layers.

    Args:
        model: the `FFModel`.
    """

    def __init__(self, model):
        self.model = model
        compiled = (lambda function: function) if model.run_eagerly else self._compile
        number = len(model.ff_layers)
        self.stages = [compiled(self._arrive)]
        self.stages += [compiled(self._stage(index)) for index in range(1, number)]
        self.last = compiled(self._leave)
        self._compiled = compiled
        self._logs = None
        self.streams = None
        # What each layer will work on, as arguments of its stage, and what has left the last one.
        self.waiting = [None] * (number + 1)
        self._runs = [
            [index for index, device in enumerate(model.layer_devices) if device == own]
            for own in dict.fromkeys(model.layer_devices)
        ]
        self._threads = futures.ThreadPoolExecutor(len(self._runs))
        # Layers, and the shapes of samples for which their functions are compiled.
        self._compiled_for = set()

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
        """One step: every layer that has something to work on does."""
        self.waiting[0] = (x, y, sample_weight)
        self._move()

    def logs(self):
        """Figures and metrics so far."""
        return (self._logs or self.model.get_metrics_result)()

    def drain(self):
        """Work off what is under way."""
        while any(batch is not None for batch in self.waiting):
            self._move()

    def _move(self):
        if self.waiting[-1] is not None:
            self.last(*self.waiting[-1])
            # Before a batch has left there are metrics that do not exist yet.
            self._logs = self._logs or self._compiled(self.model.get_metrics_result)
        working = [index for index, batch in enumerate(self.waiting[:-1]) if batch is not None]
        answers = {}
        for group in self._groups(working):
            answers |= self._work(group)
            self.model.count_trained([(index,) for index in group])
        self.waiting = [None] * len(self.waiting)
        for index, batch in answers.items():
            self.waiting[index + 1] = (batch,)

    def _groups(self, working):
        """The layers that may work at the same time, in the order of the groups."""
        if not self.model.first_layer_asks_others:
            return [working]
        return [[index for index in working if index], [index for index in working if not index]]

    def _work(self, indices):
        """What these layers make of what waits for them, by index; devices work side by side."""
        runs = [[index for index in run if index in indices] for run in self._runs]
        shapes = {(index, self._shape(index)) for index in indices}
        # Functions are compiled one after the other.
        side_by_side = len(runs) > 1 and shapes <= self._compiled_for
        each = self._threads.map if side_by_side else map
        answers = [answer for of_run in each(self._work_off, runs) for answer in of_run]
        self._compiled_for |= shapes
        return dict(answers)

    def _work_off(self, run):
        """The work of one device."""
        answers = []
        for index in reversed(run):
            with on_device(self.model.layer_devices[index]):
                answers.append((index, self.stages[index](*self.waiting[index])))
        return answers

    def _shape(self, index):
        """Shape of the samples that wait for a layer."""
        x = self.waiting[0][0] if index == 0 else self.waiting[index][0]["data"][0]
        return tuple(x.shape)

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
