"""`python -m demo [--data FOLDER]`: exits 0 if every act went as told."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from candelabra_client import CandelabraError
from demo.server import Failed
from demo.story import tell


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the real datasets instead of the example sentences")
    try:
        tell(parser.parse_args().data)
    except (Failed, CandelabraError, OSError) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
