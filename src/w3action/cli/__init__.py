"""The verbs of `w3`. Each parses, calls one function, prints; an error for the user is one line and exit code 2.

PyTorch is imported inside the verbs, so that `w3 --help` answers at once.
"""

import os
import sys

import tyro

import w3action
from w3action.cli import bench, lists, runs, sets, studies
from w3action.cli.app import app, complain

VERBS = (runs, lists, sets, bench, studies)  # importing them adds their verbs, in this order


def main() -> None:
    """Run `w3`. With W3_TRACEBACK=1 an error shows where it was raised."""
    # Threads that wait for each other by spinning make a busy machine ten times slower (docs/decisions/threads.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app.cli(prog="w3", description=w3action.__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    except (ValueError, OSError) as error:
        if os.environ.get("W3_TRACEBACK"):
            raise
        complain(error)
        code = 2
    except KeyboardInterrupt:
        print("w3: stopped" + ("; go on with --resume" if "train" in sys.argv[1:2] else ""), file=sys.stderr)
        code = 130
    sys.exit(code or 0)
