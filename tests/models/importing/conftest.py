"""Networks written as other projects write them, so that their tensors get those projects' names by themselves.

Nothing here knows how w3action names or computes anything; torchvision's networks are taken apart and put together.
"""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

NUM_CLASSES = 5
NUM_CHANNELS = {"resnet18": 512, "resnet50": 2048, "mobilenet_v2": 1280}


class Shift(nn.Module):
    """The public TSM's wrapper: the frames of one clip are shifted, then go through what is wrapped."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        eighth = x.shape[1] // 8
        shifted = x.clone()
        for t in range(len(x)):
            shifted[t, :eighth] = x[t + 1, :eighth] if t + 1 < len(x) else 0
            shifted[t, eighth : 2 * eighth] = x[t - 1, eighth : 2 * eighth] if t > 0 else 0
        return self.net(shifted)


class Scores(nn.Module):
    """A network with its classifier under any name; scores of frames are averaged."""

    def __init__(self, **modules: nn.Module):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, frames: Tensor) -> Tensor:
        first, *heads = self.children()
        return heads[0](first(frames)).mean(0)


class AverageFrames(nn.Module):
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, frames: Tensor) -> Tensor:
        return self.net(frames).mean(0)


class NonLocalBlock(nn.Module):
    """Embedded Gaussian over the places of a clip, pooled keys and values, one batch norm behind it."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.g = nn.Sequential(nn.Conv3d(channels, half, 1), nn.MaxPool3d((1, 2, 2)))
        self.W = nn.Sequential(nn.Conv3d(half, channels, 1), nn.BatchNorm3d(channels))
        self.theta = nn.Conv3d(channels, half, 1)
        self.phi = nn.Sequential(nn.Conv3d(channels, half, 1), nn.MaxPool3d((1, 2, 2)))

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = (m(x).flatten(2)[0] for m in (self.theta, self.phi, self.g))
        found = torch.einsum("qk,ck->cq", torch.einsum("cq,ck->qk", theta, phi).softmax(1), g)
        return x + self.W(found.reshape(1, -1, *x.shape[2:]))


class WithNonLocal(nn.Module):
    def __init__(self, block: nn.Module, channels: int):
        super().__init__()
        self.block = block
        self.nl = NonLocalBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.nl(self.block(x).transpose(0, 1)[None])[0].transpose(0, 1)


class FlatBlock(nn.Module):
    """MobileNetV2's block as one flat list of layers."""

    def __init__(self, block: nn.Module):
        super().__init__()
        parts = [part if isinstance(part, nn.Sequential) else [part] for part in block.conv]
        self.conv = nn.Sequential(*(layer for part in parts for layer in part))
        self.residual = block.use_res_connect

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class OnlineMobileNetV2(nn.Module):
    """Frame after frame; a residual block's first eighth of channels is the previous frame's."""

    def __init__(self):
        super().__init__()
        self.features = nn.ModuleList(flat_features())
        self.classifier = nn.Linear(1280, NUM_CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        if self.training:  # only to settle the batch norms: all frames at once
            for feature in self.features:
                frames = feature(frames)
            return frames
        buffers: dict[int, Tensor] = {}
        scores = []
        for x in frames[:, None]:
            for i, feature in enumerate(self.features):
                if isinstance(feature, FlatBlock) and feature.residual:
                    eighth = x.shape[1] // 8
                    before = buffers.get(i, torch.zeros_like(x[:, :eighth]))
                    buffers[i] = x[:, :eighth]
                    x = x + feature.conv(torch.cat([before, x[:, eighth:]], 1))
                else:
                    x = feature(x)
            scores.append(self.classifier(x.mean((2, 3))))
        return torch.cat(scores).mean(0)


class ConvNorm(nn.Module):
    """mmaction2's pair of a convolution and a batch norm."""

    def __init__(self, conv: nn.Module, bn: nn.Module, act: nn.Module | None = None):
        super().__init__()
        self.conv, self.bn, self.act = conv, bn, act or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class PairedResidual(nn.Module):
    """ResNet's basic block in such pairs."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.conv1 = ConvNorm(Shift(block.conv1), block.bn1, nn.ReLU())
        self.conv2 = ConvNorm(block.conv2, block.bn2)
        self.downsample = None if block.downsample is None else ConvNorm(*block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + (x if self.downsample is None else self.downsample(x))).relu()


class PairedBlock(nn.Module):
    def __init__(self, block: nn.Module):
        super().__init__()
        *nested, conv, norm = block.conv
        parts: list[nn.Module] = [ConvNorm(*part) for part in nested] + [ConvNorm(conv, norm)]
        self.residual = block.use_res_connect
        if self.residual and len(parts) == 3:
            parts[0] = Shift(parts[0])
        self.conv = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def pooled() -> list[tuple[str, nn.Module]]:
    return [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]


def named(*modules: tuple[str, nn.Module]) -> nn.Sequential:
    sequence = nn.Sequential()
    for name, module in modules:
        sequence.add_module(name, module)
    return sequence


def classifier(name: str) -> nn.Linear:
    return nn.Linear(NUM_CHANNELS[name], NUM_CLASSES)


def flat_features() -> list[nn.Module]:
    first, *blocks, last = torchvision.models.mobilenet_v2().features
    return [first, *(FlatBlock(block) for block in blocks), last]


def tsm_resnet(name: str, *, non_local: bool = False) -> nn.Module:
    net = torchvision.models.get_model(name)
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        for i, block in enumerate(stage):
            block.conv1 = Shift(block.conv1)
            if non_local and i % 2 == 0 and stage in (net.layer2, net.layer3):
                stage[i] = WithNonLocal(block, block.bn3.num_features)
    net.fc = nn.Dropout(0.5)
    return net


def tsm_mobilenet() -> nn.Module:
    features = flat_features()
    for block in features:
        if isinstance(block, FlatBlock) and block.residual and len(block.conv) == 8:
            block.conv[0] = Shift(block.conv[0])
    return named(("features", nn.Sequential(*features)), *pooled())


def paired_resnet(name: str) -> nn.Module:
    net = torchvision.models.get_model(name)
    stages = [
        (f"layer{s}", nn.Sequential(*(PairedResidual(b) for b in getattr(net, f"layer{s}")))) for s in (1, 2, 3, 4)
    ]
    stem = ConvNorm(net.conv1, net.bn1, nn.ReLU())
    return named(("conv1", stem), ("maxpool", net.maxpool), *stages, *pooled())


def paired_mobilenet() -> nn.Module:
    first, *blocks, last = torchvision.models.mobilenet_v2().features
    rows, start = [], 0
    for row, count in enumerate((1, 2, 3, 4, 3, 3, 1), start=1):
        layer = nn.Sequential(*(PairedBlock(block) for block in blocks[start : start + count]))
        rows.append((f"layer{row}", layer))
        start += count
    return named(("conv1", ConvNorm(*first)), *rows, ("conv2", ConvNorm(*last)), *pooled())


class TimmBlock(nn.Module):
    def __init__(self, block: nn.Module):
        super().__init__()
        *nested, conv, norm = block.conv
        pairs = [(part[0], part[1]) for part in nested] + [(conv, norm)]
        names = ("conv_dw", "conv_pw") if len(pairs) == 2 else ("conv_pw", "conv_dw", "conv_pwl")
        for i, (name, (convolution, batch_norm)) in enumerate(zip(names, pairs, strict=True), start=1):
            self.add_module(name, convolution)
            self.add_module(f"bn{i}", batch_norm)
        self.residual = block.use_res_connect

    def forward(self, x: Tensor) -> Tensor:
        layers = list(self.children())
        y = x
        for i, layer in enumerate(layers, start=1):
            y = layer(y)
            if i % 2 == 0 and i < len(layers):  # behind every batch norm but the last
                y = y.clamp(0, 6)
        return x + y if self.residual else y


def timm_mobilenet() -> nn.Module:
    first, *blocks, last = torchvision.models.mobilenet_v2().features
    rows, start = [], 0
    for count in (1, 2, 3, 4, 3, 3, 1):
        rows.append(nn.Sequential(*(TimmBlock(block) for block in blocks[start : start + count])))
        start += count
    return named(
        ("conv_stem", first[0]),
        ("bn1", first[1]),
        ("act1", nn.ReLU6()),
        ("blocks", nn.Sequential(*rows)),
        ("conv_head", last[0]),
        ("bn2", last[1]),
        ("act2", nn.ReLU6()),
        *pooled(),
        ("classifier", classifier("mobilenet_v2")),
    )


def image_network(name: str) -> nn.Module:
    return AverageFrames(torchvision.models.get_model(name, num_classes=NUM_CLASSES))


def epic(name: str) -> nn.Module:
    return Scores(base_model=tsm_resnet(name), fc_verb=classifier(name), fc_noun=nn.Linear(NUM_CHANNELS[name], 7))


def action(base: nn.Module, name: str) -> nn.Module:
    return Scores(base_model=base, new_fc=classifier(name))


def mmaction(base: nn.Module, name: str) -> nn.Module:
    return Scores(backbone=base, cls_head=named(("fc_cls", classifier(name))))


@pytest.fixture(scope="session")
def other_projects() -> dict[str, Callable[[], nn.Module]]:
    """Builders of other projects' networks: frames (T, 3, H, W) -> the clip's scores (K,)."""
    return {
        "tsm": lambda: action(tsm_resnet("resnet18"), "resnet18"),
        "tsm non-local": lambda: action(tsm_resnet("resnet50", non_local=True), "resnet50"),
        "tsm mobilenet": lambda: action(tsm_mobilenet(), "mobilenet_v2"),
        "mmaction2": lambda: mmaction(paired_resnet("resnet18"), "resnet18"),
        "mmaction2 mobilenet": lambda: mmaction(paired_mobilenet(), "mobilenet_v2"),
        "torchvision": lambda: image_network("resnet18"),
        "torchvision mobilenet": lambda: image_network("mobilenet_v2"),
        "timm mobilenet": lambda: AverageFrames(timm_mobilenet()),
        "epic55": lambda: epic("resnet18"),
        "tsm-online": OnlineMobileNetV2,
    }
