"""Patches inside of Bundles: a Binary that holds a JSON Patch, or Parameters. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

import base64
import binascii

from toro_core.definitions import Definitions
from toro_core.json import JsonObject
from toro_core.patching import Patch
from toro_core.patching.fhirpath_patch import parse_fhirpath_patch
from toro_core.patching.json_patch import parse_json_patch
from toro_core.rejections import InvalidPatch

__all__ = ["patch_of"]


def patch_of(resource: JsonObject, definitions: Definitions) -> Patch:
    """Read the patch that an entry carries. Raises InvalidJson, InvalidPatch."""
    if resource.get("resourceType") == "Parameters":
        return parse_fhirpath_patch(resource, definitions)
    kind = str(resource.get("contentType", "")).partition(";")[0].strip().lower()
    if resource.get("resourceType") != "Binary" or kind != "application/json-patch+json":
        raise InvalidPatch("The entry carries no patch; send Parameters, or a Binary of application/json-patch+json.")
    try:
        body = base64.b64decode(str(resource.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPatch("The Binary that carries the patch is not Base64; encode it.") from None
    return parse_json_patch(body)
