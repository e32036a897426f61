"""What the gate is told: a candidate beside each rival on the same rows, its calibration, and its coverage."""

from __future__ import annotations

from dataclasses import dataclass

from candelabra.adapt.scores import Interval

MAJORITY, TFIDF, INCUMBENT, ANCHORS = "majority", "tfidf_logistic_regression", "incumbent", "anchors"
RIDGE, LOOKUP, OVERLAP = "tfidf_ridge", "lookup", "sentence_overlap"
RECALL, CALIBRATION, COVERAGE, LABELS, NOISE = "recall", "calibration", "coverage", "labels", "label_noise"

RIVALS = {
    MAJORITY: "always giving the most frequent answer",
    TFIDF: "TF-IDF with logistic regression",
    RIDGE: "TF-IDF with ridge regression",
    LOOKUP: "looking up the names of the training texts",
    OVERLAP: "giving the sentence with most words of the question",
    INCUMBENT: "the version it would replace",
    ANCHORS: "the version it would replace, on the rows kept beside that version",
}


@dataclass(frozen=True, slots=True)
class Recall:
    """Of a label's `rows`, those that the candidate misses and the incumbent finds (`lost`), and the reverse."""

    label: str
    lost: int
    won: int
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate and rival on the same `rows` rows; `gap` is ours minus theirs with its paired interval.

    `must_win`: the candidate has to be measurably better, not merely not worse. `recalls` has the labels with rows
    enough to test; it is left empty where recall is not to be tested.
    """

    name: str
    metric: str
    ours: float
    theirs: Interval
    gap: Interval
    rows: int
    note: str = ""
    recalls: tuple[Recall, ...] = ()
    must_win: bool = False
    level: float = 0.95
    rival: str = ""
    """What the rival is, where RIVALS does not say it well."""

    @classmethod
    def nothing(cls, name: str, metric: str, note: str) -> Comparison:
        """No row could be compared: told in the report, and never a reason to refuse."""
        none = Interval(0.0, 0.0, 0.0)
        return cls(name, metric, 0.0, none, none, 0, note)


@dataclass(frozen=True, slots=True)
class Reliability:
    """The candidate's calibration error on `rows` unseen rows; `noise` is what a perfect head of its
    probabilities would show on so many rows, `incumbent` the incumbent's error on the same rows if it is known."""

    error: float
    rows: int
    noise: float = 0.0
    incumbent: float | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of `rows` rows `covered` lay in their prediction sets, asked to cover the share `asked`."""

    asked: float
    covered: int
    rows: int


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the verdict. `detail` is a sentence with the numbers."""

    name: str
    passed: bool
    detail: str

    def as_report(self) -> dict[str, object]:
        return {"name": self.name, "passed": bool(self.passed), "detail": self.detail}
