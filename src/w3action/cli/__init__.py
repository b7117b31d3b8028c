"""The verbs of `w3`. Each parses, calls one function, prints; an error for the user is one line and exit code 2.

PyTorch is imported inside the verbs, so that `w3 --help` answers at once.
"""

import importlib.metadata
import os
import sys

import tyro

import w3action
from w3action.cli import bench, lists, runs, sets, studies
from w3action.cli.app import app, complain

VERBS = (runs, lists, sets, bench, studies)  # importing them adds their verbs, in this order


def main() -> None:
    """Run `w3`. With W3_TRACEBACK=1 an error shows where it was raised."""
    _let_threads_sleep_soon()
    if sys.argv[1:] == ["--version"]:
        print(f"w3 {importlib.metadata.version('w3action')}")
        sys.exit(0)
    try:
        code = app.cli(
            prog="w3",
            description=f"{w3action.__doc__} `w3 --version` prints the version.",
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        sys.stdout.flush()
    except BrokenPipeError:  # `w3 settings | head`: who read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        code = 0
    except (ValueError, OSError) as error:
        if os.environ.get("W3_TRACEBACK"):
            raise
        complain(error)
        code = 2
    except KeyboardInterrupt:
        print("w3: stopped" + ("; go on with --resume" if "train" in sys.argv[1:2] else ""), file=sys.stderr)
        code = 130
    sys.exit(code or 0)


def _let_threads_sleep_soon() -> None:
    """Ask for threads that spin for a moment and then sleep, unless the environment says how they wait.

    Threads that spin for long make a busy machine several times slower; threads that sleep at once, a free machine
    (docs/decisions/threads.md). The second variable is heeded by PyTorch's OpenMP library on Linux alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
