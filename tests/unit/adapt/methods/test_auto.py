"""AUTO runs what fits, leaves out what cannot be run and says so, and gives the winner's own fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from candelabra.adapt.methods import auto, every
from candelabra.adapt.methods.fitted import Fitted, Tell
from candelabra.adapt.training import TokenStates, TrainingSet, TrainSpec
from candelabra.errors import InvalidArgument, TooFewLabels
from candelabra.heads.bodies.dense import Dense
from candelabra.types import Method, Progress, Slot, TaskKind

SLOTS = (Slot(1, "mean"),)


def rows(count: int = 300, kind: TaskKind = TaskKind.SINGLE_LABEL, states: bool = False) -> TrainingSet:
    targets: np.ndarray = np.arange(count) % 2
    if kind is TaskKind.REGRESSION:
        targets = np.linspace(0.0, 1.0, count)
    return TrainingSet(
        texts=[f"row {row}" for row in range(count)],
        features=np.zeros((count, 1, 2), np.float32),
        slots=SLOTS,
        labels=("a", "b") if kind is TaskKind.SINGLE_LABEL else (),
        targets=targets,
        rows=np.arange(count, dtype=np.uint64),
        states=_states(count) if states else None,
    )


def _states(count: int) -> TokenStates:
    windows = np.array([[row, row, row + 1, 0] for row in range(count)])
    none = np.zeros(count, np.int32)
    return TokenStates(np.zeros((count, 1, 2), np.float16), (1,), windows, np.zeros((count, 2), np.int32), none)


def spec(kind: TaskKind = TaskKind.SINGLE_LABEL, **changes: object) -> TrainSpec:
    plain = TrainSpec(
        task_kind=kind, method=Method.AUTO, metric="accuracy", backbone="b", domain="d", task="t", budget_seconds=600.0
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


class Stub:
    """Stands for `every.fit`: methods whose logits are right by so much, and methods that fail."""

    def __init__(self, right: dict[Method, float], fails: tuple[Method, ...] = ()) -> None:
        self.right, self.fails, self.ran = right, fails, [Method.AUTO][:0]

    def __call__(
        self,
        method: Method,
        data: TrainingSet,
        spec: TrainSpec,
        tell: Tell,
        known: Mapping[Method, Fitted] | None = None,
    ) -> Fitted:
        assert spec.method is method
        self.ran.append(method)
        self.known = dict(known or {})
        if method in self.fails:
            raise TooFewLabels("Not with these rows.")
        random = np.random.default_rng(0)
        count = len(data.targets)
        outputs = 1 if spec.task_kind is TaskKind.REGRESSION else len(data.labels)
        truth = data.targets[:, None] if outputs == 1 else np.eye(outputs)[data.targets]
        logits = self.right.get(method, 0.5) * truth + 0.5 * random.normal(size=(count, outputs))
        body = Dense(SLOTS, ((np.zeros((2, outputs), np.float32), np.full(outputs, len(self.ran), np.float32)),))
        return Fitted(body, np.arange(count), logits, {"own": method.value}, f"by {method.value}")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stub]:
    def put(right: dict[Method, float] | None = None, fails: tuple[Method, ...] = ()) -> Stub:
        made = Stub(right or {}, fails)
        monkeypatch.setattr(every, "fit", made)
        return made

    return put


def nothing(_: Progress) -> None:
    pass


def test_the_best_method_is_the_head_and_the_race_is_told(stub: Callable[..., Stub]) -> None:
    made = stub({Method.LOGREG: 3.0})
    told: list[Progress] = []
    fitted = auto.fit(rows(), spec(), told.append)
    assert fitted.chosen["method"] == "logreg"
    assert fitted.chosen["own"] == "logreg"
    assert fitted.evaluation == "by logreg"
    assert made.ran[:3] == [Method.CLOSED_FORM, Method.LOGREG, Method.HYBRID]
    assert all(f"{method.value} " in fitted.chosen["race"] for method in made.ran)
    assert [one.step for one in told] == list(range(1, len(made.ran) + 1))


def test_among_equals_the_simplest_is_the_head(stub: Callable[..., Stub]) -> None:
    stub()
    assert auto.fit(rows(), spec(), nothing).chosen["method"] == "closed_form"


def test_a_method_that_cannot_be_run_is_left_out_and_named(stub: Callable[..., Stub]) -> None:
    stub({Method.HYBRID: 9.0}, fails=(Method.HYBRID,))
    fitted = auto.fit(rows(), spec(), nothing)
    assert fitted.chosen["method"] == "closed_form"
    assert fitted.chosen["left_out"].startswith("hybrid (")


def test_where_every_method_fails_that_is_the_answer(stub: Callable[..., Stub]) -> None:
    stub(fails=tuple(Method))
    with pytest.raises(InvalidArgument, match="No method"):
        auto.fit(rows(), spec(), nothing)


def test_hybrid_builds_on_what_was_fitted_before_it(stub: Callable[..., Stub]) -> None:
    made = stub()
    auto.fit(rows(), spec(budget_seconds=0.0), nothing)
    assert set(made.known) == {Method.CLOSED_FORM, Method.LOGREG}


@pytest.mark.parametrize(("better", "wide"), [(0.3, True), (0.0, False)])
def test_all_layers_are_read_where_that_is_measurably_better(
    monkeypatch: pytest.MonkeyPatch, better: float, wide: bool
) -> None:
    plain = Stub({})

    def fit(method: Method, data: TrainingSet, spec: TrainSpec, tell: Tell, known: object = None) -> Fitted:
        plain.right = {Method.CLOSED_FORM: 0.5 + better * (spec.options == {"wide": True})}
        made = plain(method, data, spec, tell)
        return replace(made, chosen={"wide": str(spec.options == {"wide": True})})

    monkeypatch.setattr(every, "fit", fit)
    deep = replace(rows(), features=np.zeros((300, 4, 2), np.float32), slots=tuple(Slot(n, "mean") for n in range(4)))
    assert auto.fit(deep, spec(), nothing).chosen["wide"] == str(wide)


def test_few_rows_do_not_race_networks_and_try_the_labels_names(stub: Callable[..., Stub]) -> None:
    made = stub()
    auto.fit(rows(30, states=True), spec(), nothing)
    assert Method.PROTOTYPE in made.ran
    assert not {Method.LAYER_MIX, Method.TOP_K} & set(made.ran)


def test_token_states_bring_in_their_methods(stub: Callable[..., Stub]) -> None:
    made = stub()
    auto.fit(rows(states=True), spec(), nothing)
    assert {Method.LAYER_MIX, Method.TOP_K} <= set(made.ran)
    again = stub()
    auto.fit(rows(), spec(), nothing)
    assert not {Method.LAYER_MIX, Method.TOP_K} & set(again.ran)


def test_a_budget_of_nothing_leaves_what_always_runs(stub: Callable[..., Stub]) -> None:
    made = stub()
    auto.fit(rows(), spec(budget_seconds=0.0), nothing)
    assert made.ran == [Method.CLOSED_FORM, Method.LOGREG, Method.HYBRID]


def test_numbers_are_raced_by_methods_that_give_numbers(stub: Callable[..., Stub]) -> None:
    kind = TaskKind.REGRESSION
    made = stub({Method.HYBRID: 1.0})
    assert auto.fit(rows(kind=kind), spec(kind), nothing).chosen["method"] == "hybrid"
    assert not {Method.LOGREG, Method.PROTOTYPE} & set(made.ran)


def test_without_a_labelled_row_the_labels_names_are_the_head(stub: Callable[..., Stub]) -> None:
    made = stub()
    named = replace(rows(0), label_features=np.ones((2, 1, 2), np.float32))
    assert auto.fit(named, spec(), nothing).chosen["method"] == "prototype"
    assert made.ran == [Method.PROTOTYPE]


def test_parameters_need_a_named_method(stub: Callable[..., Stub]) -> None:
    stub()
    with pytest.raises(InvalidArgument, match="AUTO"):
        auto.fit(rows(), spec(options={"ridge": 1.0}), nothing)
