"""What a registry must do when rows are forgotten and versions retired, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from records import HEAD, ROWS, draft, examples, spec, start, together
from sqlalchemy import create_engine, text

from candelabra import errors
from candelabra.registry import Registry
from candelabra.types import Example, HeadRef, JobState, OwnedName, VersionInfo

EVERYTHING = 10**9


def named(number: int, start: int = 0) -> list[Example]:
    return [
        Example(f"The kettle number {i} whistles.", ("tea" if i % 2 else "coffee",), id=f"row-{i}")
        for i in range(start, start + number)
    ]


def test_rows_are_forgotten_by_id_and_by_text(registry: Registry) -> None:
    rows = named(6)
    registry.datasets.append(ROWS, rows)
    done = registry.datasets.forget(ROWS, ["row-1", "nobody"], [f"\n {rows[4].text}\t", "not there"])
    lost = done.datasets[0]
    assert (lost.dataset, lost.hidden, lost.positions, lost.examples) == (ROWS, False, (1, 4), (rows[1], rows[4]))
    assert (lost.label_counts, lost.rows_left) == ({"coffee": 1, "tea": 1}, 4)
    assert (done.rows, done.missing, done.replayed, done.sent_back) == (2, 2, False, 0)
    info = registry.datasets.get(ROWS)
    assert (info.rows, info.next_position, info.label_counts) == (4, 6, {"coffee": 2, "tea": 2})
    assert registry.datasets.numbered(ROWS, 5, 2) == [(2, rows[2]), (3, rows[3])]


def test_a_position_is_never_given_twice(registry: Registry) -> None:
    registry.datasets.append(ROWS, named(3))
    registry.datasets.forget(ROWS, ["row-2"])
    info, _ = registry.datasets.append(ROWS, named(1, 2))
    assert (info.rows, info.next_position) == (3, 4)
    assert [position for position, _ in registry.datasets.numbered(ROWS, EVERYTHING)] == [0, 1, 3]
    assert registry.datasets.examples(ROWS, 3) == named(2)


def test_a_text_is_found_as_second_text_and_as_question_too(registry: Registry) -> None:
    rows = [
        Example("a cup", ("x",), text_pair="Mia's words"),
        Example("Mia's words ", ("x",)),
        Example("the tea is hot", question="Mia's words"),
        Example("Mia's words and more", ("x",)),
    ]
    registry.datasets.append(ROWS, rows)
    assert registry.datasets.forget(ROWS, (), ["Mia's words"]).datasets[0].positions == (0, 1, 2)
    assert registry.datasets.examples(ROWS, 9) == rows[3:]


def test_a_text_is_forgotten_everywhere(registry: Registry) -> None:
    others = [OwnedName("acme", "more"), OwnedName("zeta", "rows")]
    for name in (ROWS, *others):
        registry.datasets.append(name, examples(3))
    registry.datasets.append(OwnedName("acme", "untouched"), examples(1, 9))
    start(registry)
    done = registry.datasets.forget(ROWS, (), [examples(2)[1].text], "r", everywhere=True)
    assert [(lost.dataset.name, lost.hidden, lost.positions) for lost in done.datasets] == [
        ("rows", False, (1,)),
        ("more", False, (1,)),
        ("job-1", True, (1,)),
    ]
    assert done.missing == 0
    assert registry.datasets.examples(OwnedName("acme", "job-1"), 9) == examples(1)
    assert registry.datasets.get(others[1]).rows == 3
    again = registry.datasets.forget(ROWS, (), [examples(2)[1].text], "r", everywhere=True)
    assert again.replayed
    assert [lost.positions for lost in again.datasets] == [(1,), (1,), (1,)]
    assert all(lost.examples == () for lost in again.datasets)


def test_a_request_id_forgets_once(registry: Registry) -> None:
    registry.datasets.append(ROWS, named(4))
    first = registry.datasets.forget(ROWS, ["row-1"], (), "r")
    registry.datasets.append(ROWS, named(1, 1))
    again = registry.datasets.forget(ROWS, ["row-1"], (), "r")
    assert (again.replayed, again.rows, again.datasets[0].removed) == (True, 1, first.datasets[0].removed)
    assert registry.datasets.get(ROWS).rows == 4
    with pytest.raises(errors.RequestIdReused):
        registry.datasets.forget(ROWS, ["row-2"], (), "r")


@pytest.mark.parametrize(
    ("ids", "texts", "everywhere"),
    [((), (), False), (("",), (), False), ((), (" ",), False), (("a",), (), True), (["a"] * 10_001, (), False)],
)
def test_a_request_that_names_nothing_is_refused(
    registry: Registry, ids: Sequence[str], texts: Sequence[str], everywhere: bool
) -> None:
    registry.datasets.append(ROWS, named(2))
    with pytest.raises(errors.InvalidArgument):
        registry.datasets.forget(ROWS, ids, texts, everywhere=everywhere)
    with pytest.raises(errors.DatasetNotFound):
        registry.datasets.forget(OwnedName("acme", "none"), ["row-1"])


def test_a_tombstone_tells_numbers_and_no_words(registry: Registry, url: str) -> None:
    secret = "Mia Sparrow lives at 4 Elm Street"
    registry.datasets.append(ROWS, [Example(secret, ("tea",), id="mia-sparrow"), *named(2)])
    registry.datasets.forget(ROWS, ["mia-sparrow"], [secret])
    stones = registry.datasets.forgotten(ROWS)
    assert [(stone.positions, stone.rows_left, stone.examples) for stone in stones] == [((0,), 2, ())]
    engine = create_engine(url)
    with engine.connect() as connection:
        told = str(connection.execute(text("SELECT * FROM tombstone")).all())
    engine.dispose()
    assert "Mia" not in told
    assert "mia" not in told
    registry.datasets.delete(ROWS)
    assert registry.datasets.forgotten(ROWS) == stones


def test_nothing_of_a_forgotten_text_is_left_in_the_files(registry: Registry, url: str) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL's vacuum overwrites in its own time")
    secret = "Mia Sparrow lives at 4 Elm Street"
    registry.datasets.append(ROWS, [*examples(50), Example(secret, ("tea",)), *examples(50)])
    path = url.removeprefix("sqlite:///")
    files = [Path(path), Path(f"{path}-wal")]
    assert any(secret.encode() in file.read_bytes() for file in files)
    registry.datasets.forget(ROWS, (), [secret])
    assert not any(secret.encode() in file.read_bytes() for file in files)


def test_a_running_job_begins_again_without_the_rows(registry: Registry) -> None:
    registry.datasets.append(ROWS, named(4))
    for id_, name in (("1", ROWS), ("2", ROWS)):
        registry.jobs.create(id_, spec(job=id_, dataset=name, dataset_rows=4), "d", None, None, 9)
    start(registry, "3")
    assert [registry.jobs.claim(owner, 60).id for owner in ("a", "b", "c")] == ["1", "2", "3"]  # type: ignore[union-attr]
    registry.jobs.cancel("acme", "2")
    assert registry.datasets.forget(ROWS, ["row-0"]).sent_back == 1
    states = [registry.jobs.get("acme", id_).state for id_ in "123"]
    assert states == [JobState.QUEUED, JobState.CANCELLED, JobState.RUNNING]
    assert not registry.jobs.heartbeat("1", "a", 60).owned
    with pytest.raises(errors.JobTakenOver):
        registry.jobs.publish("1", "a", draft(), "live", JobState.SUCCEEDED)
    again = registry.jobs.claim("a", 60)
    assert again is not None
    assert (again.id, again.attempt) == ("1", 1)


def lineage(found: Sequence[VersionInfo]) -> list[tuple[str, int]]:
    return [(info.head.name, info.version) for info in found]


def test_the_versions_that_saw_a_dataset_are_known(registry: Registry) -> None:
    registry.datasets.append(ROWS, named(4))
    other = OwnedName("acme", "second")
    registry.heads.add(draft(dataset=str(ROWS), dataset_rows=2))
    registry.heads.add(draft(dataset="acme/else", dataset_rows=2))
    registry.heads.add(draft(other, dataset=str(ROWS), dataset_rows=4))
    registry.heads.add(draft(OwnedName("zeta", "tickets"), dataset="zeta/rows"))
    registry.jobs.create("1", spec(validation=ROWS), "d", examples(2), None, 9)
    registry.jobs.claim("a", 60)
    registry.jobs.publish("1", "a", draft(dataset="acme/job-1"), None, JobState.SUCCEEDED)
    found = registry.heads.trained_on(ROWS)
    assert lineage(found) == [("second", 1), ("tickets", 1), ("tickets", 3)]
    assert found[0] == registry.heads.versions(other).items[0]


def test_a_retired_version_serves_no_more(registry: Registry) -> None:
    for digest in "abc":
        registry.heads.add(draft(digest=digest), "live")
    before = registry.revision()
    done = registry.heads.retire([(HEAD, 2), (HEAD, 3)], "rows of acme/rows were forgotten")
    assert (lineage(done.versions), lineage(done.serving)) == ([("tickets", 2)], [("tickets", 3)])
    assert done.versions[0].retired.endswith("Z rows of acme/rows were forgotten")
    assert done.versions[0].revision > before
    assert registry.heads.changes(before).heads[0][1][1].retired == done.versions[0].retired
    with pytest.raises(errors.VersionRetired):
        registry.heads.set_alias(HeadRef(HEAD, 2), "canary")
    assert registry.heads.roll_back(HEAD, "live").aliases == {"live": 1}
    assert registry.heads.digests() == {f"sha256:{digest * 64}" for digest in "ac"}
    assert registry.heads.retire([(HEAD, 2)], "again").versions == tuple(
        info for info in registry.heads.versions(HEAD).items if info.version == 2
    )
    assert registry.heads.version(HeadRef(HEAD, 3)).retired == ""


def test_what_all_versions_lost_is_told_when_nothing_is_left_to_roll_back_to(registry: Registry) -> None:
    for digest in "ab":
        registry.heads.add(draft(digest=digest), "live")
    registry.heads.retire([(HEAD, 1)], "x")
    with pytest.raises(errors.NoEarlierVersion, match="retired"):
        registry.heads.roll_back(HEAD, "live")


def test_appends_and_forgets_at_once_lose_nothing(registry: Registry) -> None:
    registry.datasets.append(ROWS, named(60))

    def work(index: int) -> None:
        for i in range(3):
            registry.datasets.append(ROWS, named(2, 1000 * (index + 1) + 2 * i))
            registry.datasets.forget(ROWS, [f"row-{index * 10 + i}"], everywhere=False)
            registry.datasets.forget(ROWS, (), [f"The kettle number {index * 10 + 5 + i} whistles."], everywhere=True)

    together(work)
    info = registry.datasets.get(ROWS)
    found = registry.datasets.numbered(ROWS, EVERYTHING)
    assert info.rows == len(found) == 60 + 6 * 6 - 6 * 6
    assert info.next_position == 60 + 6 * 6
    assert sum(info.label_counts.values()) == info.rows


class ForgettingMachine(RuleBasedStateMachine):
    """Appends and forgets against a dictionary from position to row."""

    registry: Registry
    names = count()

    def __init__(self) -> None:
        super().__init__()
        self.name = OwnedName("acme", f"model-{next(self.names)}")
        self.rows: dict[int, Example] = {}
        self.next = 0
        self.append([("0", "a")])

    @rule(new=st.lists(st.tuples(st.sampled_from("0123456789"), st.sampled_from("abc")), max_size=4))
    def append(self, new: list[tuple[str, str]]) -> None:
        made = [Example(f"text {word}", (word,), id=id_) for id_, word in new]
        ids = [item.id for item in made]
        if len(set(ids)) < len(ids) or {item.id for item in self.rows.values()} & set(ids):
            with pytest.raises(errors.DuplicateId):
                self.registry.datasets.append(self.name, made)
            return
        self.registry.datasets.append(self.name, made)
        self.rows |= dict(enumerate(made, self.next))
        self.next += len(made)

    @rule(ids=st.sets(st.sampled_from("0123456789"), min_size=1, max_size=3))
    def forget_ids(self, ids: set[str]) -> None:
        self._lose(self.registry.datasets.forget(self.name, sorted(ids)).datasets[0].positions, ids, set())

    @rule(words=st.sets(st.sampled_from("abcd"), min_size=1, max_size=2))
    def forget_texts(self, words: set[str]) -> None:
        done = self.registry.datasets.forget(self.name, (), [f" text {word}" for word in sorted(words)])
        self._lose(done.datasets[0].positions, set(), words)

    @invariant()
    def agree(self) -> None:
        info = self.registry.datasets.get(self.name)
        assert dict(self.registry.datasets.numbered(self.name, EVERYTHING)) == self.rows
        assert (info.rows, info.next_position) == (len(self.rows), self.next)
        counts = [item.labels[0] for item in self.rows.values()]
        assert info.label_counts == {label: counts.count(label) for label in sorted(set(counts))}

    def _lose(self, positions: Sequence[int], ids: set[str], words: set[str]) -> None:
        lost = [at for at, item in self.rows.items() if item.id in ids or item.labels[0] in words]
        assert list(positions) == lost
        for position in lost:
            del self.rows[position]


def test_forgetting_behaves_like_its_model(registry: Registry) -> None:
    made = type("Machine", (ForgettingMachine,), {"registry": registry})
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=10,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
