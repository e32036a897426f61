"""Which token states a method reads: asked before anything is encoded, so light to import."""

from __future__ import annotations

from collections.abc import Mapping

from candelabra.types import BackboneInfo, Method, TaskKind

RACED = (Method.LAYER_MIX, Method.TOP_K)
"""Of labels and numbers, what AUTO may race beside methods on pooled features."""


def wanted(method: Method, kind: TaskKind, info: BackboneInfo, options: Mapping[str, object]) -> tuple[int, ...]:
    """Layers, in order; none for methods on pooled features."""
    if kind is TaskKind.ENTITIES:
        from candelabra.adapt.methods.seq_crf import wanted_layers as of_entities

        return of_entities(info, options)
    if kind is TaskKind.ANSWER:
        from candelabra.adapt.methods.span import wanted_layers as of_answers

        return of_answers(info, options)
    chosen: set[int] = set()
    raced = RACED if method is Method.AUTO else (method,)
    if Method.LAYER_MIX in raced:
        from candelabra.adapt.methods.layer_mix import wanted_layers as of_mix

        chosen |= set(of_mix(info, options if method is Method.LAYER_MIX else {}))
    if Method.TOP_K in raced:
        from candelabra.adapt.methods.top_k import wanted_layers as of_top

        chosen |= set(of_top(info, options if method is Method.TOP_K else {}))
    return tuple(sorted(chosen))
