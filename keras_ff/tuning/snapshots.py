"""A copy of a search's records, since KerasTuner's own can be cut off by a kill while it writes."""

import json
import shutil

RECORDS = "trials"
COPY = "trials.copy"


def _files(folder):
    return [path.relative_to(folder) for path in sorted(folder.glob("**/*.json"))]


def take(folder):
    """Copy the records of the search in `folder`, which are whole while a trial trains."""
    partial, copy = folder / f"{COPY}.partial", folder / COPY
    shutil.rmtree(partial, ignore_errors=True)
    for file in _files(folder / RECORDS):
        (partial / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / RECORDS / file, partial / file)
    shutil.rmtree(copy, ignore_errors=True)
    partial.replace(copy)


def restore(folder):
    """Put the copy in the place of records that were cut off."""
    records, copy = folder / RECORDS, folder / COPY
    if not copy.exists():
        # Killed before the first trial trained, or between the last two lines of `take`.
        copy = folder / f"{COPY}.partial"
    if all(_is_whole(records / file) for file in _files(records)):
        return
    kept = _files(copy) if copy.exists() else []
    for file in _files(records):
        if file not in kept:
            (records / file).unlink()
    for file in kept:
        shutil.copyfile(copy / file, records / file)


def _is_whole(path):
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
