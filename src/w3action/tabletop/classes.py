"""The sixteen actions, each with the partner that only the order of frames tells apart.

The names are in the spirit of Something-Something (Goyal et al., 2017): an action is what the hand does to an
object, whatever the object is. `CLASSES` is sorted by name; a label's index is its place there.
"""

CLASSES: tuple[str, ...] = (
    "Covering something",
    "Lifting something up",
    "Moving something away",
    "Moving something closer",
    "Picking something up",
    "Pretending to pick something up",
    "Pushing something left",
    "Pushing something right",
    "Pushing something so that it almost falls",
    "Pushing something so that it falls",
    "Putting something down",
    "Putting something into something",
    "Taking something out of something",
    "Turning something clockwise",
    "Turning something counterclockwise",
    "Uncovering something",
)

# second -> first: the second action's timeline IS the first one's, played backwards.
REVERSE_OF: dict[str, str] = {
    "Uncovering something": "Covering something",
    "Putting something down": "Lifting something up",
    "Moving something away": "Moving something closer",
    "Pushing something left": "Pushing something right",
    "Taking something out of something": "Putting something into something",
    "Turning something counterclockwise": "Turning something clockwise",
}

# Pairs that part only by what becomes of the object; no reversal turns one into the other.
OUTCOME_PAIRS: tuple[tuple[str, str], ...] = (
    ("Picking something up", "Pretending to pick something up"),
    ("Pushing something so that it falls", "Pushing something so that it almost falls"),
)

PAIRS: tuple[tuple[str, str], ...] = (*((b, a) for a, b in REVERSE_OF.items()), *OUTCOME_PAIRS)

# What a clip shows once its frames are flipped left to right; every other action keeps its name.
FLIPPED: dict[str, str] = {name: name for name in CLASSES} | {
    "Pushing something left": "Pushing something right",
    "Pushing something right": "Pushing something left",
    "Turning something clockwise": "Turning something counterclockwise",
    "Turning something counterclockwise": "Turning something clockwise",
}
