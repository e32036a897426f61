"""Answers in a text from token states: scores of starts and ends for each token, and spans of the text from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from candelabra.engine.row import Inputs
from candelabra.engine.window import Window
from candelabra.errors import CorruptHead, HeadUnsound
from candelabra.heads.bodies import span_choice
from candelabra.heads.bodies.dense import frozen
from candelabra.types import Slot, Span

if TYPE_CHECKING:
    from candelabra.heads.bodies.span_network import Network, Shape

LARGEST = 65_536
LAYERS_LIMIT = 256
WORDS, RARITIES = "rarity.ids", "rarity.values"
NETWORK = "network."


class Rarity:
    """How telling a token is: its inverse document frequency in the training texts, from 0 to 1; unseen ones are 1.

    `ids` are token ids in ascending order, float32 because a file of a head knows no integers; exact below 2**24.
    """

    def __init__(self, ids: np.ndarray, values: np.ndarray) -> None:
        self.ids, self.values = frozen(ids), frozen(values)

    def of(self, ids: np.ndarray) -> np.ndarray:
        """float32 of the shape of `ids`."""
        if len(self.ids) == 0:
            return np.ones(np.shape(ids), np.float32)
        place = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[place] == ids, self.values[place], np.float32(1.0)).astype(np.float32)


class SpanFinder:
    """Reads token states of `layers` of the joint sequence. The first token's scores are those of no answer.

    `longest` is the most tokens that an answer may have. See span_network for what the network is and costs.
    """

    kind: ClassVar[str] = "span"
    slots: ClassVar[tuple[Slot, ...]] = ()
    outputs: ClassVar[int] = 2

    def __init__(
        self, layers: Sequence[int], shape: Mapping[str, Any], longest: int, tensors: Mapping[str, np.ndarray]
    ) -> None:
        self.layers = tuple(layers)
        self.longest = longest
        self._shape = dict(shape)
        self._tensors = {name: frozen(tensor) for name, tensor in tensors.items()}
        self._check()

    @cached_property
    def rarity(self) -> Rarity:
        return Rarity(self._tensors[WORDS], self._tensors[RARITIES])

    def logits(self, inputs: Inputs) -> Sequence[tuple[np.ndarray, ...]]:
        """One array float32 [tokens, 2] a window. Each window goes alone: what shares its batch cannot touch it."""
        return [
            tuple(self._scores(window, states) for window, states in zip(windows, row, strict=True))
            for windows, row in zip(inputs.windows, inputs.states, strict=True)
        ]

    def answers(
        self,
        logits: Sequence[np.ndarray],
        windows: Sequence[Window],
        text: str,
        top_k: int = 1,
        longest: int = 0,
        temperature: float = 1.0,
    ) -> tuple[list[tuple[Span, float]], float]:
        """The `top_k` best spans of one text, each with its probability, and the probability of no answer.

        Offsets are code points of `text`, whole words, never of the question. `longest` 0: the head's own.
        """
        if not all(np.isfinite(one).all() for one in logits):
            raise HeadUnsound("The span finder gave a score that is not a finite number.")
        found = span_choice.spans(logits, windows, min(longest, self.longest) if longest > 0 else self.longest)
        best, none = span_choice.choose(found, top_k, temperature)
        return [(Span(span.start, min(span.end, len(text)), ""), share) for span, share in best], none

    def tensors(self) -> dict[str, np.ndarray]:
        return dict(self._tensors)

    def about(self) -> dict[str, object]:
        return {"layers": list(self.layers), "shape": dict(self._shape), "longest": self.longest}

    @classmethod
    def made(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> SpanFinder:
        wrong = [name for name, tensor in tensors.items() if tensor.dtype != np.float32]
        if wrong:
            raise CorruptHead(f"The head's tensor {wrong[0]} is {tensors[wrong[0]].dtype}, not float32.")
        return cls(about["layers"], about["shape"], about["longest"], tensors)

    def _scores(self, window: Window, states: np.ndarray) -> np.ndarray:
        import torch

        from candelabra.heads.bodies.span_network import Batch, clues

        batch = Batch.of([window], [states], [self.rarity.of(window.ids)])
        with torch.inference_mode():
            scores: np.ndarray = self._network(batch, clues(batch, self._network.shape.alike))[0].numpy()
        return scores

    @cached_property
    def _network(self) -> Network:
        import torch

        from candelabra.heads.bodies.span_network import Network

        network = Network(self._known_shape())
        network.load_state_dict(
            {
                name.removeprefix(NETWORK): torch.from_numpy(tensor.copy())
                for name, tensor in self._tensors.items()
                if name.startswith(NETWORK)
            }
        )
        return network.eval()

    def _check(self) -> None:
        _whole("the longest answer", self.longest, LARGEST)
        if not self.layers or len(set(self.layers)) != len(self.layers):
            raise CorruptHead("The span finder must name the layers that it reads, each only once.")
        for layer in self.layers:
            _whole("a layer", layer, LAYERS_LIMIT, least=0)
        shape = self._known_shape()
        shapes = {name: tensor.shape for name, tensor in self._tensors.items()}
        count = shapes.get(WORDS, ())
        if shapes != {**_shapes(shape), WORDS: count, RARITIES: count} or len(count) != 1:
            raise CorruptHead("The span finder's tensors do not have the names and shapes that it needs.")
        for name, tensor in self._tensors.items():
            if not np.isfinite(tensor).all():
                raise CorruptHead(f"The span finder's tensor {name} has a value that is not a finite number.")
        if np.any(np.diff(self._tensors[WORDS]) <= 0):
            raise CorruptHead("The span finder's table of rare tokens is not in order.")

    def _known_shape(self) -> Shape:
        from candelabra.heads.bodies.span_network import Shape

        try:
            shape = Shape(**{**self._shape, "alike": tuple(self._shape["alike"])})
        except (TypeError, KeyError) as error:
            raise CorruptHead("The span finder's sizes are not those that this server knows.") from error
        for size in (shape.layers, shape.dimension, shape.width, shape.heads, shape.hidden):
            _whole("a size", size, LARGEST)
        _whole("the number of blocks", shape.blocks, 64, least=0)
        for place in shape.alike:
            _whole("a compared layer", place, shape.layers - 1, least=0)
        if shape.layers != len(self.layers) or shape.width % shape.heads:
            raise CorruptHead("The span finder's sizes do not fit its layers and attention heads.")
        return shape


def _whole(what: str, value: object, most: int, least: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise CorruptHead(f"The span finder has {str(value)[:20]} as {what}: it must be {least} to {most}.")


def _shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the network's tensors, worked out without making it: a file may claim any size."""
    import torch

    from candelabra.heads.bodies.span_network import Network

    with torch.device("meta"):
        state = Network(shape).state_dict()
    return {NETWORK + name: tuple(tensor.shape) for name, tensor in state.items()}
