"""LayerSchedule: the base of layer schedules."""

import itertools

from keras import ops

from keras_ff import backends, fast
from keras_ff.utils import registry


def learns(model, index):
    """Whether FF layer `index` of a model takes a step of its own on the next batch."""
    return index in model.learning_layers and bool(model.ff_layers[index].trainable_variables)


def mark_trained(model, indices):
    """Let those of a model's layers that have learned take part in scores."""
    learned = max((index + 1 for index in indices if learns(model, index)), default=0)
    if learned:
        model.layers_trained.assign(ops.maximum(model.layers_trained, learned))


class LayerSchedule(registry.Part):
    """Base of the layer schedules."""

    # FF layers that one gradient passes.
    layers_per_gradient = 1
    # Whether a layer works on what the one before it produced a step earlier.
    delayed = False
    # Whether activities of frozen layers are kept from epoch to epoch.
    caches = False
    # Whether layers have devices of their own.
    places_layers = False
    # Whether the epochs of `fit` are divided among the layers.
    divides_epochs = False
    # Whether layers learn, and not the readout alone.
    trains_layers = True

    def learning_layers(self, epoch, epochs, num_layers):
        """Indices of the layers that learn in an epoch, lowest first.

        A pure function, so that a training that is interrupted and resumed with
        `initial_epoch`, or a model that is saved and loaded, goes on where it stood.

        Args:
            epoch: integer from 0, as Keras counts.
            epochs: integer, what `fit` was given: the number of the last epoch plus one.
            num_layers: integer, number of FF layers.

        Returns:
            A tuple of integers.
        """
        raise NotImplementedError

    def for_layers(self, indices, num_layers):
        """The schedule of some of a model's layers, which are to have all of its epochs."""
        del indices, num_layers
        return self

    def devices_of(self, num_layers):
        """Names of the devices that the layers live on, `None` for the default one."""
        return [None] * num_layers

    def step(self, model, batch, last=None):
        """One training step: layer by layer, each learns by itself or passes the batch on.

        Args:
            model: the `FFModel`.
            batch: the `keras_ff.layers.Batch` in front of a layer.
            last: integer, index of the last layer that takes it. Defaults to `None`: the last
                one that learns.

        Returns:
            The layers' metrics, a list of dictionaries, and the batch behind them.
        """
        stepper = fast.stepper(model)
        last = model.learning_layers[-1] if last is None else last
        metrics = []
        for index in range(batch.layer, last + 1):
            layer, is_learning = model.ff_layers[index], learns(model, index)
            if is_learning and model.stack.learns_before(index):
                (of_layer,), batch = chain_step(model, batch, (index,))
            elif is_learning:
                batch = model.stack.enter(batch, training=True)
                of_layer, batch = stepper.step(layer, batch)
            else:
                batch = model.stack.enter(batch, augment=True)
                of_layer, batch = layer.test_step(batch, fast.forward(layer, batch))
            metrics.append(of_layer)
        return metrics, batch

    def waiting_loss(self, model, batch, begins):
        """The loss of the layers that a batch does not reach, a scalar.

        It is measured once where it is not known, in the first stage of `fit` alone (`begins`).
        """
        waiting = model.layer_metrics[batch.layer :]
        if not waiting:
            return 0.0

        def measure():
            for of_layer, metrics in zip(waiting, self.test(model, batch), strict=True):
                loss = ops.cast(ops.mean(metrics["loss"]), "float32")
                known = ops.convert_to_tensor(of_layer.waiting_loss)
                of_layer.waiting_loss.assign(ops.where(ops.isinf(known), loss, known))

        if begins and backends.is_replicated():
            measure()  # terms that compare the samples of all replicas cannot stand in a branch
        elif begins:
            unknown = ops.isinf(waiting[0].waiting_loss)
            backends.cond(unknown, [measure, lambda: None])
        return sum(ops.cast(of_layer.waiting_loss, "float32") for of_layer in waiting)

    def test(self, model, batch):
        """Metrics of all layers from a batch on, a list of dictionaries, without learning."""
        metrics = []
        for layer in model.ff_layers[batch.layer :]:
            batch = model.stack.enter(batch)
            of_layer, batch = layer.test_step(batch, fast.forward(layer, batch))
            metrics.append(of_layer)
        return metrics

    def start(self, model):
        """What runs training in the place of Keras's loop over steps; `None` for most."""
        del model
        return None


def chain_step(model, batch, chain):
    """A local step of neighbouring layers by the loss of the last one.

    What stands before a layer is under its tape too.
    """
    layers = [model.ff_layers[index] for index in chain]
    variables = [
        layer.trainable_variables if learns(model, index) else []
        for index, layer in zip(chain, layers, strict=True)
    ]

    def objective():
        # What is traced for a gradient must not stay behind.
        passed, metrics = batch, []
        for layer in layers:
            passed = model.stack.enter(passed, training=True)
            of_layer, outputs = layer.objective(passed, training=True)
            passed = passed.next(outputs)
            metrics.append(of_layer)
        return layers[-1].scaled_loss(metrics[-1]), (metrics, passed.tensors())

    (_, (metrics, tensors)), gradients = backends.value_and_grad(
        objective, [variable for of_layer in variables for variable in of_layer]
    )
    for layer, of_layer in zip(layers, variables, strict=True):
        own, gradients = gradients[: len(of_layer)], gradients[len(of_layer) :]
        if layer is not layers[-1]:
            # What belongs to its own objective has no part in that of the chain's last layer.
            has_part = [gradient is not None for gradient in own]
            own = list(itertools.compress(own, has_part))
            of_layer = list(itertools.compress(of_layer, has_part))
        layer.optimizer.apply(own, of_layer)
    behind = batch.next(None).replace(layer=batch.layer + len(chain)).with_tensors(tensors)
    return metrics, behind.replace(inputs=ops.stop_gradient(behind.inputs))
