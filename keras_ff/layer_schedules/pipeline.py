"""The runner of `Pipelined`: every layer works one step behind the layer before it."""

from concurrent import futures

import keras

from keras_ff import backends
from keras_ff.layer_schedules.base import mark_trained
from keras_ff.utils.devices import on_device


class Pipeline:
    """The batches under way between an `FFModel`'s layers."""

    def __init__(self, model):
        self.model = model
        compiled = (lambda function: function) if model.run_eagerly else self._compile
        number = len(model.ff_layers)
        self.stages = [compiled(self._first_stage)]
        self.stages += [compiled(self._stage(index)) for index in range(1, number)]
        self.last = compiled(self._finish)
        self._compiled = compiled
        self._logs = None
        # A batch in front of the first layer, for what is no tensor and the same in all batches.
        self._batch = None
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
        """Metrics so far."""
        return (self._logs or self.model.get_metrics_result)()

    def drain(self):
        """Let the layers finish what is under way."""
        while any(batch is not None for batch in self.waiting):
            self._move()

    def _move(self):
        if self.waiting[-1] is not None:
            self.last(*self.waiting[-1])
            # Before a batch has left there are metrics that do not exist yet.
            self._logs = self._logs or self._compiled(self.model.get_metrics_result)
        working = [index for index, batch in enumerate(self.waiting[:-1]) if batch is not None]
        results = {}
        for group in self._groups(working):
            results |= self._work(group)
            mark_trained(self.model, group)
        self.waiting = [None] * len(self.waiting)
        for index, batch in results.items():
            self.waiting[index + 1] = (batch,)

    def _groups(self, working):
        """The layers that may work at the same time, in the order of the groups."""
        negatives = self.model.negatives
        scores_first = self.model.has_metrics and self.model.scoring_passes > 1
        if not (scores_first or (negatives is not None and negatives.needs_scores)):
            return [working]
        return [[index for index in working if index], [index for index in working if not index]]

    def _work(self, indices):
        """What these layers make of what waits for them, by index; devices work side by side."""
        runs = [[index for index in run if index in indices] for run in self._runs]
        shapes = {(index, self._shape(index)) for index in indices}
        # Functions are compiled one after the other.
        side_by_side = len(runs) > 1 and shapes <= self._compiled_for
        each = self._threads.map if side_by_side else map
        results = [result for of_run in each(self._work_on_device, runs) for result in of_run]
        self._compiled_for |= shapes
        return dict(results)

    def _work_on_device(self, run):
        results = []
        for index in reversed(run):
            with on_device(self.model.layer_devices[index]):
                results.append((index, self.stages[index](*self.waiting[index])))
        return results

    def _shape(self, index):
        """Shape of the samples that wait for a layer."""
        x = self.waiting[0][0] if index == 0 else self.waiting[index][0]["data"][0]
        return tuple(x.shape)

    # A batch is a dictionary of tensors between the stages, which are compiled one by one.

    def _first_stage(self, x, y, sample_weight):
        samples, batch, metrics = self.model.begin_step(x, y, sample_weight)
        self._batch = batch.replace(inputs=None, stream_labels=None, perturbation=None)
        return self._learn(batch, (samples, y, sample_weight), metrics)

    def _stage(self, index):
        def stage(passed):
            batch = self._batch.replace(layer=index).with_tensors(passed["tensors"])
            return self._learn(batch, passed["data"], passed["metrics"])

        return stage

    def _learn(self, batch, data, metrics):
        schedule = self.model.layer_schedule
        of_layer, batch = schedule.step(self.model, batch, last=batch.layer)
        return {"tensors": batch.tensors(), "data": data, "metrics": [*metrics, *of_layer]}

    def _finish(self, passed):
        with self.model.optimizer.step():
            self.model.end_step(*passed["data"], passed["metrics"])
