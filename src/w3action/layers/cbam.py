"""CBAM: frame-wise channel attention, then frame-wise spatial attention. What and where, without when.

(B, C, T, H, W) in and out; no frame's output depends on another frame. As in its public code, a batch norm
stands behind the 7x7 convolution and the weights start as PyTorch makes them (both masks near 0.5). It is what W3
becomes without its temporal halves, and so it is written as that.

Source: "CBAM: Convolutional Block Attention Module" (Woo et al., ECCV 2018), for images; frame by frame on
video as in Tables 6 and 7 of the W3 paper.
"""

from w3action.layers.w3 import W3


class CBAM(W3):
    """Convolutional block attention, applied to every frame by itself."""

    def __init__(self, channels: int, *, reduction: int = 16):
        super().__init__(channels, temporal=False, reduction=reduction, spatial_norm=True, initial_mask=0.5)
