"""Measurements that need a process of their own."""

import json
import os
import subprocess
import sys


def result(module, *arguments, **environment):
    """What a module prints on its last line, which is JSON, when it is run with arguments.

    `environment` are variables of the process besides those of this one. RuntimeError: if it fails.
    """
    done = finished([sys.executable, "-m", module, *arguments], **environment)
    return json.loads(done.stdout.splitlines()[-1])


def finished(command, **environment):
    """The process of a command that has ended, a `subprocess.CompletedProcess`.

    `environment` and RuntimeError: as for `result`.
    """
    command = [str(word) for word in command]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr[-2000:]}")
    return done
