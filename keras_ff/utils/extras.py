"""Packages that the core does without, and the extras of keras_ff that install them."""

import importlib.util

# What is not installed under the name by which it is imported.
DISTRIBUTIONS = {
    "keras_tuner": "keras-tuner",
    "pynvml": "nvidia-ml-py",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
}


class MissingExtraError(ImportError, ValueError):
    """A package is missing that one of keras_ff's extras installs.

    An `ImportError` to whoever tries what can be done here, and a `ValueError` as everything else
    that cannot be done as it was asked for, which the command line says in one sentence.
    """


def require(users, extra, *modules):
    """Say in one sentence what is missing, before work begins that needs it.

    Nothing is imported.

    Args:
        users: string, what needs the modules, in the plural: the beginning of the sentence.
        extra: string, the extra that installs them.
        *modules: names under which the packages are imported.

    Raises:
        MissingExtraError: if one of them is not installed.

    Example:

    >>> require("Numbers", "all", "numpy")
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(DISTRIBUTIONS.get(name, name) for name in missing)
        raise MissingExtraError(
            f"{users} need {names}: pip install 'keras_ff[{extra}]'.", name=missing[0]
        )
