"""Commands that are killed at random moments and resumed must end as undisturbed ones.

    python -m keras_ff.lab.kill_campaign --kills 25 --out runs/kills

kills each of the commands of `COMMANDS` 25 times by SIGKILL, at moments drawn by a seed, resumes it
undisturbed, compares what it leaves with what a run without a kill leaves, and writes a record of
all kills, `kills.json`. A campaign that was itself interrupted goes on where it was. To be run
before a release; it takes about a minute for each kill.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from keras_ff.utils.files import path_of, read_json, write_json

RECORD_FILE = "kills.json"
WHOLE = "undisturbed"
AS_UNDISTURBED = "as undisturbed"
_OURS = ("-m", "keras_ff_cli")
_SMALL = ("--units", "24,16", "--epochs", "6")
# By name: what Python is called with. `--resume` is added to go on.
COMMANDS = {
    "train": (*_OURS, "train", *_SMALL, "--out", "run"),
    "tune": (
        *(*_OURS, "tune", *_SMALL, "--search", "threshold,margin"),
        *("--trials", "3", "--tuner", "random", "--out", "search"),
    ),
    # The published tables are of larger datasets.
    "reproduce": ("-m", "keras_ff.lab.kill_campaign", "--table-of-digits"),
    "zoo train": (*_OURS, "zoo", "train", "digits_mlp_tanh", "--out", "run"),
}
# What differs from run to run, by key; other values in JSON files must be equal.
CHANGING = {"seconds", "samples_per_second", "machine", "versions"}
# KerasTuner's own records hold times and paths.
NOT_COMPARED = ("tensorboard", "trials", "trials.copy")


def main(argv=None):
    """Run a campaign, or what is left of it; returns 1 where a kill did harm, else 0."""
    parser = argparse.ArgumentParser(prog="kill_campaign", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=25, help="of each command (default: 25)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--commands", default=",".join(COMMANDS), help="separated by commas")
    parser.add_argument("--out", type=path_of, default=path_of("runs/kills"), help="a folder")
    parser.add_argument("--table-of-digits", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if not hasattr(os, "killpg"):
        parser.error(f"it needs signals of POSIX systems. Received: platform {sys.platform!r}")
    if options.table_of_digits:
        return _reproduce_digits(options.resume)
    commands = {name: COMMANDS[name] for name in options.commands.split(",")}
    record = campaign(commands, options.out, options.kills, options.seed)
    bad = [one for one in record["kills"] if one["outcome"] != AS_UNDISTURBED]
    print(f"{len(record['kills'])} kills, {len(bad)} of them with another end.")
    return 1 if bad else 0


def campaign(commands, folder, kills, seed):
    """Kill and resume commands at random moments; returns the record.

    Args:
        commands: dictionary, as `COMMANDS`.
        folder: path, where commands work, each in a folder of its own, and the record is kept.
        kills: integer, of each command.
        seed: integer. With the command and the number of the kill it decides the moment.

    Returns:
        A dictionary with `seed`; `whole`, the seconds of each command without a kill; and `kills`,
        a list with the `command`, `number`, `moment` (in seconds from its start), whether it was
        `killed` before it ended, and the `outcome` of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RECORD_FILE
    record = read_json(path) if path.exists() else {"seed": seed, "whole": {}, "kills": []}
    if record["seed"] != seed:
        raise ValueError(
            f"The campaign in {str(folder)!r} has the seed {record['seed']}. Received: seed={seed}"
        )
    done = {(one["command"], one["number"]) for one in record["kills"]}
    for name, words in commands.items():
        whole = folder / name.replace(" ", "_") / WHOLE
        if name not in record["whole"]:
            shutil.rmtree(whole, ignore_errors=True)
            started = time.monotonic()
            _run(words, whole)
            record["whole"][name] = {"seconds": time.monotonic() - started}
            write_json(path, record)
        for number in range(kills):
            if (name, number) in done:
                continue
            # Of the seed alone, so that a campaign that goes on draws the same.
            share = random.Random(f"{seed} {name} {number}").random()
            moment = share * record["whole"][name]["seconds"]
            own = whole.with_name(f"kill_{number}")
            shutil.rmtree(own, ignore_errors=True)
            killed = _killed(words, own, moment)
            outcome = _outcome([*words, "--resume"], own, whole)
            if outcome == AS_UNDISTURBED:
                shutil.rmtree(own)
            kill = {"command": name, "number": number, "moment": moment, "killed": killed}
            record["kills"].append({**kill, "outcome": outcome})
            write_json(path, record)
            print(f"{name} {number}: killed after {moment:.1f} s, {outcome}", flush=True)
    return record


def _reproduce_digits(resume):
    """`keras-ff reproduce` of a small table, in the current folder."""
    from keras_ff.lab.experiments import cells
    from keras_ff.lab.experiments.table import Cell, Table
    from keras_ff.recipes import TrainingConfig

    config = TrainingConfig.for_dataset(units=(24, 16), epochs=4)
    table = Table(
        name="digits",
        title="Digits",
        source="Ours alone",
        rows="network",
        cells=(
            Cell("ours", config, published=None),
            Cell("twin", config, published=None, backpropagation=True),
        ),
        remarks="",
    )
    cells.reproduce(table, resume=resume)


def _killed(words, folder, moment):
    """Start a command and kill it, with all that it has started; whether it was still at work."""
    folder.mkdir(parents=True)
    process = _started(words, folder)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def _outcome(words, folder, whole):
    """In words, how a command that was killed ended when it was gone on with."""
    process = _started(words, folder, stderr=subprocess.PIPE)
    _, errors = process.communicate()
    if process.returncode:
        return f"refused: {errors.decode(errors='replace')[-500:]}"
    differing = differences(folder, whole)
    return f"differs: {', '.join(differing)}" if differing else AS_UNDISTURBED


def _run(words, folder):
    folder.mkdir(parents=True, exist_ok=True)
    process = _started(words, folder, stderr=subprocess.PIPE)
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{errors.decode(errors='replace')[-2000:]}")


def _started(words, folder, **pipes):
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        start_new_session=True,  # a group to be killed as a whole
        stdout=subprocess.DEVNULL,
        **{"stderr": subprocess.DEVNULL, **pipes},
    )


def differences(folder, whole):
    """Files that one folder has and the other lacks, and metrics that differ, as a list of names.

    Compared are the names of all files, hidden ones too, and what stands in `.json` files, but for
    seconds and the like; models are what their metrics are.
    """
    files, others = _files(folder), _files(whole)
    found = sorted(files ^ others)
    for name in sorted(files & others):
        if name.endswith(".json"):
            contents = [
                json.loads((place / name).read_text(encoding="utf-8")) for place in (folder, whole)
            ]
            if _lasting(contents[0]) != _lasting(contents[1]):
                found.append(name)
    return found


def _files(folder):
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if not set(path.parts) & set(NOT_COMPARED)}


def _lasting(content):
    """What of a JSON file does not change from run to run."""
    if isinstance(content, dict):
        return {name: _lasting(one) for name, one in content.items() if name not in CHANGING}
    return [_lasting(one) for one in content] if isinstance(content, list) else content


if __name__ == "__main__":
    sys.exit(main())
