"""What a registry must do with jobs, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from records import HEAD, ROWS, THREADS, draft, every_page, examples, spec, start, together

from candelabra import errors
from candelabra.registry import Beat, Registry, datasets, jobrows
from candelabra.types import Failure, JobState, OwnedName, Progress


def test_a_job_is_read_as_it_was_written(registry: Registry) -> None:
    asked = spec(validation=OwnedName("acme", "job-1-validation"), request_id="r", promote=False, force=True)
    made, new = registry.jobs.create("1", asked, "d", examples(2), examples(3), 9)
    assert new
    assert (made.spec, made.state, made.attempt, made.progress) == (asked, JobState.QUEUED, 0, Progress("queued"))
    assert registry.jobs.get("acme", "1") == made
    assert registry.datasets.examples(asked.dataset, 9) == examples(2)
    assert registry.datasets.examples(OwnedName("acme", "job-1-validation"), 9) == examples(3)
    with pytest.raises(errors.JobNotFound):
        registry.jobs.get("zeta", "1")


def test_hidden_datasets_do_not_grow_and_are_kept_while_needed(registry: Registry) -> None:
    start(registry)
    hidden = OwnedName("acme", "job-1")
    with pytest.raises(errors.InvalidArgument):
        registry.datasets.append(hidden, examples(1), "", 9)
    with pytest.raises(errors.DatasetInUse):
        registry.datasets.delete(hidden)
    registry.jobs.cancel("acme", "1")
    registry.datasets.delete(hidden)


def test_a_job_needs_its_dataset(registry: Registry) -> None:
    with pytest.raises(errors.DatasetNotFound):
        registry.jobs.create("1", spec(dataset=ROWS), "d", None, None, 9)
    registry.datasets.append(ROWS, examples(2), "", 9)
    registry.jobs.create("1", spec(dataset=ROWS), "d", None, None, 9)
    with pytest.raises(errors.DatasetInUse, match="jobs/1"):
        registry.datasets.delete(ROWS)


def test_a_request_id_makes_one_job(registry: Registry) -> None:
    def ask(job: str, digest: str = "d", tenant: str = "acme", request: str = "r") -> tuple[str, bool]:
        made, new = registry.jobs.create(job, spec(tenant, job, request_id=request), digest, examples(1), None, 9)
        return made.id, new

    assert ask("1") == ("1", True)
    assert ask("2") == ("1", False)
    with pytest.raises(errors.RequestIdReused, match="jobs/1"):
        ask("3", digest="other")
    assert ask("4", tenant="zeta") == ("4", True)
    assert ask("5", request="") == ("5", True)
    assert ask("6", request="") == ("6", True)
    assert len(registry.jobs.list().items) == 4


def test_one_request_id_from_many_sides_makes_one_job(registry: Registry) -> None:
    def ask(index: int) -> tuple[str, bool]:
        asked = spec(job=str(index), request_id="same")
        made, new = registry.jobs.create(str(index), asked, "d", examples(3), None, 9)
        return made.id, new

    answers = together(ask)
    assert len({job for job, _ in answers}) == 1
    assert [new for _, new in answers].count(True) == 1


def test_a_tenant_has_only_so_many_jobs(registry: Registry) -> None:
    def ask(index: int) -> bool:
        try:
            registry.jobs.create(str(index), spec(job=str(index)), "d", examples(1), None, 4)
        except errors.TooManyJobs:
            return False
        return True

    assert together(ask, threads=8).count(True) == 4
    start(registry, "z", tenant="zeta")
    first = registry.jobs.list("acme").items[0]
    registry.jobs.cancel("acme", first.id)
    assert ask(99)


def test_jobs_are_listed_newest_first(registry: Registry) -> None:
    for i in range(5):
        start(registry, str(i), tenant="acme" if i % 2 else "zeta")
    registry.jobs.cancel("acme", "1")
    assert [job.id for job in every_page(lambda token: registry.jobs.list(page_size=2, page_token=token))] == list(
        "43210"
    )
    assert [job.id for job in registry.jobs.list("acme").items] == ["3", "1"]
    assert [job.id for job in registry.jobs.list(states=[JobState.CANCELLED]).items] == ["1"]
    assert [job.id for job in registry.jobs.list(head=OwnedName("zeta", "tickets")).items] == ["4", "2", "0"]
    assert registry.jobs.list(head=OwnedName("zeta", "other")).items == ()
    assert registry.jobs.counts() == {
        **dict.fromkeys(JobState, 0),
        JobState.QUEUED: 4,
        JobState.CANCELLED: 1,
    }


def test_claims_are_fair_between_tenants(registry: Registry) -> None:
    for i in range(3):
        start(registry, f"a{i}")
    start(registry, "z0", tenant="zeta")
    claimed = [registry.jobs.claim("worker", 60) for _ in range(5)]
    assert [job.id if job else None for job in claimed] == ["a0", "z0", "a1", "a2", None]
    assert claimed[0] is not None
    assert (claimed[0].state, claimed[0].attempt) == (JobState.RUNNING, 1)
    assert claimed[0].started is not None


def test_no_job_is_claimed_twice(registry: Registry, url: str) -> None:
    """By workers of several servers, that share nothing but the database."""
    for i in range(20):
        start(registry, str(i), tenant=f"t{i % 3}")

    def work(index: int) -> list[str]:
        with Registry.open(url) as server:
            return [job.id for _ in range(20) if (job := server.jobs.claim(f"worker-{index}", 60))]

    claimed = [job for jobs in together(work) for job in jobs]
    assert sorted(claimed, key=int) == [str(i) for i in range(20)]


def test_a_silent_worker_loses_its_job(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("first", 0)
    again = registry.jobs.claim("second", 60)
    assert again is not None
    assert again.attempt == 2
    assert registry.jobs.heartbeat("1", "first", 60) == Beat(owned=False)
    assert registry.jobs.heartbeat("1", "second", 60) == Beat(owned=True)
    writes: Sequence[Callable[[], object]] = (
        lambda: registry.jobs.progress("1", "first", Progress("train")),
        lambda: registry.jobs.finish("1", "first", JobState.FAILED, None, None),
        lambda: registry.jobs.publish("1", "first", draft(), "live", JobState.SUCCEEDED),
    )
    for write in writes:
        with pytest.raises(errors.JobTakenOver):
            write()
    assert registry.jobs.claim("third", 60) is None
    assert registry.heads.list().items == ()


def test_a_heartbeat_keeps_the_job_and_tells_of_a_cancel(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("worker", 0)
    assert registry.jobs.heartbeat("1", "worker", 60) == Beat(owned=True, cancel=False)
    assert registry.jobs.claim("other", 60) is None
    assert registry.jobs.cancel("acme", "1").state is JobState.RUNNING
    assert registry.jobs.heartbeat("1", "worker", 60) == Beat(owned=True, cancel=True)
    ended = registry.jobs.finish("1", "worker", JobState.CANCELLED, Failure("CANCELLED", "Asked to."), {})
    assert (ended.state, ended.cancel_requested, ended.ended is None) == (JobState.CANCELLED, True, False)
    assert registry.jobs.heartbeat("1", "worker", 60) == Beat(owned=False)
    assert registry.jobs.cancel("acme", "1") == ended


def test_a_waiting_job_is_cancelled_at_once(registry: Registry) -> None:
    start(registry)
    ended = registry.jobs.cancel("acme", "1")
    assert ended.state is JobState.CANCELLED
    assert ended.failure is not None
    assert registry.jobs.claim("worker", 60) is None
    with pytest.raises(errors.JobNotFound):
        registry.jobs.cancel("zeta", "1")


def test_a_cancelled_job_whose_worker_died_ends(registry: Registry) -> None:
    start(registry, "1")
    registry.jobs.claim("dead", 0)
    registry.jobs.cancel("acme", "1")
    start(registry, "2")
    claimed = registry.jobs.claim("worker", 60)
    assert claimed is not None
    assert claimed.id == "2"
    assert registry.jobs.get("acme", "1").state is JobState.CANCELLED


def test_a_restarted_server_gives_its_jobs_back(registry: Registry) -> None:
    for job in ("1", "2", "3"):
        start(registry, job)
    registry.jobs.claim("ours", 60)
    registry.jobs.claim("ours", 60)
    registry.jobs.claim("theirs", 60)
    registry.jobs.cancel("acme", "2")
    assert registry.jobs.requeue("ours") == 1
    states = [registry.jobs.get("acme", job).state for job in ("1", "2", "3")]
    assert states == [JobState.QUEUED, JobState.CANCELLED, JobState.RUNNING]
    again = registry.jobs.claim("ours", 60)
    assert again is not None
    assert (again.id, again.attempt) == ("1", 2)


def test_events_tell_the_story(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("worker", 60)
    made = registry.jobs.progress("1", "worker", Progress("train", 3, 9, 0.5, {"accuracy": 0.8}, 1.5), "Third step.")
    assert registry.jobs.get("acme", "1").progress == made.progress
    failure = Failure("TRAINER_ERROR", "The trainer gave up.", {"phase": "train"})
    ended = registry.jobs.finish("1", "worker", JobState.FAILED, failure, {"seconds": {"train": 1.0}})
    assert (ended.failure, ended.report) == (failure, {"seconds": {"train": 1.0}})
    events = registry.jobs.events("1")
    assert [(event.sequence, event.state, event.progress.phase) for event in events] == [
        (1, JobState.QUEUED, "queued"),
        (2, JobState.RUNNING, "queued"),
        (3, JobState.RUNNING, "train"),
        (4, JobState.FAILED, "done"),
    ]
    assert events[2] == made
    assert events[3].message == failure.message
    assert list(registry.jobs.events("1", after=2, limit=1)) == [made]


def test_only_legal_moves(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("worker", 60)
    with pytest.raises(errors.Internal, match="this is a bug"):
        registry.jobs.finish("1", "worker", JobState.RUNNING)
    done = registry.jobs.finish("1", "worker", JobState.FAILED)
    assert registry.jobs.finish("1", "worker", JobState.FAILED) == done
    for state in (JobState.SUCCEEDED, JobState.QUEUED, JobState.CANCELLED):
        with pytest.raises(errors.Internal, match="this is a bug"):
            registry.jobs.finish("1", "worker", state)
    with pytest.raises(errors.Internal, match="this is a bug"):
        registry.jobs.progress("1", "worker", Progress("train"))
    with pytest.raises(errors.Internal, match="this is a bug"):
        registry.jobs.publish("1", "worker", draft(), "live", JobState.SUCCEEDED)
    assert registry.jobs.get("acme", "1") == done
    assert registry.heads.list().items == ()


def test_publishing_does_all_at_once_and_once(registry: Registry) -> None:
    start(registry)
    registry.jobs.claim("worker", 60)
    version, job = registry.jobs.publish("1", "worker", draft(), "live", JobState.SUCCEEDED)
    assert (job.state, job.version, job.digest, job.report) == (JobState.SUCCEEDED, 1, draft().digest, draft().report)
    assert registry.heads.get(HEAD).aliases == {"live": 1}
    assert registry.jobs.publish("1", "worker", draft(digest="b"), "live", JobState.SUCCEEDED) == (version, job)
    assert registry.heads.get(HEAD).count == 1


def test_a_rejected_version_moves_no_alias(registry: Registry) -> None:
    registry.heads.add(draft(), "live")
    start(registry)
    registry.jobs.claim("worker", 60)
    failure = Failure("GATE_REFUSED", "Worse than version 1.")
    version, job = registry.jobs.publish("1", "worker", draft(accepted=False), None, JobState.REJECTED, failure)
    assert (version.version, version.accepted, job.state, job.failure) == (2, False, JobState.REJECTED, failure)
    assert registry.heads.get(HEAD).aliases == {"live": 1}


def test_a_crash_while_publishing_leaves_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    start(registry)
    registry.jobs.claim("worker", 60)

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(jobrows, "move", crash)  # after the version and the alias were written
        with pytest.raises(Crash):
            registry.jobs.publish("1", "worker", draft(), "live", JobState.SUCCEEDED)
    assert registry.heads.list().items == ()
    assert registry.revision() == 0
    assert registry.jobs.get("acme", "1").state is JobState.RUNNING
    version, _ = registry.jobs.publish("1", "worker", draft(), "live", JobState.SUCCEEDED)
    assert version.version == 1


def test_publishing_and_deleting_at_once_end_well(registry: Registry) -> None:
    """Many locks in many orders: nothing waits for ever, nothing is half done."""
    for i in range(THREADS):
        start(registry, str(i))
        registry.jobs.claim(f"worker-{i}", 60)

    def work(index: int) -> int:
        version, _ = registry.jobs.publish(str(index), f"worker-{index}", draft(), "live", JobState.SUCCEEDED)
        registry.datasets.delete(OwnedName("acme", f"job-{index}"))
        registry.jobs.cancel("acme", str(index))
        return version.version

    assert sorted(together(work)) == list(range(1, THREADS + 1))
    assert registry.heads.get(HEAD).count == THREADS
    assert registry.jobs.counts()[JobState.SUCCEEDED] == THREADS


def test_a_dataset_is_not_deleted_under_a_job_being_made(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever comes first wins: there is never a queued job whose dataset is gone."""
    registry.datasets.append(ROWS, examples(2), "", 9)
    deleting = threading.Event()
    outcome: list[object] = []

    def delete() -> None:
        deleting.set()
        try:
            registry.datasets.delete(ROWS)
            outcome.append("deleted")
        except errors.DatasetInUse as refused:
            outcome.append(refused)

    other = threading.Thread(target=delete)
    find = datasets.find

    def found_and_then_slow(*args: Any, **options: Any) -> Any:
        row = find(*args, **options)
        if threading.current_thread() is not other:  # the job has seen its dataset, and is not written yet
            other.start()
            assert deleting.wait(10)
            other.join(0.5)
        return row

    with monkeypatch.context() as patch:
        patch.setattr(datasets, "find", found_and_then_slow)
        registry.jobs.create("1", spec(dataset=ROWS), "d", None, None, 9)
    other.join(30)
    assert not other.is_alive()
    assert isinstance(outcome[0], errors.DatasetInUse)
    assert registry.datasets.examples(ROWS, 9) == examples(2)


def test_deleting_a_dataset_and_asking_for_a_job_race_well(registry: Registry) -> None:
    for attempt in range(8):
        name = OwnedName("acme", f"rows-{attempt}")
        registry.datasets.append(name, examples(2), "", 9)

        def work(index: int, name: OwnedName = name, attempt: int = attempt) -> bool:
            try:
                if index % 2:
                    registry.datasets.delete(name)
                else:
                    registry.jobs.create(f"{attempt}-{index}", spec(dataset=name), "d", None, None, 99)
            except (errors.DatasetInUse, errors.DatasetNotFound):
                return False
            return True

        done = together(work, threads=2)
        assert done.count(True) == 1
        assert (len(registry.jobs.list(head=HEAD, states=[JobState.QUEUED]).items) > 0) == done[0]
        if done[0]:
            assert registry.datasets.get(name).rows == 2
            registry.jobs.cancel("acme", f"{attempt}-0")
