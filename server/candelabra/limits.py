"""Checks of what callers send, against the settings' limits. Pure; the first thing wrong is what is told."""

from __future__ import annotations

from collections.abc import Sequence

from candelabra.errors import InvalidArgument, InvalidText, LimitExceeded, NoExamples
from candelabra.settings import Settings
from candelabra.types import Example, Input


class Limits:
    """The settings' limits as checks. Every method raises, or returns nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def within(self, limit: str, actual: int, what: str) -> None:
        """`limit` is the name of the setting that is compared with `actual`."""
        maximum = getattr(self.settings, limit)
        if actual > maximum:
            raise LimitExceeded(
                f"{what}: {actual} is more than the limit of {maximum}. Send less, or raise the setting {limit}.",
                limit=limit,
                maximum=maximum,
                actual=actual,
            )

    def text(self, text: str, where: str) -> None:
        """`where` names the place for the message, for example "inputs[3]"."""
        if len(text) > self.settings.max_text_chars:
            self.within("max_text_chars", len(text), f"Characters in {where}")
        if not text or text.isspace():
            raise InvalidText(f"The text in {where} is empty: send at least one visible character.", field=where)
        if "\0" in text:
            raise InvalidText(f"The text in {where} holds a NUL character: remove it.", field=where)

    def inputs(self, inputs: Sequence[Input | str]) -> None:
        if not inputs:
            raise InvalidArgument("The request has no inputs: send at least one text.", field="inputs")
        self.within("max_inputs", len(inputs), "Inputs in one request")
        for index, given in enumerate(inputs):
            one = Input(given) if isinstance(given, str) else given
            self.text(one.text, f"inputs[{index}]")
            if one.text_pair:
                self.text(one.text_pair, f"inputs[{index}].text_pair")
            if one.question:
                self.text(one.question, f"inputs[{index}].question")

    def heads(self, heads: Sequence[str]) -> None:
        if not heads:
            raise InvalidArgument("The request names no head: send at least one, as tenant/name.", field="heads")
        self.within("max_heads", len(heads), "Heads in one request")

    def example(self, example: Example, where: str) -> None:
        self.text(example.text, f"{where}.text")
        if example.text_pair:
            self.text(example.text_pair, f"{where}.text_pair")
        if example.question:
            self.text(example.question, f"{where}.question")
        for label in (*example.labels, *example.soft, *(label for _, label in example.votes)):
            self.label(label, f"{where}.labels")
        for label in {span.label for span in example.spans if span.label}:
            self.label(label, f"{where}.spans")
        self.within("max_label_chars", len(example.id), f"Characters in {where}.id")

    def label(self, label: str, where: str) -> None:
        self.within("max_label_chars", len(label), f"Characters in a label of {where}")
        if not label or label.isspace() or "\0" in label:
            raise InvalidText(f"A label in {where} is empty or holds a NUL character.", field=where)

    def examples(self, examples: Sequence[Example], field: str = "examples") -> None:
        if not examples:
            raise NoExamples(f"There are no {field}: send some, or name a dataset that has rows.", field=field)
        self.within("max_inline_examples", len(examples), f"{field.capitalize()} in one request")
        for index, example in enumerate(examples):
            self.example(example, f"{field}[{index}]")

    def page(self, size: int) -> int:
        """AIP-158: 0 means the server's choice, and more than the maximum means the maximum."""
        if size < 0:
            raise InvalidArgument(f"page_size is {size}: use a positive number, or 0.", field="page_size")
        return min(size or 100, self.settings.max_page_size)
