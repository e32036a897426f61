"""Metrics follow Prometheus' rules and are there, at zero, before anything happens."""

from __future__ import annotations

from prometheus_client import generate_latest

from candelabra.metrics import Metrics

BASE_UNITS = ("_seconds", "_bytes", "_total", "_ratio", "_info", "_celsius", "_watts")


def test_names_are_prefixed_and_labels_bounded() -> None:
    metrics = Metrics()
    families = [family for family in metrics.registry.collect() if not family.name.startswith(("process_", "python_"))]
    assert families
    for family in families:
        assert family.name.startswith("candelabra_")
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert not {"tenant", "head", "text", "user"} & sample.labels.keys()


def test_stages_and_states_are_there_at_zero() -> None:
    page = generate_latest(Metrics().registry).decode()
    assert 'candelabra_stage_seconds_count{stage="encode"} 0.0' in page
    assert 'candelabra_jobs{state="running"} 0.0' in page


def test_two_servers_in_one_process_do_not_share() -> None:
    first, second = Metrics(), Metrics()
    first.alias_moves.inc()
    assert second.registry.get_sample_value("candelabra_alias_moves_total") == 0
