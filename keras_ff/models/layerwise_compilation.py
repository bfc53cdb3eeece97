"""Compiling a model whose layers have each a loss and an optimizer of their own."""

import types

import keras

from keras_ff import losses as ff_losses
from keras_ff.models import arguments
from keras_ff.optimizers.layer_optimizers import LayerOptimizers
from keras_ff.optimizers.loss_scale import LayerLossScale
from keras_ff.optimizers.optimizer_template import OptimizerTemplate
from keras_ff.utils.devices import on_device


class LayerwiseCompilation:
    """Mixin of `FFModel`: `compile`, and its configuration for saving."""

    def compile(
        self,
        optimizer="adam",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
    ):
        """Configure training.

        Args:
            optimizer: a Keras optimizer, by name or object. Every layer gets a copy, except those
                with one of their own. `model.optimizer.optimizers` lists them. Defaults to
                `"adam"`.
            loss: name or object of `keras_ff.losses`, for every layer without one of its own; for
                class groups also Keras's sparse categorical cross-entropy on logits. Defaults to
                `None`: `"symba"`, and for class groups `"sparse_categorical_crossentropy"`.
            loss_weights: refused; every layer has a loss and an optimizer of its own.
            metrics, weighted_metrics, run_eagerly, steps_per_execution, jit_compile: as for
                `keras.Model.compile`.

        Raises:
            ValueError: if the loss is none of `keras_ff.losses`, does not fit the layers,
                `loss_weights` is given, or the layer schedule does not go with mixed float16
                (`Pipelined`; `Alternating` unless it runs eagerly).
        """
        if loss_weights is not None:
            raise ValueError(
                "FFModel has one output, and every layer its own loss and optimizer; set a "
                f"layer's learning rate instead. Received: loss_weights={loss_weights!r}"
            )
        if loss is None:
            loss = "sparse_categorical_crossentropy" if self.class_groups else "symba"
        loss = ff_losses.get(loss)
        # Batches under way are worked off by the layers as they were compiled.
        self.drain()
        self._under_way.pipeline = None
        template = OptimizerTemplate(arguments.needed(optimizer, "optimizer"))
        # In a namespace, because Keras would take metrics in a dictionary for the model's state.
        self._compile_arguments = types.SimpleNamespace(
            optimizer=template,
            loss=loss,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        for index, layer in enumerate(self.ff_layers):
            chosen = layer.own_loss or loss
            with on_device(self.layer_devices[index]):
                optimizer = (layer.own_optimizer or template).copy(name=f"layer_{index + 1}")
                layer.set_objective(chosen.for_layer(index, len(self.ff_layers)), optimizer)
        owners = list(self.ff_layers)
        if self._has_head:
            self.readout.optimizer = (self.readout.own_optimizer or template).copy(name="readout")
            owners.append(self.readout)
        together = LayerOptimizers(owners, self.layer_devices)
        if self.dtype_policy.name == "mixed_float16":
            # Gradients that are gathered until a step's end cannot leave a branch of its graph.
            in_branches = self.layer_schedule.layers_per_gradient > 1 and not run_eagerly
            if self.layer_schedule.delayed or in_branches:
                raise ValueError(
                    "Under mixed_float16 all layers share one loss scale and step together; use "
                    "mixed_bfloat16 or another layer schedule. "
                    f"Received: layer_schedule={self.layer_schedule!r}"
                )
            together = LayerLossScale(together)
        super().compile(
            optimizer=together,
            metrics=metrics or None,
            weighted_metrics=weighted_metrics or None,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        self.loss = loss

    def get_compile_config(self):
        if not self.compiled:
            return None
        config = dict(vars(self._compile_arguments))
        config["optimizer"] = config["optimizer"].get_config()
        return keras.saving.serialize_keras_object(config)

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)
