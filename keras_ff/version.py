"""The version, which the command line says without importing Keras."""

from keras_ff_cli.version import __version__

__all__ = ["__version__"]
