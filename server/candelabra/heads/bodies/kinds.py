"""Every kind of body by its name: the only place that knows them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from candelabra.errors import CorruptHead
from candelabra.heads.body import Body


def made(kind: str, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Body:
    """The body in a file; raises CorruptHead for a kind that this server does not know."""
    body: type[Body]
    if kind == "dense":
        from candelabra.heads.bodies.dense import Dense as body
    elif kind == "pair":
        from candelabra.heads.bodies.pair import PairDense as body
    elif kind == "lexical":
        from candelabra.heads.bodies.lexical import Lexical as body
    elif kind == "hybrid":
        from candelabra.heads.bodies.hybrid import Hybrid as body
    elif kind == "layer_mix":
        from candelabra.heads.bodies.layer_mix import LayerMix as body
    elif kind == "top_k":
        from candelabra.heads.bodies.top_k import TopK as body
    elif kind == "tagger":
        from candelabra.heads.bodies.tagger import Tagger as body
    elif kind == "span":
        from candelabra.heads.bodies.span import SpanFinder as body
    else:
        raise CorruptHead(f"The head is of the kind {str(kind)[:40]!r}, which this server does not know.")
    return body.made(about, tensors)
