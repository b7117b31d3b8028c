"""What attention costs in time: time(network + attention) / time(network), for inference and for a training step.

    python benchmarks/attention.py --out runs/bench_attention.json
    python benchmarks/attention.py --frames 8 16 --batches 1 16 --autocast --channels-last --out ...   # on a GPU
    python benchmarks/attention.py --network tsm_small --size 64 --frames 8 --batches 4 --out ...      # on a laptop

All variants of a setting are timed in turn, round after round, so that a busy or a warm machine slows all alike; the
figure is the ratio of medians. What is compiled is compared to the compiled network. Beside it stands what W3 should
cost if its passes over the features were all of its cost: their bytes, over the measured speed of a copy.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from w3action import kernels
from w3action.layers import W3
from w3action.models import create_model

# Readings and writings of all the features by one W3 layer. Plain: two poolings over places, M^c * F, two poolings
# over channels, M^s * F^c. Fused: one pooling each, and one product. Its backward pass: the product's (reads two,
# writes one), the poolings' (reads one, writes one, twice), and two additions of gradients (read two, write one).
PASSES = {("plain", "inference"): 8, ("fused", "inference"): 4, ("fused", "training"): 4 + 3 + 2 * 2 + 2 * 3}


@dataclass(frozen=True)
class Variant:
    """A network to time."""

    attention: str | None
    form: kernels.Kernels = "auto"
    compiled: bool = False


BASES = {False: "none", True: "none, compiled"}  # by whether it is compiled
VARIANTS = {
    "none": Variant(None),
    "none, compiled": Variant(None, "plain", compiled=True),
    "cbam": Variant("cbam"),
    "non_local": Variant("non_local"),
    "w3, plain": Variant("w3", "plain"),
    "w3, compiled": Variant("w3", "plain", compiled=True),
    "w3, fused": Variant("w3", "fused"),
    "w3, fused, compiled": Variant("w3", "fused", compiled=True),
}


@dataclass(frozen=True)
class Timing:
    """A row of the table."""

    variant: str
    mode: str  # inference or training
    num_frames: int
    batch: int
    milliseconds: float
    overhead: float  # its time over that of the same network without attention
    bytes_moved: int | None  # by W3's passes over the features, where they are counted
    predicted_milliseconds: float | None  # those bytes at the speed of a copy
    measured_milliseconds: float  # what the attention added


def measure_attention(
    *,
    network: str = "tsm_resnet50",
    size: int = 224,
    frames: tuple[int, ...] = (8,),
    batches: tuple[int, ...] = (1,),
    variants: tuple[str, ...] = tuple(VARIANTS),
    modes: tuple[str, ...] = ("inference", "training"),
    rounds: int = 10,
    autocast: bool = False,
    channels_last: bool = False,
    device: str | None = None,
    on_setting: Callable[[str], None] = lambda what: None,
) -> dict:
    """Time all variants and return the settings, the speed of a copy (bytes a second) and the rows.

    Args:
        network: one of `list_models()`.
        size: side of the frames in pixels.
        frames: numbers of frames T.
        batches: clips at once.
        variants: keys of `VARIANTS`; the networks without attention that they are compared to are added.
        modes: inference, training or both.
        rounds: timings of each.
        autocast: bfloat16 where autocast has it.
        channels_last: convolutions with channels last.
        device: None takes a GPU if there is one.
        on_setting: called with what is timed next.

    Raises:
        ValueError: an unknown variant or network.
    """
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise ValueError(f"unknown variant {unknown[0]!r}; choose from {'; '.join(VARIANTS)}")
    needed = {BASES[VARIANTS[name].compiled] for name in variants} | set(variants)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    speed = copy_speed(place)
    rows: list[Timing] = []
    for num_frames in frames:
        for batch in batches:
            for mode in modes:
                on_setting(f"{mode}, {num_frames} frames, batch {batch}")
                clips = torch.randn(batch, 3, num_frames, size, size, device=place)
                labels = torch.zeros(batch, dtype=torch.long, device=place)
                steps, moved = {}, {}
                for name in (name for name in VARIANTS if name in needed):
                    model = build(network, VARIANTS[name].attention, channels_last=channels_last).to(place)
                    moved[name] = count_bytes(model, clips, autocast=autocast)
                    steps[name] = step_of(model, VARIANTS[name], mode, clips, labels, autocast=autocast)
                seconds = time_in_turn(steps, place, rounds=rounds)
                for name in steps:
                    base = seconds[BASES[VARIANTS[name].compiled]]
                    passes = PASSES.get((VARIANTS[name].form, mode)) if not VARIANTS[name].compiled else None
                    counted = moved[name] * passes if passes and VARIANTS[name].attention == "w3" else None
                    rows.append(
                        Timing(
                            name,
                            mode,
                            num_frames,
                            batch,
                            milliseconds=1e3 * seconds[name],
                            overhead=seconds[name] / base,
                            bytes_moved=counted,
                            predicted_milliseconds=None if counted is None else 1e3 * counted / speed,
                            measured_milliseconds=1e3 * (seconds[name] - base),
                        )
                    )
    return {
        "network": network,
        "size": size,
        "rounds": rounds,
        "autocast": autocast,
        "channels_last": channels_last,
        "device": name_of(place),
        "torch": torch.__version__,
        "copy_bytes_per_second": speed,
        "rows": [asdict(row) for row in rows],
    }


def build(network: str, attention: str | None, *, channels_last: bool) -> nn.Module:
    """Build a network with 174 classes, as on Something-Something; the same weights in all variants."""
    torch.manual_seed(0)
    model = create_model(network, num_classes=174, attention=attention)
    if channels_last:
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.to(memory_format=torch.channels_last)
    return model


def step_of(
    model: nn.Module, variant: Variant, mode: str, clips: Tensor, labels: Tensor, *, autocast: bool
) -> Callable[[], None]:
    """Return a function that predicts once, or computes all gradients once."""
    model.train(mode == "training")
    forward = torch.compile(model) if variant.compiled else model

    def step() -> None:
        with kernels.using(variant.form), torch.autocast(clips.device.type, torch.bfloat16, enabled=autocast):
            if mode == "inference":
                with torch.inference_mode():
                    forward(clips)
                return
            logits = forward(clips)
            loss = nn.functional.cross_entropy(logits.flatten(0, -2).float(), labels)
        with kernels.using(variant.form):
            loss.backward()
        model.zero_grad(set_to_none=True)

    return step


def count_bytes(model: nn.Module, clips: Tensor, *, autocast: bool) -> int:
    """Return the bytes of the features that W3 layers attend to, all layers together."""
    total = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal total
        total += inputs[0].numel() * inputs[0].element_size()

    hooks = [module.register_forward_pre_hook(add) for module in model.modules() if isinstance(module, W3)]
    if hooks:
        model.eval()
        with torch.inference_mode(), torch.autocast(clips.device.type, torch.bfloat16, enabled=autocast):
            model(clips)
    for hook in hooks:
        hook.remove()
    return total


def time_in_turn(steps: dict[str, Callable[[], None]], device: torch.device, *, rounds: int) -> dict[str, float]:
    """Return each step's median seconds; all are run once a round, after two rounds to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 2):
        for name, step in steps.items():
            synchronise(device)
            started = time.perf_counter()
            step()
            synchronise(device)
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times[2:]) for name, times in seconds.items()}


def copy_speed(device: torch.device, *, num_bytes: int = 1 << 27) -> float:
    """Return the bytes a second, read and written, of a copy larger than caches."""
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = time_in_turn({"copy": lambda: target.copy_(source)}, device, rounds=9)
    return 2 * num_bytes / seconds["copy"]


def name_of(device: torch.device) -> str:
    """Return what it was measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def as_table(measured: dict) -> str:
    """Write the rows as text."""
    lines = [
        f"{measured['network']}, {measured['size']} px, {measured['device']}, torch {measured['torch']}, "
        f"a copy moves {measured['copy_bytes_per_second'] / 1e9:.1f} GB/s",
        f"{'attention':22}{'mode':12}{'T':>4}{'batch':>6}{'ms':>10}{'overhead':>10}{'added ms':>10}{'by bytes':>10}",
    ]
    for row in measured["rows"]:
        predicted = row["predicted_milliseconds"]
        lines.append(
            f"{row['variant']:22}{row['mode']:12}{row['num_frames']:4}{row['batch']:6}{row['milliseconds']:10.2f}"
            f"{row['overhead']:10.3f}{row['measured_milliseconds']:10.2f}"
            + (f"{predicted:10.2f}" if predicted is not None else f"{'':>10}")
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="tsm_resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--frames", type=int, nargs="+", default=[8])
    parser.add_argument("--batches", type=int, nargs="+", default=[1])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--modes", nargs="+", default=["inference", "training"], choices=["inference", "training"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--autocast", action="store_true", help="bfloat16")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")
    given = vars(parser.parse_args())
    out = given.pop("out")
    for key in ("frames", "batches", "variants", "modes"):
        given[key] = tuple(given[key])
    measured = measure_attention(**given, on_setting=lambda what: print(what, flush=True))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(measured, indent=2) + "\n")
    print(as_table(measured))


if __name__ == "__main__":
    main()
