"""LSTM over frames: pool each frame over space, let an LSTM read the frames in order, score every step, average.

    h_t = LSTM(mean over H, W of x_t, h_t-1)        s_t = W_k h_t + b_k        s = mean over t of s_t

(B, C, T, H, W) -> (B, K), for any T. The score of step t knows the frames up to t and none behind it.

What differs from the models of the EgoGesture tables (VGG16+LSTM, C3D+LSTM): they read a fully connected layer's 4096
features of a frame or of a 16-frame clip; this head reads the average of the backbone's last maps, so that any backbone
and any frame size serve. A step is a frame of those maps: behind C3D it is 16 frames of the video, which overlap with
the next 16 in what the convolutions see. The hidden width of 256 and the average of the steps are ours.

Source: "Long-term Recurrent Convolutional Networks for Visual Recognition and Description" (Donahue et al.,
CVPR 2015), section 4: an LSTM on a convolutional network's features, scores averaged over the steps.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from w3action.models.heads.head import Head


class RecurrentHead(Head):
    """Score every step of an LSTM over the frames and average.

    Args:
        in_channels: C of the features.
        num_classes: K.
        hidden: width of the LSTM's state.
        num_layers: LSTMs on top of each other.
        classifier: dropout and start, as in `Head`.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, hidden: int = 256, num_layers: int = 1, **classifier: Any
    ):
        super().__init__(**classifier)
        if hidden < 1 or num_layers < 1:
            raise ValueError(f"hidden is {hidden} and num_layers {num_layers}; both must be at least 1")
        self.lstm = nn.LSTM(in_channels, hidden, num_layers, batch_first=True)
        self.fc = self.scoring_layer(hidden, num_classes)

    def frame_logits(self, features: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b t k"]:
        """Score every step: what the frames up to it say."""
        pooled = features.mean(dim=(3, 4)).transpose(1, 2)  # (B, T, C)
        states, _ = self.lstm(pooled)  # (B, T, hidden)
        return self.fc(self.dropout(states))
