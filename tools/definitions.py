"""Compile HL7 packages into the facts below `toro_core/definitions/data/`; with --check, say what is stale and exit 1."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from toro_core import json
from toro_core.definitions.compile import compile_packages, read_package, write

DATA = Path(__file__).resolve().parent.parent / "toro_core" / "definitions" / "data"


def main() -> int:
    """Write the facts, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "packages", nargs="+", type=Path, metavar="PACKAGE", help="FHIR core package first, guides after"
    )
    parser.add_argument(
        "--expansions", type=Path, nargs="+", default=[], help="known expansions of value sets (JSON); a later one wins"
    )
    parser.add_argument("--out", type=Path, default=DATA, help="folder to write (default: the one Toro loads)")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    expansions = {url: row for path in arguments.expansions for url, row in json.loads(path.read_bytes()).items()}
    fresh = compile_packages([read_package(path) for path in arguments.packages], expansions)
    if not arguments.check:
        write(fresh, arguments.out)
        return 0
    old = {p.relative_to(arguments.out).as_posix(): p.read_bytes() for p in arguments.out.rglob("*.json")}
    stale = sorted(name for name in fresh.keys() | old.keys() if fresh.get(name) != old.get(name))
    for name in stale:
        print(f"stale: {arguments.out / name}; run tools/definitions.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
