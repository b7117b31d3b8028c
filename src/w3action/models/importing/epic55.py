"""The names of the public EPIC-KITCHENS-55 action models: those of the public TSM, with two classifiers.

`fc_verb` (125 classes) and `fc_noun` (352) read the same features; our head is one of them, and the other is left
aside.
"""

from w3action.models.importing.layout import Layout
from w3action.models.importing.tsm import tsm_key

EPIC55 = Layout(
    "the public EPIC-KITCHENS-55 models (TSN, TSM): ResNet with a verb and a noun classifier",
    tsm_key,
    {"resnet": {"verb": "fc_verb", "noun": "fc_noun"}},
    shifts="named",
    has_non_local=True,
)
