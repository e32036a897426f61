"""How the demo looks: one heading an act, and a table for what came of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from candelabra_client import Answers, Backbone, Domain, Job, Report
from demo.material import Question
from demo.scores import Scored

PLAIN_WIDTH = 140
_INTERESTING = ("_total", "_count", "_resident", "_registered", "_jobs")


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)


def act(out: Console, title: str, what: str) -> None:
    out.print(f"\n[bold yellow]{title}[/] [dim]- {what}[/]")


def started(out: Console, address: str, backbone: Backbone, domains: Sequence[Domain], seconds: float) -> None:
    out.print(f"  serving on {address} after {seconds:.1f} s")
    out.print(
        f"  {backbone.name}: {backbone.layers} layers × {backbone.dimension}, {backbone.precision} on "
        f"{backbone.device} ({backbone.engine}), fingerprint {backbone.fingerprint[:19]}…"
    )
    brought = ", ".join(f"{domain.name} ({domain.distribution} {domain.version})" for domain in domains)
    out.print(f"  domains: {brought}")


def reports(out: Console, jobs: Sequence[Job]) -> None:
    """The evidence about each new head; raises if one was not made."""
    table = _table(
        "head", "task", "rows", "score (95 % interval)", "majority", "TF-IDF", "chosen", "encode s", "total s"
    )
    for job in jobs:
        report = job.raise_for_state().report
        score = report.score() if report else None
        if report is None or score is None:
            continue
        floors = {one.name: f"{one.score.value:.3f}" for one in report.baselines if one.score}
        table.add_row(
            job.head_version,
            f"{job.domain}/{job.task}",
            f"{job.dataset_rows:,}",
            f"{report.metric} {score.value:.3f} ({score.low:.2f} to {score.high:.2f})",
            floors.get("majority", ""),
            floors.get("tfidf_logistic_regression", ""),
            escape(
                f"{report.chosen.get('solver', job.method)}, layers {report.chosen.get('layers', '')}".replace(
                    " mean", ""
                )
            ),
            f"{report.seconds.get('encode', 0.0):.2f}",
            f"{report.seconds.get('total', 0.0):.2f}",
        )
    out.print(table)


def answers(out: Console, questions: Sequence[Question], found: Answers) -> None:
    """Every head answers every text; what it says of its own field is bright."""
    table = _table("text", *(f"{head.name}\n{head.domain}/{head.task}" for head in found.heads))
    for question, answer in zip(questions, found, strict=True):
        cells = []
        for head, prediction in zip(found.heads, answer, strict=True):
            said = ", ".join(
                f"{escape(label)} {probability:.0%}"
                for label, probability in zip(prediction.labels, prediction.probabilities, strict=True)
            )
            said += "".join(f" ({value:+.2f})" for value in prediction.values.values())
            cells.append(f"[bold]{said}[/]" if head.domain == question.domain else f"[dim]{said}[/]")
        table.add_row(escape(_short(question.text)), *cells)
    out.print(table)
    spent = found.timings
    out.print(
        f"  {len(questions)} × {len(found.heads)} answers in {1000 * spent.total:.0f} ms: "
        f"tokenize {1000 * spent.tokenize:.1f}, queue {1000 * spent.queue:.1f}, "
        f"encode {1000 * spent.encode:.1f}, heads {1000 * spent.head:.1f}"
    )


def swapped(out: Console, runs: Sequence[tuple[int, int]], digests: Mapping[int, str]) -> None:
    table = _table("the stream was answered by", "digest", "answers in a row")
    for version, count in runs:
        table.add_row(f"version {version}", digests[version][:19] + "…", f"{count:,}")
    out.print(table)
    out.print(f"  {sum(count for _, count in runs):,} answers, none lost, none of two minds; no restart")


def scores(out: Console, scored: Sequence[Scored]) -> None:
    table = _table(
        "head",
        "test split",
        "texts",
        "accuracy",
        "majority",
        "TF-IDF + LR",
        "above",
        "seconds",
        "recall of adverse events",
    )
    for one in scored:
        floors = one.lesson.floors
        table.add_row(
            one.lesson.head,
            one.lesson.source,
            f"{len(one.lesson.test):,}",
            f"{one.accuracy:.3f}",
            f"{floors['majority']:.3f}",
            f"{floors['tfidf']:.3f}",
            "both" if one.accuracy > max(floors.values()) else "[red]not both[/]",
            f"{one.seconds:.1f}",
            "" if one.recall is None else f"{one.recall:.3f} (threshold of the domain)",
        )
    out.print(table)


def moved(out: Console, before: Mapping[str, float], after: Mapping[str, float]) -> None:
    """The samples that changed; of histograms their counts only."""
    table = _table("metric", "before", "after")
    for sample, value in sorted(after.items()):
        name = sample.partition("{")[0]
        if value != before.get(sample, 0.0) and name.endswith(_INTERESTING):
            table.add_row(escape(sample), f"{before.get(sample, 0.0):,.6g}", f"{value:,.6g}")
    out.print(table)


def _chosen(report: Report) -> str:
    return f"{report.chosen.get('solver', '')}, layers {report.chosen.get('layers', '')}".replace(" mean", "")


def _short(text: str, width: int = 58) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in columns:
        table.add_column(column)
    return table
