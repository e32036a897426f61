"""Commands against the fake server: what is printed, where, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from candelabra import __version__
from candelabra.cli import adapt as adapt_command
from candelabra_client.testing import FakeServer
from candelabra_client.v1 import adaptation_pb2

Run = Callable[..., Any]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"row {n}", "label": "ab"[n % 2]}) + "\n" for n in range(8)))
    return path


def test_version(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"candelabra {__version__}\n")


def test_wrong_usage_is_two(run: Run) -> None:
    assert run("predict", "--nonsense").code == 2
    assert run("adapt", "acme/fresh").code == 2


def test_adapt_shows_the_phases_and_the_report(run: Run, fake: FakeServer, rows: Path) -> None:
    ran = run("adapt", "acme/fresh", str(rows), "--domain", "general", "--layers", "1,2", "--seed", "3")
    assert ran.code == 0, ran.err
    assert "acme/fresh@1" in ran.out
    assert "accuracy" in ran.out
    assert "0.800 to 0.950" in ran.out
    assert "acme/fresh: train" in ran.err
    sent = next(iter(fake.store.requests.values()))
    assert len(sent.examples.examples) == 8
    assert (sent.domain, sent.seed, list(sent.closed_form.layers), sent.alias) == ("general", 3, [1, 2], "live")


def test_adapt_as_json_prints_the_job_alone(run: Run, fake: FakeServer, rows: Path) -> None:
    ran = run("adapt", "acme/fresh", str(rows), "--json", "--no-promote", "--request-id", "one")
    job = json.loads(ran.out)
    assert (job["name"], job["state"], job["report"]["scores"][0]["value"]) == ("acme/jobs/one", "succeeded", 0.9)
    assert fake.store.requests["acme/jobs/one"].no_promote


def test_adapt_without_watching_names_the_job(run: Run, fake: FakeServer, rows: Path) -> None:
    ran = run("adapt", "acme/fresh", str(rows), "--no-watch", "--request-id", "one")
    assert "jobs watch acme/jobs/one" in ran.out
    assert fake.calls["WatchJob"] == 0


def test_a_rejected_version_is_a_failure_with_its_reason(run: Run, fake: FakeServer, rows: Path) -> None:
    fake.store.ends_as = adaptation_pb2.REJECTED
    ran = run("adapt", "acme/fresh", str(rows))
    assert ran.code == 1
    assert "The new version is worse: send more examples. [GATE_REFUSED]" in ran.err


def test_many_rows_become_a_dataset_once(
    run: Run, fake: FakeServer, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt_command, "INLINE_ROWS", 5)
    for _ in range(2):
        assert run("adapt", "acme/fresh", str(rows)).code == 0
    (name,) = fake.store.datasets
    assert name.startswith("acme/fresh-")
    assert len(fake.store.datasets[name]) == 8
    assert all(request.dataset == name for request in fake.store.requests.values())


def test_predict_from_arguments_stdin_and_file(run: Run, fake: FakeServer, rows: Path) -> None:
    ran = run("predict", "acme/news,acme/news@1", "a text", "[/bold] is no markup here")
    assert ran.code == 0, ran.err
    assert ran.out.count("acme/news@1") == 4
    assert "short 0.750" in ran.out
    assert "[/bold] is no markup here" in ran.out
    ran = run("predict", "acme/news", "--json", stdin="one\n\ntwo\n" + "x\n" * 100)
    answers = [json.loads(line) for line in ran.out.splitlines()]
    assert [answer["text"] for answer in answers[:2]] == ["one", "two"]
    assert len(answers) == 102
    assert answers[0]["predictions"][0]["head"] == "acme/news@1"
    assert fake.calls["Predict"] == 3
    assert len(run("predict", "acme/news", "--json", "-f", str(rows)).out.splitlines()) == 8


def test_embed(run: Run, fake: FakeServer) -> None:
    assert json.loads(run("embed", "abc", "--json").out)["values"] == [3.0, 1.0]
    assert "2 numbers" in run("embed", "abc").out


def test_heads_through_their_life(run: Run, fake: FakeServer, tmp_path: Path) -> None:
    fake.store.add_version("acme/news")
    assert "acme/news" in run("heads", "list").out
    assert [head["name"] for head in json.loads(run("heads", "list", "acme", "--json").out)] == ["acme/news"]
    assert run("heads", "promote", "acme/news@2").out == "live of acme/news is now version 2.\n"
    assert run("heads", "rollback", "acme/news").out == "live of acme/news is now version 1.\n"
    assert "acme/news@2" in run("heads", "versions", "acme/news").out
    assert "2048 bytes" in run("heads", "show", "acme/news@2").out
    file = tmp_path / "head.safetensors"
    assert run("heads", "export", "acme/news", "-o", str(file)).code == 0
    assert file.read_bytes().startswith(b"sha256:")
    assert "acme/copy@1" in run("heads", "import", "acme/copy", str(file)).out
    assert "acme/copy@1" in run("heads", "delete", "acme/copy", "--yes").out
    assert run("heads", "show", "acme/copy").code == 1


def test_deleting_asks_first(run: Run, fake: FakeServer) -> None:
    assert run("heads", "delete", "acme/news", stdin="n\n").code == 1
    assert "acme/news" in fake.store.versions


def test_jobs(run: Run, fake: FakeServer, rows: Path) -> None:
    run("adapt", "acme/fresh", str(rows), "--no-watch", "--request-id", "one")
    assert "acme/jobs/one" in run("jobs", "list").out
    assert json.loads(run("jobs", "show", "acme/jobs/one", "--json").out)["state"] == "queued"
    events = [json.loads(line) for line in run("jobs", "watch", "acme/jobs/one", "--json").out.splitlines()]
    assert [event["sequence"] for event in events] == [1, 2, 3, 4]
    run("adapt", "acme/fresh", str(rows), "--no-watch", "--request-id", "two")
    assert run("jobs", "cancel", "acme/jobs/two").out == "acme/jobs/two is cancelled.\n"


def test_datasets(run: Run, fake: FakeServer, rows: Path) -> None:
    assert run("datasets", "append", "acme/rows", str(rows)).out == "Appended 8 rows: acme/rows has 8 now.\n"
    assert "acme/rows" in run("datasets", "list").out
    assert "a      4" in run("datasets", "show", "acme/rows").out
    assert run("datasets", "delete", "acme/rows", "-y").code == 0
    assert "[DATASET_NOT_FOUND]" in run("datasets", "show", "acme/rows").err


def test_domains_of_a_server(run: Run, fake: FakeServer) -> None:
    (domain,) = json.loads(run("domains", "--server", fake.address, "--json").out)
    assert (domain["name"], domain["distribution"]) == ("general", "candelabra")


def test_backbones(run: Run, tmp_path: Path) -> None:
    found = json.loads(run("backbones", "list", "--json", "--cache-dir", str(tmp_path)).out)
    assert "all-MiniLM-L6-v2" in [entry["name"] for entry in found]
    assert {entry["path"] for entry in found} == {None}
    assert "Apache-2.0" in run("backbones", "show", "all-minilm-l6-v2", "--cache-dir", str(tmp_path)).out
    ran = run("backbones", "show", "no-such-model")
    assert ran.code == 1
    assert "no-such-model" in ran.err


def test_errors_are_one_sentence(run: Run, fake: FakeServer) -> None:
    ran = run("predict", "acme/missing", "text")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "candelabra: There is no head 'acme/missing'. [HEAD_NOT_FOUND]\n"
    fake.refuse("ListHeads", grpc.StatusCode.INTERNAL, "INTERNAL", "Something broke on the server.")
    assert run("heads", "list").err.count("\n") == 1


def test_no_server_says_what_to_do(run: Run) -> None:
    ran = run("heads", "list", "--server", "127.0.0.1:1")
    assert ran.code == 1
    assert "No server answers at 127.0.0.1:1: start one with `candelabra serve`" in ran.err


def test_a_bug_is_called_a_bug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(server: str) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("candelabra.cli.heads.connect", broken)
    ran = run("heads", "list")
    assert ran.code == 1
    assert "This is a bug" in ran.err
    assert "Traceback" not in ran.err


def test_nothing_heavy_is_imported_to_ask_a_server() -> None:
    program = (
        "import sys, candelabra.cli; "
        "heavy = {'torch', 'transformers', 'numpy', 'sklearn', 'scipy', 'sqlalchemy', 'pyarrow', 'tokenizers'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_leaving_says_that_the_job_goes_on(
    run: Run, fake: FakeServer, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(events: object, title: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapt_command, "follow", leave)
    ran = run("adapt", "acme/fresh", str(rows), "--request-id", "one")
    assert ran.code != 0
    assert "The job goes on: see it with `candelabra jobs watch acme/jobs/one`" in ran.err
