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


Recipes = dict[str, Callable[[], RunConfig]]


def _runs(make: Callable[..., RunConfig], name: str, *frames: int, **settings: Any) -> Recipes:
    """Make a recipe for each number of frames, which stands for the `{}` of its name."""
    return {name.format(t): partial(make, name.format(t), frames=t, **settings) for t in frames}


_ssv, _gesture, _epic = (partial(_runs, make) for make in (something_something, egogesture, epic_kitchens))

_TSM = {"network": "tsm_resnet50"}
_W3 = {**_TSM, "attention": "w3"}
_W3_MFR = {**_W3, "mfr": True}
_CBAM = {**_TSM, "attention": "cbam"}
_TRN = {"network": "trn_multiscale_resnet50"}
# No ImageNet weights of these networks' layouts are known to us: give a file if you have one.
_TRN_BN_INCEPTION = {"network": "trn_multiscale_bn_inception", "weights": None}
_ECO_LITE = {"network": "eco_lite", "weights": None}
_C3D = {"network": "c3d", "size": 112, "weights": None}
_I3D_R18 = {"network": "i3d_resnet18"}
_NO_SPATIAL = {"options": {"spatial": False}, "refine": False}  # there are no spatial masks to refine with

PUBLISHED: Recipes = {
    **_ssv("ssv1_tsn_bn_inception_{}f", 8, network="tsn_bn_inception", weights=None),
    **_ssv("ssv1_tsn_{}f", 8, network="tsn_resnet50"),
    **_ssv("ssv1_trn_multiscale_bn_inception_{}f", 8, **_TRN_BN_INCEPTION),
    **_ssv("ssv1_trn_multiscale_{}f", 8, **_TRN),
    **_ssv("ssv1_trn_multiscale_flow_{}f", 8, flow=True, **_TRN_BN_INCEPTION),
    **_ssv("ssv1_eco_{}f", 8, 16, network="eco_full", weights=None),
    **_ssv("ssv1_eco_lite_{}f", *ECO_ENSEMBLE, **_ECO_LITE),
    **_ssv("ssv1_eco_lite_flow_{}f", *ECO_ENSEMBLE, flow=True, **_ECO_LITE),
    **_ssv("ssv1_i3d_{}f", 32, network="i3d_resnet50"),
    **_ssv("ssv1_i3d_non_local_{}f", 32, network="i3d_resnet50", attention="non_local"),
    **_ssv("ssv1_i3d_non_local_gcn_{}f", 32, network="region_graph_i3d_resnet50", attention="non_local"),
    **_ssv("ssv1_slowfast_{}f", 32, network="slowfast_8x8_resnet50", weights=None),
    **_ssv("ssv1_tsm_{}f", 8, 16, **_TSM),
    **_ssv("ssv1_tsm_w3_{}f", 8, 16, **_W3_MFR),
    **_ssv("ssv1_tsm_w3_no_mfr_{}f", 8, 16, **_W3),
    **_ssv("ssv1_tsm_w3_no_afr_{}f", 16, refine=False, **_W3_MFR),
    **_ssv("ssv1_tsm_w3_no_spatial_{}f", 16, **_NO_SPATIAL, **_W3_MFR),
    **_ssv("ssv1_tsm_w3_no_temporal_{}f", 16, options={"temporal": False}, **_W3_MFR),
    **_ssv("ssv1_tsm_cbam_{}f", 16, **_CBAM),
    **_ssv("ssv1_tsm_cbam_mfr_{}f", 16, mfr=True, **_CBAM),
    **_ssv("ssv1_tsm_non_local_{}f", 16, attention="non_local", **_TSM),
    **_ssv("ssv1_i3d_resnet18_{}f", 32, **_I3D_R18),
    **_ssv("ssv1_i3d_resnet18_w3_{}f", 32, attention="w3", **_I3D_R18),
    **_ssv("ssv1_i3d_resnet18_{}f", 64, **_I3D_R18),
    **_ssv("ssv1_i3d_resnet18_w3_{}f", 64, attention="w3", **_I3D_R18),
    **_ssv("ssv1_tam_{}f", 8, network="tam_resnet50"),
    **_ssv("ssv1_tam_w3_{}f", 8, network="tam_resnet50", attention="w3"),
    **_ssv("ssv2_trn_multiscale_bn_inception_{}f", 8, **_TRN_BN_INCEPTION),
    **_ssv("ssv2_trn_multiscale_{}f", 8, **_TRN),
    **_ssv("ssv2_trn_multiscale_flow_{}f", 8, flow=True, **_TRN_BN_INCEPTION),
    **_ssv("ssv2_tsm_{}f", 8, 16, **_TSM),
    **_ssv("ssv2_tsm_w3_{}f", 16, **_W3_MFR),
    **_gesture("egogesture_lstm_vgg16_{}f", 16, network="lstm_vgg16"),
    **_gesture("egogesture_c3d_{}f", 8, 16, **_C3D),
    **_gesture("egogesture_rsttm_c3d_{}f", 16, **{**_C3D, "network": "rsttm_c3d"}),
    **_gesture("egogesture_i3d_{}f", 32, network="i3d_resnet50"),
    **_gesture("egogesture_tsm_{}f", 8, **_TSM),
    **_gesture("egogesture_tsm_w3_{}f", 8, **_W3_MFR),
    **_epic("epic55_tsn_{}f", 8, network="tsn_resnet50"),
    **_epic("epic55_trn_{}f", 8, network="trn_resnet50"),
    **_epic("epic55_trn_multiscale_{}f", 8, **_TRN),
    **_epic("epic55_bank_{}f", 8, network="bank_resnet50"),
    **_epic("epic55_tsm_{}f", 8, **_TSM),
    **_epic("epic55_tsm_w3_{}f", 8, **_W3_MFR),
}
