"""Parts by name: how a goodness, loss, negative, ... is found, described and saved."""

import difflib

import keras

PACKAGE = "keras_ff"


def registered(part):
    """Register a class with Keras, so that models holding it load without custom objects."""
    return keras.saving.register_keras_serializable(package=PACKAGE)(part)


def registered_class(name):
    """A class of keras_ff by its name, for those that lie below it."""
    return keras.saving.get_registered_object(f"{PACKAGE}>{name}")


class Part:
    """A small object without state, described by its constructor's arguments.

    Subclasses list these arguments in `get_config`, as Keras objects do. Two parts of one class
    with equal configurations are equal.
    """

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), repr(self.get_config())))

    def __repr__(self):
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def nearest(name, names, otherwise=None):
    """A sentence naming the valid names closest to `name`; where none is, all or `otherwise`."""
    close = difflib.get_close_matches(str(name).lower(), names, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(repr(match) for match in close) + "?"
    if otherwise is not None:
        return otherwise
    return "Valid names: " + ", ".join(repr(valid) for valid in sorted(names)) + "."


def get(identifier, kind, known, what):
    """The part that `identifier` stands for.

    A name out of `known` becomes a new part and a configuration (a dictionary) the part that it
    describes; an instance of `kind`, a class or tuple of classes, and `None` stay as they are.
    Anything else, such as an unknown name, is a ValueError, in which the part is called `what`.
    """
    if identifier is None or isinstance(identifier, kind):
        return identifier
    if isinstance(identifier, str) and known:
        if identifier not in known:
            raise ValueError(
                f"Unknown {what}: {identifier!r}. {nearest(identifier, known)} "
                f"Received: {identifier!r}"
            )
        return known[identifier]()
    if isinstance(identifier, dict) and "class_name" in identifier:
        return get(keras.saving.deserialize_keras_object(identifier), kind, known, what)
    if isinstance(identifier, type):
        hint = f" Pass an instance: `{identifier.__name__}()`."
    else:
        hint = ""
    names = ", ".join(repr(name) for name in sorted(known))
    wanted = f"a name ({names}) or an object of keras_ff" if known else "a Keras layer"
    raise ValueError(f"A {what} must be {wanted}.{hint} Received: {identifier!r}")
