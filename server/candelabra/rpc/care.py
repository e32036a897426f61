"""Certificates, audits, drift and advice as messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from candelabra.adapt.advising import Advised
from candelabra.adapt.audit import Audit
from candelabra.adapt.care import Done
from candelabra.drift import Drift
from candelabra.rpc import convert
from candelabra.v1 import adaptation_pb2, common_pb2, datasets_pb2, heads_pb2

PLAIN = (
    "dataset", "rows_before", "rows_after", "digest_before", "digest_after", "residual", "affected_versions",
    "retrained_versions", "recomputed", "features_dropped",
)  # fmt: skip


def forgotten(done: Done) -> datasets_pb2.ForgetResponse:
    return datasets_pb2.ForgetResponse(
        dataset=convert.dataset(done.dataset),
        forgotten=done.forgotten,
        jobs=done.jobs,
        certificate=certificate(done.certificate),
    )


def certificate(about: Mapping[str, Any]) -> datasets_pb2.Certificate:
    """What of it has a field; the rest is for the file that is kept."""
    message = datasets_pb2.Certificate(**{name: about[name] for name in PLAIN if name in about})
    moment = datetime.strptime(str(about["time"]), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    message.time.CopyFrom(convert.timestamp(moment))
    return message


def audit(found: Audit) -> datasets_pb2.AuditResponse:
    return datasets_pb2.AuditResponse(
        suspects=[
            datasets_pb2.Suspect(
                position=one.position, id=one.id, given=one.given, suggested=one.suggested, score=one.score
            )
            for one in found.suspects
        ],
        duplicates=[
            datasets_pb2.Duplicate(
                position=one.position,
                id=one.id,
                of_position=one.of_position,
                of_id=one.of_id,
                similarity=one.similarity,
                conflicting=one.conflicting,
            )
            for one in found.duplicates
        ],
        noise=found.noise,
        examined=found.examined,
    )


def drift(version: str, found: Drift) -> heads_pb2.Drift:
    return heads_pb2.Drift(
        head=version,
        rows=found.rows,
        statistic=found.statistic,
        p_value=found.p_value,
        label_shift=found.label_shift,
        drifted=found.drifted,
    )


def advice(told: Advised) -> adaptation_pb2.Advice:
    ranked = told.advice.backbones
    return adaptation_pb2.Advice(
        backbones=[
            adaptation_pb2.BackboneScore(
                name=one.name,
                fingerprint=told.fingerprints[one.name],
                score=_score(told.metric, one.score, *told.intervals[one.name]),
                log_me=one.logme,
                h_score=one.h_score,
                seconds_per_1k=one.seconds_per_thousand,
                regret=_score(told.metric, one.behind, one.behind_low, one.behind_high),
            )
            for one in ranked
        ],
        recommendation=told.recommendation,
    )


def _score(metric: str, value: float, low: float, high: float) -> common_pb2.Score:
    return common_pb2.Score(metric=metric, value=value, low=low, high=high)
