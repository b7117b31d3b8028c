"""An action model: clip -> backbone with attention -> refinement (AFR) -> head -> logits.

Clips are `(B, 3, T, H, W)`, normalised as ImageNet is, or of `in_channels`; T and the size are those of the tensor.
"""

from typing import Any, Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from w3action.layers import AttentionGuidedRefinement, Masks
from w3action.models.backbone import Backbone
from w3action.models.heads import Head

RefineFrom = Literal["last", "every"]


class Features(NamedTuple):
    """What `forward_features` gives: y of equation 8 and every attention's masks."""

    maps: Float[Tensor, "b c t h w"]
    masks: list[list[Masks]]  # by stage, then by attention within the stage


class ActionModel(nn.Module):
    """A network of the paper's tables.

    Args:
        backbone: maps clips to `(maps, masks by stage)`; has `num_features`.
        head: maps maps to logits.
        refine: attention-guided feature refinement, or None.
        refine_from: whether AFR reads the last spatial mask of each stage or every one.
        arguments: the arguments of `create_model` that build this network again.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        *,
        refine: AttentionGuidedRefinement | None = None,
        refine_from: RefineFrom = "last",
        arguments: dict[str, Any],
    ):
        super().__init__()
        self.backbone = backbone
        self.refine = refine
        self.refine_from: RefineFrom = refine_from
        self.head = head
        self.arguments = arguments

    def forward_features(self, clips: Float[Tensor, "b c_in t h w"]) -> Features:
        """Compute the last, refined feature maps (y of equation 8) and the masks of every attention."""
        maps, masks = self.backbone(clips)
        if self.refine is not None:
            maps = self.refine(maps, stage_masks(masks, self.refine_from))
        return Features(maps, masks)

    def forward_head(
        self,
        maps: Float[Tensor, "b c t h w"],
        *,
        clips: Float[Tensor, "b c_in frames height width"] | None = None,
        boxes: Float[Tensor, "b t n 4"] | None = None,
    ) -> Float[Tensor, "b k"]:
        """Classify feature maps; a region graph also needs boxes, or the clips to propose them on.

        Raises:
            ValueError: boxes for a head that reads none.
        """
        if self.head.sees_clips:
            return self.head(maps, clips=clips, boxes=boxes)
        if boxes is not None:
            raise ValueError(
                f"boxes are given, but the head {type(self.head).__name__} reads none; leave them out, or take a "
                "network with a region graph"
            )
        return self.head(maps)

    def forward(
        self, clips: Float[Tensor, "b c_in t h w"], *, boxes: Float[Tensor, "b t2 n 4"] | None = None
    ) -> Float[Tensor, "b k"]:
        """Classify clips; boxes are a region graph's own proposals unless they are given."""
        return self.forward_head(self.forward_features(clips).maps, clips=clips, boxes=boxes)


def stage_masks(masks: list[list[Masks]], refine_from: RefineFrom = "last") -> list[Tensor]:
    """Collect the spatial masks M^s that AFR reads: one per stage that has any, or every one."""
    spatial = [[m.spatial for m in stage if m.spatial is not None] for stage in masks]
    if refine_from == "every":
        return [mask for stage in spatial for mask in stage]
    return [stage[-1] for stage in spatial if stage]
