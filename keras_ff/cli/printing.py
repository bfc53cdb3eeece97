"""What several commands print."""

import shlex
import sys


def command(*words):
    """Words as a command that a shell takes as they are."""
    return shlex.join(map(str, words))


def outcome(metrics):
    """Dataset, accuracies, epochs and seconds in one sentence."""
    text = f"{metrics['dataset']}: test accuracy {100 * metrics['test_accuracy']:.2f} %"
    if metrics["validation_accuracy"] is not None:
        text += f", validation accuracy {100 * metrics['validation_accuracy']:.2f} %"
    if metrics["epochs"] is not None:
        text += f", {metrics['epochs']} epochs"
    if metrics["seconds"] is not None:
        text += f" in {metrics['seconds']:.1f} s"
    return text + "."


def verbosity():
    """A progress bar on a terminal, a line per epoch anywhere else."""
    return 1 if sys.stdout.isatty() else 2


def how_to_find(folder, name):
    """How a preset in a folder is found by its name."""
    from keras_ff import zoo

    found = zoo.list_presets().get(name)
    if found is not None and found.folder.resolve() == (folder / name).resolve():
        return f"Look at it: {command('keras-ff', 'zoo', 'show', name)}"
    variable = command(f"{zoo.VARIABLE}={folder.resolve()}")
    return f"Have it found by its name: export {variable}"
