"""Files that are read only where they are the very ones that were written."""

import hashlib
import pathlib


def description(content):
    """What is written down of a file: its size in bytes and its SHA-256, in a dictionary."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def is_plain_name(name):
    """Whether a name is that of a file in the folder itself, on every system."""
    named = isinstance(name, str) and name not in ("", ".", "..")
    return named and not set(name) & set('/\\:\0"')


def read(folder, name, described):
    """The content of a file, if it is the one described.

    Args:
        folder: path.
        name: string, a plain file name.
        described: dictionary with `bytes` and `sha256`, as of `description`.

    Returns:
        The content, bytes.

    Raises:
        ValueError: if the file lies elsewhere, is missing, has another size, or other content.
    """
    path = pathlib.Path(folder) / name
    if not is_plain_name(name) or path.resolve().parent != pathlib.Path(folder).resolve():
        raise ValueError(
            f"A preset's files lie in its own folder, {str(folder)!r}. Received: {name!r}"
        )
    if not path.is_file():
        raise ValueError(
            f"The file {str(path)!r} of the preset is missing. {_AGAIN} "
            f"Received: a folder without {name!r}"
        )
    size = path.stat().st_size
    if size != described["bytes"]:
        raise ValueError(
            f"The file {str(path)!r} is not the one that the preset was written with, which has "
            f"{described['bytes']} bytes. {_AGAIN} Received: {size} bytes"
        )
    content = path.read_bytes()
    found = description(content)["sha256"]
    if found != described["sha256"]:
        raise ValueError(
            f"The file {str(path)!r} was changed since the preset was written, when its SHA-256 "
            f"was {described['sha256']}. {_AGAIN} Received: a file with SHA-256 {found}"
        )
    return content


_AGAIN = "Get the preset's folder again."
