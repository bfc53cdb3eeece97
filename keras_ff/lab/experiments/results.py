"""What an experiment found, in a file, with what it depends on beside it."""

from keras_ff import training


def write(path, result, show=True):
    """Write a result as JSON, with the versions and the machine that it was found with."""
    result = {**result, "versions": training.versions(), "machine": training.machine()}
    path.parent.mkdir(parents=True, exist_ok=True)
    training.write_json(path, result)
    if show:
        print(path.read_text(encoding="utf-8"), end="")
