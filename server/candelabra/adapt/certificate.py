"""What proves that rows were forgotten: digests of the sums before and after, and an audit from scratch. No text."""

from __future__ import annotations

from dataclasses import asdict, dataclass

ALLOWED = 1e-12


@dataclass(frozen=True, slots=True)
class Audit:
    """Digests of the sums as kept and as made from scratch of the rows that are left, and by how much at most the
    weights of a head of either differ, relative to the largest weight."""

    kept: str
    scratch: str
    residual: float

    @property
    def exact(self) -> bool:
        """Equal digests mean equal sums to the last bit."""
        return self.kept == self.scratch and self.residual <= ALLOWED


@dataclass(frozen=True, slots=True)
class Certificate:
    """Of one forgetting. `recomputed` names what was made anew of the rows that are left."""

    backbone: str
    rows_before: int
    rows_after: int
    asked: int
    digest_before: str
    digest_after: str
    digest_scratch: str
    residual: float
    exact: bool
    recomputed: tuple[str, ...]

    @classmethod
    def of(
        cls,
        backbone: str,
        before: tuple[int, str],
        after: tuple[int, str],
        asked: int,
        audit: Audit,
        recomputed: tuple[str, ...],
    ) -> Certificate:
        """`before` and `after` are rows and the digest of their sums; `asked` rows were named to be forgotten."""
        return cls(
            backbone=backbone,
            rows_before=before[0],
            rows_after=after[0],
            asked=asked,
            digest_before=before[1],
            digest_after=after[1],
            digest_scratch=audit.scratch,
            residual=audit.residual,
            exact=audit.exact and audit.kept == after[1],
            recomputed=recomputed,
        )

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "recomputed": list(self.recomputed)}
