"""The benchmarks measure what they say: bytes, memory, the same network in two formulations."""

import dataclasses
import json

import jaxtyping
import pytest
import torch

from w3action.bench import bench_attention, bench_latency, bench_training, latency
from w3action.bench.attention import count_bytes
from w3action.bench.training import peak_bytes
from w3action.bench.variants import PlainShift, build, plain_tsm
from w3action.layers import temporal_shift
from w3action.models import create_model

CPU = torch.device("cpu")


def test_the_plain_shift_is_ours():
    x = torch.randn(2, 16, 3, 4, 5)
    frames = x.transpose(1, 2).flatten(0, 1)
    shifted = PlainShift(torch.nn.Identity(), num_frames=3)(frames)
    assert torch.equal(shifted.unflatten(0, (2, 3)).transpose(1, 2), temporal_shift(x))


def test_the_plain_tsm_gives_our_logits(settle):
    clips = torch.randn(2, 3, 3, 64, 64)
    model = settle(create_model("tsm_resnet18", num_classes=4), clips)
    torch.testing.assert_close(plain_tsm(model, num_frames=3)(clips), model(clips), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "attention"), [("tsm_small", None), ("tsn_resnet18", None), ("tsm_resnet18", "w3")])
def test_what_has_no_plain_formulation_is_refused(name, attention):
    with pytest.raises(ValueError, match="has no plain formulation; choose tsm_resnet18"):
        plain_tsm(create_model(name, num_classes=2, attention=attention), num_frames=8)


def test_bytes_are_those_of_the_features_that_w3_reads():
    # 32, 64, 128 channels at a quarter, an eighth, a sixteenth of 64 pixels; 4 frames; 4 bytes.
    features = 32 * 16**2 + 64 * 8**2 + 128 * 4**2
    assert count_bytes(build("tsm_small", "w3"), torch.randn(2, 3, 4, 64, 64)) == 2 * 4 * 4 * features
    assert count_bytes(build("tsm_small", None), torch.randn(2, 3, 4, 64, 64)) == 0


def test_peak_memory_is_what_lives_at_once():
    def step():
        a = torch.zeros(1000)  # 4000 bytes
        b = a + 1  # 8000
        del a
        view = b[:10]  # no memory
        return view, b.double()  # 4000 + 8000

    assert peak_bytes(step, CPU) == 12000


def test_peak_memory_holds_what_the_backward_pass_needs():
    x = torch.zeros(1000, requires_grad=True)

    def forward():
        return x.exp().exp().exp()

    kept = peak_bytes(forward, CPU)
    with torch.no_grad():
        assert peak_bytes(forward, CPU) == 8000  # two at once
    assert kept == 12000  # each is the gradient of its own exponential


def test_attention_is_compared_to_the_network_without():
    bench = bench_attention(network="tsm_small", size=32, frames=(2,), variants=("w3, plain", "w3, native"), rounds=1)
    assert [(row.variant, row.mode) for row in bench.rows] == [
        (variant, mode)
        for mode in ("inference", "training")
        for variant in ("none", "none, plain", "w3, plain", "w3, native")
    ]
    assert bench.rows[0].overhead == bench.rows[1].overhead == 1
    assert [row.bytes_moved is None for row in bench.rows] == [True] * 2 + [False] * 2 + [True] * 3 + [False]
    assert bench.rows[2].bytes_moved == 4 * bench.rows[3].bytes_moved
    assert json.loads(json.dumps(dataclasses.asdict(bench)))["rows"][2]["variant"] == "w3, plain"
    assert str(bench).count("\n") == 9


def test_latency_is_beside_the_plain_tsm():
    bench = bench_latency(
        network="tsm_resnet18", num_frames=2, size=32, variants=("TSM + W3, for inference",), rounds=1
    )
    assert [row.variant for row in bench.rows] == ["plain TSM", "TSM + W3, for inference"]
    assert bench.rows[0].of_plain == 1
    assert bench.rows[1].videos_per_second == pytest.approx(1e3 / bench.rows[1].milliseconds_per_video)


def test_formulations_that_differ_are_not_timed(monkeypatch):
    monkeypatch.setattr(latency, "plain_tsm", lambda model, num_frames: torch.nn.Sequential(model, torch.nn.ReLU()))
    with pytest.raises(RuntimeError, match="TSM and plain TSM differ by .* of their largest logit"):
        bench_latency(network="tsm_resnet18", num_frames=2, size=32, variants=("TSM",), rounds=1)


def test_the_second_stage_costs_a_forward_pass_and_little_memory():
    bench = bench_training(network="tsm_small", num_frames=2, size=32, rounds=1)
    rows = {row.way: row for row in bench.rows}
    assert list(rows) == ["TSM", "TSM + CBAM", "TSM + W3", "TSM + W3, stage two"]
    assert rows["TSM"].memory_of_tsm == 1
    assert rows["TSM + W3"].peak_bytes > rows["TSM"].peak_bytes
    assert rows["TSM + W3, stage two"].peak_bytes < 1.2 * rows["TSM + W3"].peak_bytes


@pytest.mark.parametrize(
    ("bench", "given", "text"),
    [
        (bench_attention, {"variants": ("w4",)}, "unknown variant 'w4'; choose from none; "),
        (bench_attention, {"modes": ("sleep",)}, "unknown mode 'sleep'; choose from inference; training"),
        (bench_latency, {"variants": ("fast",)}, "unknown variant 'fast'; choose from plain TSM; "),
        (bench_training, {"ways": ("none",)}, "unknown way 'none'; choose from TSM; "),
    ],
)
def test_unknown_names_are_refused(bench, given, text, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for users
    with pytest.raises(ValueError, match=text):
        bench(**given)
