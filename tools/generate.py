"""Generate `toro_core/_gen/` from `proto/`; with --check, say what is stale and exit 1."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
TARGET = ROOT / "toro_core" / "_gen"
IMPORT = re.compile(r"^(from|import) toro\.v1\b", re.MULTILINE)


def main() -> int:
    """Write the generated code, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check: bool = parser.parse_args().check
    fresh = generated()
    old = {p.relative_to(TARGET): p.read_text() for p in TARGET.rglob("*.py*") if p.suffix in {".py", ".pyi"}}
    stale = sorted(str(p) for p in fresh.keys() | old.keys() if fresh.get(p) != old.get(p))
    if check:
        for name in stale:
            print(f"stale: toro_core/_gen/{name}; run tools/generate.py", file=sys.stderr)
        return 1 if stale else 0
    for path in old.keys() - fresh.keys():
        (TARGET / path).unlink()
    for path, text in fresh.items():
        (TARGET / path).parent.mkdir(parents=True, exist_ok=True)
        (TARGET / path).write_text(text)
    return 0


def generated() -> dict[Path, str]:
    """Return the generated modules by their path below `_gen/`."""
    sources = sorted(str(p.relative_to(PROTO)) for p in PROTO.rglob("*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}"]
        arguments += [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        arguments.append(f"--mypy_grpc_out=quiet:{folder}")
        arguments.append(f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).with_name('protoc-gen-mypy_grpc')}")
        if protoc.main(arguments + sources):
            raise SystemExit("protoc refused the protos")
        modules = {p.relative_to(folder): p.read_text() for p in Path(folder).rglob("*.py*")}
    modules = {path: IMPORT.sub(r"\1 toro_core._gen.toro.v1", text) for path, text in modules.items()}
    for package in (Path(), Path("toro"), Path("toro/v1")):
        modules[package / "__init__.py"] = '"""Generated from proto/ by tools/generate.py; never edited."""\n'
    return modules


if __name__ == "__main__":
    sys.exit(main())
