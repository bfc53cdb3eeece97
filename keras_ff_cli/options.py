"""How commands and their options are declared.

Options that are not given are absent, so that defaults are the function's, the dataset's or the
run's.
"""

import argparse
import os
import pathlib


def path(text):
    """A path with `~` expanded, as the type of an option; an empty one is refused."""
    if not text:  # it would mean the current folder
        raise argparse.ArgumentTypeError("A path must not be empty. Received: ''")
    # Unlike `Path.expanduser` it leaves the home of nobody as it is.
    return pathlib.Path(os.path.expanduser(text))  # noqa: PTH111


DATA_DIR = {"type": path, "metavar": "FOLDER", "help": "TFDS's folder of prepared datasets"}


def add_command(commands, name, function, help, description):
    """A command that runs a function, named as "module:function", with the options given."""
    parser = commands.add_parser(
        name,
        help=help,
        description=description,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.set_defaults(command=function)
    return parser
