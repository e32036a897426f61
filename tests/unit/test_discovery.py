"""Domains are found by entry point; one that cannot serve stops the start and is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from candelabra.discovery import load
from candelabra.errors import BadPlugin

Install = Callable[..., None]
GROUP = "test.domains"
GOOD = """
from candelabra.plugin import Domain
class Shipping(Domain):
    api_version = 1
    name = "shipping"
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Install:
    """Writes a distribution with one domain, as pip would lay it out, into a folder on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(
        source: str, *, name: str = "shipping", distribution: str = "acme-shipping", attribute: str = "Shipping"
    ) -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.5\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}:{attribute}\n")
        request.addfinalizer(lambda: sys.modules.pop(module, None))

    return write


def test_a_domain_comes_with_its_distribution_and_version(install: Install) -> None:
    install(GOOD)
    found = load(GROUP)["shipping"]
    assert (found.domain.name, found.distribution, found.version) == ("shipping", "acme-shipping", "2.5")


def test_nothing_installed_is_an_empty_list() -> None:
    assert load("test.nothing") == {}


def test_only_leaves_the_others_unimported(install: Install) -> None:
    install(GOOD)
    install("raise RuntimeError('never imported')", name="broken", distribution="acme-broken")
    assert list(load(GROUP, only={"shipping"})) == ["shipping"]


def test_a_domain_asked_for_but_not_installed_is_refused() -> None:
    with pytest.raises(BadPlugin, match="No installed distribution brings the domain 'shipping'"):
        load(GROUP, only=["shipping"])


def test_two_distributions_with_one_name_are_both_told(install: Install) -> None:
    install(GOOD)
    install(GOOD, distribution="other-shipping")
    with pytest.raises(BadPlugin, match=r"acme-shipping 2\.5 .* other-shipping 2\.5 .*Uninstall one"):
        load(GROUP)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import module_that_does_not_exist", "cannot be imported"),
        ("1 / 0", "ZeroDivisionError"),
        ("Other = 1", "cannot be imported"),
        ("Shipping = 'a string'", "not a subclass"),
        ("class Shipping: name = 'shipping'", "not a subclass"),
        (GOOD + "    def __init__(self, needed): ...", "without arguments"),
        (GOOD.replace("= 1", "= 99"), "plugin API 99; this server offers 1.* Upgrade candelabra"),
        (GOOD.replace("= 1", "= 0"), "plugin API 0; this server offers 1"),
        (GOOD.replace('"shipping"', '"freight"'), "calls itself 'freight'"),
        (GOOD.replace('"shipping"', '"Two Words"'), "its name 'Two Words'"),
        (GOOD + "    tasks = ()", "not a non-empty tuple"),
        (GOOD + "    tasks = ('classification',)", "is not a Task"),
    ],
)
def test_a_domain_that_cannot_serve_is_refused(install: Install, source: str, said: str) -> None:
    install(source)
    with pytest.raises(BadPlugin, match=said) as refused:
        load(GROUP)
    assert "acme-shipping 2.5" in refused.value.message
    assert "pip uninstall acme-shipping" in refused.value.message
    assert refused.value.metadata == {"plugin": "shipping", "distribution": "acme-shipping", "version": "2.5"}


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("Task('Upper Case')", "name"),
        ("Task('t', kind='three_labels')", "TaskKind"),
        ("Task('t', long_text='folded')", "LongText"),
        ("Task('t', labels=('a', 'a'))", "twice"),
        ("Task('t', labels=('a',))", "one label only"),
        ("Task('t', labels=['a', 'b'])", "tuple"),
        ("Task('t', labels=('a', ''))", "non-empty"),
        ("Task('t', metric='f3')", "metric 'f3'"),
        ("Task('t', labels=('a', 'b'), metric='recall[c]')", "no label 'c'"),
        ("Task('t', labels=('a', 'b'), metric='f2[a]', recall_floor=1.0)", "recall_floor of 1.0"),
        ("Task('t', labels=('a', 'b'), recall_floor=0.9)", "names no LABEL"),
        ("Task('t', labels=('a', 'b', 'c'), metric='f2[a]', recall_floor=0.9)", "exactly two labels"),
        ("Task('t'), Task('t')", "two tasks named 't'"),
    ],
)
def test_a_bad_task_is_refused(install: Install, task: str, said: str) -> None:
    install(f"from candelabra.plugin import Task\n{GOOD}    tasks = ({task},)")
    with pytest.raises(BadPlugin, match=said):
        load(GROUP)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "micro_f1", "f1[a]", "f2[a]", "recall[a]"])
def test_every_metric_of_the_contract_is_known(install: Install, metric: str) -> None:
    install(f"from candelabra.plugin import Task\n{GOOD}    tasks = (Task('t', labels=('a', 'b'), metric='{metric}'),)")
    assert load(GROUP)["shipping"].domain.tasks[0].metric == metric
