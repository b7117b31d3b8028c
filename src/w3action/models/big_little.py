"""Big-little networks: a deep branch at half resolution and a thin one at full resolution, merged stage by stage.

    big      residual blocks at half the resolution, enlarged again           (N, C, H, W)
    little   few blocks of C / alpha channels, then a 1x1 convolution to C    (N, C, H, W)
    merge    ReLU(big + little), then one residual block, of stride 2 or 1    (N, C', H', W')

The stem and stages 1 to 3 are such modules; stage 4 is a ResNet's, with pooled shortcuts.

bLResNet works on frames: both branches see every one, `(B, 3, T, H, W)` -> `(B, 2048, T, H/32, W/32)`. bLVNet works on
pairs of neighbouring frames: the little branch sees the first of each pair, the big branch the second, and their merger
stands for the pair: -> `(B, 2048, T/2, H/32, W/32)`. Between modules a pair's features stand for both of its frames, so
that a temporal operation sees T frames until stage 4, which sees pairs. A clip of odd length has its last frame twice.
The two have the same parameters, named as in the public bLResNet (without `fc`), so its ImageNet weights fit both.

Slots: the temporal operation before the stem's branches, before each module's branches and before each block of stage
4 (TAM's places in the public code); the attention in the block that merges a module, and in each block of stage 4.

Source: "More Is Less: Learning Efficient Video Representations by Big-Little Network and Depthwise Temporal
Aggregation" (Fan et al., NeurIPS 2019), section 3, on "Big-Little Net" (Chen et al., ICLR 2019); alpha = 2, beta = 4.
That the big branch is enlarged by repetition, and that a pair's features stand for both frames, is from their code.
What differs: a last batch norm starts at one, as in our ResNet, not at zero; the shortcuts of stage 4 see no temporal
operation, as in our ResNet.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import Masks
from w3action.models.backbone import Backbone, run_blocks, start_convolutions_
from w3action.models.resnet import Bottleneck
from w3action.models.slots import Fillers, Position, Slots, fold, unfold

ALPHA, BETA = 2, 4  # how many times thinner and how many times shallower the little branch is
STEM = 64  # channels
NUM_BLOCKS = (3, 4, 6, 3)  # of a ResNet-50; a module's big branch and merger share them
WIDTHS = (64, 128, 256, 512)
MERGE_STRIDES = (2, 2, 1)  # stage 4 has the last stride


class PooledBottleneck(Bottleneck):
    """A bottleneck whose strided shortcut averages; without `last_relu` its output is the sum itself."""

    def __init__(self, in_channels: int, width: int, *, stride: int, slots: Slots, last_relu: bool = True):
        super().__init__(in_channels, width, stride=stride, slots=slots)
        self.downsample = pooled_shortcut(in_channels, 4 * width, stride)
        self.ends_in_relu = last_relu


def pooled_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Build the projection beside a branch that changes shape: average pooling first, then a 1x1 convolution."""
    layers: list[nn.Module] = [] if stride == 1 else [nn.AvgPool2d(3, stride=stride, padding=1)]
    if in_channels != out_channels:
        layers += [nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers) if layers else None


class BigLittleModule(nn.Module):
    """A big branch of `num_blocks - 1` residual blocks, a little one, and the residual block that merges them."""

    def __init__(self, in_channels: int, width: int, *, num_blocks: int, stride: int, slots: Slots):
        super().__init__()
        channels, thin = 4 * width, width // ALPHA
        self.slots = Slots(slots.temporal)
        self.big, self.little = nn.ModuleList(), nn.ModuleList()
        for i in range(num_blocks - 1):
            inputs, stride_here = (channels, 1) if i else (in_channels, 2)
            is_last = i == num_blocks - 2  # the sum of both branches has a ReLU of its own
            block = PooledBottleneck(inputs, width, stride=stride_here, slots=Slots(), last_relu=not is_last)
            self.big.append(block)
        for i in range(max(1, num_blocks // BETA - 1)):
            self.little.append(PooledBottleneck(4 * thin if i else in_channels, thin, stride=1, slots=Slots()))
        self.little_e = nn.Sequential(nn.Conv2d(4 * thin, channels, 1, bias=False), nn.BatchNorm2d(channels))
        merging = Slots(None, slots.attention, slots.place)
        self.fusion = nn.ModuleList([PooledBottleneck(channels, width, stride=stride, slots=merging)])

    def forward(self, big: Tensor, little: Tensor, num_frames: int) -> tuple[Tensor, Masks | None]:
        """Map what each branch sees, `(N, C, H, W)`, to their merger and the masks of its attention."""
        big, _ = run_blocks(self.big, big, num_frames)
        little, _ = run_blocks(self.little, little, num_frames)
        little = self.little_e(little)
        merged = (nn.functional.interpolate(big, little.shape[2:]) + little).relu_()
        return self.fusion[0](merged, num_frames)


class BigLittleNet(Backbone):
    """The backbone.

    Args:
        pairs: bLVNet, whose branches see different frames; False is bLResNet, whose branches see the same.
        fillers: what stands in the slots.
    """

    num_blocks_by_stage = (1, 1, 1, NUM_BLOCKS[3])
    num_features = 4 * WIDTHS[-1]

    def __init__(self, *, pairs: bool, fillers: Fillers):
        super().__init__()
        self.pairs = pairs
        thin = STEM // ALPHA
        self.conv1, self.bn1 = nn.Conv2d(3, STEM, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(STEM)
        self.b_conv0, self.bn_b0 = nn.Conv2d(STEM, STEM, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(STEM)
        self.l_conv0, self.bn_l0 = nn.Conv2d(STEM, thin, 3, padding=1, bias=False), nn.BatchNorm2d(thin)
        self.l_conv1, self.bn_l1 = nn.Conv2d(thin, thin, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(thin)
        self.l_conv2, self.bn_l2 = nn.Conv2d(thin, STEM, 1, bias=False), nn.BatchNorm2d(STEM)
        self.bl_init, self.bn_bl_init = nn.Conv2d(STEM, STEM, 1, bias=False), nn.BatchNorm2d(STEM)
        # The stem's slot stands with the first block's; a name of its own keeps it out of the published weights.
        temporal = fillers.temporal(Position(0, 0, self.num_blocks_by_stage), STEM)
        self.layer0 = nn.ModuleDict({"slots": Slots(temporal)})
        channels = STEM
        for stage, width in enumerate(WIDTHS):
            positions = [Position(stage, i, self.num_blocks_by_stage) for i in range(self.num_blocks_by_stage[stage])]
            slots = [
                fillers.at(position, in_channels=4 * width if position.block else channels, out_channels=4 * width)
                for position in positions
            ]
            if stage < len(MERGE_STRIDES):
                shape = {"num_blocks": NUM_BLOCKS[stage], "stride": MERGE_STRIDES[stage]}
                layer: nn.Module = BigLittleModule(channels, width, slots=slots[0], **shape)
            else:
                layer = nn.ModuleList(
                    PooledBottleneck(4 * width if i else channels, width, stride=1 if i else 2, slots=filled)
                    for i, filled in enumerate(slots)
                )
            self.add_module(f"layer{stage + 1}", layer)
            channels = 4 * width
        start_convolutions_(self)

    def part(self, x: Tensor, num_frames: int, slots: Slots) -> tuple[Tensor, Tensor]:
        """Let all frames meet, then return what the big and what the little branch see of them."""
        x = slots.before(x, num_frames)
        if not self.pairs:
            return x, x
        in_pairs = x.unflatten(0, (-1, 2))
        return in_pairs[:, 1], in_pairs[:, 0]

    def forward(self, clips: Float[Tensor, "b c_in t h w"]) -> tuple[Float[Tensor, "b c t2 h2 w2"], list[list[Masks]]]:
        """Return the last features and, stage by stage, the masks of each attention."""
        if self.pairs and clips.shape[2] % 2:
            clips = torch.cat([clips, clips[:, :, -1:]], dim=2)
        num_frames = clips.shape[2]
        num_merged = num_frames // 2 if self.pairs else num_frames
        x = self.bn1(self.conv1(fold(clips))).relu_()  # (B*T, 64, H/2, W/2)
        stem_slots = self.layer0["slots"]
        assert isinstance(stem_slots, Slots)
        x = self.stem(*self.part(x, num_frames, stem_slots))  # (B*T/2, 64, H/4, W/4), of bLResNet B*T
        masks: list[list[Masks]] = []
        for stage in range(len(MERGE_STRIDES)):
            module = self.get_submodule(f"layer{stage + 1}")
            assert isinstance(module, BigLittleModule)
            if module.slots.temporal is None:
                big = little = x
            else:
                frames = x.repeat_interleave(2, dim=0) if self.pairs else x
                big, little = self.part(frames, num_frames, module.slots)
            x, module_masks = module(big, little, num_merged)
            masks.append([] if module_masks is None else [module_masks])
        x, last_masks = run_blocks(self.get_submodule("layer4").children(), x, num_merged)
        return unfold(x, num_merged), [*masks, last_masks]

    def stem(self, big: Tensor, little: Tensor) -> Tensor:
        """Merge the branches that follow the first convolution: `(N, 64, H/2, W/2)` each -> `(N, 64, H/4, W/4)`."""
        little = self.bn_l0(self.l_conv0(little)).relu_()
        little = self.bn_l1(self.l_conv1(little)).relu_()
        merged = (self.bn_b0(self.b_conv0(big)) + self.bn_l2(self.l_conv2(little))).relu_()
        return self.bn_bl_init(self.bl_init(merged)).relu_()


def blresnet50(fillers: Fillers) -> BigLittleNet:
    """bLResNet-50 (alpha 2, beta 4), 24.6 M parameters without the classifier: frame by frame."""
    return BigLittleNet(pairs=False, fillers=fillers)


def blvnet50(fillers: Fillers) -> BigLittleNet:
    """bLVNet-50 (alpha 2, beta 4), 24.6 M parameters without the classifier: pairs of frames."""
    return BigLittleNet(pairs=True, fillers=fillers)
