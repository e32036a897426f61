"""The contract of a domain plugin as assertions: `check_domain(MyDomain())` in the plugin's own tests.

Every message says which method broke which promise on which text, so that it can be repaired without
reading the server.
"""

from __future__ import annotations

import math
import threading
import time
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from candelabra.discovery import problems
from candelabra.plugin import Decision, Domain, Example, LabelScore, Task, TaskKind

THREADS = 8
LONG_TEXT_SECONDS = 5.0
OPEN_LABELS = ("first label", "second label", "third label")

ODD_TEXTS = (
    "A plain sentence, as most are.",
    "x",
    ".",
    "§",
    "12.3(b)",
    "$",
    "%",
    "50",
    "  leading and trailing space \t\n",
    "two\n\nparagraphs\r\nand a tab\there",
    "a NUL \x00 and a bell \x07 inside",
    "e\u0301 as two code points, \u00e9 as one",
    "a\u200bzero\u200bwidth\u200bspace, a \ufeffmark and a soft\u00adhyphen",
    "\u202eright to left override\u202c, \u05e9\u05dc\u05d5\u05dd and \u0645\u0631\u062d\u0628\u0627",
    "\u4f60\u597d\u3002\u3053\u3093\u306b\u3061\u306f\u3002\uc548\ub155",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f680\U0001f4c9",
    "Z\u0351\u036b\u0343\u0363a\u0363\u0363l\u0348\u0361g\u0321o",
    "\uff21\uff22\uff23 \uff11\uff12\uff13 \u2167 \u00bd \u00b2 \u0661\u0662\u0663",
    "\U00020000 beyond the first plane",
    "((((((((((((((((((((((((",
    "$$$$ %%%% ,,,, .... //// ----",
    "0,0,0,0,0.0.0.0.0",
)

LONG_TEXTS = (
    "word " * 20_000,
    "1" * 100_000,
    "1,1." * 25_000,
    "(a)" * 33_000,
    " " * 99_999 + "x",
    "$A" * 50_000,
    "a." * 50_000,
)


def check_domain(domain: Domain, texts: Sequence[str] = ()) -> None:
    """Asserts that `domain` keeps the contract of candelabra.plugin; `texts` are samples of the plugin's field."""
    _check_definition(domain)
    everything = (*texts, *ODD_TEXTS, *LONG_TEXTS)
    before = dict(vars(domain))
    for task in domain.tasks:
        for text in everything:
            _check_prepare(domain, task, text)
        _check_checks(domain, task, (*texts, *ODD_TEXTS))
        for text in (*texts, *ODD_TEXTS[:4]):
            _check_decide(domain, task, text)
    _check_threads(domain, (*texts, *ODD_TEXTS))
    assert dict(vars(domain)) == before, (
        f"{_of(domain)} keeps state: its attributes changed while it was used. "
        "A domain is shared by threads and tenants; compute everything from the arguments."
    )


def _check_definition(domain: Domain) -> None:
    assert isinstance(domain, Domain), f"check_domain takes an instance of a Domain, not {domain!r}: add ()?"
    assert "api_version" in vars(type(domain)), (
        f"{_of(domain)} does not state `api_version` itself. Write the number it was written for into the class: "
        "an inherited one always matches, so a server with another plugin API could not tell."
    )
    assert not (wrong := problems(domain)), f"{_of(domain)} cannot serve: {'; '.join(wrong)}."
    assert vars(type(domain)()) == vars(domain), f"{_of(domain)} must come out the same each time it is made."


def _check_prepare(domain: Domain, task: Task, text: str) -> None:
    here = f"{_of(domain)}.prepare, task {task.name!r}, on {_show(text)}"
    start = time.perf_counter()
    try:
        prepared = domain.prepare(text, task)
    except Exception as error:
        raise AssertionError(f"{here} raised {type(error).__name__}: {error}. It must accept every text.") from error
    seconds = time.perf_counter() - start
    assert isinstance(prepared, str), f"{here} gave {prepared!r}, not a string."
    assert domain.prepare(text, task) == prepared, f"{here} gave two different answers: it must be pure."
    if _visible(text):
        assert _visible(prepared), f"{here} left nothing to read: a text with a visible character must keep one."
    assert seconds < LONG_TEXT_SECONDS, (
        f"{here} took {seconds:.1f} s for {len(text)} characters. Look for a regular expression that backtracks."
    )


def _check_checks(domain: Domain, task: Task, texts: Sequence[str]) -> None:
    for text in texts:
        here = f"{_of(domain)}.check, task {task.name!r}, on {_show(text)}"
        refusal = _refusal(domain, Example(text, _labels(task)[:1]), task, here)
        assert refusal is None or refusal.strip(), f"{here} refused without a sentence that says why."
        assert domain.quote_texts or refusal is None or len(text) < 3 or text not in refusal, (
            f"{here} repeats the text in its message, but quote_texts is False."
        )


def _refusal(domain: Domain, example: Example, task: Task, here: str) -> str | None:
    try:
        domain.check(example, task)
    except ValueError as refusal:
        return str(refusal)
    except Exception as error:
        raise AssertionError(f"{here} raised {type(error).__name__}; only ValueError says no.") from error
    return None


def _check_decide(domain: Domain, task: Task, text: str) -> None:
    labels = _labels(task)
    for best in range(len(labels)):
        scores = _scores(labels, best)
        chosen = (scores[best],)
        _check_decision(domain, task, text, scores, chosen)
    if task.kind == TaskKind.MULTI_LABEL:
        _check_decision(domain, task, text, _scores(labels, 0), ())
        _check_decision(domain, task, text, _scores(labels, 0), _scores(labels, 0))


def _check_decision(
    domain: Domain, task: Task, text: str, scores: Sequence[LabelScore], chosen: Sequence[LabelScore]
) -> None:
    here = f"{_of(domain)}.decide, task {task.name!r}, with {[one.label for one in chosen]} chosen"
    given = (list(scores), list(chosen))
    try:
        decision = domain.decide(text, given[0], given[1], task)
    except Exception as error:
        raise AssertionError(f"{here} raised {type(error).__name__}: {error}.") from error
    assert isinstance(decision, Decision), f"{here} gave {decision!r}, not a Decision."
    assert given == (list(scores), list(chosen)), f"{here} changed the scores it was given."
    assert domain.decide(text, scores, chosen, task) == decision, f"{here} gave two different answers."
    known = {one.label for one in scores}
    decided = [one.label for one in decision.labels]
    assert set(decided) <= known, f"{here} decided on {sorted(set(decided) - known)}, which the head does not know."
    assert len(set(decided)) == len(decided), f"{here} decided on a label twice: {decided}."
    if task.kind == TaskKind.SINGLE_LABEL:
        assert len(decided) == 1, f"{here} decided on {len(decided)} labels: a single-label task has exactly one."
    for one in decision.labels:
        assert 0.0 <= one.probability <= 1.0, f"{here} gave {one.label!r} the probability {one.probability}."
    for key, value in decision.values.items():
        assert isinstance(key, str), f"{here} has a value named {key!r}: names are strings."
        assert isinstance(value, (int, float)), f"{here} has the value {key}={value!r}: values are numbers."
        assert math.isfinite(value), f"{here} has the value {key}={value}: values are finite."


def _check_threads(domain: Domain, texts: Sequence[str]) -> None:
    alone = _answers(domain, texts)
    barrier = threading.Barrier(THREADS)

    def together() -> list[object]:
        barrier.wait()
        return _answers(domain, texts)

    with ThreadPoolExecutor(THREADS) as pool:
        for answers in [pool.submit(together) for _ in range(THREADS)]:
            assert answers.result() == alone, (
                f"{_of(domain)} answered differently when {THREADS} threads used it at once: keep it without state."
            )


def _answers(domain: Domain, texts: Sequence[str]) -> list[object]:
    ask: list[Callable[[str, Task], object]] = [
        domain.prepare,
        lambda text, task: domain.decide(text, _scores(_labels(task), 0), _scores(_labels(task), 0)[:1], task),
    ]
    return [question(text, task) for task in domain.tasks for text in texts for question in ask]


def _labels(task: Task) -> tuple[str, ...]:
    return task.labels or OPEN_LABELS


def _scores(labels: Sequence[str], best: int) -> tuple[LabelScore, ...]:
    rest = 0.25 / max(1, len(labels) - 1)
    return tuple(LabelScore(label, 0.75 if index == best else rest) for index, label in enumerate(labels))


def _visible(text: str) -> bool:
    return any(unicodedata.category(character)[0] not in "CZM" for character in text)


def _show(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:40]!r}… ({len(text)} characters)"


def _of(domain: Domain) -> str:
    return type(domain).__name__
