"""Named entities from token states: scores of BIO tags for each word, and spans of the text from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from candelabra.engine.row import Inputs
from candelabra.engine.window import Window
from candelabra.errors import CorruptHead, HeadUnsound
from candelabra.heads.bodies.crf import Crf, spans, tag_count
from candelabra.heads.bodies.spelling import spelled
from candelabra.types import Slot, Span

if TYPE_CHECKING:
    from candelabra.heads.bodies.tagger_network import Network, Shape

AT_ONCE = 2048
"""Words that go through the network together; more would only take more memory."""


class Tagger:
    """Reads token states of `layers`; `types` are the entity types. Emissions stand at each word's first token.

    A tagger with its weights is a network of about a million: see tagger_network for what it is and costs.
    """

    kind: ClassVar[str] = "tagger"
    slots: ClassVar[tuple[Slot, ...]] = ()

    def __init__(
        self, types: Sequence[str], layers: Sequence[int], shape: Mapping[str, int], tensors: Mapping[str, np.ndarray]
    ) -> None:
        self.types = tuple(types)
        self.layers = tuple(layers)
        self._shape = dict(shape)
        self._tensors = {name: np.array(tensor, np.float32, order="C") for name, tensor in tensors.items()}
        self._check()

    @property
    def outputs(self) -> int:
        return tag_count(len(self.types))

    @cached_property
    def crf(self) -> Crf:
        return Crf.of(*(self._tensors[name] for name in ("moves", "first", "last")))

    def logits(self, inputs: Inputs) -> Sequence[tuple[np.ndarray, ...]]:
        """One array float32 [tokens, tags] a window; rows of tokens that begin no word are zero."""
        found = [
            [np.zeros((len(window), self.outputs), np.float32) for window in windows] for windows in inputs.windows
        ]
        places, vectors, letters = [], [], []
        for row, windows in enumerate(inputs.windows):
            for at, window in enumerate(windows):
                table = word_table(window)
                if len(table):
                    places.append((row, at, table[:, 0]))
                    vectors.append(word_states(inputs.states[row][at], table))
                    letters.append(spelled([inputs.texts[row][begin:end] for begin, end in table[:, 2:]]))
        for some in _portions([len(one) for one in vectors]):
            scores = self._scores([vectors[i] for i in some], [letters[i] for i in some])
            for i, one in zip(some, scores, strict=True):
                row, at, first = places[i]
                found[row][at][first] = one
        return [tuple(windows) for windows in found]

    def entities(
        self, emissions: tuple[np.ndarray, ...], windows: Sequence[Window], text: str, temperature: float = 1.0
    ) -> list[tuple[Span, float]]:
        """Spans of one text, in its order, with the probability of each: of exactly that span and type.

        The best legal path decides; the probability is its span's share of all paths at `temperature`. A word of two
        windows counts where it stands farther from an edge. Offsets are code points of `text`.
        """
        table, scores = merged(emissions, windows)
        if not len(table):
            return []
        if not np.isfinite(scores).all():
            raise HeadUnsound("The tagger gave a score that is not a finite number.")
        best = spans(self.crf.viterbi(scores))
        if not best:
            return []
        lattice = self.crf.lattice(scores, temperature)
        return [
            (
                Span(int(table[begin, 0]), min(int(table[end - 1, 1]), len(text)), self.types[kind]),
                lattice.span(begin, end, kind),
            )
            for begin, end, kind in best
            if table[begin, 0] < min(table[end - 1, 1], len(text))  # a tokenizer may make a token of nothing
        ]

    def tensors(self) -> dict[str, np.ndarray]:
        views = {name: tensor.view() for name, tensor in self._tensors.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    def about(self) -> dict[str, object]:
        return {"types": list(self.types), "layers": list(self.layers), "shape": dict(self._shape)}

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Tagger:
        wrong = [name for name, tensor in tensors.items() if tensor.dtype != np.float32]
        if wrong:
            raise CorruptHead(f"The head's tensor {wrong[0]} is {tensors[wrong[0]].dtype}, not float32.")
        return cls(about["types"], about["layers"], about["shape"], tensors)

    @cached_property
    def _network(self) -> Network:
        import torch

        from candelabra.heads.bodies.tagger_network import Network, Shape

        network = Network(Shape(**self._shape))
        # `assign`: the network works on these very weights, so that a head lies in memory once.
        network.load_state_dict({name: torch.from_numpy(one) for name, one in self._tensors.items()}, assign=True)
        return network.eval().requires_grad_(False)

    def _scores(self, vectors: Sequence[np.ndarray], letters: Sequence[np.ndarray]) -> list[np.ndarray]:
        import torch

        lengths = torch.tensor([len(one) for one in vectors])
        with torch.inference_mode():
            padded = self._network(
                torch.from_numpy(np.concatenate(vectors)),
                torch.from_numpy(np.concatenate(letters).astype(np.int64)),
                lengths,
            )
        return [padded[i, :length].numpy() for i, length in enumerate(lengths.tolist())]

    def _check(self) -> None:
        if not self.types or len(set(self.types)) != len(self.types):
            raise CorruptHead("The tagger must name its entity types, each only once.")
        if not all(isinstance(one, str) and one for one in self.types):
            raise CorruptHead("The tagger has an entity type that is not a word.")
        whole = all(isinstance(layer, int) and not isinstance(layer, bool) and layer >= 0 for layer in self.layers)
        if not whole or not self.layers or len(set(self.layers)) != len(self.layers):
            raise CorruptHead("The tagger must name the layers that it reads, each only once.")
        shape = self._known_shape()
        expected = _shapes(shape)
        if {name: tensor.shape for name, tensor in self._tensors.items()} != expected:
            raise CorruptHead("The tagger's tensors do not have the names and shapes that it needs.")
        wrong = [name for name, tensor in self._tensors.items() if not np.isfinite(tensor).all()]
        if wrong:
            raise CorruptHead(f"The tagger's tensor {wrong[0]} has a weight that is not a finite number.")

    def _known_shape(self) -> Shape:
        from candelabra.heads.bodies.tagger_network import Shape

        sizes = self._shape.values()
        if not all(isinstance(size, int) and not isinstance(size, bool) and 0 < size <= 65_536 for size in sizes):
            raise CorruptHead("The tagger has a size that is not a whole number in reach.")
        try:
            shape = Shape(**self._shape)
        except TypeError as error:
            raise CorruptHead("The tagger's sizes are not those that this server knows.") from error
        if shape.types != len(self.types) or shape.width % len(self.layers):
            raise CorruptHead("The tagger's sizes do not fit its entity types and layers.")
        return shape


def word_table(window: Window) -> np.ndarray:
    """The words of a window, int [words, 4]: first token, token behind the last, and where it stands in the text."""
    if window.words is None or window.offsets is None:
        raise HeadUnsound("A tagger was given a window that does not know its words. This is a bug.")
    inside = np.flatnonzero(window.words >= 0)
    if not len(inside):
        return np.zeros((0, 4), np.int64)
    words = window.words[inside]
    new = np.append(True, (words[1:] != words[:-1]) | (inside[1:] != inside[:-1] + 1))
    first = inside[new]
    last = inside[np.append(new[1:], True)]
    return np.stack([first, last + 1, window.offsets[first, 0], window.offsets[last, 1]], axis=1).astype(np.int64)


def word_states(states: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The mean of each word's tokens, its layers side by side: float32 [words, layers * dimension]."""
    flat = states.reshape(len(states), -1)
    first, sizes = table[:, 0], table[:, 1] - table[:, 0]
    sums = flat[first].astype(np.float32, copy=False)
    # Few words have a second token and fewer a third: this is five times as quick as np.add.reduceat.
    for further in range(1, int(sizes.max())):
        more = sizes > further
        sums[more] += flat[first[more] + further]
    means: np.ndarray = sums / sizes[:, None].astype(np.float32)
    return means


def merged(emissions: Sequence[np.ndarray], windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
    """Words of a whole text, as begin and end int [words, 2], and their scores [words, tags], from its windows.

    A window that begins inside a word does not know the word: only those that hold its first token have a say.
    """
    if len(windows) == 1:
        only = word_table(windows[0])
        return only[:, 2:], emissions[0][only[:, 0]].astype(np.float64)
    best: dict[int, tuple[int, int, int, np.ndarray]] = {}
    for scores, window in zip(emissions, windows, strict=True):
        for first, behind, begin, end in word_table(window).tolist():
            word = int(window.words[first])  # type: ignore[index]
            margin = min(first, len(window) - behind)
            known = best.get(word)
            if known is None or (begin, -end, -margin) < (known[0], -known[1], -known[2]):
                best[word] = (begin, end, margin, scores[first])
    ordered = sorted(best.values(), key=lambda one: one[:2])
    table = np.array([one[:2] for one in ordered], np.int64).reshape(-1, 2)
    tags = emissions[0].shape[1] if len(emissions) else 0
    return table, np.array([one[3] for one in ordered], np.float64).reshape(-1, tags)


def _portions(lengths: Sequence[int]) -> list[list[int]]:
    """Sequences that go through the network together: alike in length, so that little is padding."""
    portions: list[list[int]] = []
    for at in np.argsort(lengths, kind="stable").tolist():
        if not portions or (len(portions[-1]) + 1) * lengths[at] > AT_ONCE:
            portions.append([])
        portions[-1].append(at)
    return portions


def _shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """The tensors of a network of that shape, without making one of its size."""
    import torch

    from candelabra.heads.bodies.tagger_network import Network

    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in Network(shape).state_dict().items()}
