"""What a registry must do with datasets, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from records import ROWS, THREADS, draft, every_page, examples, spec, start, together

from candelabra import errors
from candelabra.registry import Registry
from candelabra.types import Example, OwnedName, Span


def test_examples_come_back_in_order(registry: Registry) -> None:
    odd = [Example("Ünïcödé 😀 \u202e \x01 'quoted' %s", ("ä", "b")), Example("none", ())]
    info, appended = registry.datasets.append(ROWS, odd, "", 10_000)
    assert (info.rows, appended, info.label_counts) == (2, 2, {"ä": 1, "b": 1})
    info, appended = registry.datasets.append(ROWS, iter(examples(2500)), "", 10_000)
    assert (info.rows, appended) == (2502, 2500)
    assert registry.datasets.examples(ROWS, 1500) == odd + examples(1498)
    assert registry.datasets.examples(ROWS, 10**9) == odd + examples(2500)
    assert registry.datasets.get(ROWS) == info


def test_examples_of_every_task_come_back_as_they_were(registry: Registry) -> None:
    rows = [
        Example("ä cup 😀", ("x",), text_pair="a mug", id="a"),
        Example("warm", target=0.0),
        Example("hot", target=-1.5e-9),
        Example("Mia drank tea", spans=(Span(0, 3, "PERSON"), Span(10, 13, "DRINK")), id="b"),
        Example("Mia drank tea", question="who?", spans=(Span(0, 3, ""),)),
        Example("Mia drank tea", tags=("B-PERSON", "O", "B-DRINK")),
        Example("unsure", soft={"x": 0.25, "y": 0.75}),
        Example("voted", votes=(("by word", "x"), ("by length", "y"))),
        Example("nothing at all"),
    ]
    info, _ = registry.datasets.append(ROWS, rows)
    assert registry.datasets.examples(ROWS, 99) == rows
    assert info.label_counts == {"DRINK": 2, "PERSON": 2, "x": 1}
    hidden = OwnedName("acme", "job-1")
    registry.jobs.create("1", spec(), "d", rows, None, 9)
    assert registry.datasets.examples(hidden, 99) == rows


def test_a_target_that_is_no_number_is_kept_for_training_to_refuse(registry: Registry) -> None:
    registry.datasets.append(ROWS, [Example("a", target=float("nan")), Example("b", target=float("inf"))])
    found = registry.datasets.examples(ROWS, 9)
    assert [str(item.target) for item in found] == ["nan", "inf"]


def test_an_id_comes_once_in_a_dataset(registry: Registry) -> None:
    registry.datasets.append(ROWS, [Example("a", ("x",), id="1"), Example("b", ("x",)), Example("c", ("x",))])
    for rows, row in (
        ([Example("d", ("x",), id="2"), Example("e", ("x",), id="2")], "1"),
        ([Example("d", ("x",), id="2"), Example("e", ("x",), id="1")], "1"),
    ):
        with pytest.raises(errors.DuplicateId) as refused:
            registry.datasets.append(ROWS, rows)
        assert (refused.value.metadata["row"], refused.value.metadata["field"]) == (row, f"examples[{row}].id")
    assert registry.datasets.get(ROWS).rows == 3
    registry.datasets.append(OwnedName("acme", "other"), [Example("a", ("x",), id="1")])
    with pytest.raises(errors.InvalidArgument):
        registry.datasets.append(ROWS, [Example("d", ("x",), id="i" * 201)])
    # The examples inside one Adapt may repeat one: training drops and counts them.
    twice = [Example("d", ("x",), id="2"), Example("e", ("x",), id="2")]
    registry.jobs.create("1", spec(), "d", twice, None, 9)
    assert registry.datasets.examples(OwnedName("acme", "job-1"), 9) == twice


def test_a_request_id_appends_once(registry: Registry) -> None:
    first = registry.datasets.append(ROWS, examples(3), "r1", 100)
    registry.datasets.append(ROWS, examples(4), "r2", 100)
    assert registry.datasets.append(ROWS, examples(3), "r1", 100) == first
    assert registry.datasets.get(ROWS).rows == 7
    with pytest.raises(errors.RequestIdReused):
        registry.datasets.append(ROWS, examples(5), "r1", 100)
    registry.datasets.append(ROWS, examples(1), "", 100)
    registry.datasets.append(ROWS, examples(1), "", 100)
    assert registry.datasets.get(ROWS).rows == 9
    with pytest.raises(errors.InvalidArgument):
        registry.datasets.append(ROWS, examples(1), "r" * 5000, 100)


def test_a_dataset_over_its_limit_stays_as_it_was(registry: Registry) -> None:
    registry.datasets.append(ROWS, examples(3), "", 5)
    with pytest.raises(errors.LimitExceeded) as refused:
        registry.datasets.append(ROWS, examples(3), "r", 5)
    assert refused.value.metadata == {"limit": "max_dataset_rows", "maximum": "5", "actual": "6"}
    assert registry.datasets.examples(ROWS, 99) == examples(3)
    with pytest.raises(errors.LimitExceeded):
        registry.datasets.append(OwnedName("acme", "new"), examples(6), "", 5)
    with pytest.raises(errors.DatasetNotFound):
        registry.datasets.get(OwnedName("acme", "new"))


def test_a_source_that_fails_leaves_nothing(registry: Registry) -> None:
    def broken() -> Iterator[Example]:
        yield from examples(2)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        registry.datasets.append(ROWS, broken(), "r", 100)
    with pytest.raises(errors.DatasetNotFound):
        registry.datasets.get(ROWS)


@pytest.mark.parametrize("bad", ["a\0b", "half \ud83d"])
def test_what_cannot_be_stored_is_refused(registry: Registry, bad: str) -> None:
    writes: Sequence[Callable[[], object]] = (
        lambda: registry.datasets.append(ROWS, [Example(bad, ("x",))], "", 100),
        lambda: registry.datasets.append(ROWS, [Example("x", (bad,))], "", 100),
        lambda: registry.datasets.append(ROWS, [Example("x", text_pair=bad)]),
        lambda: registry.datasets.append(ROWS, [Example("x", question=bad)]),
        lambda: registry.datasets.append(ROWS, [Example("x", spans=(Span(0, 1, bad),))]),
        lambda: registry.datasets.append(ROWS, [Example("x", tags=(bad,))]),
        lambda: registry.datasets.append(ROWS, [Example("x", soft={bad: 1.0})]),
        lambda: registry.datasets.append(ROWS, [Example("x", votes=(("f", bad),))]),
        lambda: registry.datasets.append(ROWS, [Example("x", id=bad)]),
        lambda: registry.datasets.append(ROWS, examples(1), bad, 100),
        lambda: registry.heads.get(OwnedName("acme", bad)),
        lambda: registry.heads.add(draft(), bad),
        lambda: registry.jobs.get("acme", bad),
        lambda: registry.jobs.create("1", spec(request_id=bad), "d", examples(1), None, 9),
    )
    for write in writes:
        with pytest.raises(errors.InvalidText):
            write()
    assert registry.datasets.list().items == ()
    assert registry.jobs.list().items == ()
    assert registry.heads.list().items == ()


def test_datasets_are_listed_and_deleted(registry: Registry) -> None:
    names = [OwnedName(tenant, f"d{i}") for tenant in ("acme", "zeta") for i in range(4)]
    for name in names:
        registry.datasets.append(name, examples(1), "r", 10)
    start(registry)
    assert [info.name for info in every_page(lambda token: registry.datasets.list(None, 3, token))] == names
    assert [info.name for info in registry.datasets.list("zeta", 9).items] == names[4:]
    registry.datasets.delete(names[0])
    for gone in (lambda: registry.datasets.get(names[0]), lambda: registry.datasets.examples(names[0], 1)):
        with pytest.raises(errors.DatasetNotFound):
            gone()
    assert registry.datasets.append(names[0], examples(2), "r", 10)[0].rows == 2


def test_appends_at_once_lose_nothing(registry: Registry) -> None:
    def work(index: int) -> None:
        for i in range(4):
            registry.datasets.append(ROWS, examples(7, start=index * 1000 + i * 7), f"{index}/{i}", 10_000)

    together(work)
    found = registry.datasets.examples(ROWS, 10_000)
    wanted = [row for index in range(THREADS) for row in examples(28, start=index * 1000)]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert registry.datasets.get(ROWS).rows == len(wanted)
    assert sum(registry.datasets.get(ROWS).label_counts.values()) == len(wanted)


def test_one_request_id_from_many_sides_appends_once(registry: Registry) -> None:
    answers = together(lambda _: registry.datasets.append(ROWS, examples(5), "same", 100))
    assert all(answer == answers[0] for answer in answers)
    assert registry.datasets.get(ROWS).rows == 5


def test_a_nul_is_refused_wherever_a_text_or_label_comes_in(registry: Registry) -> None:
    """PostgreSQL cannot store it; SQLite could, and must not differ."""
    judged = spec(validation=OwnedName("acme", "v"))
    writes: Sequence[Callable[[], object]] = (
        lambda: registry.datasets.append(ROWS, [*examples(2), Example("in the mid\0dle", ("tea",))], "r", 100),
        lambda: registry.datasets.append(ROWS, [*examples(2), Example("a text", ("te\0a",))], "r", 100),
        lambda: registry.jobs.create("1", spec(), "d", [Example("at the end\0", ("tea",))], None, 9),
        lambda: registry.jobs.create("1", judged, "d", examples(2), [Example("a text", ("\0tea",))], 9),
    )
    for write in writes:
        with pytest.raises(errors.InvalidText):
            write()
    assert registry.datasets.list().items == ()
    assert registry.jobs.list().items == ()
    assert registry.heads.list().items == ()
    # The request id was not spent on what was refused.
    assert registry.datasets.append(ROWS, examples(2), "r", 100)[1] == 2
