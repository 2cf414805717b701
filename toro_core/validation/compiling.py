"""What the parts of a profile's compilation know of each other."""

from __future__ import annotations

from typing import Protocol

from toro_core.definitions import Definitions
from toro_core.validation.members import ValueCheck

__all__ = ["Compiler"]


class Compiler(Protocol):
    """Compiles profiles, each once."""

    @property
    def definitions(self) -> Definitions:
        """What it compiles from."""

    def one_of(self, profiles: tuple[str, ...]) -> ValueCheck:
        """Return a check that a value follows one of these profiles; one that is not known is not checked."""
