"""How the convenience layers are saved."""


class TransformArguments:
    """Mixin of the conveniences: their configuration is that of the Keras layer they wrap.

    `transform_arguments` names the constructor's arguments that belong to the transform.
    """

    transform_arguments = ()

    def get_config(self):
        config = super().get_config()
        transform = config.pop("transform")["config"]
        return {**config, **{name: transform[name] for name in self.transform_arguments}}
