"""Heads that name pieces of a text, end to end on made-up sentences: what is promoted, refused, and compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from tagged import TYPES, tagged

from candelabra.adapt import entities, entity_rivals
from candelabra.adapt.entity_rivals import Names, Scored
from candelabra.adapt.evidence import Evidence, evidence_from_bytes, evidence_to_bytes
from candelabra.adapt.training import Candidate, Incumbent, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples, TooFewLabels
from candelabra.heads.bodies.tagger import Tagger
from candelabra.heads.head import Head
from candelabra.types import Method, Progress, Span, TaskKind
from candelabra.v1 import common_pb2

SPEC = TrainSpec(
    task_kind=TaskKind.ENTITIES,
    method=Method.AUTO,
    metric="entity_f1",
    backbone="fingerprint",
    domain="general",
    task="entities",
    options={"rank": 16, "hidden": 8, "epochs": 8, "rate": 0.01},
)


def quiet(_: Progress) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def good() -> Candidate:
    return entities.train(tagged(330), None, SPEC, None, quiet)


@pytest.fixture(scope="module")
def poor() -> Candidate:
    """Of the next version's rows, with what their spans say thrown about."""
    data = tagged(330)
    order = np.random.default_rng(0).permutation(330)
    shuffled = replace(data, spans=[data.spans[at] for at in order])
    return entities.train(shuffled, None, replace(SPEC, options={**SPEC.options, "epochs": 2}), None, quiet)


def test_a_head_that_learned_is_accepted_with_its_numbers(good: Candidate) -> None:
    report = good.report
    assert report["gate"]["accepted"], report["gate"]  # type: ignore[index]
    assert [one["name"] for one in report["baselines"]] == ["majority", "lookup"]  # type: ignore[attr-defined]
    assert [one["metric"] for one in report["scores"]] == ["entity_f1", "entity_precision", "entity_recall"]  # type: ignore[attr-defined]
    assert [one["label"] for one in report["labels"]] == list(TYPES)  # type: ignore[attr-defined]
    assert good.head.method is Method.SEQ_CRF
    assert good.head.labels == TYPES
    assert good.head.calibration.temperature > 0
    made = ParseDict(report, common_pb2.Report())
    assert made.scored_rows == report["scored_rows"]
    assert 0.3 < good.evidence.right <= 1.0
    assert good.evidence.decisions.shape == (made.scored_rows, 6)


def test_the_file_of_the_head_finds_the_same(good: Candidate) -> None:
    again = Head.from_bytes(good.head.to_bytes())
    fresh = tagged(10, first=9000)
    rows = np.arange(10)
    assert isinstance(again.body, Tagger)
    assert isinstance(good.head.body, Tagger)
    assert entity_rivals.spans_of(again.body, fresh, rows) == entity_rivals.spans_of(good.head.body, fresh, rows)


def test_spans_without_sense_are_refused(poor: Candidate) -> None:
    assert not poor.report["gate"]["accepted"]  # type: ignore[index]
    assert "always giving the most frequent answer" in poor.report["gate"]["reason"]  # type: ignore[index]


def test_a_validation_set_is_what_is_scored(good: Candidate) -> None:
    fresh = tagged(40, first=7000)
    few = tagged(60)
    made = entities.train(few, fresh, replace(SPEC, options={**SPEC.options, "epochs": 4}), None, quiet)
    assert made.report["evaluation"] == "validation"
    assert made.report["scored_rows"] == 40
    assert made.evidence.rows.tolist() == list(range(7000, 7040))
    assert made.evidence.trained.tolist() == list(range(60))


def test_a_worse_version_is_refused_by_what_the_incumbent_had_found(good: Candidate) -> None:
    """The rows are those that the incumbent was scored on: its spans are read from its evidence."""
    data = tagged(330)
    evidence = evidence_from_bytes(evidence_to_bytes(good.evidence))
    worse = entities.train(
        data,
        None,
        replace(SPEC, options={**SPEC.options, "epochs": 1, "rate": 1e-4}),
        Incumbent(good.head, evidence),
        quiet,
    )
    assert not worse.report["gate"]["accepted"]  # type: ignore[index]
    rivals = {one["name"]: one for one in worse.report["baselines"]}  # type: ignore[attr-defined]
    assert rivals["incumbent"]["score"]["value"] > 0.7
    failed = {one["name"] for one in worse.report["gate"]["checks"] if not one["passed"]}  # type: ignore[index]
    assert {"incumbent", "recall"} <= failed


def scored(rows: int = 40, first: int = 0) -> Scored:
    """A candidate that finds nothing."""
    data = tagged(rows, first=first)
    counts = np.zeros((rows, 2, 3), np.int64)
    for row, spans in enumerate(data.spans):
        for span in spans:
            counts[row, TYPES.index(span.label), 2] += 1
    return Scored(data, np.arange(rows), counts)


def test_rows_that_the_incumbent_learned_from_are_not_compared(good: Candidate) -> None:
    own = scored()
    nothing = Evidence(TYPES, np.zeros(0, np.uint64), np.zeros((0, 6), np.int64), own.data.rows)
    made = entity_rivals.against(Incumbent(good.head, nothing), own, "entity_f1", 0)
    assert made.rows == 0
    assert "No row" in made.note


def test_rows_that_nobody_learned_from_are_given_to_the_incumbent(good: Candidate) -> None:
    fresh = scored(first=8000)
    made = entity_rivals.against(Incumbent(good.head, good.evidence), fresh, "entity_f1", 0)
    assert made.rows == 40
    assert made.theirs.value > 0.7
    assert made.gap.high < 0
    assert all(one.lost > one.won for one in made.recalls)


def test_only_shared_types_are_compared_with_the_incumbent(good: Candidate) -> None:
    fresh = scored(first=8000)
    data = replace(
        fresh.data,
        labels=("drug", "city"),
        spans=[
            tuple(replace(one, label="city") if one.label == "place" else one for one in row)
            for row in fresh.data.spans
        ],
    )
    made = entity_rivals.against(Incumbent(good.head), Scored(data, fresh.at, fresh.counts), "entity_f1", 0)
    assert made.note == "on 1 shared types"
    assert made.theirs.value > 0.7


def test_names_are_looked_up_by_longest_match_and_most_frequent_type() -> None:
    names = Names(
        ["New Dover and Dover", "Dover again", "Dover, once"],
        [(Span(0, 9, "place"), Span(14, 19, "drug")), (Span(0, 5, "place"),), (Span(0, 5, "place"),)],
    )
    assert names.find("to New Dover, Dover.") == [Span(3, 12, "place"), Span(14, 19, "place")]
    assert names.find("dover Newport") == []


def test_the_dictionary_of_a_fold_does_not_know_the_fold() -> None:
    """Every sentence has a name of its own: looked up in the others', none is found."""
    texts = [f"we saw Name{row} there" for row in range(30)]
    spans = [(Span(7, 11 + len(str(row)), "drug"),) for row in range(30)]
    data = replace(tagged(30), texts=texts, spans=spans)
    counts = np.zeros((30, 2, 3), np.int64)
    counts[:, 0, :] = 1
    own = Scored(data, np.arange(30), counts)
    made = entity_rivals.lookup(own, data, np.arange(30) % 3, "entity_f1", 0)
    assert made.theirs.value == 0.0
    assert made.ours == 1.0
    known = entity_rivals.lookup(own, data, None, "entity_f1", 0)
    assert known.theirs.value == 1.0
    assert known.gap.value == 0.0


def test_what_cannot_be_learned_from_is_told() -> None:
    data = tagged(6)
    with pytest.raises(TooFewLabels):
        entities.train(replace(data, spans=[()] * 6), None, SPEC, None, quiet)
    with pytest.raises(InvalidArgument, match="token states"):
        entities.train(replace(data, states=None), None, SPEC, None, quiet)
    with pytest.raises(InvalidArgument, match="metric"):
        entities.train(data, None, replace(SPEC, metric="accuracy"), None, quiet)
    with pytest.raises(InvalidArgument, match="method"):
        entities.train(data, None, replace(SPEC, method=Method.DENSE), None, quiet)
    with pytest.raises(NoExamples):
        entities.train(data, replace(data, texts=[], spans=[]), SPEC, None, quiet)
