"""How an `FFModel` learns from a batch and is measured on one."""

import functools

from keras import ops

from keras_ff import backends, readouts
from keras_ff.fast import activation_cache
from keras_ff.labels.labelled_samples import LabelledSamples, embedded
from keras_ff.models.passage import Passage
from keras_ff.models.pipeline import Pipeline

# Validation draws its negatives from here, so that it is repeatable and leaves training alone.
VALIDATION_SEED = 20220627


class LocalLearning:
    """Mixin of `FFModel`: the way of the data, and the steps of training and evaluation."""

    @property
    def layer_order(self):
        """The FF layers and those between them, as a batch passes them."""
        return self._order.layers

    @property
    def all_layers(self):
        """All layers as they were given, first to last."""
        return self.layer_order.all()

    @property
    def unsupervised(self):
        """Whether the layers learn without labels, from negatives that are images."""
        return self.label_embedding is None and not self.class_groups

    def embed(self, x, labels):
        """Samples with their labels, as the first layer takes them; `labels=None`: neutral."""
        if self.unsupervised:
            return self.negatives.neutral(x)
        if self.label_embedding is None:
            return ops.cast(x, "float32")
        return self.label_embedding(x, labels, self.num_classes)

    def activities(self, inputs):
        """Activities of every layer, as in scoring: a list, first to last.

        Args:
            inputs: embedded samples, a tensor, or labelled samples.
        """
        activities, entered = [], []
        for index, layer in enumerate(self.ff_layers):
            taken, shortcut = self.layer_order.enter(index, inputs, entered)
            activities.append(ops.stop_gradient(layer.enter(taken)))
            inputs = ops.stop_gradient(layer.hand_on(activities[-1], shortcut))
        return activities

    def goodness_of(self, activities):
        """Goodness of every layer's activities, a list; class groups give one figure a class."""
        per_class = {"num_classes": self.num_classes} if self.class_groups else {}
        return [
            layer.goodness(of_layer, **per_class)
            for layer, of_layer in zip(self.ff_layers, activities, strict=True)
        ]

    def streams(self, x, labels, seed=None):
        """Positives and negatives of a batch, one stream after the other.

        Args:
            x: tensor of shape (batch, ...).
            labels: int32 tensor of shape (batch,); `None` where there are none.
            seed: integer to draw the negatives from, in place of the training generator.

        Returns:
            Embedded samples of shape ((1 + negatives a sample) · batch, ...), positives first,
            and the number of streams.
        """
        inputs, streams = self._streams(x, labels, seed)
        return embedded(inputs), streams

    def _streams(self, x, labels, seed=None):
        """As `streams`, but embedded only where the first layer could not do so itself."""
        if self.class_groups:
            return self.embed(x, None), 1
        negatives, size = self.negatives, ops.shape(x)[0]
        # Drawn for the whole batch, of which this may be one replica's part.
        whole_x, whole_labels = backends.gathered(x), backends.gathered(labels)
        if negatives.are_images:
            streams = 1 + negatives.count
            images = [negatives.positives(whole_x, seed), negatives.images(whole_x, seed)]
            images = backends.own_rows(ops.concatenate(images), size, streams)
            if self.unsupervised:
                return images, streams
            wrong = negatives.labels(whole_labels, self.num_classes, seed)
            every = self._true_and_wrong(labels, backends.own_rows(wrong, size))
            samples = LabelledSamples(
                self.label_embedding, images, every, self.num_classes, own_samples=True
            )
            return samples, samples.streams
        scores = self.readout.scores(self, x) if negatives.needs_scores else None
        wrong = negatives.labels(
            whole_labels, self.num_classes, seed, whole_x, backends.gathered(scores)
        )
        every = self._true_and_wrong(labels, backends.own_rows(wrong, size))
        samples = LabelledSamples(self.label_embedding, x, every, self.num_classes)
        if not negatives.adjusts:
            return samples, samples.streams
        positive, negative = ops.split(ops.stop_gradient(samples.embedded()), 2)
        adjusted = negatives.adjust(negative, self._first_goodness)
        samples.move = ops.concatenate([ops.zeros_like(positive), adjusted - negative])
        return samples, samples.streams

    @staticmethod
    def _true_and_wrong(labels, wrong):
        """True labels above wrong ones: int32 tensor of shape (streams, batch)."""
        wrong = ops.expand_dims(wrong, 1) if len(wrong.shape) == 1 else wrong
        return ops.concatenate([ops.expand_dims(labels, 0), ops.transpose(wrong)], axis=0)

    def _first_goodness(self, samples):
        """Goodness of the first layer for embedded samples."""
        taken, _ = self.layer_order.enter(0, samples, [])
        return self.ff_layers[0].goodness(self.ff_layers[0](taken))

    def samples(self, x, y=None, seed=0):
        """Positive, negative and neutral samples, as the first layer is given them.

        Args:
            x: array of shape (batch, ...).
            y: integer array of shape (batch,); may be `None` where learning needs no labels.
            seed: integer to draw from. Defaults to `0`.

        Returns:
            A dictionary of float32 arrays: `"positive"` and `"neutral"` of shape (batch, ...),
            `"negative"` of shape (negatives a sample, batch, ...). Class groups have positives
            alone.
        """
        x = self._checked_input(x)
        if not self.built:
            self.build(tuple(x.shape))
        streams, number = self.streams(x, self._class_labels(y), seed)
        streams = ops.convert_to_numpy(streams)
        streams = streams.reshape(number, -1, *streams.shape[1:])
        if self.class_groups:
            return {"positive": streams[0]}
        neutral = ops.convert_to_numpy(self.embed(x, None))
        return {"positive": streams[0], "negative": streams[1:], "neutral": neutral}

    def learn_from(self, x, y=None, sample_weight=None):
        """One training step on a batch: each learning layer takes its own.

        Args:
            x: tensor of shape (batch, ...).
            y: labels of shape (batch,), (batch, 1) or, one-hot, (batch, num_classes); `None`
                where learning needs none.
            sample_weight: tensor of shape (batch,), or `None`.

        Returns:
            The logs, a dictionary.
        """
        passage, data = self.arrive(x, y, sample_weight)
        gathering = self.optimizer.begin_step()
        total, class_goodness = 0.0, []
        if not self._readout_alone:
            total, class_goodness = self._learn_in_turn(passage, gathering)
        self.leave(*data, total, class_goodness, gathering)
        return self.get_metrics_result()

    def get_metrics_result(self):
        """Logs of the figures and metrics so far; without labels there is nothing to score."""
        if self._scored and (self._compile_metrics is None or self._compile_metrics.built):
            return super().get_metrics_result()
        logs = {}
        for metric in self.metrics:
            if metric is not self._compile_metrics:
                result = metric.result()
                logs.update(result if isinstance(result, dict) else {metric.name: result})
        return logs

    def _get_metrics_result_or_logs(self, logs):
        """Figures of an epoch, which Keras takes from here when its last batch has come."""
        if self.layer_schedule.delayed:
            # Those of the last step lack what the batches add that were under way then.
            self.drain()
            logs = self.get_metrics_result()
        return super()._get_metrics_result_or_logs(logs)

    def _flatten_metrics_in_order(self, logs):
        """Logs as Keras's list of values; layers' figures, of one metric each, in their order."""
        names = [name for metric in self.figures for name in metric.log_names if name in logs]
        others = {name: value for name, value in logs.items() if name not in names}
        values = super()._flatten_metrics_in_order(others)
        values = values if isinstance(values, list) else [values]
        return [*values, *[logs[name] for name in names]]

    # The step in three parts, which a pipeline takes one by one.

    def arrive(self, x, y, sample_weight):
        """A batch before the first layer, and the data that are needed behind the last."""
        self._scored = y is not None
        _, rows = activation_cache.rows_of(x)
        x = self._checked_input(x)
        self._build_for(x)
        if self._has_metrics and self.readout_passes > 1 and not self._readout_alone:
            self._score_share(x, y, sample_weight)
        passage = None
        if not self._readout_alone:
            passage = self._passage(x, self._class_labels(y), sample_weight, rows=rows)
        return passage, (x, y, sample_weight)

    def prepare_frozen(self):
        """Keep what the frozen layers answer, for the layer that learns now."""
        kept = self._frozen.kept
        if kept is not None and kept.prepare(self.learning_layers[0]):
            self.make_train_function(force=True)

    def learn_chains(self, passage, chains, gathering):
        """Local steps of chains of layers.

        Returns:
            The sum of their losses, and of class groups a list with the class goodness of each
            layer.
        """
        total, class_goodness = 0.0, []
        for chain in chains:
            learns = self.learns(chain)
            if learns:
                figures = passage.teach(chain, self.learning_layers, gathering)
            else:
                figures = [passage.measure(index) for index in chain]
            for index, of_layer in zip(chain, figures, strict=True):
                self.figures[index].update_state(of_layer, passage.size)
                if self.class_groups:
                    class_goodness.append(of_layer["class_goodness"])
                if learns and index in self.learning_layers:
                    total = total + of_layer["loss"]
        return total, class_goodness

    def learns(self, chain):
        """Whether a chain of layers, a tuple of indices, takes a step."""
        own = [
            variable for index in chain for variable in self.ff_layers[index].trainable_variables
        ]
        return chain[-1] in self.learning_layers and bool(own)

    def count_trained(self, chains):
        """Let those layers that have learned now take part in scores."""
        learned = max((chain[-1] + 1 for chain in chains if self.learns(chain)), default=0)
        if learned:
            self.layers_trained.assign(ops.maximum(self.layers_trained, learned))

    @property
    def first_layer_asks_others(self):
        """Whether all layers are asked for scores before the first layer takes a step."""
        scored = self._has_metrics and self.readout_passes > 1
        return scored or (self.negatives is not None and self.negatives.needs_scores)

    def leave(self, x, y, sample_weight, total, class_goodness, gathering):
        """What a step does behind the last layer: the readout's own step, and metrics."""
        if self._has_head and y is not None:
            labels = self._class_labels(y)
            scores, head_loss = self.readout.train_step(self, x, labels, sample_weight, gathering)
            total = head_loss if self._readout_alone else total
            self.compute_metrics(x, y, scores, sample_weight)
        elif self._has_metrics and self.class_groups:
            scores = self.readout.total(self, class_goodness)
            self.compute_metrics(x, y, scores, sample_weight)
        self.optimizer.end_step(gathering)
        self._loss_tracker.update_state(total, sample_weight=ops.shape(x)[0])

    def make_pipeline(self, renewed):
        """The pipeline by which a delayed layer schedule trains; `None` for all others."""
        if not self.layer_schedule.delayed or self._readout_alone:
            return None
        if self._under_way.pipeline is None or renewed:
            self.drain()
            self._under_way.pipeline = Pipeline(self)
        return self._under_way.pipeline

    def drain(self):
        """Let the layers work off the batches that a delayed layer schedule has under way.

        `fit` and `evaluate` do so by themselves; a loop over `train_on_batch` should at its end.
        """
        if self._under_way.pipeline is not None:
            self._under_way.pipeline.drain()

    def _learn_in_turn(self, passage, gathering):
        def learn(chains):
            answer = self.learn_chains(passage.copy(), chains, gathering)
            self.count_trained(chains)
            return answer

        ways = [
            functools.partial(learn, chains)
            for chains in self.layer_schedule.chains(self.learning_layers)
        ]
        if len(ways) == 1:
            return ways[0]()
        return backends.choose(ops.equal(self.optimizer.iterations % 2, 0), ways)

    def _passage(self, x, labels, sample_weight, seed=None, rows=None):
        """A batch before the first layer, or behind those whose answers to `rows` are kept."""
        inputs, streams = self._streams(x, labels, seed)
        size = ops.shape(x)[0]
        passage = Passage(self.layer_order, inputs, streams, size, labels, sample_weight)
        if rows is not None and self._frozen.kept.index > 0:
            every = None if self.class_groups else inputs.labels
            passage.skip(*self._frozen.kept.look_up(rows, every))
        return passage

    def score_on(self, x, y=None, sample_weight=None):
        """One step of `evaluate`: losses, figures and metrics of a batch, without learning.

        Args and returns as for `learn_from`.
        """
        self._scored = y is not None
        x = self._checked_input(x)
        self._build_for(x)
        labels = self._class_labels(y)
        if self._readout_alone:
            scores, loss = self.readout.scores_and_loss(self, x, labels, sample_weight)
            self._loss_tracker.update_state(loss, sample_weight=ops.shape(x)[0])
            return self.compute_metrics(x, y, scores, sample_weight)
        trained = self.trained()
        total, class_goodness = 0.0, []
        passage = self._passage(x, labels, sample_weight, VALIDATION_SEED)
        weight = ops.cast(ops.shape(x)[0], "float32")
        for index in range(len(self.ff_layers)):
            figures = passage.measure(index)
            total = total + trained[index] * figures["loss"]
            class_goodness.append(figures.get("class_goodness"))
            self.figures[index].update_state(figures, trained[index] * weight)
        self._loss_tracker.update_state(total, sample_weight=weight)
        if y is None:
            return self.get_metrics_result()
        if self._has_head:
            return self.compute_metrics(x, y, self.readout.scores(self, x), sample_weight)
        if self.class_groups:
            class_goodness = self.readout.with_other_views(self, x, class_goodness)
        else:
            class_goodness = self.readout.of_layers(self, x)
        self.readout.judge(self, class_goodness, labels)
        scores = self.readout.total(self, class_goodness)
        return self.compute_metrics(x, y, scores, sample_weight)

    def _build_for(self, x):
        """Create what variables are missing, with their values, though a step may be traced."""
        if not (self.built and self.optimizer.built):
            with backends.outside_graph():
                if not self.built:
                    self.build(tuple(x.shape))
                self.optimizer.build(self.trainable_variables)

    def _score_share(self, x, y, sample_weight):
        """Measure metrics on one in `num_classes` samples, so that K passes cost as much as one."""
        count = (ops.shape(x)[0] + self.num_classes - 1) // self.num_classes
        weight = None if sample_weight is None else sample_weight[:count]
        self.compute_metrics(x[:count], y[:count], self.readout.scores(self, x[:count]), weight)

    @property
    def readout_passes(self):
        """Passes through the network that scoring a sample takes: one, or one a class."""
        return 1 if self._has_head or self.class_groups else self.num_classes

    @property
    def _has_head(self):
        return isinstance(self.readout, readouts.Softmax)

    @property
    def _has_metrics(self):
        compiled = self._compile_arguments
        return bool(compiled.metrics or compiled.weighted_metrics)

    def _class_labels(self, y):
        """Labels as int32 of shape (batch,), from integers or one-hot rows; `None` stays."""
        if y is None:
            return None
        if len(y.shape) == 2 and y.shape[1] == self.num_classes:
            return ops.cast(ops.argmax(y, axis=1), "int32")
        return ops.cast(ops.reshape(y, (-1,)), "int32")

    def _checked_input(self, x):
        if self._frozen.kept is not None:
            x, _ = activation_cache.rows_of(x)
        if isinstance(x, (dict, list, tuple)):
            raise ValueError(
                "The model takes one input, a tensor of shape (batch, ...). "
                f"Received: a {type(x).__name__} of {len(x)}"
            )
        x = ops.convert_to_tensor(x)
        if self._sample_shape is not None and tuple(x.shape[1:]) != self._sample_shape:
            raise ValueError(
                f"The model was built for samples of shape {self._sample_shape}. "
                f"Received: x of shape {tuple(x.shape)}"
            )
        return x
