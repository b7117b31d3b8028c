"""Every command in the documentation runs as it is written, on drawn videos and with small networks.

Each page has a folder with what its reader would have there. A block that cannot run says why in a comment above it:
`<!-- not run here: why -->`.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from drawn_sets import DRAW
from drawn_videos import draw_frame
from pages import PAGES, ROOT, RUNNABLE, SHOWN, Block, read_blocks, small
from PIL import Image

from w3action import cli, recipes
from w3action.tabletop import write_tabletop

CLASSES = ("down", "left", "left_right", "right", "right_left", "still", "up")
WITH_COMMANDS = [page for page in PAGES if any(b.language in RUNNABLE and not b.not_run for b in read_blocks(page))]
OWN_TREE = "docs/extending.md"  # its commands run in a checkout of their own, to which it adds files


@pytest.fixture(scope="module")
def home(tmp_path_factory, draw_video) -> Path:
    """What a reader has: clips by class, tables of them, single videos, data sets as they are downloaded."""
    home = tmp_path_factory.mktemp("home")
    lengths = iter(range(16, 100))
    for name in CLASSES:
        for number in range(3):
            clip = home / "clips" / name / f"{number}.mp4"
            clip.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(draw_video("clip.mp4", num_frames=next(lengths), size=(64, 48)), clip)
    videos = [(f"clips/{name}/{number}.mp4", name) for name in CLASSES for number in range(3)]
    (home / "test.csv").write_text("path,label\n" + "".join(f"{path},{name}\n" for path, name in videos))
    pairs = "".join(f"{path},{name},hand\n" for path, name in videos)
    (home / "verbs_and_nouns.csv").write_text("path,verb,noun\n" + pairs.replace("hand", "ball", 5))
    for name in ("new.mp4", "other.mp4"):
        shutil.copy(draw_video(name, num_frames=20, size=(64, 48)), home / name)
    for name in DRAW:
        DRAW[name](home / name)
    webm = home / "webm"
    shutil.copytree(home / "something_v2", webm, ignore=shutil.ignore_patterns("labels"))
    shutil.copytree(home / "something_v2" / "labels", home / "json")
    for number, empty in enumerate(webm.glob("*.webm")):
        shutil.copy(draw_video("a.webm", codec="libvpx-vp9", num_frames=20 + number, size=(64, 48)), empty)
    for number, empty in enumerate(webm.glob("*/*.jpg")):
        Image.fromarray(draw_frame(number, 64, 48)).save(empty)
    return home


@pytest.fixture(scope="module")
def run_of_readers(home) -> Path:
    """A finished run, for the pages that use one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr(recipes, "recipe", lambda name: small(recipes.RECIPES[name]()))
        assert w3(patch, ["train", "edge", "--data", "clips", "--out", "trained"]) == 0
    return home / "trained"


def w3(patch: pytest.MonkeyPatch, words: list[str]) -> int:
    """Run `w3 WORDS` in this process, as if it were the first thing that runs there, and return its exit code."""
    AcceleratorState._reset_state(reset_partial_state=True)  # else a second precision is refused
    patch.setattr(sys, "argv", ["w3", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def form(line: str) -> str:
    """Return what stays of a line of output when figures, class names and widths are others."""
    line = re.sub(r"[─━]+", "─", line)
    line = re.sub(r"'[^']+'|\b(" + "|".join(sorted(CLASSES, key=len, reverse=True)) + r")\b", "CLASS", line)
    return " ".join(re.sub(r"-?\d[\d.,]*(e-?\d+)?", "N", line).split())


def check_output(printed: str, shown: list[str], where: str) -> None:
    """Fail if the page shows a line that the command does not print; "..." stands for lines left out."""
    forms = {form(line) for line in printed.splitlines()}
    missing = [line for line in shown if form(line) not in {"", "...", *forms}]
    assert not missing, f"{where} does not print such a line; it printed\n{printed}"


@pytest.mark.parametrize("page", PAGES)
def test_every_block_names_its_language_and_those_not_run_say_why(page):
    for block in read_blocks(page):
        where = f"{page}:{block.line}"
        assert block.language in (*RUNNABLE, *SHOWN), f"{where}: write one of {RUNNABLE} or {SHOWN} behind the fence"
        assert not (block.not_run and block.language not in RUNNABLE), f"{where} is not run in any case"
        if block.language in ("bash", "console") and not block.not_run and page != OWN_TREE:
            for command, _ in block.commands():
                tool = shlex.split(command, comments=True)[0]
                assert Path(tool).name == "w3", f"{where}: {command!r} cannot run here; say above the block why not"


@pytest.mark.parametrize("page", PAGES)
def test_a_list_does_not_run_on_from_a_paragraph(page):
    """Such a list is a list on a code host, but one paragraph on the site."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^(?![-\s])(.+)\n- ", text, flags=re.MULTILINE) == []


@pytest.mark.parametrize("page", [page for page in WITH_COMMANDS if page != OWN_TREE])
def test_commands_of_a_page_run(page, home, request, tmp_path, monkeypatch, capfd):
    if page == "docs/use.md":
        shutil.copytree(request.getfixturevalue("run_of_readers"), tmp_path / "runs" / "mine")
    for given in home.iterdir():
        (tmp_path / given.name).symlink_to(given)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("W3_TRACEBACK", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(recipes, "recipe", lambda name: small(recipes.RECIPES[name]()))
    names: dict[str, object] = {}  # of the page's Python blocks, which go on from each other
    for block in read_blocks(page):
        if block.not_run or block.language not in RUNNABLE:
            continue
        where = f"{page}:{block.line}"
        if block.language == "python":
            exec(compile(block.text, where, "exec"), names)
            continue
        for command, shown in block.commands():
            capfd.readouterr()
            code = w3(monkeypatch, shlex.split(command, comments=True)[1:])
            assert code == 0, f"{where}: {command!r} ends with {code}"
            check_output(capfd.readouterr().out, shown, f"{where}: {command!r}")


def test_an_attention_added_as_the_page_says_trains(tmp_path):
    """The page's files and lines go into a copy of the checkout; its commands run there."""
    checkout = tmp_path / "checkout"
    for part in ("src", "tests/layers", "tests/drawing"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE", "tests/conftest.py"):
        shutil.copy(ROOT / part, checkout / part)
    write_tabletop(checkout / "runs" / "tabletop", num_videos=32, seed=0, num_workers=1)
    commands: list[list[str]] = []
    expected: list[str] = []
    for block in read_blocks(OWN_TREE):
        if block.language == "diff":
            add_lines(checkout / str(block.title), block)
        elif block.language == "python":
            (checkout / str(block.title)).write_text(block.text)
        elif block.language in RUNNABLE and not block.not_run:
            for command, shown in block.commands():
                commands.append(shlex.split(command, comments=True))
                expected += shown
    commands = [words for words in commands if words[:3] != ["w3", "data", "tabletop"]]  # drawn already, in small
    check_output(run_there(commands, checkout), expected, OWN_TREE)
    assert (checkout / "runs/eca/eval_center.json").is_file()


def add_lines(path: Path, block: Block) -> None:
    """Add a diff's new lines behind the lines that it shows as they are."""
    text, position = path.read_text(), 0
    for line in block.text.splitlines():
        if line.startswith("+"):
            text = text[:position] + line[1:] + "\n" + text[position:]
        else:
            assert f"\n{line[1:]}\n" in text, f"{OWN_TREE}:{block.line}: {path.name} has no line {line[1:]!r}"
            position = text.index(f"\n{line[1:]}\n") + 1
        position += len(line)  # the sign is as long as the line's end
    path.write_text(text)


RUN_ALL = """
import json, runpy, sys
from pages import small
from w3action import cli, recipes
made = recipes.recipe
recipes.recipe = lambda name: small(made(name))
for words in json.loads(sys.argv[1]):
    sys.argv = words[2:] if words[0] == "python" else words
    try:
        runpy.run_module(words[2], run_name="__main__", alter_sys=True) if words[0] == "python" else cli.main()
    except SystemExit as stopped:
        if stopped.code:
            sys.exit(f"{words} ended with {stopped.code}")
"""


def run_there(commands: list[list[str]], checkout: Path) -> str:
    """Run `w3 ...` and `python -m ...` in a copy of the checkout, in one process; return what they printed."""
    paths = os.pathsep.join(map(str, (checkout / "src", checkout / "tests" / "drawing")))
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(commands)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_page_that_shows_what_no_command_prints_is_found():
    printed = "mine  12 videos to train on\n   97.2 %  left\n"
    check_output(printed, ["mine  275 videos to train on", "...", "    3.1 %  right_left"], "a page")
    with pytest.raises(AssertionError, match="does not print"):
        check_output(printed, ["mine  275 videos to learn from"], "a page")
