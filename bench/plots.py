"""The pictures of docs/quality.md: `python -m bench.plots` draws them from what is in bench/results.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; methods differ in their markers as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.goals import CALIBRATION_ERROR, GAPS, kind
from bench.ledger import SHOTS, Ledger, Result
from bench.quality_page import IMAGES
from bench.quality_tables import FEW_COMPARED, few_cases, title
from bench.suite import CASES, Case

WIDTH = 9.0  # inches: as wide as a page on GitHub, where 10 points are then as large as its text
DPI = 180
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
}
GREY = "#666666"
INKS = {
    "auto": "#0072B2",
    "closed_form": "#E69F00",
    "prototype": "#009E73",
    "logreg": "#CC79A7",
    "hybrid": "#D55E00",
    "setfit": "black",
}
MARKS = {"auto": "o", "closed_form": "s", "prototype": "^", "logreg": "D", "hybrid": "v", "setfit": "*"}
DASHES = (0, (5, 3))
REFERENCES: dict[str, Any] = {"floor": (0, (1, 2)), "probe": DASHES, "full fine-tune": "solid"}
GROUP_INKS = {"classification": "#0072B2", "entities": "#009E73", "answers and pairs": "#D55E00"}
MANY = ("banking77", "cuad_clauses")  # more labels than a matrix can name
MISTAKES = 8


@rc_context(STYLE)
def learning_curves(ledger: Ledger) -> Figure:
    """Test score against examples a label: a panel for each few-shot dataset, a line for each method."""
    figure, panels = _grid(2, 2, 7.2)
    for case, axes in zip(few_cases(), panels, strict=True):
        axes.set_title(case.name)
        axes.set_xticks(range(len(SHOTS) + 1), [*map(str, SHOTS), "all"])
        axes.set_xlim(-0.25, len(SHOTS) + 0.25)
        axes.grid(axis="y", color="#EEEEEE")
        for name, value in _references(ledger, case).items():
            if value is not None:
                axes.axhline(value, color=GREY, linewidth=1, linestyle=REFERENCES[name], zorder=1, label=name)
        for number, method in enumerate(FEW_COMPARED):
            _curve(axes, ledger, case, method, shift=0.035 * (number - (len(FEW_COMPARED) - 1) / 2))
        if not axes.containers:
            _absent(axes)
    labels = {one.get_label() for axes in panels for one in axes.containers}
    drawn = [method for method in FEW_COMPARED if method in labels]
    methods = [Line2D([], [], color=INKS[method], marker=MARKS[method], label=title(method)) for method in drawn]
    lines = [Line2D([], [], color=GREY, linewidth=1, linestyle=style, label=name) for name, style in REFERENCES.items()]
    figure.legend(handles=[*methods, *lines], loc="outside upper center", ncols=5)
    return _named(figure, "examples a label", "test accuracy")


def _references(ledger: Ledger, case: Case) -> dict[str, float | None]:
    return {"floor": case.floor, "probe": ledger.probe(case), "full fine-tune": ledger.best(case)}


def _curve(axes: Axes, ledger: Ledger, case: Case, method: str, shift: float) -> None:
    """Means with standard deviations over seeds; the whole train split has been run once."""
    whole = ledger.full(case, method)
    columns = [ledger.few(case, method, shots) for shots in SHOTS] + [[whole] if whole else []]
    points = [(at + shift, [one["test"] for one in found]) for at, found in enumerate(columns) if found]
    if points:
        axes.errorbar(
            [at for at, _ in points],
            [float(np.mean(scores)) for _, scores in points],
            yerr=[float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0 for _, scores in points],
            color=INKS[method],
            marker=MARKS[method],
            markersize=5,
            linewidth=2.4 if method == "auto" else 1.2,
            elinewidth=1,
            label=method,
            zorder=4 if method == "auto" else 3,
        )


@rc_context(STYLE)
def reliability(ledger: Ledger) -> Figure:
    """Small multiples: how often AUTO's heads are right in each fifteenth of how sure they are."""
    cases = _decided()
    figure, panels = _grid(2, 4, 5.0)
    for case, axes in zip(cases, panels, strict=False):
        axes.set_title(case.name)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=DASHES)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        one = ledger.full(case)
        if one is None or "reliability" not in one:
            _absent(axes)
            continue
        count, sure, right = np.array([line for line in one["reliability"] if line[0]]).T
        low, high = wilson(right, count)
        x, y = sure / count, right / count
        axes.errorbar(x, y, yerr=[y - low, high - y], fmt="none", color=INKS["auto"], elinewidth=1, alpha=0.6)
        axes.scatter(x, y, s=6 + 110 * count / count.sum(), color=INKS["auto"], zorder=3)
        axes.text(0.04, 0.98, f"ECE {one['ece']:.3f}", va="top", transform=axes.transAxes)
    for axes in panels[len(cases) :]:
        axes.set_axis_off()
        axes.text(
            0,
            0.9,
            f"a point: one of 15 bins,\nlarger with more texts\na bar: 95 % interval\ngoal: ECE ≤ {CALIBRATION_ERROR}",
            va="top",
        )
    return _named(figure, "probability that the head gives its decision", "share that is right")


def wilson(right: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of a share."""
    share, spread = right / count, z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(share * (1 - share) / count + spread / (4 * count))
    return np.minimum(middle - half, share), np.maximum(middle + half, share)


@rc_context(STYLE)
def confusion_few_labels(ledger: Ledger) -> Figure:
    """AUTO's decisions as matrices of shares of each true label."""
    cases = [case for case in _decided() if case.name not in MANY]
    figure, panels = _grid(2, 3, 6.0)
    for case, axes in zip(cases, panels, strict=False):
        axes.set_title(case.name)
        one = ledger.full(case)
        if one is None or "confusion" not in one:
            _absent(axes)
            continue
        shares = _matrix(axes, one)
        _names(axes, one["labels"])
        for (truth, ours), share in np.ndenumerate(shares):
            ink = "white" if share > 0.4 else "black"
            axes.text(ours, truth, f"{share:.2f}".lstrip("0"), ha="center", va="center", color=ink, fontsize=9)
    for axes in panels[len(cases) :]:
        axes.set_axis_off()
    return _named(figure, "decided", "true")


@rc_context(STYLE)
def confusion_many_labels(ledger: Ledger) -> Figure:
    """The same as images without numbers, with the most frequent mistakes beside them in words."""
    cases = [case for case in _decided() if case.name in MANY]
    figure, panels = _grid(len(cases), 2, 8.0)
    for case, axes, beside in zip(cases, panels[::2], panels[1::2], strict=True):
        axes.set_title(case.name)
        axes.set(xticks=(), yticks=(), xlabel="decided", ylabel="true")
        beside.set_axis_off()
        one = ledger.full(case)
        if one is None or "confusion" not in one:
            _absent(axes)
            continue
        axes.set_title(f"{case.name}, {len(one['labels'])} labels")
        _matrix(axes, one)
        lines = [f"{count} × {truth}\n      → {ours or 'abstained'}" for truth, ours, count in mistakes(one)]
        beside.text(0, 1, "\n".join(["true → decided, most frequent mistakes:", *lines]), va="top", fontsize=9)
    return figure


def mistakes(one: Result, most: int = MISTAKES) -> list[tuple[str, str, int]]:
    """The most frequent pairs of a true label and a wrong decision."""
    labels, counts = one["labels"], np.array(one["confusion"])
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    pairs = [np.unravel_index(at, counts.shape) for at in order]
    return [(labels[truth], labels[ours], int(counts[truth, ours])) for truth, ours in pairs if counts[truth, ours]]


@rc_context(STYLE)
def gap_closed(ledger: Ledger) -> Figure:
    """A bar a dataset: 0 is the probe, 1 is full fine-tuning; a line at the goal of each kind of task."""
    figure, [axes] = _grid(1, 1, 5.2)
    cases = sorted(CASES, key=lambda case: list(GAPS).index(kind(case)))
    for at, case in enumerate(cases):
        goal, closed = GAPS[kind(case)], ledger.closed(case)
        if closed is None:
            measured = ledger.full(case) is not None and None not in _references(ledger, case).values()
            words, ink = "no gap" if measured else "not run", GREY
        else:
            words, ink = f"{closed:.2f}".replace("-", "−"), GROUP_INKS[kind(case)]
            axes.barh(at, closed, color=ink, height=0.62)
        axes.text(1.02, at, words, va="center", color=ink, transform=axes.get_yaxis_transform())
        axes.plot([goal, goal], [at - 0.5, at + 0.5], color="black", linewidth=1.6, solid_capstyle="butt")
    axes.set_yticks(range(len(cases)), [case.name for case in cases])
    axes.set(xlim=(-0.5, 1.5), ylim=(len(cases) - 0.4, -0.6))
    axes.set_xticks([-0.5, 0, 0.5, 1, 1.5], ["−0.5", "0\nprobe", "0.5", "1\nfull fine-tune", "1.5"])
    axes.axvline(0, color=GREY, linewidth=1)
    axes.axvline(1, color=GREY, linewidth=1, linestyle=DASHES)
    handles: list[Any] = [Line2D([], [], color=ink, linewidth=6, label=group) for group, ink in GROUP_INKS.items()]
    handles.append(Line2D([], [], color="black", linewidth=1.6, label="goal of the mean"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


PICTURES: dict[str, Callable[[Ledger], Figure]] = {
    "gap_closed": gap_closed,
    "learning_curves": learning_curves,
    "reliability": reliability,
    "confusion_few_labels": confusion_few_labels,
    "confusion_many_labels": confusion_many_labels,
}


def draw(ledger: Ledger) -> None:
    """All of them into docs/images; no version of anything in the files, so that equal pictures are equal bytes."""
    IMAGES.mkdir(exist_ok=True)
    for name, picture in PICTURES.items():
        picture(ledger).savefig(IMAGES / f"{name}.png", dpi=DPI, metadata={"Software": None})


def _decided() -> list[Case]:
    """The datasets with one label a text."""
    return [case for case in CASES if case.metric == "accuracy"]


def _grid(rows: int, columns: int, height: float, **spacing: Any) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, gridspec_kw=spacing).flat)


def _named(figure: Figure, x: str, y: str) -> Figure:
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)
    return figure


def _absent(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not run", ha="center", va="center", color=GREY, transform=axes.transAxes)


def _matrix(axes: Axes, one: Result) -> np.ndarray:
    """Draws the shares of each true label; their roots decide the colour, so that mistakes can be seen."""
    counts = np.array(one["confusion"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    return shares


def _names(axes: Axes, labels: Sequence[str]) -> None:
    upright = len(labels) > 3
    words = [fill(label.replace("_", " ") or "abstained", 20 if upright else 12) for label in labels]
    axes.set_xticks(range(len(labels)), words, rotation=90 if upright else 0, fontsize=8)
    axes.set_yticks(range(len(labels)), words, fontsize=8)


if __name__ == "__main__":
    draw(Ledger.read())
