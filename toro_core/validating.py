"""FHIR $validate in the core: check a resource without storing it.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from toro_core.access import Access
from toro_core.caller import Caller
from toro_core.errors import Issue, ToroError
from toro_core.json import loads
from toro_core.reading import Reader
from toro_core.rejections import InvalidArgument, InvalidResource, UnprocessableResource
from toro_core.storage import Key
from toro_core.v1 import ValidationMode
from toro_core.validation import Validator
from toro_core.writing import accepted

__all__ = ["MODES", "Judgement", "Mode", "Validating"]

Mode: TypeAlias = Literal["", "create", "update", "delete"]


MODES: Final[Mapping[ValidationMode, Mode]] = {
    ValidationMode.VALIDATION_MODE_UNSPECIFIED: "",
    ValidationMode.VALIDATION_MODE_CREATE: "create",
    ValidationMode.VALIDATION_MODE_UPDATE: "update",
    ValidationMode.VALIDATION_MODE_DELETE: "delete",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found, and whether the server would accept the resource."""

    issues: tuple[Issue, ...]
    acceptable: bool


class Validating:
    """Judges what callers ask about. Needs no more than one of the permissions to write on the type."""

    def __init__(self, validator: Validator, reader: Reader, access: Access) -> None:
        """Judge with this validator."""
        self._validator = validator
        self._reader = reader
        self._access = access

    async def judge(
        self, caller: Caller, resource_type: str, key: Key | None, json: bytes, mode: Mode, profiles: Sequence[str]
    ) -> Judgement:
        """Judge a resource, or with neither JSON nor mode the stored one.

        Raises Forbidden, NotFound, Gone, InvalidArgument, InvalidJson.
        """
        if mode in ("update", "delete") and key is None:
            raise InvalidArgument(f"Mode {mode} is about a stored resource; send it to Type/id/$validate.")
        if mode == "delete" and key is not None:
            self._access.decide(caller, resource_type, "d")
            await self._reader.read(caller, key, None)
            return Judgement(issues=(), acceptable=True)
        if mode:
            self._access.decide(caller, resource_type, "c" if mode == "create" else "u")
        else:
            self._allowed(caller, resource_type)
        if not json:
            if key is None or mode:
                raise InvalidArgument("There is no resource to validate; send one.")
            json = (await self._reader.read(caller, key, None)).json
        named = key or Key(resource_type, "")
        return await asyncio.to_thread(self._judged, json, named, tuple(profiles), key is not None)

    def _judged(self, json: bytes, key: Key, profiles: tuple[str, ...], same_id: bool) -> Judgement:
        resource = loads(json)
        try:
            issues = accepted(resource, key, self._validator.validate(resource, profiles), same_id=same_id)
        except (InvalidResource, UnprocessableResource) as error:
            return Judgement(issues=error.issues, acceptable=False)
        return Judgement(issues=issues, acceptable=True)

    def _allowed(self, caller: Caller, resource_type: str) -> None:
        """Let in who may do anything with the type. Raises Forbidden."""
        refused: ToroError | None = None
        for permission in "curs":
            try:
                self._access.decide(caller, resource_type, permission)
                return
            except ToroError as error:
                refused = refused or error
        if refused is not None:
            raise refused
