"""What the entries of a Bundle may do, as the facade that passed it on exposes it."""

from __future__ import annotations

from collections.abc import Mapping

from toro_core.rejections import NotExposed
from toro_core.v1 import Exposure, Interaction

__all__ = ["Exposed"]


class Exposed:
    """Narrows what may be done; without an exposure everything is left to the access token."""

    def __init__(self, exposure: Exposure | None) -> None:
        """Take the exposure of a call, None where it has none."""
        self._types: Mapping[str, frozenset[Interaction]] | None = None
        self._system: frozenset[Interaction] | None = None
        if exposure is not None:
            self._types = {exposed.resource_type: frozenset(exposed.interactions) for exposed in exposure.types}
            self._system = frozenset(exposure.interactions)

    def check(self, resource_type: str, interaction: Interaction) -> None:
        """Raise NotExposed where the interaction with a type is not exposed."""
        if self._types is not None and interaction not in self._types.get(resource_type, ()):
            raise NotExposed(f"{_named(interaction)} of {resource_type} is not offered here.")

    def check_system(self, interaction: Interaction) -> None:
        """Raise NotExposed where the interaction with the whole system is not exposed."""
        if self._system is not None and interaction not in self._system:
            raise NotExposed(f"{_named(interaction)} is not offered here.")


def _named(interaction: Interaction) -> str:
    return Interaction.Name(interaction).removeprefix("INTERACTION_").lower().replace("_", "-")
