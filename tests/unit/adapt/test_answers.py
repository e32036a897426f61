"""The pipeline of answers without training: what is scored, calibrated, compared, judged and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from candelabra.adapt import answers
from candelabra.adapt.methods import span
from candelabra.adapt.methods.fitted import Fitted
from candelabra.adapt.training import Incumbent, TokenStates, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, NoExamples
from candelabra.heads.bodies.span import NETWORK, RARITIES, WORDS, SpanFinder
from candelabra.heads.bodies.span_network import Network, Shape
from candelabra.heads.head import Head
from candelabra.types import Method, Progress, Reading, Span, TaskKind

SHAPE = Shape(layers=1, dimension=4, width=8, heads=2, hidden=8, blocks=0)
NAMES = ["Ada", "Bruno", "Clara", "Dora", "Emil"]


@dataclass(frozen=True, eq=False)
class States(TokenStates):
    """With the tokens' ids, whether or not the base has them."""

    ids: np.ndarray = None  # type: ignore[assignment]


def body(longest: int = 4) -> SpanFinder:
    torch.manual_seed(0)
    tensors = {NETWORK + name: tensor.numpy() for name, tensor in Network(SHAPE).state_dict().items()}
    tensors |= {WORDS: np.array([1, 2], np.float32), RARITIES: np.zeros(2, np.float32)}
    return SpanFinder((6,), SHAPE.about(), longest, tensors)


def training_set(count: int, unanswerable: Sequence[int] = ()) -> TrainingSet:
    """Texts "The lamp number 3 shone. Clara lit it." with the question who lit it: the second sentence's name."""
    texts = [f"The lamp number {at} shone. {NAMES[at % 5]} lit it." for at in range(count)]
    ids, offsets, words, table = [], [], [], []
    for at, text in enumerate(texts):
        begin, place = len(ids), 0
        ids += [1, 7, 8, 2]
        offsets += [(-1, -1)] * 4
        words += [-1] * 4
        for number, word in enumerate(text.split(" ")):
            ids.append(20 + len(word))
            offsets.append((place, place + len(word)))
            words.append(number)
            place += len(word) + 1
        table.append((at, begin, len(ids), 4))
    spans = [(Span(text.index(". ") + 2, text.index(" lit"), ""),) for text in texts]
    for at in unanswerable:
        spans[at] = ()
    values = np.random.default_rng(0).normal(size=(len(ids), 1, 4)).astype(np.float16)
    return TrainingSet(
        texts=texts,
        features=np.zeros((count, 0, 4), np.float32),
        slots=(),
        labels=(),
        targets=np.zeros(0, np.int64),
        rows=np.arange(100, 100 + count, dtype=np.uint64),
        questions=["who lit it"] * count,
        states=States(
            values,
            (6,),
            np.array(table, np.int64),
            np.array(offsets, np.int32),
            np.array(words, np.int32),
            np.array(ids, np.int32),
        ),
        spans=spans,
    )


NAME, SENTENCE, NOTHING = 9, 4, 0
"""Tokens: the name, the first of the text, the first of all."""


def logits(starts: Sequence[int], sure: float = 8.0) -> np.ndarray:
    """An answer of one token for each row (the name follows "The lamp number 3 shone.")."""
    made = np.empty(len(starts), object)
    for at, start in enumerate(starts):
        z = np.zeros((12, 2), np.float32)
        z[start] = sure
        made[at] = (z,)
    return made


SPEC = TrainSpec(
    task_kind=TaskKind.ANSWER,
    method=Method.SPAN,
    metric="token_f1",
    backbone="b",
    domain="d",
    task="t",
    reading=Reading.QUESTION,
)


def trained(
    monkeypatch: pytest.MonkeyPatch,
    data: TrainingSet,
    starts: Sequence[int],
    incumbent: Incumbent | None = None,
    spec: TrainSpec = SPEC,
    longest: int = 4,
) -> answers.Candidate:
    rows = np.arange(len(starts))
    fitted = Fitted(body(longest), rows, logits(starts), {"epochs": "1"}, "held out")
    monkeypatch.setattr(span, "fit", lambda *_: fitted)
    return answers.train(data, None, spec, incumbent, lambda _: None)


def checks(candidate: answers.Candidate) -> dict[str, bool]:
    found: dict[str, bool] = {one["name"]: one["passed"] for one in candidate.report["gate"]["checks"]}  # type: ignore[index]
    return found


def value(candidate: answers.Candidate, metric: str) -> float:
    (one,) = (one for one in candidate.report["scores"] if one["metric"] == metric)  # type: ignore[attr-defined]
    return float(one["value"])


def test_a_good_head_is_accepted_and_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = trained(monkeypatch, training_set(60), [NAME] * 57 + [SENTENCE] * 3)
    assert value(candidate, "exact_match") == pytest.approx(57 / 60)
    assert value(candidate, "token_f1") == pytest.approx(57 / 60)
    assert candidate.report["gate"]["accepted"]  # type: ignore[index]
    assert checks(candidate) == {"majority": True, "sentence_overlap": True, "calibration": True}
    assert candidate.report["scored_rows"] == 60
    assert candidate.report["evaluation"] == "held out"
    assert set(candidate.report["seconds"]) == {"train", "baselines", "gate"}  # type: ignore[call-overload]
    head = candidate.head
    assert (head.labels, head.reading, head.method) == (("answer",), Reading.QUESTION, Method.SPAN)
    assert head.report["value"] == pytest.approx(57 / 60)
    assert Head.from_bytes(head.to_bytes()).calibration == head.calibration


def test_one_that_points_anywhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = trained(monkeypatch, training_set(60), [SENTENCE] * 60, longest=1)
    assert not candidate.report["gate"]["accepted"]  # type: ignore[index]
    assert not checks(candidate)["majority"]
    assert "first sentence" in str(candidate.report["gate"])


def test_no_answer_is_the_constant_where_most_rows_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    data = training_set(60, unanswerable=range(40))
    candidate = trained(monkeypatch, data, [NOTHING] * 60)
    assert value(candidate, "token_f1") == pytest.approx(40 / 60)
    assert not checks(candidate)["majority"]
    assert "always no answer" in str(candidate.report["gate"])
    knows = trained(monkeypatch, data, [NOTHING] * 40 + [NAME] * 20)
    assert value(knows, "token_f1") == 1.0
    assert checks(knows)["majority"]


def test_temperature_makes_probabilities_mean_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    # Sure of everything and right in two of three; token 6 has as many spans around it as the name.
    starts = [NAME if at % 3 else 6 for at in range(240)]
    candidate = trained(monkeypatch, training_set(240), starts)
    assert candidate.head.calibration.temperature > 2
    assert candidate.report["calibration_error"] < 0.2  # type: ignore[operator]


def test_evidence_keeps_answers_and_the_successor_meets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    data = training_set(60)
    first = trained(monkeypatch, data, [NAME] * 60)
    assert first.evidence.decisions.dtype == np.int64
    assert first.evidence.decisions.shape == (60, 2)
    assert first.evidence.right == 1.0
    start, end = first.evidence.decisions[7]
    assert data.texts[7][start:end] == NAMES[2]
    incumbent = Incumbent(first.head, first.evidence)
    worse = trained(monkeypatch, data, [NAME] * 40 + [SENTENCE] * 20, incumbent)
    assert not checks(worse)["incumbent"]
    same = trained(monkeypatch, data, [NAME] * 60, incumbent)
    assert checks(same)["incumbent"]
    assert same.report["gate"]["accepted"]  # type: ignore[index]


def test_rows_that_the_incumbent_learned_from_are_not_held_against_the_candidate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = training_set(60)
    first = trained(monkeypatch, data, [NAME] * 60)
    nothing = replace(first.evidence, rows=first.evidence.rows[:0], decisions=first.evidence.decisions[:0])
    candidate = trained(monkeypatch, data, [NAME] * 60, Incumbent(first.head, nothing))
    (told,) = (one for one in candidate.report["gate"]["checks"] if one["name"] == "incumbent")  # type: ignore[index]
    assert told["passed"]
    assert "No row could be compared" in told["detail"]


def test_an_incumbent_without_evidence_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    data = training_set(60)
    first = trained(monkeypatch, data, [NAME] * 60)
    candidate = trained(monkeypatch, data, [NAME] * 60, Incumbent(first.head))
    found = {one["name"]: one["score"]["value"] for one in candidate.report["baselines"]}  # type: ignore[attr-defined]
    # Its weights are random: it knows nothing of what the logits above pretend.
    assert found["incumbent"] < 0.9


def test_validation_rows_are_scored_by_the_head_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    data = training_set(60)
    monkeypatch.setattr(span, "fit", lambda *_: Fitted(body(), np.arange(60), logits([NAME] * 60), {}, "held out"))
    candidate = answers.train(data, training_set(20), SPEC, None, lambda _: None)
    assert candidate.report["evaluation"] == "validation"
    assert candidate.report["scored_rows"] == 20
    assert value(candidate, "exact_match") < 0.9


def test_force_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = trained(monkeypatch, training_set(60), [SENTENCE] * 60, spec=replace(SPEC, force=True))
    assert candidate.report["gate"]["forced"]  # type: ignore[index]
    assert not candidate.report["gate"]["accepted"]  # type: ignore[index]


def test_what_cannot_be_learned_from_is_refused() -> None:
    data = training_set(3)
    told: list[Progress] = []
    for wrong in (
        replace(data, spans=[(), (), ()]),
        replace(data, texts=[], questions=[], spans=[]),
    ):
        with pytest.raises(NoExamples):
            answers.train(wrong, None, SPEC, None, told.append)
    with pytest.raises(InvalidArgument, match="equally many"):
        answers.train(replace(data, questions=["who"]), None, SPEC, None, told.append)
    with pytest.raises(InvalidArgument, match="accuracy"):
        answers.train(data, None, replace(SPEC, metric="accuracy"), None, told.append)
    assert told == []
