"""Compare `proto/` with the previous commit, or with HEAD where it has local changes; exit 1 where a client would break."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["baseline", "breaks", "main"]

ROOT = Path(__file__).resolve().parent.parent
BUF = Path(sys.executable).with_name("buf")


def main() -> int:
    """Say what broke, or why there was nothing to compare with."""
    commit = baseline(ROOT)
    if commit is None:
        print("buf breaking: no earlier commit with protos to compare with")
        return 0
    return 1 if breaks(ROOT, commit) else 0


def baseline(root: Path) -> str | None:
    """Name the commit to compare with; None outside git, on the first commit and in a clone that ends there."""
    if not _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"):
        return None
    commit = "HEAD" if _git(root, "status", "--porcelain", "--", "proto") else "HEAD~1"
    return commit if _git(root, "cat-file", "-t", f"{commit}:buf.yaml") else None


def breaks(root: Path, commit: str) -> bool:
    """Print what the working tree breaks for clients of `commit`."""
    # an archive instead of buf's own git input: that one cannot read worktrees and clones the repository first
    command = ["git", "-C", str(root), "archive", commit, "proto", "buf.yaml"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    command = [str(BUF), "breaking", str(root), "--against", "-#format=tar"]
    return subprocess.run(command, input=archive, check=False).returncode != 0


def _git(root: Path, *arguments: str) -> str:
    """Return what git prints; "" where it fails or is absent."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
