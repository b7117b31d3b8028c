"""The runs behind the paper's tables (section 4 and the supplement): data set x network x frames.

The paper "followed the common practice" of the public TSM: ImageNet weights, 50 epochs at 0.01 for 64 clips, a tenth at
20 and 40. EgoGesture's 20 epochs are ACTION-Net's. What it says of no system is the same for all of them here: one
trainer, so that rows differ by their networks alone. Something-Something is trained without flips, as TSM's figures
were; `--set data.flip=auto` swaps the labels that speak of a side, and is better. Equation 9 is added as it stands,
with a weight of 1.

Of the frames the paper says only how many, and the setting is "the same for all": so 3D networks, too, see one frame of
each segment of the whole video. A dense window (`--set data.sampling=dense`) is for Kinetics' ten seconds; its 64
frames would go round in one of Something-Something's few seconds at 12 frames each. How long EPIC-Kitchens is trained
it does not say either: 50 epochs, as by default.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from w3action.config import DataConfig, ModelConfig, OptimConfig, RunConfig

ECO_ENSEMBLE = (16, 20, 24, 32)  # frames of ECO's four networks, 92 in all


def something_something(recipe: str, network: str, *, frames: int = 8, **changes: Any) -> RunConfig:
    """Something-Something V1 or V2: 174 classes, half of them a direction or an order in time."""
    return _run(recipe, network, DataConfig(num_frames=frames, num_workers=8, flip="off"), **changes)


def egogesture(recipe: str, network: str, *, frames: int = 8, **changes: Any) -> RunConfig:
    """EgoGesture: 83 gestures; a tenth of the rate at a quarter, a half and three quarters of 20 epochs."""
    optim = OptimConfig(milestones=(0.25, 0.5, 0.75))
    data = DataConfig(num_frames=frames, num_workers=8)
    return _run(recipe, network, data, optim=optim, epochs=20, **changes)


def epic_kitchens(recipe: str, network: str, *, frames: int = 8, **changes: Any) -> RunConfig:
    """EPIC-Kitchens-55: a classifier for the verb and one for the noun."""
    return _run(recipe, network, DataConfig(num_frames=frames, num_workers=8, label_column="verb,noun"), **changes)


def _run(
    recipe: str,
    network: str,
    data: DataConfig,
    *,
    attention: str | None = None,
    options: dict[str, Any] | None = None,
    refine: bool | None = None,
    flow: bool = False,
    size: int = 224,
    weights: str | None = "imagenet",
    **changes: Any,
) -> RunConfig:
    return RunConfig(
        recipe=recipe,
        model=ModelConfig(network, attention, options or {}, refine=refine, pretrained=weights),
        data=dataclasses.replace(data, size=size, modality="flow" if flow else "rgb"),
        mfr_weight=1.0,
        **changes,
    )


def _named(make: Callable[..., RunConfig], runs: dict[str, dict[str, Any]]) -> dict[str, Callable[[], RunConfig]]:
    return {name: partial(make, name, **settings) for name, settings in runs.items()}


_W3 = {"network": "tsm_resnet50", "attention": "w3"}
_RANDOM = {"weights": None}  # no ImageNet weights of this layout are known to us: give a file if you have one
_I3D_R18 = {"network": "i3d_resnet18"}
_NON_LOCAL = {"network": "i3d_resnet50", "attention": "non_local", "frames": 32}

PUBLISHED: dict[str, Callable[[], RunConfig]] = {
    **_named(
        something_something,
        {
            "ssv1_tsn_bn_inception_8f": {"network": "tsn_bn_inception", **_RANDOM},
            "ssv1_tsn_8f": {"network": "tsn_resnet50"},
            "ssv1_trn_multiscale_bn_inception_8f": {"network": "trn_multiscale_bn_inception", **_RANDOM},
            "ssv1_trn_multiscale_8f": {"network": "trn_multiscale_resnet50"},
            "ssv1_trn_multiscale_flow_8f": {"network": "trn_multiscale_bn_inception", "flow": True, **_RANDOM},
            "ssv1_eco_8f": {"network": "eco_full", **_RANDOM},
            "ssv1_eco_16f": {"network": "eco_full", "frames": 16, **_RANDOM},
            **{f"ssv1_eco_lite_{t}f": {"network": "eco_lite", "frames": t, **_RANDOM} for t in ECO_ENSEMBLE},
            **{
                f"ssv1_eco_lite_flow_{t}f": {"network": "eco_lite", "frames": t, "flow": True, **_RANDOM}
                for t in ECO_ENSEMBLE
            },
            "ssv1_i3d_32f": {"network": "i3d_resnet50", "frames": 32},
            "ssv1_i3d_non_local_32f": _NON_LOCAL,
            "ssv1_i3d_non_local_gcn_32f": {**_NON_LOCAL, "network": "region_graph_i3d_resnet50"},
            "ssv1_slowfast_32f": {"network": "slowfast_8x8_resnet50", "frames": 32, **_RANDOM},
            "ssv1_tsm_8f": {"network": "tsm_resnet50"},
            "ssv1_tsm_16f": {"network": "tsm_resnet50", "frames": 16},
            "ssv1_tsm_w3_8f": {**_W3, "mfr": True},
            "ssv1_tsm_w3_16f": {**_W3, "frames": 16, "mfr": True},
            "ssv1_tsm_w3_no_mfr_8f": _W3,
            "ssv1_tsm_w3_no_mfr_16f": {**_W3, "frames": 16},
            "ssv1_tsm_w3_no_afr_16f": {**_W3, "frames": 16, "mfr": True, "refine": False},
            "ssv1_tsm_w3_no_spatial_16f": {
                **_W3,
                "frames": 16,
                "mfr": True,
                "refine": False,  # there are no spatial masks to refine with
                "options": {"spatial": False},
            },
            "ssv1_tsm_w3_no_temporal_16f": {**_W3, "frames": 16, "mfr": True, "options": {"temporal": False}},
            "ssv1_tsm_cbam_16f": {"network": "tsm_resnet50", "attention": "cbam", "frames": 16},
            "ssv1_tsm_cbam_mfr_16f": {"network": "tsm_resnet50", "attention": "cbam", "frames": 16, "mfr": True},
            "ssv1_tsm_non_local_16f": {"network": "tsm_resnet50", "attention": "non_local", "frames": 16},
            "ssv1_i3d_resnet18_32f": {**_I3D_R18, "frames": 32},
            "ssv1_i3d_resnet18_w3_32f": {**_I3D_R18, "attention": "w3", "frames": 32},
            "ssv1_i3d_resnet18_64f": {**_I3D_R18, "frames": 64},
            "ssv1_i3d_resnet18_w3_64f": {**_I3D_R18, "attention": "w3", "frames": 64},
            "ssv1_tam_8f": {"network": "tam_resnet50"},
            "ssv1_tam_w3_8f": {"network": "tam_resnet50", "attention": "w3"},
            "ssv2_trn_multiscale_bn_inception_8f": {"network": "trn_multiscale_bn_inception", **_RANDOM},
            "ssv2_trn_multiscale_8f": {"network": "trn_multiscale_resnet50"},
            "ssv2_trn_multiscale_flow_8f": {"network": "trn_multiscale_bn_inception", "flow": True, **_RANDOM},
            "ssv2_tsm_8f": {"network": "tsm_resnet50"},
            "ssv2_tsm_16f": {"network": "tsm_resnet50", "frames": 16},
            "ssv2_tsm_w3_16f": {**_W3, "frames": 16, "mfr": True},
        },
    ),
    **_named(
        egogesture,
        {
            "egogesture_lstm_vgg16_16f": {"network": "lstm_vgg16", "frames": 16},
            "egogesture_c3d_8f": {"network": "c3d", "size": 112, **_RANDOM},
            "egogesture_c3d_16f": {"network": "c3d", "frames": 16, "size": 112, **_RANDOM},
            "egogesture_rsttm_c3d_16f": {"network": "rsttm_c3d", "frames": 16, "size": 112, **_RANDOM},
            "egogesture_i3d_32f": {"network": "i3d_resnet50", "frames": 32},
            "egogesture_tsm_8f": {"network": "tsm_resnet50"},
            "egogesture_tsm_w3_8f": {**_W3, "mfr": True},
        },
    ),
    **_named(
        epic_kitchens,
        {
            "epic55_tsn_8f": {"network": "tsn_resnet50"},
            "epic55_trn_8f": {"network": "trn_resnet50"},
            "epic55_trn_multiscale_8f": {"network": "trn_multiscale_resnet50"},
            "epic55_bank_8f": {"network": "bank_resnet50"},
            "epic55_tsm_8f": {"network": "tsm_resnet50"},
            "epic55_tsm_w3_8f": {**_W3, "mfr": True},
        },
    ),
}
