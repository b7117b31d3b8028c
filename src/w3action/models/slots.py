"""The places in a backbone where a temporal operation and an attention can stand.

A backbone works on frames folded into the batch, `(B*T, C, H, W)`; layers work on clips, `(B, C, T, H, W)`. The
two views share memory, and only this file turns one into the other.

At every residual block a backbone opens one `Slots`: `temporal` before the first convolution (and, where a backbone
asks for it, `between` before the second), `attention` on the residual branch before the addition ("residual", CBAM's
place) or behind the block ("output", non-local's place).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import W3, Masks

Place = Literal["residual", "output"]


@dataclass(frozen=True)
class Position:
    """Where in a backbone a residual block stands; stages and blocks count from 0."""

    stage: int
    block: int
    num_blocks_by_stage: tuple[int, ...]


TemporalBuilder = Callable[[Position, int], nn.Module | None]  # position, channels
AttentionBuilder = Callable[[Position, int], nn.Module | None]  # position, channels


def nothing(*_: object) -> None:
    """Fill no slot."""


@dataclass(frozen=True)
class Fillers:
    """What a backbone puts into its slots; each builder returns None to leave one empty."""

    temporal: TemporalBuilder = nothing
    attention: AttentionBuilder = nothing
    place: Place = "residual"

    def at(
        self, position: Position, *, in_channels: int, out_channels: int, between_channels: int | None = None
    ) -> "Slots":
        """Build the slots of the residual block at `position`; `between_channels` opens the second temporal one."""
        return Slots(
            self.temporal(position, in_channels),
            self.attention(position, out_channels),
            self.place,
            between=None if between_channels is None else self.temporal(position, between_channels),
        )


class Slots(nn.Module):
    """The filled slots of one residual block. T comes from the call, never from the constructor."""

    def __init__(
        self,
        temporal: nn.Module | None = None,
        attention: nn.Module | None = None,
        place: Place = "residual",
        *,
        between: nn.Module | None = None,
    ):
        super().__init__()
        self.temporal = temporal
        self.between = between
        self.attention = attention
        self.place = place

    def before(self, x: Float[Tensor, "bt c h w"], num_frames: int) -> Float[Tensor, "bt c h w"]:
        """Apply the temporal operation to the input of the residual branch."""
        return x if self.temporal is None else fold(self.temporal(unfold(x, num_frames)))

    def amid(self, x: Float[Tensor, "bt c h w"], num_frames: int) -> Float[Tensor, "bt c h w"]:
        """Apply the second temporal operation, if there is one, to the input of the branch's second convolution."""
        return x if self.between is None else fold(self.between(unfold(x, num_frames)))

    def close(
        self, y: Float[Tensor, "bt c h w"], shortcut: Float[Tensor, "bt c h w"], num_frames: int, *, relu: bool
    ) -> tuple[Float[Tensor, "bt c h w"], Masks | None]:
        """End a residual block: attention on its branch `y`, addition, ReLU, attention behind.

        `y` is overwritten, so nobody may have kept the output of the branch's last norm (a hook, for example).
        """
        if self.joins:
            attended, masks = self.close_clips(unfold(y, num_frames), unfold(shortcut, num_frames), relu=relu)
            return fold(attended), masks
        return self._end(y, shortcut, relu, lambda x, place: self.attend(x, num_frames, place))

    def close_clips(
        self, y: Float[Tensor, "b c t h w"], shortcut: Float[Tensor, "b c t h w"], *, relu: bool
    ) -> tuple[Float[Tensor, "b c t h w"], Masks | None]:
        """End a residual block of clips that were never folded."""
        if self.joins:
            assert self.attention is not None
            return self.attention(y, shortcut=shortcut, relu=relu)
        return self._end(y, shortcut, relu, self.attend_clips)

    def _end(
        self, y: Tensor, shortcut: Tensor, relu: bool, attend: Callable[[Tensor, Place], tuple[Tensor, Masks | None]]
    ) -> tuple[Tensor, Masks | None]:
        attended, inside = attend(y, "residual")
        # In place, as torchvision adds: new memory costs more than adding. What an attention gave may be a view, where
        # autograd would copy.
        y = y.add_(shortcut) if attended is y else attended + shortcut
        y, behind = attend(y.relu_() if relu else y, "output")
        return y, inside or behind

    @property
    def joins(self) -> bool:
        """Whether the attention adds the shortcut itself, in the pass in which it applies its masks."""
        return isinstance(self.attention, W3) and self.place == "residual"

    def attend(
        self, x: Float[Tensor, "bt c h w"], num_frames: int, place: Place
    ) -> tuple[Float[Tensor, "bt c h w"], Masks | None]:
        """Apply the attention if it stands at `place`."""
        if self.attention is None or self.place != place:
            return x, None
        attended, masks = self.attend_clips(unfold(x, num_frames), place)
        return fold(attended), masks

    def attend_clips(
        self, x: Float[Tensor, "b c t h w"], place: Place
    ) -> tuple[Float[Tensor, "b c t h w"], Masks | None]:
        """Apply the attention if it stands at `place`, to clips that were never folded: those of 3D convolutions."""
        if self.attention is None or self.place != place:
            return x, None
        return self.attention(x)


def fold(clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "bt c h w"]:
    """Fold frames into the batch; a view where frames stand outermost in memory."""
    return clips.transpose(1, 2).flatten(0, 1)


def unfold(frames: Float[Tensor, "bt c h w"], num_frames: int) -> Float[Tensor, "b c t h w"]:
    """Take frames out of the batch; always a view."""
    return frames.unflatten(0, (-1, num_frames)).transpose(1, 2)
