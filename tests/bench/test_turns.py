"""Ways take turns, and ratios are taken round by round."""

import time
from dataclasses import dataclass, field

import pytest
import torch

from w3action.bench.turns import Times, as_table, column, copy_speed, describe_machine, take_turns

CPU = torch.device("cpu")


def test_every_way_runs_once_a_round_and_the_first_rounds_are_not_kept():
    order = []
    steps = {name: lambda name=name: order.append(name) for name in "abc"}
    times = take_turns(steps, CPU, rounds=2, warmups=1)
    assert order == list("cba") + list("abc") + list("cba")
    assert [len(taken.wall) for taken in times.values()] == [2, 2, 2]


def test_what_takes_longer_is_seen_to():
    times = take_turns({"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.02)}, CPU, rounds=3)
    assert times["long"].over(times["short"]) > 2
    assert times["long"].milliseconds >= 20


def test_a_ratio_is_the_median_of_the_rounds():
    own, base = Times((2.0, 3.0, 40.0), (1.0, 1.0, 9.0)), Times((1.0, 1.0, 10.0), (2.0, 1.0, 1.0))
    assert own.over(base) == 3.0
    assert own.processor_over(base) == 1.0
    assert own.milliseconds == 3000


def test_rounds_below_one_are_refused():
    with pytest.raises(ValueError, match="rounds is 0; it must be at least 1"):
        take_turns({}, CPU, rounds=0)


def test_a_copy_and_a_machine_are_measured_and_named():
    assert copy_speed(CPU, num_bytes=1 << 20) > 1e6
    assert torch.__version__ in str(describe_machine(CPU))


@dataclass
class Row:
    way: str = field(metadata=column("a"))
    hidden: int
    took: float | None = field(metadata=column("seconds", ".1f", unit=1e3))


def test_tables_are_aligned():
    assert as_table(Row, [Row("ccc", 0, 4260.0), Row("d", 0, None)]) == "a    seconds\nccc      4.3\nd           "
