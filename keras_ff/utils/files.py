"""Files that are written whole or not at all, and JSON."""

import contextlib
import json
import math
import os
import pathlib


def path_of(path):
    """A path that a user gave, `~` expanded.

    ValueError: if it is empty, which would otherwise mean the current folder.
    """
    path = os.fspath(path)
    if not path:
        raise ValueError("A path must not be empty. Received: ''")
    # pathlib's own raises RuntimeError where a user is unknown.
    return pathlib.Path(os.path.expanduser(path))  # noqa: PTH111


@contextlib.contextmanager
def held(folder):
    """A context in which no other process holds a folder, which is made where it is missing.

    It ends with the process, however that ends, and leaves nothing behind: no file marks it, and a
    folder that was made and stayed empty is removed. Its value is whether the folder is held, which
    it is not where the system has no such locks.

    Raises:
        ValueError: if another process, or another thread, holds the folder.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = _lock(folder)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)
        with contextlib.suppress(OSError):  # what is not empty stays
            for path in missing:
                path.rmdir()


def _lock(folder):
    """The descriptor of a folder that is locked as long as it is open, or `None`."""
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ValueError(
            f"Another process is at work in {str(folder)!r}: wait for it, or choose another folder."
        ) from error
    except OSError:  # a file system without locks
        os.close(descriptor)
        return None
    return descriptor


def write_json(path, content):
    """Write a JSON file, whole or not at all; what is no number becomes null."""
    text = json.dumps(for_json(content), indent=1) + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path):
    """What a JSON file holds, or a ValueError that names the file."""
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {first_sentence(error)}.") from error


def for_json(content):
    """`content` with lists for tuples and None for what JSON has no number for."""
    if isinstance(content, dict):
        return {name: for_json(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [for_json(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def write_whole(path, write):
    """Have `write` write to a file beside `path`, which then takes the place of `path`.

    Where that fails, as on a full disk, `path` stays as it was and nothing is left beside it.
    """
    temporary = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        write(temporary)
        _flush_to_disk(temporary, os.O_RDWR)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere folders cannot be opened
        _flush_to_disk(path.parent, os.O_RDONLY)


def _flush_to_disk(path, mode):
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def first_sentence(error):
    """The first sentence of an error, or its name where it says nothing."""
    text = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".:")
    return text or type(error).__name__
