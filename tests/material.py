"""Made-up examples for tasks beyond labels: sentences from templates, every one with its truth."""

from __future__ import annotations

import random

from candelabra_client import Example, Span

PEOPLE = (
    "Maren Olsvik", "Theo Brandt", "Ines Calvo", "Jonas Wirth", "Priya Nandan", "Lukas Ferrer", "Amara Diallo",
    "Elio Conti", "Saskia Vermeer", "Tomas Kral", "Noor Haddad", "Greta Lind",
)  # fmt: skip
PLACES = (
    "Aldermoor", "Porto Selva", "Kirkhaven", "Brenna", "Sankt Oswin", "Lowfield", "Varga", "Westermarsch",
    "Monte Corvo", "Elmsted", "Tarnby", "Quillon",
)  # fmt: skip
VISITS = (
    "{who} moved to {where} last spring.",
    "In {where} the train was late again, said {who}.",
    "A letter from {who} came yesterday.",
    "Nobody in {where} had seen the comet.",
    "{who} and the others met near {where}.",
    "The bakery opens at six in the morning.",
    "Before the war {where} was a quiet town.",
    "The report was written by {who} alone.",
)
THINGS = ("lantern", "ferry ticket", "copper kettle", "bicycle", "wool blanket", "fishing net", "violin", "ladder")
COLOURS = ("green", "scarlet", "pale blue", "yellow", "black", "silver")


def visits(count: int, seed: int = 0) -> list[Example]:
    """Sentences with people and places, as text and spans."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        template, who, where = chance.choice(VISITS), chance.choice(PEOPLE), chance.choice(PLACES)
        text = template.format(who=who, where=where)
        spans = [(text.find(name), name, label) for name, label in ((who, "PERSON"), (where, "PLACE")) if name in text]
        made.append(Example(text, spans=tuple(Span(at, at + len(name), label) for at, name, label in sorted(spans))))
    return made


def tagged(example: Example) -> Example:
    """The same as words and BIO tags."""
    words, tags, at = example.text.split(), [], 0
    for word in words:
        at = example.text.index(word, at)
        inside = next((span for span in example.spans if span.start <= at < span.end), None)
        tags.append("O" if inside is None else f"{'B' if at == inside.start else 'I'}-{inside.label}")
        at += len(word)
    return Example(tokens=tuple(words), tags=tuple(tags))


def questions(count: int, seed: int = 0) -> list[Example]:
    """Contexts that say who bought which thing of which colour, and where; asked is one of the three."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        who, where = chance.choice(PEOPLE), chance.choice(PLACES)
        thing, colour = chance.choice(THINGS), chance.choice(COLOURS)
        text = f"The market opened at nine. {who} bought a {colour} {thing} in {where}. It rained in the afternoon."
        question, answer = chance.choice(
            (
                (f"Who bought the {thing}?", who),
                (f"Where was the {thing} bought?", where),
                (f"Which colour was the {thing}?", colour),
            )
        )
        start = text.index(answer)
        made.append(Example(text, question=question, spans=(Span(start, start + len(answer)),)))
    return made


MOODS = (
    ("The figures were a disaster and everybody knew it.", -0.9),
    ("Sales fell sharply for the third time.", -0.7),
    ("The quarter was a little weaker than hoped.", -0.3),
    ("Nothing much changed over the summer.", 0.0),
    ("Orders came in slightly above the plan.", 0.3),
    ("Profit rose strongly in every region.", 0.7),
    ("It was the best year in the firm's history.", 0.9),
)
STARTS = (
    "",
    "As reported, ",
    "In short: ",
    "The chair said: ",
    "By all accounts, ",
    "This morning's news: ",
    "Once more: ",
)


def moods() -> list[Example]:
    """Sentences with a number from -1 to 1."""
    return [
        Example(start + (text if not start else text[0].lower() + text[1:]), target=target)
        for start in STARTS
        for text, target in MOODS
    ]


SAME = (
    ("A man is repairing a roof.", "Somebody fixes a roof."),
    ("The child eats an apple.", "A kid is eating an apple."),
    ("Two dogs run along the beach.", "Dogs are running on a beach."),
    ("She is playing the piano.", "A woman plays a piano."),
    ("The shop closes at noon.", "At twelve the store shuts."),
    ("Snow covers the mountain.", "The mountain is covered with snow."),
    ("He paints the fence white.", "A man is painting a fence."),
    ("The bus is late today.", "Today the bus comes late."),
)


def pairs() -> list[Example]:
    """Pairs that say the same, and pairs that do not."""
    made = [Example(first, ("same",), text_pair=second) for first, second in SAME]
    for step in (1, 2, 3):
        others = SAME[step:] + SAME[:step]
        made += [
            Example(first, ("different",), text_pair=second)
            for (first, _), (_, second) in zip(SAME, others, strict=True)
        ]
    return made + [Example(one.text_pair, one.labels, text_pair=one.text) for one in made]
