"""Versions that learned from forgotten rows leave without a gap in service; the certificate quotes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from records import HEAD, ROWS, draft, examples, spec

from candelabra import errors
from candelabra.adapt.forget import certificate, plan, retire_idle, settle
from candelabra.registry import Registry
from candelabra.types import Example, Failure, HeadRef, JobInfo, JobState, OwnedName

SECRET = "Mia Sparrow lives at 4 Elm Street"
OTHER = OwnedName("acme", "other")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """Versions 1 to 3 of a head: 1 saw no secret, 2 and 3 did, 3 is live; a second head has it on trial."""
    with Registry.open(f"sqlite:///{tmp_path}/registry.sqlite3") as opened:
        opened.datasets.append(ROWS, [*examples(3), Example(SECRET, ("tea",), id="mia"), *examples(2, 5)])
        for digest, rows in (("a", 3), ("b", 4), ("c", 6)):
            opened.heads.add(draft(digest=digest, dataset=str(ROWS), dataset_rows=rows), "live")
        opened.heads.add(draft(OTHER, "d", dataset=str(ROWS), dataset_rows=6, method="seq_crf"), "trial")
        yield opened


def refit(registry: Registry, id_: str, state: JobState, alias: str | None = "live") -> JobInfo:
    registry.jobs.create(id_, spec(job=id_, dataset=ROWS, dataset_rows=6), "d", None, None, 9)
    registry.jobs.claim("a", 60)
    made = draft(digest="e", dataset=str(ROWS), dataset_rows=6)
    failure = None if state is JobState.SUCCEEDED else Failure("GATE_REFUSED", "It lost recall of 'tea'.")
    return registry.jobs.publish(id_, "a", made, alias, state, failure)[1]


def numbers(registry: Registry) -> dict[int, bool]:
    return {info.version: bool(info.retired) for info in registry.heads.versions(HEAD).items}


def test_only_versions_that_saw_a_row_are_affected(registry: Registry) -> None:
    done = registry.datasets.forget(ROWS, ["mia"])
    made = plan(registry, done)
    assert [one.name for one in made.affected] == ["acme/other@1", "acme/tickets@2", "acme/tickets@3"]
    assert [one.name for one in made.idle] == ["acme/tickets@2"]
    assert [(one.version.name, one.alias, one.exact) for one in made.refits] == [
        ("acme/other@1", "trial", False),
        ("acme/tickets@3", "live", True),
    ]
    assert {one.dataset for one in made.refits} == {ROWS}


def test_a_served_version_retires_when_its_refit_is_promoted(registry: Registry) -> None:
    done = registry.datasets.forget(ROWS, ["mia"])
    made = plan(registry, done)
    retire_idle(registry, made)
    assert numbers(registry) == {1: False, 2: True, 3: False}
    assert registry.heads.version(HeadRef(HEAD)).version == 3
    waiting = settle(registry, made, []).waiting
    assert waiting["acme/tickets@3"] == "No refit for the alias 'live' was started."
    job = refit(registry, "1", JobState.SUCCEEDED)
    settled = settle(registry, made, [job])
    assert numbers(registry) == {1: False, 2: True, 3: True, 4: False}
    assert list(settled.waiting) == ["acme/other@1"]
    # Neither a roll-back nor a hand brings a retired version back.
    assert registry.heads.roll_back(HEAD, "live").aliases["live"] == 1
    with pytest.raises(errors.VersionRetired):
        registry.heads.set_alias(HeadRef(HEAD, 3), "live")


def test_a_refit_that_the_gate_refuses_is_told_and_service_goes_on(registry: Registry) -> None:
    made = plan(registry, registry.datasets.forget(ROWS, ["mia"]))
    job = refit(registry, "1", JobState.REJECTED, None)
    settled = settle(registry, made, [job])
    assert registry.heads.version(HeadRef(HEAD)).version == 3
    assert settled.waiting["acme/tickets@3"] == (
        "Its refit acme/jobs/1 was refused by the gate: It lost recall of 'tea'."
    )


def test_a_version_that_was_only_judged_on_the_rows_is_affected(registry: Registry) -> None:
    registry.jobs.create("1", spec(validation=ROWS), "d", examples(2), None, 9)
    registry.jobs.claim("a", 60)
    judged, _ = registry.jobs.publish("1", "a", draft(dataset="acme/job-1", dataset_rows=2), None, JobState.SUCCEEDED)
    made = plan(registry, registry.datasets.forget(ROWS, ["mia"]))
    assert judged.name in [one.name for one in made.affected]


def test_versions_made_after_the_rows_were_gone_are_not_affected(registry: Registry) -> None:
    done = registry.datasets.forget(ROWS, ["mia"], request_id="r")
    retire_idle(registry, plan(registry, done))
    refit(registry, "1", JobState.SUCCEEDED)
    again = registry.datasets.forget(ROWS, ["mia"], request_id="r")
    assert again.replayed
    assert [one.name for one in plan(registry, again).affected] == ["acme/other@1", "acme/tickets@3"]


def test_nothing_lost_affects_nothing(registry: Registry) -> None:
    assert plan(registry, registry.datasets.forget(ROWS, ["nobody"])).affected == ()


def test_the_certificate_is_plain_json_without_words_of_the_rows(registry: Registry) -> None:
    done = registry.datasets.forget(ROWS, (), [SECRET], everywhere=True)
    made = plan(registry, done)
    retire_idle(registry, made)
    settled = settle(registry, made, [refit(registry, "1", JobState.SUCCEEDED)])
    told = certificate(done, made, settled, {"digest_before": "x", "residual": 0.0}, ["statistics"], 3)
    words = json.dumps(told)
    assert "Mia" not in words
    assert "mia" not in words
    assert (told["rows_before"], told["rows_after"], told["features_dropped"]) == (6, 5, 3)
    assert told["affected_versions"] == ["acme/other@1", "acme/tickets@2", "acme/tickets@3"]
    assert (told["retrained_versions"], told["exact_versions"]) == (["acme/other@1"], ["acme/tickets@3"])
    assert told["retired_versions"] == ["acme/tickets@2", "acme/tickets@3"]
    assert list(told["waiting_versions"]) == ["acme/other@1"]  # type: ignore[call-overload]
    assert told["digest_before"] == "x"
