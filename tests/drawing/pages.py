"""The commands of the documentation: fenced blocks of a Markdown page, and the recipes they name made small."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from w3action.config import RunConfig

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md"))))
RUNNABLE = ("bash", "console", "python")  # blocks of code that a reader may run
SHOWN = ("text", "csv", "diff")  # blocks that are only looked at

FENCE = re.compile(r"(?P<indent> *)(?P<ticks>```+)(?P<language>\S*) *(?P<options>.*)")
NOT_RUN = re.compile(r"<!-- not run here: (?P<why>.+) -->")
TITLE = re.compile(r'title="(.+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        line: of its opening fence, from 1.
        title: the file that it is a part of, or None.
        not_run: why it is not run here, or None.
    """

    line: int
    language: str
    text: str
    title: str | None
    not_run: str | None

    def commands(self) -> list[tuple[str, list[str]]]:
        """Return each shell command with the lines of output that are shown below it."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.replace("\\\n", " ").splitlines():
            command = line.removeprefix("$ ") if self.language == "bash" or line.startswith("$ ") else None
            if command is not None and command.strip():
                found.append((command, []))
            elif command is None and found:
                found[-1][1].append(line)
        return found


def read_blocks(page: str) -> list[Block]:
    """Read the fenced blocks of a page, a path below the repository's root."""
    blocks, before, opened, kept = [], "", None, []
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if opened is None:
            fence = FENCE.fullmatch(line)
            if fence:
                why, title = NOT_RUN.fullmatch(before.strip()), TITLE.search(fence["options"])
                opened = (number, fence, title and title[1], why and why["why"])
                kept = []
        elif line.strip() == opened[1]["ticks"]:
            first, fence, title, why = opened
            text = "\n".join(inside.removeprefix(fence["indent"]) for inside in kept) + "\n"
            blocks.append(Block(first, fence["language"], text, title, why))
            opened = None
        else:
            kept.append(line)
        before = line
    return blocks


def small(config: RunConfig) -> RunConfig:
    """Return a recipe that trains in a second: a tiny network from random weights, tiny frames, one epoch."""
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, name="tsm_small", pretrained=None),
        data=dataclasses.replace(config.data, num_frames=4, size=32, resize=None, num_workers=0, cache_gib=0.0),
        mfr=False,
        batch_size=8,
        epochs=1,
    )
