from __future__ import annotations

import pytest

from tools.wheels import TARGETS, Target, missing, needed, reachable

WINDOWS = next(target for target in TARGETS if target.tag.startswith("win"))
MAC = next(target for target in TARGETS if target.tag.endswith("arm64"))


def names(target: Target) -> set[str]:
    return {pinned.partition("==")[0] for pinned in needed(target)}


def test_uvloop_is_asked_for_only_where_it_has_wheels() -> None:
    assert "uvloop" in names(MAC)
    assert "uvloop" not in names(WINDOWS)


def test_what_dependencies_need_is_included() -> None:
    assert {"grpcio", "cffi", "sqlite-fts4", "h11"} <= names(WINDOWS)
    assert "pytest" not in names(WINDOWS)


@pytest.mark.slow
@pytest.mark.parametrize("target", [target for target in TARGETS if target.promised], ids=lambda target: target.tag)
def test_every_runtime_dependency_has_a_wheel(target: Target) -> None:
    if not reachable():
        pytest.skip("no package index can be reached")
    assert missing(target) == []
