"""What the parts of a profile's compilation know of each other."""

from __future__ import annotations

from typing import Protocol

from toro_core.definitions import Definitions
from toro_core.validation.members import ValueCheck
from toro_core.validation.wording import Wording

__all__ = ["Compiler"]


class Compiler(Protocol):
    """Compiles profiles, each once."""

    @property
    def definitions(self) -> Definitions:
        """What it compiles from."""

    def one_of(self, profiles: tuple[str, ...]) -> ValueCheck:
        """Return a check that a value follows one of these profiles; one that is not known is not checked."""

    def target(self, canonicals: tuple[str, ...], say: Wording) -> ValueCheck:
        """Return a check that what a Reference leads to follows one of these profiles or types, where it is at hand."""
