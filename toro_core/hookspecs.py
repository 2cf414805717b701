"""Hooks a plugin implements. pluggy opens storages and collects operations; it does not carry calls."""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from toro_core.operations.contract import Operation
from toro_core.storage import OpenStorage

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("toro")
hookimpl = pluggy.HookimplMarker("toro")


@hookspec(firstresult=True)
def toro_storage(scheme: str) -> OpenStorage | None:
    """Return what opens a URL with this scheme, or None."""


@hookspec(firstresult=True)
def toro_upkeep(scheme: str) -> object | None:
    """Return what looks after storages of this scheme, or None.

    It is asked for Finds, LooksOnly, Upgrades, Arranges, BacksUp, Stages and GivesScratch of `toro_core.storage`, and has what it
    can do.
    """


@hookspec
def toro_operations() -> Sequence[Operation] | None:
    """Return the FHIR operations this plugin adds."""
