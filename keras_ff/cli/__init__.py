"""The command line: `keras-ff train`, `tune`, `evaluate`, `zoo`, `report`, `reproduce` and
`bench`.

A module per command holds what the command does; its options are in `keras_ff_cli`, which parses
them before Keras is imported.
"""

from keras_ff_cli import running

__all__ = ["main"]


def main(argv=None):
    """Run a command.

    Args:
        argv: list of strings, the words after `keras-ff`. Defaults to `None`: those that the
            process was started with.

    Returns:
        The exit code: 0, 1 where `zoo evaluate` finds a preset that is not what its card says, 2
        after one sentence on stderr about what was wrong with the command, its files or its data,
        130 where it was interrupted, or 141 where the output's reader went away, as `head` does.

    Example:

    >>> main(["--version"])
    keras-ff ...
    0
    """
    return running.run(argv)
