"""SlowFast written here as PySlowFast writes it: imported, it gives the same scores; exported, the same file."""

import pytest
import torch
from torch import Tensor, nn

from w3action.models import WeightsError, create_model
from w3action.models.importing import LAYOUTS
from w3action.models.importing.exporter import export_state_dict
from w3action.models.importing.recognise import recognise
from w3action.models.slowfast import slowfast_4x16_resnet50, slowfast_8x8_resnet50
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.imported import import_checkpoint, load_foreign

CLASSES = ("left", "right", "up")
ALPHA = {"4x16": 8, "8x8": 4}
LATERAL = {"4x16": 5, "8x8": 7}


def conv(given: int, out: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> nn.Conv3d:
    t, d = kernel
    strides = (stride[0], stride[1], stride[1])
    return nn.Conv3d(given, out, (t, d, d), stride=strides, padding=(t // 2, d // 2, d // 2), bias=False)


class Branch(nn.Module):
    def __init__(self, given: int, width: int, out: int, depth: int, stride: int):
        super().__init__()
        self.a, self.a_bn = conv(given, width, (depth, 1)), nn.BatchNorm3d(width)
        self.b, self.b_bn = conv(width, width, (1, 3), (1, stride)), nn.BatchNorm3d(width)
        self.c, self.c_bn = conv(width, out, (1, 1)), nn.BatchNorm3d(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b_bn(self.b(self.a_bn(self.a(x)).relu())).relu()
        return self.c_bn(self.c(x))


class Block(nn.Module):
    def __init__(self, given: int, width: int, depth: int, stride: int):
        super().__init__()
        if given != 4 * width:
            self.branch1, self.branch1_bn = conv(given, 4 * width, (1, 1), (1, stride)), nn.BatchNorm3d(4 * width)
        self.branch2 = Branch(given, width, 4 * width, depth, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.branch1_bn(self.branch1(x)) if hasattr(self, "branch1") else x
        return (shortcut + self.branch2(x)).relu()


class Stem(nn.Module):
    def __init__(self, width: int, depth: int):
        super().__init__()
        self.conv, self.bn = conv(3, width, (depth, 7), (1, 2)), nn.BatchNorm3d(width)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.max_pool3d(self.bn(self.conv(x)).relu(), (1, 3, 3), (1, 2, 2), (0, 1, 1))


class Fuse(nn.Module):
    def __init__(self, channels: int, kernel: int, alpha: int):
        super().__init__()
        self.conv_f2s, self.bn = conv(channels, 2 * channels, (kernel, 1), (alpha, 1)), nn.BatchNorm3d(2 * channels)

    def forward(self, fast: Tensor) -> Tensor:
        return self.bn(self.conv_f2s(fast)).relu()


class PySlowFast(nn.Module):
    """Clips (1, 3, T, H, W) -> scores; slow frames are spread from the first to the last frame."""

    def __init__(self, kind: str):
        super().__init__()
        self.alpha = ALPHA[kind]
        self.s1, self.head = nn.Module(), nn.Module()
        self.s1.pathway0_stem, self.s1.pathway1_stem = Stem(64, 1), Stem(8, 5)
        self.s1_fuse = Fuse(8, LATERAL[kind], self.alpha)
        slow, fast = 64 + 16, 8
        for stage, count in enumerate((3, 4, 6, 3), start=2):
            blocks, width = nn.Module(), 64 * 2 ** (stage - 2)
            for i in range(count):
                stride = 2 if i == 0 and stage > 2 else 1
                slow_given, fast_given = (slow, fast) if i == 0 else (4 * width, width // 2)
                depth = 3 if stage > 3 else 1
                blocks.add_module(f"pathway0_res{i}", Block(slow_given, width, depth, stride))
                blocks.add_module(f"pathway1_res{i}", Block(fast_given, width // 8, 3, stride))
            self.add_module(f"s{stage}", blocks)
            slow, fast = 4 * width + width, width // 2
            if stage < 5:
                self.add_module(f"s{stage}_fuse", Fuse(fast, LATERAL[kind], self.alpha))
        self.head.projection = nn.Linear(2048 + 256, len(CLASSES))

    def forward(self, clips: Tensor) -> Tensor:
        t = clips.shape[2]
        slow_frames = torch.linspace(0, t - 1, t // self.alpha).long()
        slow, fast = self.s1.pathway0_stem(clips[:, :, slow_frames]), self.s1.pathway1_stem(clips)
        for stage, count in enumerate((3, 4, 6, 3), start=2):
            slow = torch.cat([slow, self.get_submodule(f"s{stage - 1}_fuse")(fast)], dim=1)
            for i in range(count):
                slow = self.get_submodule(f"s{stage}.pathway0_res{i}")(slow)
                fast = self.get_submodule(f"s{stage}.pathway1_res{i}")(fast)
        return self.head.projection(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1))


def draw_clips(num_frames: int) -> Tensor:
    return torch.randn(1, 3, num_frames, 40, 40, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["4x16"])  # of 8x8 the names suffice: it differs in no more than two depths
def imported(request, tmp_path_factory, scramble, settle):
    folder = tmp_path_factory.mktemp("slowfast")
    torch.manual_seed(0)
    theirs = settle(scramble(PySlowFast(request.param)), draw_clips(16))
    state = theirs.state_dict()
    optimizer = torch.optim.SGD(theirs.head.parameters(), lr=0.1, momentum=0.9).state_dict()
    checkpoint = {"epoch": 195, "model_state": state, "optimizer_state": optimizer, "cfg": "MODEL:\n  ARCH: slowfast\n"}
    torch.save(checkpoint, folder / "checkpoint_epoch_00196.pyth")
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    run = import_checkpoint(
        folder / "checkpoint_epoch_00196.pyth",
        layout="slowfast",
        classes=folder / "classes.txt",
        out=folder / "run",
        num_frames=32,
        size=256,
    )
    return request.param, theirs, load_checkpoint(run, device="cpu")


@torch.no_grad()
def test_scores_are_the_other_network_s(imported):
    """On clips of one slow frame, which is the first for both."""
    kind, theirs, ours = imported
    clips = draw_clips(ALPHA[kind])
    expected = theirs(clips)
    assert expected.std() > 0.01, "scores that say nothing"
    torch.testing.assert_close(ours.model(clips), expected, rtol=1e-4, atol=1e-4)


def test_the_depth_of_the_lateral_convolutions_tells_which_it_is(imported):
    kind, _, ours = imported
    assert ours.model.arguments["name"] == f"slowfast_{kind}_resnet50"
    assert ours.classes == CLASSES


def test_a_round_trip_is_exact(imported):
    _, theirs, ours = imported
    exported, state = export_state_dict(ours.model, "slowfast"), theirs.state_dict()
    assert exported.keys() == state.keys()
    assert all(torch.equal(exported[key], state[key]) for key in exported)


def on_meta(name: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        return export_state_dict(create_model(name, num_classes=400), "slowfast")


def test_the_names_are_those_of_public_files():
    """As published files have them, so that this file's network and the layout cannot err together."""
    shapes = {key: tuple(value.shape) for key, value in on_meta("slowfast_8x8_resnet50").items()}
    assert shapes["s1.pathway0_stem.conv.weight"] == (64, 3, 1, 7, 7)
    assert shapes["s1.pathway1_stem.bn.running_mean"] == (8,)
    assert shapes["s1_fuse.conv_f2s.weight"] == (16, 8, 7, 1, 1)
    assert shapes["s4_fuse.bn.weight"] == (256,)
    assert shapes["s2.pathway0_res0.branch1.weight"] == (256, 80, 1, 1, 1)
    assert shapes["s2.pathway0_res0.branch1_bn.bias"] == (256,)
    assert shapes["s4.pathway0_res5.branch2.a.weight"] == (256, 1024, 3, 1, 1)
    assert shapes["s5.pathway1_res2.branch2.b_bn.running_var"] == (64,)
    assert shapes["s5.pathway1_res2.branch2.c.weight"] == (256, 64, 1, 1, 1)
    assert shapes["head.projection.weight"] == (400, 2304)
    assert not any("s5_fuse" in key for key in shapes)


@pytest.mark.parametrize(
    ("name", "builder"),
    [("slowfast_4x16_resnet50", slowfast_4x16_resnet50), ("slowfast_8x8_resnet50", slowfast_8x8_resnet50)],
)
def test_a_file_is_told_and_another_layout_advises_this_one(name, builder):
    state = on_meta(name)
    assert recognise(state, LAYOUTS["slowfast"], origin="w.pyth").backbone is builder
    with pytest.raises(WeightsError, match="--from slowfast$"):
        recognise(state, LAYOUTS["tsm"], origin="w.pyth")


def test_a_deeper_one_is_refused_block_by_block():
    state = on_meta("slowfast_8x8_resnet50")
    state |= {f"s5.pathway{p}_res3.branch2.a_bn.bias": torch.empty(1) for p in (0, 1)}
    told = recognise(state, LAYOUTS["slowfast"], origin="w.pyth")
    with torch.device("meta"):
        model = create_model("slowfast_8x8_resnet50", num_classes=400)
    classes = [str(i) for i in range(400)]
    with pytest.raises(WeightsError, match=r"w\.pyth .* 2 unexpected: s5\.pathway0_res3\.branch2\.a_bn\.bias, "):
        load_foreign(model, state, LAYOUTS["slowfast"], told, classes=classes, head=None, origin="w.pyth")
