"""What this server knows of all heads: names, versions and aliases, without weights. Looking up never waits."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from candelabra.errors import AliasNotFound, HeadNotFound, VersionNotFound, VersionRetired
from candelabra.registry.heads import Changes
from candelabra.types import HeadInfo, HeadRef, OwnedName, VersionInfo

SHOWN = 8


@dataclass(frozen=True, slots=True)
class Known:
    """One head as of one revision. Replaced as a whole, so nobody ever sees half a change."""

    info: HeadInfo
    versions: Mapping[int, VersionInfo]

    @property
    def revision(self) -> int:
        return self.info.revision


class Table:
    """Changes come from two sides: at once from this server's own commits, and a little later from polling the
    registry. The revision decides which is newer, whatever order they arrive in."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[str, Known]] = {}
        self._lock = threading.Lock()
        self.revision = -1
        self.count = 0

    def resolve(self, ref: HeadRef) -> VersionInfo:
        heads = self._tenants.get(ref.head.tenant)
        known = heads.get(ref.head.name) if heads is not None else None
        if known is None:
            raise self._no_head(ref.head)
        selector = ref.selector
        number = known.info.aliases.get(selector) if isinstance(selector, str) else selector
        version = known.versions.get(number) if number is not None else None
        if version is None:
            raise _no_version(ref, known)
        if version.retired:
            raise retired(version)
        return version

    def with_alias(self, alias: str) -> Iterable[VersionInfo]:
        for heads in list(self._tenants.values()):
            for known in list(heads.values()):
                version = known.versions.get(known.info.aliases.get(alias, 0))
                if version is not None and not version.retired:
                    yield version

    def follow(self, changes: Changes, *, afresh: bool = False) -> set[str]:
        """Takes in what the registry says; returns the digests of versions that are gone or retired."""
        with self._lock:
            if afresh:
                before = [known for heads in self._tenants.values() for known in heads.values()]
                self._tenants, self.count = {}, 0
            else:
                names = [*(info.head for info, _ in changes.heads), *changes.gone]
                before = [known for name in names if (known := self._get(name)) is not None]
            for info, versions in changes.heads:
                known = self._get(info.head)
                if known is None or info.revision >= known.revision:
                    self._put(info, {version.version: version for version in versions})
            for name in changes.gone:
                if (known := self._get(name)) is not None and changes.revision >= known.revision:
                    self._drop(name)
            self.revision = changes.revision
            return self._gone_of(before)

    def publish(self, version: VersionInfo, alias: str | None) -> None:
        with self._lock:
            known = self._get(version.head)
            if known is not None and version.revision <= known.revision:
                return
            info = known.info if known else _new_info(version)
            versions = {**(known.versions if known else {}), version.version: version}
            aliases = {**info.aliases, alias: version.version} if alias else info.aliases
            latest, revision = max(versions), version.revision
            made = replace(info, aliases=aliases, latest=latest, count=len(versions), revision=revision)
            self._put(made, versions)

    def apply(self, info: HeadInfo) -> None:
        with self._lock:
            known = self._get(info.head)
            if known is None or info.revision <= known.revision:
                return
            # A version that is not known here yet, or one too many: the next refresh takes in both together.
            if len(known.versions) == info.count and (info.latest in known.versions or not info.count):
                self._put(info, known.versions)

    def remove(self, versions: Iterable[VersionInfo]) -> set[str]:
        with self._lock:
            before = []
            for version in versions:
                known = self._get(version.head)
                if known is None or version.revision < known.revision:
                    continue
                before.append(known)
                left = {number: other for number, other in known.versions.items() if number != version.version}
                aliases = {alias: number for alias, number in known.info.aliases.items() if number in left}
                if not left:
                    self._drop(version.head)
                    continue
                latest, revision = max(left), version.revision
                self._put(replace(known.info, aliases=aliases, latest=latest, count=len(left), revision=revision), left)
            return self._gone_of(before)

    def _get(self, name: OwnedName) -> Known | None:
        return self._tenants.get(name.tenant, {}).get(name.name)

    def _put(self, info: HeadInfo, versions: Mapping[int, VersionInfo]) -> None:
        before = self._get(info.head)
        self.count += len(versions) - (len(before.versions) if before else 0)
        self._tenants.setdefault(info.head.tenant, {})[info.head.name] = Known(info, versions)

    def _drop(self, name: OwnedName) -> None:
        self.count -= len(self._tenants[name.tenant].pop(name.name).versions)

    def _gone_of(self, before: Iterable[Known]) -> set[str]:
        gone, there = set(), set()
        for old in before:
            now = self._get(old.info.head)
            left = _serving(now.versions if now else {})
            gone |= {version.digest for number, version in old.versions.items() if number not in left}
            there |= {version.digest for version in left.values()}
        return gone - there

    def _no_head(self, name: OwnedName) -> HeadNotFound:
        heads = self._tenants.get(name.tenant, {})
        names = [f"{name.tenant}/{other}" for other in list(heads)[:SHOWN]]
        there = f"its heads include {', '.join(names)}" if names else "it has no heads at all"
        return HeadNotFound(f"There is no head {name} of the tenant {name.tenant!r}: {there}.", head=name)


def retired(version: VersionInfo) -> VersionRetired:
    """What is said to those who ask for a version that had to go."""
    return VersionRetired(
        f"{version.name} was retired ({version.retired}) and serves no more: ask the head by its alias or by another "
        "version.",
        head=version.head,
        version=version.version,
    )


def _serving(versions: Mapping[int, VersionInfo]) -> dict[int, VersionInfo]:
    return {number: version for number, version in versions.items() if not version.retired}


def _no_version(ref: HeadRef, known: Known) -> AliasNotFound | VersionNotFound:
    numbers = ", ".join(str(number) for number in sorted(known.versions)[-SHOWN:]) or "none"
    if isinstance(ref.selector, str):
        aliases = ", ".join(sorted(known.info.aliases)[:SHOWN]) or "none"
        return AliasNotFound(
            f"The head {ref.head} has no alias {ref.selector!r}: it has the aliases {aliases} and the "
            f"versions {numbers}.",
            head=ref.head,
            alias=ref.selector,
        )
    return VersionNotFound(
        f"The head {ref.head} has no version {ref.selector}: its newest versions are {numbers}.",
        head=ref.head,
        version=ref.selector,
    )


def _new_info(version: VersionInfo) -> HeadInfo:
    return HeadInfo(version.head, version.domain, version.task, {}, 0, 0, version.created, version.revision)
