"""From what callers write to request messages. Pure; what cannot be sent is refused before it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from candelabra_client.errors import InvalidArgument
from candelabra_client.v1 import adaptation_pb2, common_pb2, datasets_pb2, heads_pb2, inference_pb2

CHUNK_BYTES = 1024 * 1024
METHODS = frozenset(adaptation_pb2.Method.keys()) - {"METHOD_UNSPECIFIED"}
CLOSED_FORM = frozenset({"solver", "layers", "ridge", "wide"})
DENSE = frozenset({"hidden", "learning_rate", "max_epochs", "patience", "layers"})


@dataclass(frozen=True, slots=True)
class Input:
    """A text with what some heads need beside it: a second text, or a question about it."""

    text: str
    text_pair: str = ""
    question: str = ""


Text = str | Input
"""What can be asked about."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text in code points, `end` behind it; `label` is an entity's type and empty for an answer."""

    start: int
    end: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text; the task says what labels it.

    Classification: `labels`, `soft_labels` (label -> 0..1) or `votes` ((labelling function, label), …). Regression:
    `target`. Entities: `spans`, or `tokens` with BIO `tags` instead of a text. Answers: `question`, and `spans` that
    are answers, none where the text does not answer. Pair tasks have a `text_pair`. `id` names it for forget and audit.
    """

    text: str = ""
    labels: tuple[str, ...] = ()
    text_pair: str = ""
    question: str = ""
    target: float | None = None
    spans: tuple[Span, ...] = ()
    tokens: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    soft_labels: Mapping[str, float] = field(default_factory=dict)
    votes: tuple[tuple[str, str], ...] = ()
    id: str = ""


Labelled = Example | tuple[str, str] | tuple[str, float] | tuple[str, Sequence[str]]
"""What stands for an example: `Example`, (text, label), (text, number) or (text, [labels])."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of `predict_stream`."""

    texts: Text | Sequence[Text]
    heads: str | Sequence[str] = ()
    top_k: int = 0
    id: str = ""
    coverage: float = 0.0
    outside: bool = False


def many(value: str | Iterable[str]) -> list[str]:
    """One string is a list of one: `predict("text", "acme/news")` means what it says."""
    return [value] if isinstance(value, str) else list(value)


def examples(labelled: Iterable[Labelled]) -> Iterator[common_pb2.Example]:
    for number, item in enumerate(labelled, 1):
        try:
            yield _example(item if isinstance(item, Example) else _of_pair(item))
        except UnicodeEncodeError as error:
            raise unsendable(f"Example {number}", error) from None
        except (TypeError, ValueError):
            raise InvalidArgument(
                f"Example {number} is {str(item)[:80]!r}: write it as (text, label), (text, number), (text, [labels]) "
                "or Example.",
                reason="INVALID_ARGUMENT",
                metadata={"example": str(number)},
            ) from None


def _of_pair(item: tuple[str, Any]) -> Example:
    text, says = item
    if isinstance(says, int | float) and not isinstance(says, bool):
        return Example(text, target=float(says))
    return Example(text, tuple(many(says)))


def _example(item: Example) -> common_pb2.Example:
    return common_pb2.Example(
        text=item.text,
        labels=many(item.labels),
        text_pair=item.text_pair,
        question=item.question,
        target=item.target,
        spans=[common_pb2.Span(start=span.start, end=span.end, label=span.label) for span in item.spans],
        tokens=item.tokens,
        tags=item.tags,
        soft_labels=item.soft_labels,
        votes=[common_pb2.Vote(function=function, label=label) for function, label in item.votes],
        id=item.id,
    )


def unsendable(what: str, error: UnicodeEncodeError) -> InvalidArgument:
    return InvalidArgument(
        f"{what} holds half a character (a lone surrogate) at position {error.start}: "
        "decode your data with errors='replace' or leave the text out.",
        reason="INVALID_UTF8",
    )


def predict(
    texts: Text | Iterable[Text],
    heads: str | Iterable[str],
    top_k: int = 0,
    id_: str = "",
    coverage: float = 0.0,
    outside: bool = False,
) -> inference_pb2.PredictRequest:
    request = inference_pb2.PredictRequest(inputs=inputs(texts), heads=many(heads), top_k=top_k, id=id_)
    if coverage or outside:
        request.details.CopyFrom(inference_pb2.Details(coverage=coverage, outside=outside))
    return request


def ask(item: Text | Sequence[Text] | Ask, heads: str | Sequence[str], top_k: int) -> inference_pb2.PredictRequest:
    """One message of `predict_stream`; `heads` and `top_k` serve an item that brings none."""
    if isinstance(item, Ask):
        return predict(item.texts, item.heads or heads, item.top_k or top_k, item.id, item.coverage, item.outside)
    return predict(item, heads, top_k)


def inputs(texts: Text | Iterable[Text]) -> list[inference_pb2.Input]:
    found = []
    for number, text in enumerate([texts] if isinstance(texts, str | Input) else texts, 1):
        one = text if isinstance(text, Input) else Input(text)
        try:
            found.append(inference_pb2.Input(text=one.text, text_pair=one.text_pair, question=one.question))
        except UnicodeEncodeError as error:
            raise unsendable(f"Text {number}", error) from None
    return found


def adapt(
    head: str,
    *,
    examples_: Iterable[Labelled] | None,
    dataset: str | None,
    validation: Iterable[Labelled] | None,
    method: str | None,
    options: Mapping[str, Any] | None,
    gate: Mapping[str, float] | None = None,
    **fields: Any,
) -> adaptation_pb2.AdaptRequest:
    """`fields` are those of the message with the same names."""
    if (examples_ is None) == (dataset is None):
        raise InvalidArgument("Give either examples or the name of a dataset.", reason="INVALID_ARGUMENT")
    request = adaptation_pb2.AdaptRequest(head=head, **fields)
    if examples_ is not None:
        request.examples.SetInParent()
        request.examples.examples.extend(examples(examples_))
    else:
        request.dataset = dataset or ""
    if validation is not None:
        request.validation.examples.extend(examples(validation))
    if gate:
        try:
            request.gate.CopyFrom(common_pb2.GateRules(**gate))
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"The gate's rules cannot be sent: {error}", reason="INVALID_ARGUMENT") from None
    _choose(request, method, dict(options or {}))
    return request


def _choose(request: adaptation_pb2.AdaptRequest, method: str | None, options: dict[str, Any]) -> None:
    """The method and its options; without a method the options tell which one is meant."""
    word = (method or "").upper()
    if not word and options:
        word = "CLOSED_FORM" if options.keys() <= CLOSED_FORM else "DENSE"
    if word and word not in METHODS:
        known = ", ".join(sorted(name.lower() for name in METHODS))
        raise InvalidArgument(f"The method {method!r} is unknown: use {known}.", reason="INVALID_ARGUMENT")
    names = {"CLOSED_FORM": CLOSED_FORM, "DENSE": DENSE}.get(word)
    if names is not None and (wrong := sorted(options.keys() - names)):
        raise InvalidArgument(
            f"The method {word.lower()} has no option {', '.join(wrong)}: use {', '.join(sorted(names))}.",
            reason="INVALID_ARGUMENT",
        )
    number: Any = adaptation_pb2.Method.Value(word or "METHOD_UNSPECIFIED")
    request.method = number
    if not options:
        return
    if word == "CLOSED_FORM":
        request.closed_form.CopyFrom(adaptation_pb2.ClosedFormOptions(**options))
    elif word == "DENSE":
        request.dense.CopyFrom(adaptation_pb2.DenseOptions(**options))
    else:
        request.parameters.update(options)


def advise(
    examples_: Iterable[Labelled] | None,
    dataset: str | None,
    domain: str,
    task: str,
    backbones: Iterable[str],
    max_examples: int,
) -> adaptation_pb2.AdviseRequest:
    if (examples_ is None) == (dataset is None):
        raise InvalidArgument("Give either examples or the name of a dataset.", reason="INVALID_ARGUMENT")
    request = adaptation_pb2.AdviseRequest(
        domain=domain, task=task, backbones=many(backbones), max_examples=max_examples
    )
    if examples_ is not None:
        request.examples.SetInParent()
        request.examples.examples.extend(examples(examples_))
    else:
        request.dataset = dataset or ""
    return request


def forget(
    dataset: str, ids: str | Iterable[str], texts: str | Iterable[str], everywhere: bool, request_id: str
) -> datasets_pb2.ForgetRequest:
    try:
        return datasets_pb2.ForgetRequest(
            dataset=dataset, ids=many(ids), texts=many(texts), everywhere=everywhere, request_id=request_id
        )
    except UnicodeEncodeError as error:
        raise unsendable("A text to forget", error) from None


def long_text(word: str) -> Any:  # the enum: types of protobuf differ in what they call its values
    try:
        return common_pb2.LongText.Value(word.upper() or "LONG_TEXT_UNSPECIFIED")
    except ValueError:
        raise InvalidArgument(f"long_text is {word!r}: use truncate or windows.", reason="INVALID_ARGUMENT") from None


def states(words: str | Iterable[str]) -> list[Any]:
    try:
        return [adaptation_pb2.JobState.Value(word.upper()) for word in many(words)]
    except ValueError:
        known = ", ".join(name.lower() for name in adaptation_pb2.JobState.keys()[1:])
        raise InvalidArgument(f"{words!r} is no state of a job: use {known}.", reason="INVALID_ARGUMENT") from None


def append(dataset: str, labelled: Iterable[Labelled], request_id: str) -> list[datasets_pb2.AppendExamplesRequest]:
    """The messages of one upload, about CHUNK_BYTES each. All are made before the first is sent: a bad example
    is told to the caller, and the upload can be repeated."""
    messages = [datasets_pb2.AppendExamplesRequest(dataset=dataset, request_id=request_id)]
    size = 0
    for example in examples(labelled):
        size += example.ByteSize() + 8
        if size > CHUNK_BYTES:
            messages.append(datasets_pb2.AppendExamplesRequest())
            size = example.ByteSize()
        messages[-1].examples.append(example)
    return messages


def import_head(name: str, content: bytes, alias: str) -> list[heads_pb2.ImportHeadRequest]:
    chunks = [content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES)] or [b""]
    first = heads_pb2.ImportHeadRequest(name=name, alias=alias, chunk=chunks[0])
    return [first, *(heads_pb2.ImportHeadRequest(chunk=chunk) for chunk in chunks[1:])]
