"""Every task through the served API with the real encoder: trained, gated, answered, with all optional parts."""

from __future__ import annotations

import urllib.request

import pytest
from material import PEOPLE, moods, pairs, questions, tagged, visits
from prometheus_client.parser import text_string_to_metric_families
from sentences import topics

from candelabra.testing.server import Server
from candelabra_client import Client, Example, Input, InvalidArgument, Prediction, Span

QUESTION = "Who bought the violin?"
CONTEXT = "The market opened at nine. Greta Lind bought a black violin in Tarnby. It rained in the afternoon."


@pytest.fixture(scope="module")
def heads(server: Server) -> dict[str, str]:
    """One head of each task, by task."""
    asked: dict[str, tuple[list[object], dict[str, object]]] = {
        "classification": (topics(), {}),
        "entities": (
            [tagged(one) if at % 2 else one for at, one in enumerate(visits(120))],
            {"method": "seq_crf", "options": {"epochs": 8}},
        ),
        "question_answering": (questions(200), {"method": "span", "options": {"epochs": 10}}),
        "regression": (moods(), {}),
        "pair_classification": (pairs(), {}),
    }
    made = {}
    with Client(server.address) as client:
        for task, (examples, options) in asked.items():
            name = f"every/{task.replace('_', '-')}"
            job = client.adapt(name, examples, task=task, wait=True, timeout=240, **options).job
            assert job.state == "succeeded", (task, job.error, job.report and job.report.gate)
            made[task] = name
    return made


def metric(server: Server, name: str) -> float:
    with urllib.request.urlopen(server.metrics_url, timeout=10) as page:
        for family in text_string_to_metric_families(page.read().decode()):
            for sample in family.samples:
                if sample.name == name and sample.labels.get("work") == "predict":
                    return sample.value
    raise LookupError(name)


def one(client: Client, asked: str | Input, head: str) -> Prediction:
    return client.predict(asked, head, coverage=0.9, outside=True)[0][0]


def test_entities_are_spans_of_the_callers_text(client: Client, heads: dict[str, str]) -> None:
    text = "Réunion à midi: Ines Calvo moved to Kirkhaven last spring."
    spans = one(client, text, heads["entities"]).spans
    assert {(text[span.start : span.end], span.label) for span in spans} >= {
        ("Ines Calvo", "PERSON"),
        ("Kirkhaven", "PLACE"),
    }
    assert all(span.text == text[span.start : span.end] and 0 < span.probability <= 1 for span in spans)


def test_a_long_text_is_read_to_its_end(client: Client, heads: dict[str, str]) -> None:
    text = "The bakery opens at six in the morning. " * 60 + "A letter from Theo Brandt came yesterday."
    given = one(client, text, heads["entities"])
    assert given.windows > 1
    assert any(span.text == "Theo Brandt" for span in given.spans)


def test_an_answer_is_a_piece_of_the_context(client: Client, heads: dict[str, str]) -> None:
    given = one(client, Input(CONTEXT, question=QUESTION), heads["question_answering"])
    best = given.answers[0]
    assert best.text in PEOPLE
    assert CONTEXT[best.start : best.end] == best.text
    assert given.no_answer is not None
    assert [span.probability for span in given.answers] == sorted(
        (span.probability for span in given.answers), reverse=True
    )


def test_a_number_comes_with_its_interval(client: Client, heads: dict[str, str]) -> None:
    good = one(client, "Profit rose strongly this year.", heads["regression"])
    bad = one(client, "Sales fell sharply, a disaster.", heads["regression"])
    assert good.value is not None
    assert bad.value is not None
    assert good.value > bad.value
    assert good.interval is not None
    assert good.interval.low < good.value < good.interval.high
    assert good.interval.coverage == 0.9


def test_a_pair_is_judged_as_one(client: Client, heads: dict[str, str]) -> None:
    same = one(client, Input("A girl sings a song.", "A girl is singing."), heads["pair_classification"])
    other = one(client, Input("A girl sings a song.", "The bridge was closed."), heads["pair_classification"])
    assert same.scores["same"] > other.scores["same"]


def test_labels_come_with_a_set_and_a_warning_of_strange_texts(client: Client, heads: dict[str, str]) -> None:
    known = one(client, "Thunder rolled over the coast at noon.", heads["classification"])
    assert known.prediction_set is not None
    assert known.outside is not None
    strange = one(client, "0x7f3a mov eax, ebx; jmp 0x41 ;; segfault core dumped 99 99 99", heads["classification"])
    assert strange.outside is not None
    assert strange.outside.score > known.outside.score


def test_one_text_four_tasks_one_forward(server: Server, client: Client, heads: dict[str, str]) -> None:
    asked = [heads[task] for task in ("entities", "classification", "regression")]
    before = metric(server, "candelabra_batch_rows_count")
    rows = metric(server, "candelabra_batch_rows_sum")
    given = client.predict("Maren Olsvik says the storm was the best day of the season.", asked)[0]
    assert [prediction.head.rpartition("@")[0] for prediction in given] == asked
    assert given[heads["entities"]].spans
    assert given[heads["classification"]].label
    assert given[heads["regression"]].value is not None
    assert metric(server, "candelabra_batch_rows_count") - before == 1
    assert metric(server, "candelabra_batch_rows_sum") - rows == 1


@pytest.mark.parametrize(("task", "what"), [("pair_classification", "text_pair"), ("question_answering", "question")])
def test_what_a_head_needs_must_be_sent(client: Client, heads: dict[str, str], task: str, what: str) -> None:
    with pytest.raises(InvalidArgument, match=what):
        client.predict("Only a text.", heads[task])


def test_labels_alone_are_a_start(client: Client) -> None:
    job = client.adapt(
        "every/start",
        [],
        label_descriptions={
            "weather": "rain, sun, storms and temperatures",
            "cooking": "recipes, food and how to prepare it",
            "football": "a football match, its players and goals",
        },
        wait=True,
        timeout=120,
    ).job
    assert job.state == "succeeded", job.error
    assert "provisional" in job.report.gate.reason
    texts = topics()
    given = client.predict([text for text, _ in texts], "every/start")
    right = sum(answer.label == label for answer, (_, label) in zip(given, texts, strict=True))
    assert right >= 27
    again = client.adapt("every/start", topics(), wait=True, timeout=120).job
    assert again.state == "succeeded", again.error


BAD_ROWS = (
    Example(tokens=("x", "y"), tags=("B-A",)),
    Example("Short.", spans=(Span(3, 99, "PLACE"),)),
)


def test_bad_rows_are_left_out_and_told(client: Client) -> None:
    job = client.adapt(
        "every/bad-rows",
        [*visits(60), *BAD_ROWS],
        task="entities",
        method="seq_crf",
        options={"epochs": 2},
        wait=True,
        timeout=120,
    ).job
    assert job.report is not None
    assert sum(job.report.data.dropped.values()) >= 2
    assert {row for problem in job.report.data.problems for row in problem.rows} >= {60, 61}


def test_the_strict_mode_refuses_bad_rows(client: Client) -> None:
    with pytest.raises(InvalidArgument, match=r"examples\[60\] has 2 tokens and 1 tags.*examples\[61\]") as caught:
        client.adapt("every/strict", [*visits(60), *BAD_ROWS], task="entities", strict=True)
    assert caught.value.reason == "BAD_EXAMPLES"
    assert "duplicate" not in str(caught.value)
