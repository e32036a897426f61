"""`python -m bench` runs every measurement; `python -m bench NAME …` only those named."""

from __future__ import annotations

import argparse
import platform
import time

from bench import adapt_speed, closed_form, crash, gate, heads, hot_swap, interference
from bench.datasets import Absent

MEASUREMENTS = {
    "heads": heads.run,
    "adapt": adapt_speed.run,
    "interference": interference.run,
    "hot_swap": hot_swap.run,
    "crash": crash.run,
    "closed_form": closed_form.run,
    "gate": gate.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(MEASUREMENTS)}; none means all")
    names = parser.parse_args().names or list(MEASUREMENTS)
    if unknown := set(names) - set(MEASUREMENTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    print(f"{platform.machine()}, Python {platform.python_version()}\n")
    for name in names:
        began = time.perf_counter()
        print(f"## {name}: {(MEASUREMENTS[name].__globals__['__doc__'] or '').splitlines()[0]}\n", flush=True)
        try:
            report = MEASUREMENTS[name]()
        except Absent as absent:
            report = f"Left out: {absent}."
        print(f"{report}\n\n({time.perf_counter() - began:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
