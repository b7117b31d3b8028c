"""TSM as its paper's public form is usually written: the network that ours is timed against.

Before the first convolution of every residual branch a new tensor of zeros is made, and three slices are copied into
it; frames are contiguous `(B*T, C, H, W)`, batch norms stand by themselves, a video's logits are the mean of its
frames'. Written here from that description on torchvision's ResNet; it computes what `tsm_resnet*` computes.
"""

import torch
import torchvision
from jaxtyping import Float
from torch import Tensor, nn

from w3action.models import ActionModel


class PlainShift(nn.Module):
    """A shift by copies: zeros, three slices copied into them, then the convolution."""

    def __init__(self, conv: nn.Module, *, num_frames: int, fold_div: int = 8):
        super().__init__()
        self.conv, self.num_frames, self.fold_div = conv, num_frames, fold_div

    def forward(self, x: Float[Tensor, "bt c h w"]) -> Float[Tensor, "bt c2 h2 w2"]:
        """Shift, then convolve."""
        frames = x.view(-1, self.num_frames, *x.shape[1:])  # (B, T, C, H, W)
        fold = frames.shape[2] // self.fold_div
        shifted = torch.zeros_like(frames)
        shifted[:, :-1, :fold] = frames[:, 1:, :fold]
        shifted[:, 1:, fold : 2 * fold] = frames[:, :-1, fold : 2 * fold]
        shifted[:, :, 2 * fold :] = frames[:, :, 2 * fold :]
        return self.conv(shifted.view(x.shape))


class PlainTSM(nn.Module):
    """The whole network, for clips of `num_frames`."""

    def __init__(self, resnet: nn.Module, *, num_frames: int):
        super().__init__()
        self.resnet, self.num_frames = resnet, num_frames
        stages = [list(resnet.get_submodule(f"layer{stage}").children()) for stage in range(1, 5)]
        every = 2 if max(map(len, stages)) >= 23 else 1
        for stage in stages:
            for block in stage[::every]:
                block.conv1 = PlainShift(block.get_submodule("conv1"), num_frames=num_frames)

    def forward(self, clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        """Classify clips."""
        frames = clips.transpose(1, 2).flatten(0, 1).contiguous()
        return self.resnet(frames).unflatten(0, (-1, self.num_frames)).mean(dim=1)


def plain_tsm(model: ActionModel, *, num_frames: int) -> PlainTSM:
    """Build the plain formulation of a `tsm_resnet*` of ours, with its weights, in evaluation mode.

    Raises:
        ValueError: a network that is no plain TSM on a ResNet.
    """
    name = model.arguments["name"]
    if not name.startswith("tsm_resnet") or model.arguments["attention"] is not None:
        raise ValueError(f"{name} has no plain formulation; choose tsm_resnet18, _34, _50 or _101 without an attention")
    resnet = torchvision.models.get_model(name.removeprefix("tsm_"), num_classes=model.arguments["num_classes"])
    classifier = {f"fc.{key}": value for key, value in model.head.get_submodule("fc").state_dict().items()}
    resnet.load_state_dict(model.backbone.state_dict() | classifier)
    return PlainTSM(resnet, num_frames=num_frames).eval()
