"""The finance domain: what its tasks are and how a sentiment becomes one signed number."""

from __future__ import annotations

from collections.abc import Sequence

from candelabra.plugin import CLASSIFICATION, MULTI_LABEL, Decision, Domain, LabelScore, Task

from .shapes import normalise

SENTIMENT = Task(
    "sentiment",
    labels=("negative", "neutral", "positive"),
    ordered=True,
    description="How an investor reads the news; the value `sentiment` runs from -1 to 1.",
)


class FinanceDomain(Domain):
    api_version = 1
    name = "finance"
    description = "News, filings and customers' questions about money."
    tasks = (SENTIMENT, CLASSIFICATION, MULTI_LABEL)

    def prepare(self, text: str, task: Task) -> str:
        return normalise(text)

    def decide(self, text: str, scores: Sequence[LabelScore], chosen: Sequence[LabelScore], task: Task) -> Decision:
        if task.name != SENTIMENT.name:
            return Decision(tuple(chosen), {})
        probability = {score.label: score.probability for score in scores}
        signed = probability.get("positive", 0.0) - probability.get("negative", 0.0)
        return Decision(tuple(chosen), {"sentiment": signed})
