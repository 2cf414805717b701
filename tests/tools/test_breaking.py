from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.breaking import baseline, breaks

ROOT = Path(__file__).resolve().parent.parent.parent


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def remove_a_field(folder: Path) -> None:
    proto = folder / "proto/toro/v1/resource.proto"
    kept = [line for line in proto.read_text().splitlines() if "bytes json" not in line]
    proto.write_text("\n".join(kept))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    shutil.copytree(ROOT / "proto", folder / "proto")
    shutil.copy(ROOT / "buf.yaml", folder)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_the_first_commit_has_nothing_to_compare_with(repository: Path) -> None:
    assert baseline(repository) is None


def test_outside_git_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    assert baseline(tmp_path) is None


def test_a_shallow_clone_has_nothing_to_compare_with(repository: Path, tmp_path: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth=1", repository.as_uri(), "shallow")
    assert baseline(tmp_path / "shallow") is None


def test_local_changes_are_compared_with_head_and_a_removed_field_breaks(repository: Path) -> None:
    remove_a_field(repository)
    assert baseline(repository) == "HEAD"
    assert breaks(repository, "HEAD")


def test_a_commit_is_compared_with_the_one_before(repository: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    assert baseline(repository) == "HEAD~1"
    assert not breaks(repository, "HEAD~1")
    remove_a_field(repository)
    git(repository, "commit", "-qam", "third")
    assert breaks(repository, "HEAD~1")
