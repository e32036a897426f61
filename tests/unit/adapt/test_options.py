"""A mistake in a method's options is told when the job is asked for."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from candelabra.adapt import options
from candelabra.errors import InvalidArgument
from candelabra.types import Method, Slot, TaskKind

SLOTS = (Slot(1, "mean"), Slot(2, "mean"))


@pytest.mark.parametrize(
    ("method", "given"),
    [
        (Method.AUTO, {}),
        (Method.CLOSED_FORM, {}),
        (Method.CLOSED_FORM, {"ridge": 0.5, "layers": [2]}),
        (Method.DENSE, {}),
        (Method.DENSE, {"hidden": 0, "learning_rate": 0.1, "max_epochs": 3, "patience": 1, "layers": [1]}),
    ],
)
@pytest.mark.parametrize("kind", [TaskKind.SINGLE_LABEL, TaskKind.MULTI_LABEL, TaskKind.REGRESSION])
def test_what_a_method_knows_is_taken(method: Method, given: Mapping[str, object], kind: TaskKind) -> None:
    options.check(method, given, SLOTS, kind)


@pytest.mark.parametrize(
    ("method", "given"),
    [
        (Method.AUTO, {"ridge": 1.0}),
        (Method.CLOSED_FORM, {"hidden": 3}),
        (Method.CLOSED_FORM, {"ridge": -1.0}),
        (Method.CLOSED_FORM, {"solver": "no such"}),
        (Method.CLOSED_FORM, {"layers": [9]}),
        (Method.DENSE, {"ridge": 1.0}),
        (Method.DENSE, {"hidden": -1}),
        (Method.DENSE, {"learning_rate": 0}),
        (Method.DENSE, {"learning_rate": float("nan")}),
        (Method.DENSE, {"layers": [9]}),
    ],
)
def test_what_cannot_be_done_is_refused(method: Method, given: Mapping[str, object]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        options.check(method, given, SLOTS, TaskKind.SINGLE_LABEL)
    assert refused.value.metadata["field"]
