"""Deployment files: they parse, name metrics that exist, and leave more time than the drain needs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from candelabra.errors import every_reason
from candelabra.metrics import Metrics
from candelabra.settings import Settings

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",), "gauge": ("",)}


@pytest.fixture(scope="module")
def series() -> set[str]:
    """Every name that Prometheus can ask for."""
    made = (metric.describe()[0] for metric in vars(Metrics()).values() if isinstance(metric, MetricWrapperBase))
    return {family.name + suffix for family in made for suffix in SUFFIXES[family.type]}


def unknown(text: str, series: set[str]) -> set[str]:
    return set(re.findall(r"\bcandelabra_[a-z_]+[a-z]\b", text)) - series


def test_the_dashboard_shows_metrics_that_exist(root: Path, series: set[str]) -> None:
    board = json.loads((root / "deploy/grafana/dashboard.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) >= 10
    assert unknown("\n".join(queries), series) == set()


def test_alerts_ask_for_what_exists(root: Path, series: set[str]) -> None:
    groups = yaml.safe_load((root / "deploy/alerts.yml").read_text())["groups"]
    queries = "\n".join(rule["expr"] for group in groups for rule in group["rules"])
    assert unknown(queries, series) == set()
    reasons = {reason for found in re.findall(r'reason=~?"([A-Z_|]+)"', queries) for reason in found.split("|")}
    assert reasons <= set(every_reason())


def test_alerts_of_the_page_ask_for_what_exists(root: Path, series: set[str]) -> None:
    page = (root / "docs/operations.md").read_text()
    queries = "\n".join(re.findall(r"`([^`]*candelabra_[^`]*[(\[=][^`]*)`", page))
    assert "QUEUE_FULL" in queries
    assert unknown(queries, series) == set()


def test_the_check_sees_a_wrong_name(series: set[str]) -> None:
    assert unknown("rate(candelabra_calls[5m])", series) == {"candelabra_calls"}


def test_prometheus_scrapes_the_metrics_port(root: Path) -> None:
    config = yaml.safe_load((root / "deploy/prometheus.yml").read_text())
    (target,) = config["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == f"candelabra:{Settings().metrics_port}"
    assert [path for path in config["rule_files"] if not (root / "deploy" / path).exists()] == []


def test_compose_waits_for_the_drain(root: Path) -> None:
    services = yaml.safe_load((root / "deploy/compose.yaml").read_text())["services"]
    server = services["candelabra"]
    assert int(server["stop_grace_period"].removesuffix("s")) > Settings().drain_seconds
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))
    assert server["environment"]["CANDELABRA_DATABASE_URL"].startswith("postgresql+psycopg://")


def test_kubernetes_waits_for_the_drain(root: Path) -> None:
    documents = list(yaml.safe_load_all((root / "deploy/kubernetes.yaml").read_text()))
    pod = next(each for each in documents if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain = next(entry["value"] for entry in container["env"] if entry["name"] == "CANDELABRA_DRAIN_SECONDS")
    assert pod["terminationGracePeriodSeconds"] > float(drain)
    assert container["readinessProbe"]["grpc"]["port"] == Settings().port
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_the_image_has_both_variants_and_no_root(root: Path) -> None:
    text = (root / "Dockerfile").read_text()
    assert re.findall(r"^FROM \S+ AS (\w+)", text, flags=re.MULTILINE) == ["build", "runtime", "cuda", "cpu"]
    assert re.search(r"^USER \d+", text, flags=re.MULTILINE)
    assert "HEALTHCHECK" in text
