"""What `fit` goes by: the layer schedule, the stages, the compiled steps."""

from keras_ff.fast.activation_cache import Shelf


class Fitting:
    """What is under way in a model's training; nothing of it is a weight.

    Attributes:
        schedule: the layer schedule that `fit` goes by.
        runner: what trains in the place of Keras's loop over steps; `None` for most schedules.
        cache: what frozen layers gave for the samples of `fit`, or `None`.
        borrowed: the same of another model, whose layers below are equal.
        shelf: where compiled steps find it.
        labelled: whether the last step had labels.
        stages: the stages of the last `fit`, so far.
        begins: whether the first of them is under way.
        steps: compiled steps and runners by what they depend on.
        step: which of them is in place.
        test_steps: compiled steps of `evaluate`, by whether layers are measured.
    """

    def __init__(self, schedule):
        self.schedule = schedule
        self.runner = self.cache = self.borrowed = self.step = None
        self.shelf = Shelf()
        self.labelled = self.begins = True
        self.stages = []
        self.steps, self.test_steps = {}, {}

    def step_of(self, model):
        """What a model's compiled step depends on: who learns, before all."""
        return (
            model.learning_layers,
            self.schedule.trains_layers,
            self.begins,
            # What has been frozen or freed since.
            tuple(len(layer.trainable_variables) for layer in model.ff_layers),
            # The layer whose input is looked up.
            self.cache.index if self.cache is not None else 0,
        )

    def choose_step(self, model):
        """Put the compiled step in place that suits who learns; each is kept until `compile`.

        Which layers learn is part of a step: none above them is even computed.
        """
        step = self.step_of(model)
        if model.train_function is None:  # not made yet, or let go by Keras, as for `quantize`
            self.steps = {}
            return
        if step == self.step:
            return
        model.drain()
        self.steps[self.step] = model.train_function, self.runner
        model.train_function, self.runner = self.steps.get(step, (None, None))
        self.step = step
        if model.train_function is None:
            model.make_train_function()

    def use(self, model, schedule):
        """Go by another schedule, with the steps that were compiled for it before, if any."""
        model.drain()
        if model.test_function is None:  # Keras has let it go, as for `quantize`
            self.test_steps = {}
        self.test_steps[self.schedule.trains_layers] = model.test_function
        self.schedule = schedule
        model.test_function = self.test_steps.get(schedule.trains_layers)
        if model.train_function is None:
            self.runner = None
        self.choose_step(model)

    def forget_steps(self):
        """Drop the compiled steps and what runs them."""
        self.runner, self.steps, self.test_steps = None, {}, {}

    def forget_cache(self, model):
        """Drop what frozen layers gave."""
        self.cache = None
        self.shelf.clear()
        self.choose_step(model)

    def start(self, model, renewed):
        """The runner of a model's schedule, a new one where compiled steps are renewed."""
        if renewed or self.runner is None:
            model.drain()
            self.runner = self.schedule.start(model)
        return self.runner
