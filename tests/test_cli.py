"""The commands as a user types them, with right and with wrong input."""

import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys

import pytest

from w3action import cli
from w3action.config import list_settings


def w3(monkeypatch, capsys, *words: object) -> tuple[int, str, str]:
    """Run `w3 WORDS` in this process: exit code, output, errors."""
    monkeypatch.setattr(sys, "argv", ["w3", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), printed.out, printed.err


@pytest.fixture
def run(monkeypatch, capsys, tabletop, tmp_path):
    out = tmp_path / "run"
    settings = ("data.size=32", "data.num_frames=4", "epochs=1", "batch_size=8", "model.attention=w3")
    code, output, _ = w3(monkeypatch, capsys, "train", "demo", "--data", tabletop, "--out", out, "--set", *settings)
    assert code == 0, output
    assert "finished" in output
    return out


def test_train_eval_predict_explain(monkeypatch, capsys, tabletop, run, tmp_path):
    video = next((tabletop.parent / "videos").glob("test*"))
    code, output, _ = w3(
        monkeypatch, capsys, "eval", run, "--data", tabletop, "--split", "test", "--num-workers", 0, "--json"
    )
    assert code == 0
    assert json.loads(output)["num_videos"] == 16

    code, output, _ = w3(monkeypatch, capsys, "eval", run, "--data", tabletop, "--num-workers", 0)
    assert code == 0
    assert "mean class accuracy" in output

    code, output, _ = w3(monkeypatch, capsys, "predict", run, video, "--top", 2, "--json")
    assert code == 0
    assert len(json.loads(output)[0]["predictions"]) == 2

    code, output, errors = w3(monkeypatch, capsys, "predict", run, tmp_path / "no.mp4", video)
    assert code == 2
    assert "no.mp4" in errors
    assert video.name in output, "the readable video is predicted all the same"

    code, output, _ = w3(monkeypatch, capsys, "explain", run, video, "--out", tmp_path / "why")
    assert code == 0
    assert (tmp_path / "why" / "index.html").is_file()

    code, output, _ = w3(monkeypatch, capsys, "train", "--out", run, "--resume")
    assert code == 0
    assert "is finished" in output


def test_flops_are_those_of_the_field(monkeypatch, capsys):
    code, output, _ = w3(monkeypatch, capsys, "bench", "flops", "tsm_resnet50")
    assert code == 0
    assert "32.70 GFLOPs" in output
    assert "65.40 GFLOPs" in w3(monkeypatch, capsys, "bench", "flops", "tsm_resnet50", "--frames", 16)[1]
    code, output, _ = w3(
        monkeypatch, capsys, "bench", "flops", "tsm_resnet50", "--attention", "non_local", "--frames", 16, "--json"
    )
    assert round(json.loads(output)["gflops"], 1) == 146.1


def test_lists_are_complete(monkeypatch, capsys):
    code, output, _ = w3(monkeypatch, capsys, "list", "--json")
    assert code == 0
    names = {row["name"] for row in json.loads(output)}
    assert {"tsn_resnet18", "tsm_resnet50", "tsm_resnet101", "tsm_mobilenetv2", "tsm_small"} <= names
    printed = w3(monkeypatch, capsys, "list")[1]
    assert "non_local" in printed
    assert "tsm:timm/regnety_032" in printed, "networks of other libraries"
    assert "edge" in w3(monkeypatch, capsys, "recipes")[1]
    found = json.loads(w3(monkeypatch, capsys, "recipes", "--json")[1])
    assert "default" in found["recipes"]
    assert [table["number"] for table in found["tables"]] == list(range(1, 9))
    assert found["tables"][0]["rows"][0]["ours"] == [None, None]
    names = [name for name in found["recipes"] if name.startswith(("ssv", "ego", "epic"))]
    printed = w3(monkeypatch, capsys, "recipes")[1]
    assert [name for name in names if name not in printed] == [], "cut off"


def test_tabletop_is_drawn(monkeypatch, capsys, tmp_path):
    code, output, _ = w3(monkeypatch, capsys, "data", "tabletop", "--out", tmp_path / "t", "--num-videos", 6)
    assert code == 0
    assert output.strip() == str(tmp_path / "t" / "manifest.csv")


WRONG = {
    "an unknown model": (["bench", "flops", "tsm_resnet51"], "tsm_resnet50"),
    "a network of no library": (["bench", "flops", "tsm:timm/resnet19"], "resnet18"),
    "a single run to fuse": (["fuse", "{tmp}/x.safetensors", "--out", "{tmp}/f"], "at least 2"),
    "an unknown attention": (["bench", "flops", "tsm_resnet50", "--attention", "w4"], "non_local"),
    "an unknown recipe": (["train", "fast", "--data", "{tmp}", "--out", "{tmp}/r"], "default"),
    "an unknown setting": (["train", "--data", "{tmp}", "--out", "{tmp}/r", "--set", "optim.speed=1"], "optim.speed"),
    "an unknown protocol": (["eval", "{tmp}", "--data", "{tmp}", "--protocol", "centre"], "center"),
    "no training videos": (["train", "--out", "{tmp}/r"], "--data"),
    "an empty folder": (["train", "demo", "--data", "{tmp}/empty", "--out", "{tmp}/r"], "empty"),
    "a missing column": (["train", "demo", "--data", "{tmp}/no_label.csv", "--out", "{tmp}/r"], "label"),
    "no checkpoint": (["predict", "{tmp}", "{tmp}/x.mp4"], "no checkpoint"),
    "no video": (["predict", "{tmp}"], "at least one video"),
    "wrong weights": (
        ["train", "demo", "--data", "{data}", "--out", "{tmp}/r", "--set", "model.pretrained={tmp}/w.pt"],
        "w.pt",
    ),
    "ImageNet weights that do not exist": (
        ["train", "demo", "--data", "{data}", "--out", "{tmp}/r", "--set", "model.pretrained=imagenet"],
        "no ImageNet weights",
    ),
    "an option the attention lacks": (
        ["train", "demo", "--data", "{data}", "--out", "{tmp}/r", "--set", "model.attention=se",
         "model.attention_options.temporal=true"],
        "temporal",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_gives_one_line_that_names_it(what, monkeypatch, capsys, tabletop, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "no_label.csv").write_text("path,class\na.mp4,x\n")
    (tmp_path / "w.pt").write_bytes(b"no weights")
    words, expected = WRONG[what]
    code, _, errors = w3(monkeypatch, capsys, *(word.format(tmp=tmp_path, data=tabletop) for word in words))
    assert code == 2
    assert errors.startswith("w3: ")
    assert errors.count("\n") == 1
    assert expected in errors


def test_a_traceback_can_be_had(monkeypatch, capsys):
    monkeypatch.setenv("W3_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["w3", "bench", "flops", "nothing"])
    with pytest.raises(ValueError, match="unknown model"):
        cli.main()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "3000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_threads_wait_as_the_user_says_or_briefly(monkeypatch, capsys, given, expected):
    kept = {name: value for name, value in os.environ.items() if "OMP" not in name}
    monkeypatch.setattr(os, "environ", kept | given)
    assert w3(monkeypatch, capsys, "--help")[0] == 0
    assert {name: value for name, value in os.environ.items() if "OMP" in name} == expected


def test_every_setting_is_listed(monkeypatch, capsys):
    code, output, _ = w3(monkeypatch, capsys, "settings")
    assert code == 0
    settings = list_settings()
    assert output.splitlines()[::2] == [f"{one.key}={one.default}  ({one.type})" for one in settings]
    assert "optim.lr=0.01  (number > 0)\n    Learning rate, for a batch of optim.lr_batch_size clips.\n" in output
    assert json.loads(w3(monkeypatch, capsys, "settings", "--json")[1]) == [dataclasses.asdict(s) for s in settings]
    assert "w3 settings" in w3(monkeypatch, capsys, "train", "--help")[1]


def test_the_version_can_be_asked(monkeypatch, capsys):
    assert w3(monkeypatch, capsys, "--version") == (0, f"w3 {importlib.metadata.version('w3action')}\n", "")
    assert "w3 --version" in w3(monkeypatch, capsys, "--help")[1]


def test_python_m_w3action_is_w3():
    asked = [sys.executable, "-m", "w3action"]
    assert subprocess.run([*asked, "no-such-verb"], capture_output=True, check=False).returncode == 2
    shown = subprocess.run([*asked, "--help"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: w3 ")


def test_a_reader_who_has_read_enough_ends_it_quietly():
    asked = [sys.executable, "-m", "w3action", "settings"]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
