"""What an experiment found, in a file, with what it depends on beside it."""

import json

from keras_ff import training


def write(path, result, show=True):
    """Write a result, with the versions and the machine that it was found with.

    Args:
        path: `pathlib.Path` of a JSON file.
        result: dictionary, ready for JSON.
        show: boolean. Whether to print it as well. Defaults to `True`.
    """
    result = {**result, "versions": training.versions(), "machine": training.machine()}
    text = json.dumps(result, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    if show:
        print(text)
