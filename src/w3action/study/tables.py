"""The paper's ablations as data: which networks each table compares, and the figure the paper printed.

A `Variant` is a network and a way to train it, as settings on top of any recipe. Rows of several tables share variants,
and so share runs. The paper's figures are top-1 on Something-Something V1, ResNet-50, one centre crop (section 4.2
and the supplementary).
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One way to build and train a network.

    Attributes:
        settings: `key=value`, on top of the recipe; `{backbone}` stands for the network's backbone ("small").
        family: whose learning rate it takes: the variants of one attention share one sweep.
        teacher: the variant whose run is stage one of MFR; None trains without MFR.
        fraction: of the recipe's training clips.
        epochs_factor: how many times the recipe's epochs, where there are fewer clips.
    """

    settings: tuple[str, ...]
    family: str
    teacher: str | None = None
    fraction: float = 1.0
    epochs_factor: float = 1.0


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    label: str
    variant: str
    paper_top1: float | None = None  # percent
    paper_gflops: float | None = None
    against: str | None = None  # the variant that the row is compared with, pair by pair; None: the table's first
    curve: tuple[str, float] | None = None  # a point of a curve: whose, and where on the table's axis


@dataclass(frozen=True)
class Table:
    """A table of the paper, or one of our own."""

    name: str
    title: str
    paper: str  # the setting of the paper's figures; empty where the paper has no such table
    rows: tuple[Row, ...]
    axis: str = ""  # of the curves that the rows make, where they do


def _network(attention: str | None = None, *settings: str, temporal: str = "tsm") -> tuple[str, ...]:
    """Say what a row's network is, whatever the recipe's own is."""
    plain = ("model.attention_options={{}}", "model.place=none", "model.refine=none", "mfr=false")
    return (f"model.name={temporal}_{{backbone}}", f"model.attention={attention or 'none'}", *plain, *settings)


def _readings() -> dict[str, tuple[str, ...]]:
    """List what the text leaves open about W3, one setting at a time."""
    option = "model.attention_options."
    return {
        "w3_bottleneck": (f"{option}temporal_conv=bottleneck",),
        "w3_full": (f"{option}temporal_conv=full",),
        "w3_output": ("model.place=output",),
        "w3_norm": (f"{option}spatial_norm=true",),
        "w3_half": (f"{option}initial_mask=0.5",),
        "w3_near_one": (f"{option}initial_mask=0.98",),
        "w3_every": ("model.refine_from=every",),
        "w3_reduction4": (f"{option}reduction=4",),
    }


def _mfr_readings() -> dict[str, tuple[str, ...]]:
    """List what the text leaves open about MFR; the teacher is the same."""
    return {
        "w3_mfr_hundredth": ("mfr_weight=0.01",),
        "w3_mfr_one": ("mfr_weight=1",),
        "w3_mfr_tenfold": ("mfr_weight=10",),
        "w3_mfr_sum": ("mfr_reduction=sum",),
        "w3_mfr_best": ("mfr_teacher_weights=best",),
    }


FAMILIES = {
    "tsn": "TSN",
    "tsm": "TSM",
    "se": "TSM + squeeze-excite",
    "cbam": "TSM + CBAM",
    "non_local": "TSM + non-local",
    "w3": "TSM + W3, w/o MFR",
}
ATTENTION_FAMILIES = ("tsm", "se", "cbam", "non_local", "w3")
FRACTIONS = (0.05, 0.1, 0.25, 1.0)
LENGTHS = (1, 2, 4)
CURVES = ("tsm", "cbam", "w3")
RATE_FACTORS = (0.5, 1.0, 2.0, 4.0, 8.0)

_W3 = _network("w3")
_NO_AFR = (*_W3, "model.refine=false")
_NO_SPATIAL = (*_W3, "model.attention_options.spatial=false", "model.refine=false")
_NO_TEMPORAL = (*_W3, "model.attention_options.temporal=false")

VARIANTS: dict[str, Variant] = {
    "tsn": Variant(_network(temporal="tsn"), "tsn"),
    "tsm": Variant(_network(), "tsm"),
    "tsm_mfr": Variant((*_network(), "mfr=true"), "tsm", "tsm"),
    "se": Variant(_network("se"), "se"),
    "cbam": Variant(_network("cbam"), "cbam"),
    "cbam_mfr": Variant((*_network("cbam"), "mfr=true"), "cbam", "cbam"),
    "non_local": Variant(_network("non_local"), "non_local"),
    "w3": Variant(_W3, "w3"),
    "w3_mfr": Variant((*_W3, "mfr=true"), "w3", "w3"),
    "w3_no_afr": Variant(_NO_AFR, "w3"),
    "w3_no_afr_mfr": Variant((*_NO_AFR, "mfr=true"), "w3", "w3_no_afr"),
    "w3_no_spatial": Variant(_NO_SPATIAL, "w3"),
    "w3_no_spatial_mfr": Variant((*_NO_SPATIAL, "mfr=true"), "w3", "w3_no_spatial"),
    "w3_no_temporal": Variant(_NO_TEMPORAL, "w3"),
    "w3_no_temporal_mfr": Variant((*_NO_TEMPORAL, "mfr=true"), "w3", "w3_no_temporal"),
    "tam": Variant(_network(temporal="tam"), "tam"),
    "tam_w3": Variant(_network("w3", temporal="tam"), "tam"),
    "i3d": Variant(_network(temporal="i3d"), "i3d"),
    "i3d_w3": Variant(_network("w3", temporal="i3d"), "i3d"),
    **{name: Variant((*_W3, *settings), "w3") for name, settings in _readings().items()},
    **{name: Variant((*_W3, "mfr=true", *settings), "w3", "w3") for name, settings in _mfr_readings().items()},
}


def _at_fraction(variant: str, fraction: float) -> str:
    return variant if fraction == 1.0 else f"{variant}_{fraction:.0%}".replace("%", "pct")


# Fewer clips are fewer steps an epoch; with 1 / sqrt(fraction) times the epochs they are not starved of steps.
VARIANTS |= {
    _at_fraction(name, fraction): Variant(
        VARIANTS[name].settings,
        VARIANTS[name].family,
        fraction=fraction,
        epochs_factor=fraction**-0.5,
    )
    for name in CURVES
    for fraction in FRACTIONS
    if fraction < 1
}
VARIANTS |= {
    f"{name}_{length}x": Variant(VARIANTS[name].settings, VARIANTS[name].family, epochs_factor=length)
    for name in CURVES
    for length in LENGTHS
    if length > 1
}
# Can each network learn a few clips by heart?
VARIANTS |= {
    f"{family}_overfit": Variant(
        (*VARIANTS[family].settings, "model.dropout=0"), family, fraction=0.033, epochs_factor=20
    )
    for family in ATTENTION_FAMILIES
}
VARIANTS |= {
    f"{family}_rate{factor:g}": Variant(VARIANTS[family].settings, f"{family}*{factor:g}")
    for family in FAMILIES
    for factor in RATE_FACTORS
}

_SSV1_16F = "Something-Something V1, TSM-ResNet-50, 16 frames, centre crop"

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "table5",
            "Components of W3, removed one at a time",
            _SSV1_16F,
            (
                Row("full", "w3_mfr", 52.6, 67.1),
                Row("w/o MFR", "w3", 50.3),
                Row("w/o AFR", "w3_no_afr_mfr", 50.1),
                Row("w/o spatial attention", "w3_no_spatial_mfr", 49.8),
                Row("w/o temporal attention", "w3_no_temporal_mfr", 47.2),
            ),
        ),
        Table(
            "table6",
            "Attention models",
            _SSV1_16F,
            (
                Row("TSM", "tsm", 47.2, 65.0),
                Row("TSN (no temporal operation)", "tsn"),
                Row("TSM + squeeze-excite", "se"),
                Row("TSM + CBAM", "cbam", 49.1, 66.5),
                Row("TSM + non-local", "non_local", 49.8, 115.0),
                Row("TSM + W3, w/o MFR", "w3", 50.2),
                Row("TSM + W3", "w3_mfr", 52.6, 67.1),
            ),
        ),
        Table(
            "table7",
            "Mature feature-guided regularization, and one training as long as its two",
            _SSV1_16F,
            (
                Row("TSM + CBAM", "cbam", 49.1),
                Row("TSM + CBAM, MFR", "cbam_mfr", 50.5),
                Row("TSM + CBAM, 2 x the epochs", "cbam_2x", against="cbam_mfr"),
                Row("TSM + W3, w/o MFR", "w3", 50.2),
                Row("TSM + W3", "w3_mfr", 52.6, against="w3"),
                Row("TSM + W3, w/o MFR, 2 x the epochs", "w3_2x", against="w3_mfr"),
                Row("TSM", "tsm", 47.2),
                Row("TSM, MFR", "tsm_mfr", against="tsm"),
                Row("TSM, 2 x the epochs", "tsm_2x", against="tsm_mfr"),
            ),
        ),
        Table(
            "table8",
            "W3 without MFR in other networks",
            "Something-Something V1: TSM and TAM on ResNet-50, 8 frames; I3D on a 3D ResNet-18, 32 frames",
            (
                Row("TSM", "tsm", 46.2),
                Row("TSM + W3", "w3", 47.2),
                Row("TAM", "tam", 49.6, against="tam"),
                Row("TAM + W3", "tam_w3", 50.1, against="tam"),
                Row("I3D", "i3d", 34.9, against="i3d"),
                Row("I3D + W3", "i3d_w3", 35.3, against="i3d"),
            ),
        ),
        Table(
            "readings",
            "Readings of what the paper's text leaves open, one at a time",
            "",
            (
                Row("W3 as it is by default, w/o MFR", "w3"),
                Row("temporal convolution: bottleneck", "w3_bottleneck"),
                Row("temporal convolution: full", "w3_full"),
                Row("place: output of the block", "w3_output"),
                Row("batch norm behind the 7x7", "w3_norm"),
                Row("initial masks 0.5", "w3_half"),
                Row("initial masks 0.98", "w3_near_one"),
                Row("AFR from every block", "w3_every"),
                Row("reduction 4", "w3_reduction4"),
                Row("W3 with MFR: weight 0.1, mean, last", "w3_mfr"),
                Row("MFR weight 0.01", "w3_mfr_hundredth", against="w3_mfr"),
                Row("MFR weight 1", "w3_mfr_one", against="w3_mfr"),
                Row("MFR weight 10", "w3_mfr_tenfold", against="w3_mfr"),
                Row("MFR sum over frames", "w3_mfr_sum", against="w3_mfr"),
                Row("MFR from the teacher's best weights", "w3_mfr_best", against="w3_mfr"),
            ),
        ),
        Table(
            "curves",
            "Learning curves: top-1 by the share of the training clips",
            "",
            tuple(
                Row(
                    f"{FAMILIES[name]}, {fraction:.0%} of the clips",
                    _at_fraction(name, fraction),
                    against=_at_fraction("tsm", fraction),
                    curve=(FAMILIES[name], 100 * fraction),
                )
                for fraction in FRACTIONS
                for name in CURVES
            ),
            axis="training clips, % of the study's",
        ),
        Table(
            "lengths",
            "Longer training: does attention need more steps than the networks it stands in?",
            "",
            tuple(
                Row(
                    f"{FAMILIES[name]}, {length} x the epochs",
                    name if length == 1 else f"{name}_{length}x",
                    against="tsm" if length == 1 else f"tsm_{length}x",
                    curve=(FAMILIES[name], float(length)),
                )
                for length in LENGTHS
                for name in CURVES
            ),
            axis="epochs, times the recipe's",
        ),
        Table(
            "sanity",
            "Can each network learn a few clips by heart? Its training top-1 must be 100",
            "",
            tuple(Row(f"{FAMILIES[family]}, 3.3% of the clips", f"{family}_overfit") for family in ATTENTION_FAMILIES),
        ),
        Table(
            "sweep",
            "Learning rates: the same trials for every attention, on the validation videos",
            "",
            tuple(
                Row(f"{label}, {factor:g} x the recipe's rate", f"{family}_rate{factor:g}", against=f"{family}_rate1")
                for family, label in FAMILIES.items()
                for factor in RATE_FACTORS
            ),
        ),
    )
}


def with_teachers(variants: Iterable[str]) -> list[str]:
    """List variants and the teachers that they need, each once, teachers before their students."""
    needed: list[str] = []
    for variant in variants:
        for name in (VARIANTS[variant].teacher, variant):
            if name is not None and name not in needed:
                needed.append(name)
    return needed


def rate_factor_of(variant: Variant, chosen: dict[str, float]) -> float:
    """Return the factor on the recipe's learning rate: the variant's own in a sweep, else its family's choice."""
    family, _, factor = variant.family.partition("*")
    return float(factor) if factor else chosen.get(family, 1.0)
