"""Every method by its name: the only place that knows them all. Each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.types import Method

Fit = Callable[[TrainingSet, TrainSpec, Tell], Fitted]


def fit(
    method: Method, data: TrainingSet, spec: TrainSpec, tell: Tell, known: Mapping[Method, Fitted] | None = None
) -> Fitted:
    """What the method makes of the rows, with the rounds of self-training that were asked for.

    `known`: what other methods made of these very rows, for HYBRID to build on. Raises InvalidArgument for a method
    of another kind of task.
    """
    rounds = spec.options.get("self_training")
    if isinstance(rounds, int) and rounds:
        from candelabra.adapt import self_training

        rest = {name: value for name, value in spec.options.items() if name != "self_training"}
        return self_training.fit(_method(method), data, replace(spec, options=rest), tell, rounds)
    if method is Method.HYBRID:
        from candelabra.adapt.methods import hybrid

        return hybrid.fit(data, spec, tell, known)
    return _method(method)(data, spec, tell)


def _method(method: Method) -> Fit:
    if method is Method.AUTO:
        from candelabra.adapt.methods.auto import fit as chosen
    elif method is Method.CLOSED_FORM:
        from candelabra.adapt.methods.closed_form import fit as chosen
    elif method is Method.PROTOTYPE:
        from candelabra.adapt.methods.prototype import fit as chosen
    elif method is Method.LOGREG:
        from candelabra.adapt.methods.logreg import fit as chosen
    elif method is Method.DENSE:
        from candelabra.adapt.methods.dense import fit as chosen
    elif method is Method.HYBRID:
        from candelabra.adapt.methods.hybrid import fit as chosen
    elif method is Method.LAYER_MIX:
        from candelabra.adapt.methods.layer_mix import fit as chosen
    elif method is Method.TOP_K:
        from candelabra.adapt.methods.top_k import fit as chosen
    else:
        raise InvalidArgument(f"The method {method.value!r} does not make labels or numbers.", field="method")
    return chosen
