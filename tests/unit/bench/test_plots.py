"""Pictures of the bench: what they show is what a ledger holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ledgers import MATRIX, complete, result, whole

from bench.ledger import FEW, FEW_METHODS, Ledger, entry
from bench.quality_page import CAPTIONS
from bench.suite import CASES

pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra `bench`)")

from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

from bench import plots

BANKING = next(case for case in CASES if case.name == "banking77")


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title(loc="left").partition(",")[0] == title)


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_picture_has_a_caption() -> None:
    assert set(plots.PICTURES) == set(CAPTIONS)


def test_nothing_measured_is_said_in_every_picture() -> None:
    for picture in plots.PICTURES.values():
        assert "not run" in {word for axes in picture(Ledger()).axes for word in words(axes)}


def test_learning_curves_have_a_line_a_method_and_the_references() -> None:
    figure = plots.learning_curves(complete(0.9))
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(FEW)
    axes = panel(figure, "banking77")
    curves = {one.get_label(): one for one in axes.containers if isinstance(one, ErrorbarContainer)}
    assert list(curves) == list(FEW_METHODS)
    heights = [float(y) for y in np.asarray(curves["logreg"].lines[0].get_ydata())]
    assert heights == pytest.approx([0.518, 0.526, 0.574, 1.0])
    levels = {line.get_label(): line.get_ydata()[0] for line in axes.lines if line.get_label() in plots.REFERENCES}  # type: ignore[index]
    assert levels == pytest.approx({"floor": 0.91, "probe": 0.91, "full fine-tune": 1.01})
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "16", "64", "all"]
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == ["AUTO", "CLOSED_FORM", "PROTOTYPE", "LOGREG", "HYBRID", "floor", "probe", "full fine-tune"]


def test_learning_curves_leave_out_what_is_missing() -> None:
    part = Ledger({entry(BANKING, "auto", 16, 0): result(0.6)})
    axes = panel(plots.learning_curves(part), "banking77")
    (only,) = axes.containers
    assert only.get_label() == "auto"
    assert "not run" not in words(axes)
    assert "not run" in words(panel(plots.learning_curves(part), "sst2"))


def test_reliability_shows_bins_that_hold_texts() -> None:
    figure = plots.reliability(complete())
    assert sum(bool(axes.get_title(loc="left")) for axes in figure.axes) == 7
    axes = panel(figure, "banking77")
    points = np.asarray(axes.collections[-1].get_offsets())
    assert points == pytest.approx(np.array([[54 / 60, 54 / 60], [39 / 40, 38 / 40]]))
    assert "ECE 0.015" in words(axes)


def test_intervals_of_shares() -> None:
    low, high = plots.wilson(np.array([0.0, 5.0, 10.0]), np.array([10.0, 10.0, 10.0]))
    assert low == pytest.approx([0.0, 0.2366, 0.7225], abs=1e-4)
    assert high == pytest.approx([0.2775, 0.7634, 1.0], abs=1e-4)


def test_confusion_of_few_labels_has_shares_and_names() -> None:
    axes = panel(plots.confusion_few_labels(complete()), "sst2")
    assert words(axes) == [".80", ".20", ".10", ".90"]
    assert [label.get_text() for label in axes.get_xticklabels()] == MATRIX["labels"]
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(np.array([[0.8, 0.2], [0.1, 0.9]]))


def test_confusion_of_many_labels_names_the_worst() -> None:
    figure = plots.confusion_many_labels(complete())
    titles = [axes.get_title(loc="left") for axes in figure.axes[::2]]
    assert titles == ["banking77, 2 labels", "cuad_clauses, 2 labels"]
    (text,) = words(figure.axes[1])
    assert text.splitlines()[1:3] == ["10 × no", "      → yes"]


def test_mistakes_are_sorted_and_real() -> None:
    counts = [[9, 1, 0], [3, 9, 0], [2, 0, 9]]
    one = {"labels": ["a", "b", "c"], "confusion": counts}
    assert plots.mistakes(one) == [("b", "a", 3), ("c", "a", 2), ("a", "b", 1)]
    assert plots.mistakes(one, 1) == [("b", "a", 3)]
    assert counts[0][0] == 9


def test_bars_are_as_long_as_the_gap_that_is_closed() -> None:
    full = complete(0.9)
    low = {**full.found, entry(BANKING, "auto"): whole(BANKING, BANKING.floor - 0.02)}
    figure = plots.gap_closed(replace(full, found=low, tuned={**full.tuned, CASES[0].dataset: {"test": 0.0}}))
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert set(names) == {case.name for case in CASES}
    shown = dict(zip(names, words(axes), strict=True))
    assert (shown["banking77"], shown["sst2"], shown[CASES[0].name]) == ("−0.20", "0.90", "no gap")
    widths = [bar.get_width() for bars in axes.containers if isinstance(bars, BarContainer) for bar in bars]
    assert sorted(widths) == pytest.approx([-0.2, *[0.9] * 13])


def test_they_are_drawn_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "IMAGES", tmp_path / "images")
    monkeypatch.setattr(plots, "DPI", 20)
    plots.draw(complete())
    first = {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}
    assert set(first) == {f"{name}.png" for name in CAPTIONS}
    plots.draw(complete())
    assert {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()} == first
