"""The private names of Keras that the package needs, and why.

A new Keras may change any of them: `tests/utils/test_keras_internals.py` names the one that is
gone, and finds private names that are used and not listed here.
"""

import contextlib

# What is asked of layers, models and optimizers, or overridden in them, by the class that has it.
PRIVATE = {
    "Layer": {
        "_call_has_training_arg": "`training` is passed to the layers alone that take it",
        "_clear_losses": "penalties of a call that Keras does not see are forgotten as it does",
        "_flatten_layers": "all layers within one, however deep",
        "_losses": "penalties of a layer by itself, without those of the layers within it",
        "_seed_generators": "whether a layer itself, and none within it, draws at random",
        "_tracker": "a learned threshold or label map comes after the layer was built",
        "_untrack_variable": "a threshold that is not learned any more is forgotten",
    },
    "Model": {
        "_assert_compile_called": "the error of Keras for a model that is not compiled",
        "_compile_metrics": "built before a step is traced, and left out without labels",
        "_flatten_metrics_in_order": "overridden: `evaluate` lists layers in their order",
        "_get_metrics_result_or_logs": "overridden: a pipeline is drained first",
        "_loss_tracker": "the model's loss is the sum of its layers'",
        "_symbolic_build": "overridden: without labels there are no metrics to build",
    },
    "TensorFlow model": {
        "_distribute_strategy": "replicas take other ways",
        "_maybe_symbolic_build": "overridden: variables are made without drawing a batch",
    },
    "JAX model": {
        "_get_jax_state": "overridden: no two variables may share an array",
        "_jax_state": "what a failed step leaves is put back",
        "_jax_state_synced": "a pipeline's stages work on the variables themselves",
        "_make_function": "overridden: every step's state is remembered",
    },
    "PyTorch layer": {"_call_impl": "overridden: its `forward` is not that of an FF layer"},
    "Optimizer": {
        "_get_variable_index": "where the moments of a weight stand",
        "_iterations": "the model's steps, which TensorBoard counts by",
        "_learning_rate": "a schedule itself, rather than its value now",
        "_model_variables_moving_average": "averages begin with the weights",
        "_momentums": "Adam's first moments, for PyTorch's kernel",
        "_trainable_variables": "the weights that averages belong to",
        "_use_weight_decay": "compiled steps differ in which weights decay",
        "_velocities": "Adam's second moments, for PyTorch's kernel",
    },
    "PyTorch optimizer": {"_parallel_update_step": "overridden: Adam by PyTorch's kernel"},
    "Muon": {"_should_use_adamw": "overridden: kernels of convolutions are matrices"},
    "MultiOptimizer": {"_optimizer_map": "which layer a weight belongs to"},
    "LossScaleOptimizer": {
        "_common_apply": "overridden: a condition whose branches assign variables under JAX",
        "_stateful_handle_finite_grads": "overridden: layers may have no gradient",
        "_stateful_handle_non_finite_grads": "one of the branches of `_common_apply`",
    },
    "Tuner": {"_build_hypermodel": "a model of the data that a search was given is built by it"},
    "Variable": {"_value": "a compiled step works on other variables in its place"},
    "TensorBoard callback": {
        "_should_trace": "profiling keeps the batches it was asked for",
        "_train_dir": "the folder of the projector",
        "_train_writer": "pictures and histograms go where scalars go",
        "_val_writer": "the same, for validation data",
    },
    "Epoch iterator": {"_distributed_dataset": "the shapes of a batch, without drawing one"},
}


def keep_frozen(layer):
    """Freeze all that a layer holds, once it is built, where the layer itself is frozen.

    Keras's constructors, and so all that reads a configuration, set `trainable` before a layer has
    parts and weights, and those that come later do not learn of it.
    """
    if not layer.trainable:
        layer.trainable = True  # what is false already Keras does not set again
        layer.trainable = False


def parts(layer):
    """A layer and all layers within it, however deep."""
    return list(layer._flatten_layers())


def is_preprocessing(layer):
    """Whether it is one of Keras's preprocessing layers, which have no public base, or a subclass.

    Those are of samples: augmentation, resizing, cropping, vocabularies, categories, spectra.
    """
    kinds = [kind.__module__ for kind in type(layer).__mro__]
    return any(kind.startswith("keras.src.layers.preprocessing.") for kind in kinds)


def draws(layer):
    """Whether a layer by itself, without those within it, draws at random."""
    return bool(layer._seed_generators)


def training_argument(layer, training):
    """`training=` for the Keras layers that take it, as keyword arguments."""
    return {"training": training} if layer._call_has_training_arg else {}


@contextlib.contextmanager
def unlocked(layer):
    """Variables and layers may be added though the layer is built, as when a model is loaded."""
    locked = layer._tracker.locked
    layer._tracker.unlock()
    yield
    if locked:
        layer._tracker.lock()


def untrack(layer, variable):
    """Forget a variable that the layer does not need any more."""
    layer._untrack_variable(variable)


def clear_losses(layer):
    """Forget the penalties of an earlier call, as Keras does where it calls a layer itself."""
    layer._clear_losses()


def has_losses(layer):
    """Whether the last call of a layer, or of one within it, added penalties."""
    return any(part._losses for part in layer._flatten_layers())


def has_activity_regularizer(layer):
    """Whether a layer, or one within it, penalises activities."""
    return any(part.activity_regularizer for part in layer._flatten_layers())
