"""Every method by its name: the only place that knows them all. Each is imported when it is asked for."""

from __future__ import annotations

from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.training import TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument
from candelabra.types import Method


def fit(method: Method, data: TrainingSet, spec: TrainSpec, tell: Tell) -> Fitted:
    """What the method makes of the rows; raises InvalidArgument for a method of another kind of task."""
    if method is Method.AUTO:
        from candelabra.adapt.methods import auto as chosen
    elif method is Method.CLOSED_FORM:
        from candelabra.adapt.methods import closed_form as chosen
    elif method is Method.PROTOTYPE:
        from candelabra.adapt.methods import prototype as chosen
    elif method is Method.LOGREG:
        from candelabra.adapt.methods import logreg as chosen
    elif method is Method.DENSE:
        from candelabra.adapt.methods import dense as chosen
    elif method is Method.HYBRID:
        from candelabra.adapt.methods import hybrid as chosen
    elif method is Method.LAYER_MIX:
        from candelabra.adapt.methods import layer_mix as chosen
    elif method is Method.TOP_K:
        from candelabra.adapt.methods import top_k as chosen
    else:
        raise InvalidArgument(f"The method {method.value!r} does not make labels or numbers.", field="method")
    return chosen.fit(data, spec, tell)
