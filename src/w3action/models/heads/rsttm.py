"""RSTTM: undo the camera's motion on 3D feature maps, slice by slice, then an LSTM over frames.

A clip's maps are cut into slices of consecutive frames. For slice n with maps U_n, coordinates in [-1, 1]:

    h_n = tanh(W_x localise(U_n) + W_h h_n-1 + b)                   a localisation network with a memory
    H_n = I + reshape(W_o h_n + b_o), 4x4                           homography: 15 numbers; affine: the first 12
    (x', y', t', w) = H_n (x, y, t, 1)
    V_n(x, y, t) = U_n(x'/w, y'/w, t'/w)                            trilinear, zero outside the slice

The V_n take the slices' places and go to the LSTM head. (B, C, T, H, W) -> (B, K), for any T; the last slice has the
frames that are left. W_o and b_o start at zero, so the head starts as the LSTM head on untouched maps. Outside the
slice lies zero and not the border's value, whose gradient vanishes for a slice of one or two frames.

What differs. From the paper: it resamples maps within C3D, before the fully connected layers, and its LSTM reads
fully connected features of 16-frame clips; here both stand behind the backbone and read what it has left of space
and time, and a slice is `slice_frames` of its frames. So the backbone must leave places to move between: behind C3D's
fully connected layers a 112-pixel frame is a single one, and there is nothing to undo. The paper's localisation
layers, their widths and where exactly the recurrence enters were not at hand; those here are ours (two convolutions,
a 3x3 grid that keeps places apart, 128 recurrent numbers). w is held above 0.1: no point lies behind the camera.

Source: "Egocentric Gesture Recognition Using Recurrent 3D Convolutional Neural Networks with Spatiotemporal
Transformer Modules" (Cao et al., ICCV 2017); after "Spatial Transformer Networks" (Jaderberg et al., NeurIPS 2015).
"""

from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from w3action.models.heads.head import Head
from w3action.models.heads.recurrent import RecurrentHead

Transform = Literal["homography", "affine"]
NUM_PARAMETERS = {"homography": 15, "affine": 12}
GRID = 3  # places a side that the localisation network tells apart
LEAST_DEPTH = 0.1  # of w


class RSTTMHead(Head):
    """Resample the features by a recurrent spatiotemporal transformer, then score them with an LSTM.

    Args:
        in_channels: C of the features.
        num_classes: K.
        dropout: before the classifier.
        initial_std: of the classifier's weights, 0.001 as in the public TSM; None keeps PyTorch's own start.
        hidden: width of the LSTM's state.
        num_layers: LSTMs on top of each other.
        transformer: arguments of `RecurrentTransformer`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dropout: float = 0.5,
        initial_std: float | None = 0.001,
        hidden: int = 256,
        num_layers: int = 1,
        **transformer: Any,
    ):
        super().__init__(dropout=dropout, initial_std=initial_std)
        self.transformer = RecurrentTransformer(in_channels, **transformer)
        self.recurrent = RecurrentHead(
            in_channels, num_classes, dropout=dropout, initial_std=initial_std, hidden=hidden, num_layers=num_layers
        )

    @property
    def classifier(self) -> nn.Module:
        """The LSTM head's last layer."""
        return self.recurrent.fc

    def frame_logits(self, features: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b t k"]:
        """Score every step: a frame of a slice resampled in time, so it knows its whole slice and those before."""
        return self.recurrent.frame_logits(self.transformer(features))


class RecurrentTransformer(nn.Module):
    """Map each slice of `(B, C, T, H, W)` to a canonical view of itself.

    Args:
        in_channels: C of the features.
        transform: "homography" (15 parameters) or "affine" (12).
        slice_frames: frames of the features that share a transformation; 2 are what C3D's convolutions leave of 16.
        width: channels of the localisation network.
        memory: width of its recurrent state.

    Raises:
        ValueError: an unknown transform, or a size below 1.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        transform: Transform = "homography",
        slice_frames: int = 2,
        width: int = 64,
        memory: int = 128,
    ):
        super().__init__()
        if transform not in get_args(Transform):
            raise ValueError(f"transform is {transform!r}; choose one of {', '.join(get_args(Transform))}")
        if min(slice_frames, width, memory) < 1:
            raise ValueError(
                f"slice_frames is {slice_frames}, width {width} and memory {memory}; each must be at least 1"
            )
        self.slice_frames = slice_frames
        self.localise = nn.Sequential(
            nn.Conv3d(in_channels, width, 1),
            nn.ReLU(),
            nn.Conv3d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d((1, GRID, GRID)),
            nn.Flatten(),
        )
        self.remember = nn.Linear(memory, memory, bias=False)
        self.observe = nn.Linear(width * GRID * GRID, memory)
        self.predict = nn.Linear(memory, NUM_PARAMETERS[transform])
        nn.init.zeros_(self.predict.weight)
        nn.init.zeros_(self.predict.bias)

    def matrices(self, slices: list[Tensor]) -> list[Float[Tensor, "b 4 4"]]:
        """Predict the transformation of every slice, in their order."""
        state = None
        matrices = []
        for maps in slices:
            observed = self.observe(self.localise(maps))  # (B, memory)
            state = (observed if state is None else observed + self.remember(state)).tanh()
            change = self.predict(state)
            change = change.to(torch.promote_types(change.dtype, torch.float32))
            change = nn.functional.pad(change, (0, 16 - change.shape[1])).view(-1, 4, 4)
            matrices.append(torch.eye(4, device=change.device, dtype=change.dtype) + change)
        return matrices

    def forward(self, features: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Resample every slice by its own transformation."""
        slices = list(features.split(self.slice_frames, dim=2))
        matrices = self.matrices(slices)
        return torch.cat([resample(maps, matrix) for maps, matrix in zip(slices, matrices, strict=True)], dim=2)


def resample(maps: Float[Tensor, "b c t h w"], matrix: Float[Tensor, "b 4 4"]) -> Float[Tensor, "b c t h w"]:
    """Read the maps at the places where `matrix` sends each point (x, y, t, 1); -1 and 1 are their outer edges.

    Places are computed in the matrix's precision: in half precision neighbours would fall together. So the product is
    written out, for mixed precision would halve a matrix product.
    """
    t, h, w = maps.shape[2:]
    along_t, along_y, along_x = (
        (2 * torch.arange(n, device=matrix.device, dtype=matrix.dtype) + 1) / n - 1 for n in (t, h, w)
    )
    tt, yy, xx = torch.meshgrid(along_t, along_y, along_x, indexing="ij")
    points = torch.stack([xx, yy, tt, torch.ones_like(xx)], dim=-1).view(-1, 4)  # (THW, 4)
    sent = (points[None, :, None] * matrix[:, None]).sum(dim=-1)  # (B, THW, 4)
    places = (sent[..., :3] / sent[..., 3:].clamp_min(LEAST_DEPTH)).view(-1, t, h, w, 3)
    resampled = nn.functional.grid_sample(
        maps.to(places.dtype), places, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return resampled.to(maps.dtype)
