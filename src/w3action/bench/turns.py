"""Ways of doing one job take turns in one process, so that a busy or a warm machine slows all alike.

A ratio of two ways is the median over rounds of the ratio within a round. On a CPU it is taken twice: of the clock's
time, and of the processor's (all threads), which other work on the machine hardly changes.
"""

import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Step = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Seconds of one way, round by round."""

    wall: tuple[float, ...]
    processor: tuple[float, ...]  # of all threads; empty where a GPU does the work

    @property
    def milliseconds(self) -> float:
        """The median by the clock."""
        return 1e3 * statistics.median(self.wall)

    def over(self, base: "Times") -> float:
        """Return this way's time over another's, by the clock."""
        return median_ratio(self.wall, base.wall)

    def processor_over(self, base: "Times") -> float | None:
        """Return this way's time over another's, by the processor's time; None where a GPU does the work."""
        return median_ratio(self.processor, base.processor) if self.processor else None


@dataclass(frozen=True)
class Machine:
    """What it was measured on, and how busy that was."""

    device: str
    num_threads: int  # of the CPU
    load_average: float | None  # processes that wanted a core, over the last minute
    torch: str

    def __str__(self) -> str:
        busy = "" if self.load_average is None else f", load {self.load_average:.1f}"
        return f"{self.device}, {self.num_threads} CPU threads{busy}, torch {self.torch}"


def take_turns(
    steps: Mapping[str, Step],
    device: torch.device,
    *,
    rounds: int,
    warmups: int = 2,
    on_round: Callable[[], None] = lambda: None,
) -> dict[str, Times]:
    """Time every step once a round, forwards and backwards in alternation; the first rounds are not kept.

    Args:
        steps: by the names of the ways.
        device: that does the work.
        rounds: timings of each.
        warmups: rounds before, which are not kept.
        on_round: called after every round.

    Raises:
        ValueError: fewer rounds than one.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; it must be at least 1: give for example 9")
    wall: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(warmups + rounds):
        for name in list(steps)[:: 1 if number % 2 else -1]:
            synchronise(device)
            started, computing = time.perf_counter(), time.process_time()
            steps[name]()
            synchronise(device)
            if number >= warmups:
                wall[name].append(time.perf_counter() - started)
                processor[name].append(time.process_time() - computing)
        on_round()
    on_cpu = device.type == "cpu"
    return {name: Times(tuple(wall[name]), tuple(processor[name]) if on_cpu else ()) for name in steps}


def copy_speed(device: torch.device, *, num_bytes: int = 1 << 27) -> float:
    """Return the bytes a second, read and written, of a copy larger than caches."""
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    times = take_turns({"copy": lambda: target.copy_(source)}, device, rounds=9)
    return 2 * num_bytes / statistics.median(times["copy"].wall)


def choose_device(name: str | None) -> torch.device:
    """Return the device of that name; None takes a GPU if there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def describe_machine(device: torch.device) -> Machine:
    """Describe what is measured on."""
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return Machine(named, torch.get_num_threads(), load, torch.__version__)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def column(heading: str, form: str = "", *, unit: float = 1) -> dict[str, Any]:
    """Make a dataclass's field a column of `as_table`, as `field(metadata=column("MB", ".0f", unit=1e6))`."""
    return {"heading": heading, "form": form, "unit": unit}


def as_table(row_type: type, rows: Sequence[Any]) -> str:
    """Write rows, of a dataclass with columns, as text: the first column to the left, the others to the right.

    None is left empty.
    """
    columns = [field for field in dataclasses.fields(row_type) if field.metadata]
    cells = [[field.metadata["heading"] for field in columns]]
    cells += [[_cell(getattr(row, field.name), **field.metadata) for field in columns] for row in rows]
    widths = [max(map(len, values)) for values in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        )
        for first, *others in cells
    )


def _cell(value: Any, *, heading: str, form: str, unit: float) -> str:
    if value is None:
        return ""
    return str(value) if not form else format(value / unit, form)


def median_ratio(own: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over rounds of one way's time by another's in the same round."""
    return statistics.median(one / other for one, other in zip(own, base, strict=True))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
