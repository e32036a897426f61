"""Recent traffic beside the training texts: alarms where it changed, silence where it did not, bounded memory."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from candelabra.drift import SAMPLE, Drift, DriftWatch, decided_counts, judge, stability_index
from candelabra.heads.guards import Guards
from candelabra.heads.outside import Outside
from candelabra.metrics import Metrics
from candelabra.types import Slot, TaskKind

DIM = 12
SCORED = np.array([60.0, 30.0, 10.0])


def traffic(rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    scale = np.linspace(2.0, 0.2, DIM)
    return np.asarray(random.normal(size=(rows, DIM)) * scale + shift, np.float32)


def said(rows: int, seed: int, shares: tuple[float, ...] = (0.6, 0.3, 0.1)) -> np.ndarray:
    return np.eye(len(shares), dtype=np.float32)[np.random.default_rng(seed).choice(len(shares), rows, p=shares)]


@pytest.fixture(scope="module")
def head() -> Any:
    """As much of a head as drift reads."""
    outside = Outside.fit((Slot(1, "mean"),), traffic(600, 0))
    return SimpleNamespace(
        labels=("a", "b", "c"),
        task_kind=TaskKind.SINGLE_LABEL,
        guards=Guards(None, outside),
        decide=lambda row: [int(row.argmax())],
    )


def test_the_same_traffic_is_no_drift(head: Any) -> None:
    watch, alarms = DriftWatch(), 0
    for seed in range(40):
        watch.observe(f"acme/a@{seed}", head, traffic(SAMPLE, seed + 1), said(SAMPLE, seed))
        alarms += watch.report(f"acme/a@{seed}", SCORED).drifted
    assert alarms <= 1


def test_other_texts_drift(head: Any) -> None:
    watch = DriftWatch()
    watch.observe("acme/a@1", head, traffic(100, 1, shift=1.5), said(100, 1))
    found = watch.report("acme/a@1", SCORED)
    assert (found.rows, found.drifted) == (100, True)
    assert found.statistic > 0.3
    assert found.p_value < 1e-6
    assert found.label_shift < 0.25


def test_other_labels_drift(head: Any) -> None:
    watch = DriftWatch()
    watch.observe("acme/a@1", head, traffic(200, 1), said(200, 1, (0.1, 0.3, 0.6)))
    assert watch.report("acme/a@1", SCORED).label_shift > 1
    assert watch.report("acme/a@1", SCORED).drifted
    assert not watch.report("acme/a@1").drifted


def test_only_the_latest_answers_count(head: Any) -> None:
    watch = DriftWatch()
    watch.observe("acme/a@1", head, traffic(1000, 1, shift=1.5), said(1000, 1))
    assert watch.report("acme/a@1").rows == SAMPLE
    for seed in range(SAMPLE // 8):
        watch.observe("acme/a@1", head, traffic(8, seed), said(8, seed))
    assert not watch.report("acme/a@1", SCORED).drifted


def test_few_answers_and_unknown_versions_say_nothing(head: Any) -> None:
    watch = DriftWatch()
    nothing = Drift(0, 0.0, 1.0, 0.0, False)
    assert watch.report("acme/nobody@1") == nothing
    watch.observe("acme/a@1", head, traffic(5, 1, shift=9), said(5, 1))
    watch.observe("acme/a@2", head, traffic(0, 1), said(0, 1))
    assert watch.report("acme/a@1", SCORED) == Drift(5, 0.0, 1.0, 0.0, False)
    assert watch.report("acme/a@2") == nothing


def test_a_head_without_guards_or_labels_is_watched_as_far_as_possible(head: Any) -> None:
    watch = DriftWatch()
    plain = SimpleNamespace(labels=(), task_kind=TaskKind.REGRESSION, guards=None)
    watch.observe("acme/a@1", plain, traffic(50, 1), np.zeros((50, 1), np.float32))  # type: ignore[arg-type]
    assert watch.report("acme/a@1") == Drift(50, 0.0, 1.0, 0.0, False)
    many = SimpleNamespace(labels=("a", "b", "c"), task_kind=TaskKind.MULTI_LABEL, guards=head.guards)
    watch.observe("acme/a@2", many, None, said(50, 1, (0.0, 0.0, 1.0)))  # type: ignore[arg-type]
    assert watch.report("acme/a@2", SCORED).label_shift > 1


def test_memory_is_bounded_and_the_metric_shows_the_busiest(head: Any) -> None:
    metrics = Metrics()
    watch = DriftWatch(metrics, heads=150)
    for number in range(200):
        watch.observe(f"acme/a@{number}", head, traffic(1 + number % 7, number), said(1 + number % 7, number))
    assert watch.report("acme/a@0").rows == 0
    assert len(watch.busiest(1000)) == 150
    watch.show()
    shown = [sample.labels["head"] for metric in metrics.head_drift.collect() for sample in metric.samples]
    assert sorted(shown) == sorted(watch.busiest())
    assert len(shown) == 100
    watch.forget("acme/a@199")
    watch.show()
    assert "acme/a@199" not in str(list(metrics.head_drift.collect()))


def test_threads_lose_nothing(head: Any) -> None:
    watch = DriftWatch()

    def work(seed: int) -> None:
        for step in range(20):
            watch.observe("acme/a@1", head, traffic(2, seed * 100 + step), said(2, step))
            watch.report("acme/a@1", SCORED)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.report("acme/a@1").rows == 160


def test_the_stability_index_is_its_definition() -> None:
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    exact = float(((q - p) * np.log(q / p)).sum())
    assert stability_index(p * 1e6, q * 1e6) == pytest.approx(exact, rel=1e-5)
    assert stability_index(p, p) == 0


def test_many_labels_and_few_answers_are_no_drift_by_chance() -> None:
    scored = np.full(77, 10.0)
    alarms = 0
    for seed in range(50):
        decided = np.random.default_rng(seed).integers(0, 77, 100)
        alarms += judge(np.full(100, np.nan), None, decided, scored, 77).drifted
    assert alarms <= 2


def test_what_a_version_decided_is_read_from_its_report() -> None:
    report: dict[str, object] = {"confusion": {"labels": ["a", "b"], "counts": [3, 1, 0, 6]}}
    counts = decided_counts(report, ("a", "b"))
    assert counts is not None
    assert counts.tolist() == [3.0, 7.0]
    assert decided_counts(report, ("a", "c")) is None
    assert decided_counts({"confusion": None}, ("a", "b")) is None
