"""A real training process: it trains, fails with a reason, dies with a name, is given up on, and is started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from candelabra import errors
from candelabra.adapt import assignment
from candelabra.adapt.material import Material
from candelabra.adapt.process import TrainerProcess, _failure, _how
from candelabra.adapt.training import TrainSpec
from candelabra.engine.row import Inputs
from candelabra.heads.head import Head
from candelabra.metrics import Metrics
from candelabra.types import Method, Progress, Slot, TaskKind

ROWS, DIMENSION, LABELS = 60, 8, ("left", "right")
SPEC = TrainSpec(
    task_kind=TaskKind.SINGLE_LABEL,
    method=Method.CLOSED_FORM,
    metric="accuracy",
    backbone="tiny:1",
    domain="general",
    task="classification",
)


def work(folder: Path, spec: TrainSpec = SPEC) -> Path:
    """A folder with something to learn: label by the sign of the first feature."""
    random = np.random.default_rng(0)
    targets = np.arange(ROWS) % 2
    features = assignment.open_features(folder, assignment.TRAIN, ROWS, 1, DIMENSION)
    features[:] = random.normal(size=features.shape)
    features[:, 0, 0] = np.where(targets == 1, 3, -3)
    features.flush()
    texts = [f"A walk of {index} steps." for index in range(ROWS)]
    rows = np.arange(ROWS, dtype=np.uint64)
    counts = dict.fromkeys(LABELS, ROWS // 2)
    material = Material(
        texts=texts, labels=LABELS, targets=targets, rows=rows, label_counts=counts, dropped={}, places=rows
    )
    assignment.save_part(folder, assignment.TRAIN, material, (Slot(1, "mean"),))
    assignment.save_spec(folder, spec)
    return folder


@pytest.fixture
async def trainer() -> AsyncIterator[TrainerProcess]:
    made = TrainerProcess(1, Metrics())
    yield made
    await made.stop()


def ignore(_: Progress) -> None:
    pass


def restarts(trainer: TrainerProcess) -> float | None:
    return trainer.metrics.registry.get_sample_value("candelabra_trainer_restarts_total")


async def test_one_child_trains_fails_and_trains_again(trainer: TrainerProcess, tmp_path: Path) -> None:
    said: list[Progress] = []
    folder = work(tmp_path / "good")
    await trainer.train(folder, 60, said.append)
    outcome = assignment.load_outcome(folder)
    head = Head.from_bytes(outcome.head)
    assert (head.labels, head.backbone) == (LABELS, "tiny:1")
    left = np.zeros((1, DIMENSION), np.float32)
    left[0, 0] = -3
    assert np.asarray(head.scores(Inputs(left)))[0, 0] > 0.5
    assert "evaluation" in outcome.report
    assert said
    child = trainer.child
    assert child is not None
    # A folder that is not there, with a log line for people and a sentence for the caller.
    with pytest.raises(errors.TrainerError, match="FileNotFoundError") as failed:
        await trainer.train(tmp_path / "nowhere", 60, ignore)
    assert str(tmp_path) not in failed.value.message
    # What the trainer refuses keeps its reason.
    empty = work(tmp_path / "odd", replace(SPEC, options={"no_such_option": 1}))
    with pytest.raises(errors.InvalidArgument, match="no_such_option"):
        await trainer.train(empty, 60, ignore)
    # Neither cost the child its life.
    await trainer.train(work(tmp_path / "again"), 60, ignore)
    assert trainer.child is child
    assert (trainer.started, restarts(trainer)) == (1, 0)
    # It ends by itself when the server is gone.
    assert child.stdin is not None
    child.stdin.close()
    assert await asyncio.wait_for(child.wait(), 10) == 0


async def test_a_child_that_is_killed_is_told_by_name_and_replaced(trainer: TrainerProcess, tmp_path: Path) -> None:
    await trainer.start()
    first = trainer.child
    assert first is not None
    os.kill(first.pid, signal.SIGSTOP)  # so that the job is surely under way when it dies
    training = asyncio.create_task(trainer.train(work(tmp_path / "a"), 60, ignore))
    await asyncio.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    with pytest.raises(errors.TrainerCrashed, match=r"SIGKILL.*memory"):
        await asyncio.wait_for(training, 30)
    await trainer.train(tmp_path / "a", 60, ignore)
    assert (tmp_path / "a" / "report.json").exists()
    assert (trainer.started, restarts(trainer)) == (2, 1)


async def test_a_child_that_does_not_come_up_is_told_and_tried_again(
    trainer: TrainerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr("sys.executable", str(broken))
        with pytest.raises(errors.TrainerCrashed, match="exit code 7 while it was starting"):
            await trainer.start()
    await trainer.start()
    child = trainer.child
    await trainer.start()  # there is one already
    assert trainer.child is child
    assert trainer.started == 2


async def test_a_training_that_takes_too_long_ends_with_its_child(trainer: TrainerProcess, tmp_path: Path) -> None:
    await trainer.start()
    child = trainer.child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(errors.TrainerTimedOut, match="job_timeout_seconds"):
        await trainer.train(work(tmp_path), 0.2, ignore)
    assert child.returncode == -signal.SIGKILL
    assert trainer.child is None


async def test_a_cancel_kills_the_child(trainer: TrainerProcess, tmp_path: Path) -> None:
    await trainer.start()
    child = trainer.child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    training = asyncio.create_task(trainer.train(work(tmp_path), 60, ignore))
    await asyncio.sleep(0.05)
    training.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await training
    assert training.cancelled()
    assert child.returncode == -signal.SIGKILL
    await trainer.stop()  # a second time does no harm


async def test_a_child_that_was_started_idle_ends_with_its_input(trainer: TrainerProcess) -> None:
    await trainer.start()
    child = trainer.child
    assert child is not None
    assert child.stdin is not None
    child.stdin.close()
    assert await asyncio.wait_for(child.wait(), 60) == 0


def test_how_a_child_ended_is_told() -> None:
    assert _how(3) == "with exit code 3"
    assert _how(-signal.SIGSEGV) == "by SIGSEGV"


def test_a_failure_is_the_same_class_on_this_side() -> None:
    found = _failure({"reason": "TOO_FEW_LABELS", "message": "One label.", "metadata": {"field": "examples"}})
    assert isinstance(found, errors.TooFewLabels)
    assert (found.message, found.metadata) == ("One label.", {"field": "examples"})
    assert isinstance(_failure({"reason": "NO_SUCH", "message": "?"}), errors.TrainerError)
