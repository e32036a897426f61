"""From what callers write to request messages. Pure; what cannot be sent is refused before it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from candelabra_client.errors import InvalidArgument
from candelabra_client.v1 import adaptation_pb2, common_pb2, datasets_pb2, heads_pb2, inference_pb2

CHUNK_BYTES = 1024 * 1024
CLOSED_FORM = frozenset({"solver", "layers", "ridge"})
DENSE = frozenset({"hidden", "learning_rate", "max_epochs", "patience", "layers"})


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text. One label for single-label tasks; any number, none included, for multi-label ones."""

    text: str
    labels: tuple[str, ...] = ()


Labelled = Example | tuple[str, str] | tuple[str, Sequence[str]]
"""What stands for an example: `Example`, (text, label) or (text, [labels])."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of `predict_stream`."""

    texts: str | Sequence[str]
    heads: str | Sequence[str] = ()
    top_k: int = 0
    id: str = ""


def many(value: str | Iterable[str]) -> list[str]:
    """One string is a list of one: `predict("text", "acme/news")` means what it says."""
    return [value] if isinstance(value, str) else list(value)


def examples(labelled: Iterable[Labelled]) -> Iterator[common_pb2.Example]:
    for number, item in enumerate(labelled, 1):
        try:
            text, labels = (item.text, item.labels) if isinstance(item, Example) else item
            yield common_pb2.Example(text=text, labels=many(labels))
        except UnicodeEncodeError as error:
            raise unsendable(f"Example {number}", error) from None
        except (TypeError, ValueError):
            raise InvalidArgument(
                f"Example {number} is {str(item)[:80]!r}: write it as (text, label), (text, [labels]) or Example.",
                reason="INVALID_ARGUMENT",
                metadata={"example": str(number)},
            ) from None


def unsendable(what: str, error: UnicodeEncodeError) -> InvalidArgument:
    return InvalidArgument(
        f"{what} holds half a character (a lone surrogate) at position {error.start}: "
        "decode your data with errors='replace' or leave the text out.",
        reason="INVALID_UTF8",
    )


def predict(
    texts: str | Iterable[str], heads: str | Iterable[str], top_k: int = 0, id_: str = ""
) -> inference_pb2.PredictRequest:
    return inference_pb2.PredictRequest(inputs=inputs(texts), heads=many(heads), top_k=top_k, id=id_)


def ask(item: str | Sequence[str] | Ask, heads: str | Sequence[str], top_k: int) -> inference_pb2.PredictRequest:
    """One message of `predict_stream`; `heads` and `top_k` serve an item that brings none."""
    if isinstance(item, Ask):
        return predict(item.texts, item.heads or heads, item.top_k or top_k, item.id)
    return predict(item, heads, top_k)


def inputs(texts: str | Iterable[str]) -> list[inference_pb2.Input]:
    found = []
    for number, text in enumerate(many(texts), 1):
        try:
            found.append(inference_pb2.Input(text=text))
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
    _choose(request, method, dict(options or {}))
    return request


def _choose(request: adaptation_pb2.AdaptRequest, method: str | None, options: dict[str, Any]) -> None:
    """The method and its options; without a method the options tell which one is meant."""
    known = {"CLOSED_FORM": CLOSED_FORM, "DENSE": DENSE}
    word = (method or "").upper()
    if not word and options:
        word = "CLOSED_FORM" if options.keys() <= CLOSED_FORM else "DENSE"
    if word and word not in known:
        raise InvalidArgument(f"The method {method!r} is unknown: use closed_form or dense.", reason="INVALID_ARGUMENT")
    if wrong := sorted(options.keys() - known.get(word, frozenset())):
        raise InvalidArgument(
            f"The method {word.lower()} has no option {', '.join(wrong)}: use {', '.join(sorted(known[word]))}.",
            reason="INVALID_ARGUMENT",
        )
    number: Any = adaptation_pb2.Method.Value(word or "METHOD_UNSPECIFIED")
    request.method = number
    if not options:
        return
    if word == "CLOSED_FORM":
        request.closed_form.CopyFrom(adaptation_pb2.ClosedFormOptions(**options))
    else:
        request.dense.CopyFrom(adaptation_pb2.DenseOptions(**options))


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
