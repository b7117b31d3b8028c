"""Which classes a horizontal flip turns into which others, found by their names.

A mirrored "Swiping Left" is a "Swiping Right": flipping such a video without swapping its label teaches the
opposite. Names are compared word by word, so "left_right" pairs with "right_left" and "bright" means no side.

`find_flip_pairs(classes)` -> `FlipMap`: a permutation of class ids, the pairs it swaps, and the classes that
name a side while their mirror image is not among the classes (for these no flip is right).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Words end at anything but a letter, or where camelCase starts a new one. "pulling it right out" is no side.
_SIDE = re.compile(
    r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
    r"(?P<word>(?i:left|right|counter[-_ ]?clockwise|anti[-_ ]?clockwise|clockwise))"
    r"(?:(?![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
    r"(?!(?i:[-_ ](?:out|away|now|after|before|there|here|over|angles?)(?![A-Za-z])))"
)
_SWAPS = {
    "left": "right",
    "right": "left",
    "clockwise": "counterclockwise",
    "counterclockwise": "clockwise",
    "anticlockwise": "clockwise",
}


@dataclass(frozen=True)
class FlipMap:
    """What a horizontal flip does to labels.

    Attributes:
        permutation: permutation[label] is the label of the mirrored video (the label itself where nothing
            swaps).
        pairs: the pairs that swap, as (lower, higher) class ids in order.
        unpaired: names of classes that name a side but whose mirror is not a class.
    """

    permutation: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    unpaired: tuple[str, ...]


def mirror_name(name: str) -> str:
    """Return the name of the mirrored action: left <-> right, clockwise <-> counterclockwise; the case is kept.

    "anticlockwise" becomes "clockwise", and "clockwise" becomes "counterclockwise". A name without a side
    comes back as it is.
    """
    return _SIDE.sub(lambda match: _like(match["word"], _SWAPS[_plain(match["word"])]), name)


def find_flip_pairs(classes: Sequence[str]) -> FlipMap:
    """Pair classes whose names mirror each other.

    Names are compared without regard to case and to the spelling of counterclockwise (anticlockwise,
    counter-clockwise).

    Raises:
        ValueError: two classes of the same name.
    """
    exact = {name: index for index, name in enumerate(classes)}
    if len(exact) != len(classes):
        twice = next(name for index, name in enumerate(classes) if exact[name] != index)
        raise ValueError(f"the class {twice!r} is listed twice among {len(classes)}: give each class one name")
    loose = {_key(name): index for index, name in enumerate(classes)}
    mirrors = {}  # of each class that names a side: the class of its mirrored name, or itself
    for index, name in enumerate(classes):
        if _SIDE.search(name):
            mirrored = mirror_name(name)
            mirrors[index] = exact.get(mirrored, loose.get(_key(mirrored), index))
    swaps = {index: other for index, other in mirrors.items() if other != index and mirrors.get(other) == index}
    return FlipMap(
        permutation=tuple(swaps.get(index, index) for index in range(len(classes))),
        pairs=tuple((a, b) for a, b in swaps.items() if a < b),
        unpaired=tuple(classes[index] for index in mirrors if index not in swaps),
    )


def _plain(word: str) -> str:
    return re.sub("[-_ ]", "", word).lower()


def _key(name: str) -> str:
    """Return a name with its case and its spelling of counterclockwise evened out."""
    spelled = _SIDE.sub(lambda match: _plain(match["word"]).replace("anticlock", "counterclock"), name)
    return spelled.lower()


def _like(word: str, other: str) -> str:
    """`other` in the case of `word`."""
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other
