"""Rewrites the tables of operations.md from the code: `python docs/generate_tables.py [--check]`.

The last column of the table of reasons is written by hand and kept; a new reason gets a gap to fill in.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from candelabra.errors import GateRefused, TrainingFailed, every_reason
from candelabra.metrics import Metrics
from candelabra.rpc.status import code_of
from candelabra.settings import PREFIX, Settings

HERE = Path(__file__).resolve().parent
PAGE = HERE / "operations.md"
PROTOS = HERE.parent / "protos" / "candelabra" / "v1"
GAP = "TO BE WRITTEN"

Row = Sequence[str]


def table(heads: Row, rows: Sequence[Row]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows))


def readable(value: object) -> str:
    """A default as one would say it: sizes in binary units, nothing as a word."""
    if value == "":
        return "empty"
    if isinstance(value, int) and value >= 1024**2 and value % 1024**2 == 0:
        return f"`{value}` ({value // 1024**2} MiB)"
    return f"`{value}`"


def settings() -> str:
    """Every setting. The name is its variable's without the prefix, in lower case; the flag is --name-with-dashes."""
    rows = [
        (f"`{PREFIX}{spec.name.upper()}`", readable(spec.default), spec.metadata["help"]) for spec in fields(Settings)
    ]
    return table(("variable", "default", "meaning"), rows)


def exposed(metric: MetricWrapperBase) -> tuple[str, str, str]:
    """Name as scraped, kind and help of a metric."""
    (family,) = metric.describe()
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    return family.name + suffix, family.type, family.documentation


def metrics() -> str:
    rows = []
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            name, kind, meaning = exposed(metric)
            labels = ", ".join(metric._labelnames) or "–"
            rows.append((f"`{name}`", kind, labels, meaning))
    return table(("metric", "kind", "labels", "meaning"), rows)


def reasons(page: str) -> str:
    """Every reason, its gRPC code, and the advice that the page has for it now."""
    advice = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| [^|]+ \| (.+?) \|$", page, flags=re.MULTILINE))
    rows = []
    for reason, error in every_reason().items():
        code = code_of(error).name
        if issubclass(error, GateRefused):
            code = "ends a job as REJECTED"
        elif issubclass(error, TrainingFailed):
            code = "ends a job as FAILED"
        rows.append((f"`{reason}`", code, advice.get(reason, GAP)))
    return table(("reason", "gRPC code", "what it means, and what to do"), rows)


def rpcs() -> Iterator[tuple[str, str, str]]:
    """Service/Method, shape and comment of every RPC in the protos."""
    for path in sorted(PROTOS.glob("*.proto")):
        service, comment = "", []
        for line in path.read_text().splitlines():
            if found := re.match(r"service (\w+)", line):
                service = found[1]
            elif found := re.match(r"\s+rpc (\w+)\((stream )?\w+\) returns \((stream )?", line):
                shape = {(False, False): "unary", (True, False): "client stream", (False, True): "server stream"}.get(
                    (bool(found[2]), bool(found[3])), "both stream"
                )
                yield f"{service}/{found[1]}", shape, " ".join(comment)
            comment = [*comment, line.strip()[2:].strip()] if line.strip().startswith("//") else []


def page(old: str) -> str:
    """The page with every table fresh."""
    tables = {
        "settings": settings(),
        "metrics": metrics(),
        "reasons": reasons(old),
        "rpcs": table(("RPC", "shape", "meaning"), [(f"`{name}`", shape, text) for name, shape, text in rpcs()]),
    }
    new = old
    for name, text in tables.items():
        section = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", flags=re.DOTALL)
        new, count = section.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", new)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"{PAGE} needs exactly one section <!-- {name}:begin --> … <!-- {name}:end -->.")
    return new


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a table is out of date")
    old = PAGE.read_text()
    new = page(old)
    if parser.parse_args().check:
        return int(new != old)
    PAGE.write_text(new)
    for reason in re.findall(rf"`([A-Z_]+)` .*{GAP}", new):
        print(f"{PAGE.name}: say what to do about {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
