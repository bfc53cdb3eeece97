"""How the convenience layers are saved."""

# Arguments that all conveniences with a kernel and a bias pass on.
KERNEL_AND_BIAS = (
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


class TransformArguments:
    """Mixin of the conveniences: their configuration is that of the Keras layer they wrap.

    `transform_arguments` names the constructor's arguments that belong to the transform.
    """

    transform_arguments = ()

    def get_config(self):
        config = super().get_config()
        transform = config.pop("transform")["config"]
        own = {name: transform[name] for name in self.transform_arguments}
        if self.trainable and not self.transform.trainable:
            own["transform_trainable"] = False  # which is no argument: it is set afterwards
        return {**config, **own}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        transform_trainable = config.pop("transform_trainable", True)
        layer = super().from_config(config)
        if not transform_trainable:
            layer.transform.trainable = False
        return layer
