"""Every kind of body by its name: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from candelabra.errors import CorruptHead
from candelabra.heads.body import Body


def made(kind: str, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Body:
    """The body in a file; raises CorruptHead for a kind that this server does not know."""
    place = KINDS.get(kind)
    if place is None:
        raise CorruptHead(f"The head is of the kind {str(kind)[:40]!r}, which this server does not know.")
    body: type[Body] = place()
    return body.made(about, tensors)


def _dense() -> type[Body]:
    from candelabra.heads.bodies.dense import Dense

    return Dense


def _pair() -> type[Body]:
    from candelabra.heads.bodies.pair import Pair

    return Pair


def _lexical() -> type[Body]:
    from candelabra.heads.bodies.lexical import Lexical

    return Lexical


def _hybrid() -> type[Body]:
    from candelabra.heads.bodies.hybrid import Hybrid

    return Hybrid


def _layer_mix() -> type[Body]:
    from candelabra.heads.bodies.layer_mix import LayerMix

    return LayerMix


def _top_k() -> type[Body]:
    from candelabra.heads.bodies.top_k import TopK

    return TopK


def _tagger() -> type[Body]:
    from candelabra.heads.bodies.tagger import Tagger

    return Tagger


def _span() -> type[Body]:
    from candelabra.heads.bodies.span import SpanFinder

    return SpanFinder


# Each is imported when a file of its kind is read: some bring torch, which the command line does without.
KINDS: Mapping[str, Callable[[], type[Body]]] = {
    "dense": _dense,
    "pair": _pair,
    "lexical": _lexical,
    "hybrid": _hybrid,
    "layer_mix": _layer_mix,
    "top_k": _top_k,
    "tagger": _tagger,
    "span": _span,
}
