"""What holds for the repository as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from toro_core.settings import describe

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("toro_core", "facade/toro_facade", "plugins/toro_ndjson", "plugins/toro_postgres", "plugins/toro_sqlite")
LONG = 250
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users|opt|mnt)/\w+")
REGISTRY_HOST = re.compile(r"pypi\.org|pythonhosted|index-url|find-links|artifactory|nexus\.", re.IGNORECASE)


@cache
def files() -> tuple[Path, ...]:
    """Return what is or would be in a commit."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def project() -> dict[str, object]:
    return tomllib.loads(text_of("pyproject.toml"))


def requirements(*extras: str) -> list[Requirement]:
    table = project()["project"]
    assert isinstance(table, dict)
    texts = list(table["dependencies"])
    for extra in extras:
        texts += table["optional-dependencies"][extra]
    return [Requirement(text) for text in texts]


def pins() -> dict[str, Requirement]:
    lines = (line for line in text_of("constraints.txt").splitlines() if line and not line.startswith("#"))
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, lines)}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "proto/toro/v1",
            "toro_core",
            "facade/toro_facade",
            "plugins/toro_ndjson",
            "plugins/toro_postgres",
            "plugins/toro_sqlite",
            "tests",
            "docs/adr",
            "bench",
            "tools",
        ),
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "pyproject.toml", "constraints.txt"),
        *("buf.yaml", ".ci/run", "docs/architecture.md", "docs/config.md", "docs/grpc.md"),
    ],
)
def test_the_layout_is_there(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


def test_every_package_ships_in_the_wheel_and_is_a_root_of_the_import_contracts() -> None:
    tool = project()["tool"]
    assert isinstance(tool, dict)
    assert tool["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)
    assert tool["importlinter"]["root_packages"] == [Path(package).name for package in PACKAGES]


def test_a_module_is_short_or_says_why() -> None:
    long = []
    for path in files():
        inside = any(path.is_relative_to(ROOT / folder) for folder in (*PACKAGES, "tools", "bench"))
        if path.suffix == ".py" and inside and "_gen" not in path.parts:
            source = path.read_text("utf-8")
            docstring = ast.get_docstring(ast.parse(source)) or ""
            if source.count("\n") > LONG and len(docstring.splitlines()) < 2:
                long.append(str(path.relative_to(ROOT)))
    assert long == []


def test_no_file_names_a_path_of_a_machine_or_a_registry() -> None:
    found = []
    for path in files():
        if path == Path(__file__) or path.suffix in {".gz", ".pdf", ".xz", ".png"}:
            continue
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
            if MACHINE_PATH.search(line) or REGISTRY_HOST.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


def test_generated_files_are_fresh() -> None:
    for tool in ("generate.py", "config_docs.py"):
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / tool, "--check"], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_constraints_are_exact_versions_without_addresses_in_order() -> None:
    lines = [line for line in text_of("constraints.txt").splitlines() if not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line), line
    names = [re.split("==", line)[0].lower() for line in lines]
    assert names == sorted(names)


@pytest.mark.parametrize("requirement", requirements("dev", "postgres"), ids=str)
def test_every_dependency_is_pinned_to_a_version_it_allows(requirement: Requirement) -> None:
    pin = pins()[canonicalize_name(requirement.name)]
    (version,) = (specifier.version for specifier in pin.specifier)
    assert requirement.specifier.contains(version)
    assert str(pin.marker or "") == str(requirement.marker or "")


def test_the_lowest_grpcio_and_protobuf_allowed_are_those_the_generated_code_asks_for() -> None:
    lowest = {r.name: next(s.version for s in r.specifier if s.operator == ">=") for r in requirements()}
    stub = text_of("toro_core/_gen/toro/v1/resource_service_pb2_grpc.py")
    messages = text_of("toro_core/_gen/toro/v1/resource_service_pb2.py")
    grpcio = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", stub)
    protobuf = re.search(r"Protobuf Python Version: ([\d.]+)", messages)
    assert grpcio
    assert protobuf
    assert Version(lowest["grpcio"]) == Version(grpcio[1])
    assert Version(lowest["protobuf"]) == Version(protobuf[1])


def test_the_readme_begins_with_the_two_commands() -> None:
    block = re.search(r"```sh\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert block
    assert [line.split("#")[0].strip() for line in block[1].splitlines()] == ["make sandbox", "make test"]


def test_every_command_is_in_the_readme_and_can_be_loaded() -> None:
    readme = text_of("README.md")
    found = entry_points(group="toro.commands")
    assert set(found.names) >= {"client", "config", "core", "facade", "import", "sandbox", "serve", "token"}
    for command in found:
        assert f"`toro {command.name}`" in readme, command.name
        loaded = command.load()
        assert loaded.help, f"toro {command.name} has no help"


def test_every_setting_is_in_the_docs() -> None:
    page = text_of("docs/config.md")
    for key, name, *_ in describe():
        assert f"| `{key}` | `{name}` |" in page


def test_every_make_target_is_phony_and_in_the_contributors_guide() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", text_of("Makefile"), re.MULTILINE)
    assert phony
    targets = phony[1].split()
    assert {"sandbox", "test", "test-slow", "lint", "bench", "bench-full", "clean"} <= set(targets)
    for target in targets:
        assert f"`make {target}`" in text_of("CONTRIBUTING.md"), target


def test_continuous_integration_runs_lint_and_test() -> None:
    script = text_of(".ci/run")
    assert "set -euo pipefail" in script
    assert script.splitlines()[-2:] == ["make lint", "make test"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_the_changelog_has_the_version() -> None:
    table = project()["project"]
    assert isinstance(table, dict)
    assert f"## [{table['version']}]" in text_of("CHANGELOG.md")


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_modules_in_the_architecture_page_exist() -> None:
    for row in re.findall(r"^\| (`toro_.+?) \|", text_of("docs/architecture.md"), re.MULTILINE):
        for name in re.findall(r"`([\w.]+)`", row):
            full = f"toro_core{name}" if name.startswith(".") else name
            path = full.replace(".", "/")
            places = [ROOT / place / f"{path}{end}" for place in (".", "facade", "plugins") for end in (".py", "")]
            assert any(place.exists() for place in places), full
