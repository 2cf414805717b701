"""Requests of `toro.v1` that write, as changes."""

from __future__ import annotations

from collections.abc import Sequence

from toro_core.changes import Change
from toro_core.definitions import Definitions
from toro_core.patching import Patch
from toro_core.patching.fhirpath_patch import parse_fhirpath_patch
from toro_core.patching.json_patch import parse_json_patch
from toro_core.rejections import InvalidArgument
from toro_core.resources import anything, known_type, parse_etag, parse_etags, parse_name
from toro_core.search.query import Parameter
from toro_core.storage import Key
from toro_core.v1 import (
    CreateResourceRequest,
    DeleteResourceRequest,
    PatchFormat,
    PatchResourceRequest,
    SearchParameter,
    UpdateResourceRequest,
)

__all__ = ["create_change", "delete_change", "parameters", "patch_change", "update_change"]


def create_change(request: CreateResourceRequest, types: frozenset[str]) -> Change:
    """Read a create. Raises UnsupportedType."""
    type_ = known_type(request.resource_type, types)
    return Change(method="create", type=type_, criteria=_criteria(request.conditions), content=request.json)


def update_change(request: UpdateResourceRequest, types: frozenset[str]) -> Change:
    """Read an update. Raises InvalidArgument, UnsupportedType."""
    key = _key(request, types)
    return Change(
        method="update",
        type=key.type,
        id=key.id,
        criteria=_criteria(request.conditions),
        content=request.json,
        expected=_expected(request.etag),
        unlike=() if anything(request.none_match) else parse_etags(request.none_match),
        only_new=anything(request.none_match),
        allow_missing=request.allow_missing,
    )


def patch_change(request: PatchResourceRequest, types: frozenset[str], definitions: Definitions) -> Change:
    """Read a patch. Raises InvalidArgument, UnsupportedType, InvalidJson, InvalidPatch."""
    key = _key(request, types)
    return Change(
        method="patch",
        type=key.type,
        id=key.id,
        criteria=_criteria(request.conditions),
        patch=_patch(request, definitions),
        expected=_expected(request.etag),
    )


def delete_change(request: DeleteResourceRequest, types: frozenset[str]) -> Change:
    """Read a delete. Raises InvalidArgument, UnsupportedType."""
    key = _key(request, types)
    return Change(
        method="delete",
        type=key.type,
        id=key.id,
        criteria=_criteria(request.conditions),
        expected=_expected(request.etag),
        allow_multiple=request.allow_multiple,
    )


def parameters(sent: Sequence[SearchParameter]) -> tuple[Parameter, ...]:
    """Read search parameters."""
    return tuple(Parameter(code=one.code, modifier=one.modifier, values=tuple(one.values)) for one in sent)


def _criteria(conditions: Sequence[SearchParameter]) -> tuple[Parameter, ...] | None:
    return parameters(conditions) or None


def _key(request: UpdateResourceRequest | PatchResourceRequest | DeleteResourceRequest, types: frozenset[str]) -> Key:
    """Parse the name, which is the type alone where there are conditions."""
    if request.conditions:
        return Key(known_type(request.name, types), "")
    return parse_name(request.name, types)


def _expected(tag: str) -> int | None:
    return parse_etag(tag) if tag else None


def _patch(request: PatchResourceRequest, definitions: Definitions) -> Patch:
    match request.format:
        case PatchFormat.PATCH_FORMAT_JSON:
            return parse_json_patch(request.patch)
        case PatchFormat.PATCH_FORMAT_FHIRPATH:
            return parse_fhirpath_patch(request.patch, definitions)
    raise InvalidArgument("The format of the patch is not said; it is JSON Patch or FHIRPath Patch.")
