"""The former place of `keras_ff.lab.experiments`, whose commands still run from here."""

import pathlib

__path__ = [str(pathlib.Path(__file__).parents[1] / "lab" / "experiments")]
