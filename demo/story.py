"""The acts: adapt three heads, ask them all at once, swap one under load, look at the metrics, drain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from candelabra_client import AdaptHandle, Answers, CandelabraError, Client, Job
from demo import material, scores, show
from demo.material import Lesson, Material
from demo.server import Failed, Server, running
from demo.swap import Stream

ADAPT_SECONDS = 1800.0
DRAIN_TEXTS = 200


def tell(data: Path | None) -> None:
    """Everything, in order; raises Failed at the first thing that is not as it should be."""
    out = show.console()
    show.act(out, "A server starts", "one frozen encoder, three domain plugins, no heads yet")
    began = time.monotonic()
    chosen = material.real(data) if data else material.written()
    with running() as server, Client(server.address) as client:
        show.started(out, server.address, client.backbone(), client.domains.list(), time.monotonic() - began)
        before = server.metrics()
        show.act(out, "Three tenants adapt one head each", "features come from the very encoder that serves")
        show.reports(out, teach(out, client, chosen.lessons))
        show.act(out, "One RPC, every text, every head", "the encoder runs once for all of them")
        ask(out, client, chosen)
        show.act(out, "A head is swapped under load", "each answer names the version that gave it")
        swap(out, client, chosen)
        if data:
            show.act(out, "Test scores through the server", "the whole test splits, beside two simple methods")
            show.scores(out, [scores.score(client, lesson) for lesson in chosen.lessons])
        show.act(out, "What Prometheus saw", f"http://127.0.0.1:{server.metrics_port}/metrics")
        show.moved(out, before, server.metrics())
        show.act(out, "SIGTERM", "what was accepted is finished, what comes later is refused")
        drain(out, server, client, chosen)


def teach(out: Console, client: Client, lessons: Sequence[Lesson]) -> list[Job]:
    """Uploads each lesson's examples and trains its head, all watched at once."""
    handles = []
    for lesson in lessons:
        kept = client.datasets.append(lesson.head, lesson.train)
        handles.append(_adapt(client, lesson))
        out.print(f"  {kept.appended:,} examples of {lesson.source} kept as dataset [bold]{kept.dataset.name}[/]")
    return watch(out, handles)


def watch(out: Console, handles: Sequence[AdaptHandle]) -> list[Job]:
    """Live bars until all jobs have ended."""
    columns = (
        TextColumn("  {task.description:18}"),
        BarColumn(28),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out) as progress, ThreadPoolExecutor(len(handles)) as pool:
        bars = [progress.add_task(handle.job.head, total=None, said="queued") for handle in handles]
        return [
            job.result() for job in [pool.submit(_follow, *pair, progress) for pair in zip(handles, bars, strict=True)]
        ]


def _follow(handle: AdaptHandle, bar: TaskID, progress: Progress) -> Job:
    for event in handle.watch(ADAPT_SECONDS):
        at = event.progress
        if at is None:
            continue
        steps = f"{at.phase} {at.step:,}/{at.total:,}" if at.total else at.phase
        loss = f", loss {at.loss:.3f}" if at.loss is not None else ""
        left = f", about {at.seconds_left:.0f} s left" if at.seconds_left else ""
        progress.update(bar, completed=at.step, total=at.total or None, said=f"{steps}{loss}{left}")
    job = handle.job if handle.job.ended else handle.refresh()
    progress.update(bar, completed=1, total=1, said=job.state)
    return job


def _adapt(client: Client, lesson: Lesson) -> AdaptHandle:
    return client.adapt(lesson.head, dataset=lesson.head, domain=lesson.domain, task=lesson.task)


def ask(out: Console, client: Client, chosen: Material) -> None:
    heads = [lesson.head for lesson in chosen.lessons]
    answers = client.predict([question.text for question in chosen.questions], heads)
    if len(answers) != len(chosen.questions) or any(len(answer) != len(heads) for answer in answers):
        raise Failed("a Predict did not answer every text with every head.")
    show.answers(out, chosen.questions, answers)


def swap(out: Console, client: Client, chosen: Material) -> None:
    """Version 2 of the first head, on more examples, goes live while predictions stream."""
    lesson = chosen.lessons[0]
    first = client.heads.get(lesson.head).aliases["live"]
    kept = client.datasets.append(lesson.head, chosen.more)
    out.print(f"  {kept.appended} examples more: the dataset {kept.dataset.name} now has {kept.dataset.rows:,}")
    texts = [question.text for question in chosen.questions]
    with Stream(client, lesson.head, texts) as stream:
        stream.wait_for(first)
        [job] = watch(out, [_adapt(client, lesson)])
        if not job.head_version:
            job.raise_for_state()
        second = int(job.head_version.rpartition("@")[2])
        if job.state == "rejected":
            why = job.error.message if job.error else "worse"
            out.print(f"  the gate kept version {first} ({why}); version {second} is promoted by hand")
            client.heads.promote(job.head_version)
        stream.wait_for(second)
        client.heads.roll_back(lesson.head)
        stream.wait_for(first)
    show.swapped(out, stream.runs, stream.digests)
    stream.check(expected=[first, second, first])


def drain(out: Console, server: Server, client: Client, chosen: Material) -> None:
    heads = [lesson.head for lesson in chosen.lessons]
    # Texts that no cache knows, so that the call is still being answered when the signal comes.
    texts = [f"{chosen.questions[at % len(chosen.questions)].text} (no. {at})" for at in range(DRAIN_TEXTS)]
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(client.predict, texts, heads, timeout=60)
        _until_in_flight(server, accepted)
        server.terminate()
        answered = len(accepted.result())
    code = server.wait()
    if answered != DRAIN_TEXTS:
        raise Failed(f"the call accepted before SIGTERM gave {answered} of {DRAIN_TEXTS} answers.")
    if code != 0:
        raise Failed(f"the server ended with exit code {code} after SIGTERM.")
    if not _refused(server.address):
        raise Failed("the server still answered after it had drained.")
    out.print(f"  the call in flight got its {answered} × {len(heads)} answers; then exit code {code}")


def _until_in_flight(server: Server, accepted: Future[Answers]) -> None:
    sample = 'candelabra_calls_in_flight{method="Inference/Predict"}'
    end = time.monotonic() + 10
    while not accepted.done() and server.metrics().get(sample, 0.0) < 1 and time.monotonic() < end:
        time.sleep(0.01)


def _refused(address: str) -> bool:
    with Client(address) as late:
        try:
            late.backbone(timeout=2)
        except CandelabraError:
            return True
        return False
