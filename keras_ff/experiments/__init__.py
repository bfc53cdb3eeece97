"""The former place of `keras_ff.lab.experiments`, whose modules are found here as well."""

from keras_ff.lab import experiments

__path__ = experiments.__path__
