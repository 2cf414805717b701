"""FHIR capabilities, generated from the running policy: https://hl7.org/fhir/R4/http.html#capabilities"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from toro_core.v1 import OperationCapability, SearchParameterCapability, TypeCapability
from toro_core.xml import Xml
from toro_facade.answer import Answer
from toro_facade.exchange import Exchange, Services
from toro_facade.headers import matches
from toro_facade.media import FHIR_JSON, FHIR_XML, JSON, XML, Media
from toro_facade.patch import patch_formats
from toro_facade.xml import in_xml

__all__ = ["Metadata", "capability_statement"]

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_EXPORT = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_EXPORTS = {"Patient": "patient-export", "Group": "group-export"}
_BULK_DATA = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"
_KEPT = 16
"""Statements kept, one a base URL: there are several only where the Host header says the base."""


class Metadata:
    """Answers `GET /fhir/metadata` from bytes made once. Its `mode` makes no difference: no terminology is served."""

    def __init__(self) -> None:
        """Begin with nothing made."""
        self._made: dict[str, tuple[bytes, str]] = {}
        self._translated: dict[tuple[str, bool], bytes] = {}

    async def __call__(self, exchange: Exchange) -> Answer:
        """Answer with the CapabilityStatement, or 304 where the client has it."""
        body, etag = self._statement(exchange.services, exchange.base())
        headers = [
            (b"etag", etag.encode("ascii")),
            (b"access-control-allow-origin", b"*"),
            (b"cache-control", b"no-cache"),
        ]
        if matches(exchange.header(b"if-none-match"), etag):
            return Answer(status=304, headers=headers)
        headers.append((b"content-type", exchange.media.content_type))
        answer = Answer(headers=headers, body=exchange.media.render(body))
        xml = exchange.services.xml
        return answer if xml is None or not exchange.media.xml else await self._in_xml(xml, answer, exchange, etag)

    async def _in_xml(self, xml: Xml, answer: Answer, exchange: Exchange, etag: str) -> Answer:
        """Translate once: whoever likes may ask for this, and it is large."""
        made = (etag, exchange.media.pretty)
        if made not in self._translated:
            if len(self._translated) >= _KEPT:
                self._translated.clear()
            self._translated[made] = (await in_xml(xml, answer, exchange.media)).body
        exchange.media = replace(exchange.media, xml=False)
        answer.body = self._translated[made]
        return answer

    def _statement(self, services: Services, base: str) -> tuple[bytes, str]:
        if base not in self._made:
            if len(self._made) >= _KEPT:
                self._made.clear()
            body = msgspec.json.encode(capability_statement(services, base))
            self._made[base] = body, f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        return self._made[base]


def capability_statement(services: Services, base: str) -> dict[str, Any]:
    """Say what is live: https://hl7.org/fhir/R4/capabilitystatement.html"""
    policy = services.policy
    rest: dict[str, Any] = {
        "mode": "server",
        "documentation": "Reads, searches and writes need an access token of SMART backend services.",
        "security": _security(base),
        "resource": list(_resources(services)),
    }
    operations = [name for name in policy.operations if name in ("batch", "transaction")]
    history = ("history-system",) if policy.system_history else ()
    rest["interaction"] = [{"code": code} for code in ("search-system", *history, *operations)]
    rest["compartment"] = ["http://hl7.org/fhir/CompartmentDefinition/patient"]
    exports = "$export" in policy.operations
    of_system = [_operation(known) for known in policy.invoked if known.system]
    if exports:
        of_system.append({"name": "export", "definition": f"{_EXPORT}export"})
    if of_system:
        rest["operation"] = of_system
    patches = any("patch" in codes for codes in policy.types.values())
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": services.started,
        "kind": "instance",
        **({"instantiates": [_BULK_DATA]} if exports else {}),
        "software": {"name": "Toro", "version": services.capabilities.software_version or "0"},
        "implementation": {"description": "Toro FHIR server", "url": f"{base}/fhir"},
        "fhirVersion": services.capabilities.fhir_version or "4.0.1",
        "format": [*_types(FHIR_JSON, JSON), "json", *((*_types(FHIR_XML, XML), "xml") if services.xml else ())],
        **({"patchFormat": list(patch_formats(services))} if patches else {}),
        "rest": [rest],
    }


def _types(*media: Media) -> list[str]:
    return [str(one.content_type.partition(b";")[0], "ascii") for one in media]


def _security(base: str) -> dict[str, Any]:
    return {
        "extension": [
            {"url": _OAUTH_URIS, "extension": [{"url": "token", "valueUri": f"{base}/auth/token"}]},
        ],
        "cors": False,
        "service": [
            {"coding": [{"system": _SECURITY_SERVICES, "code": "SMART-on-FHIR"}], "text": "SMART backend services"}
        ],
        "description": "Get an access token with a signed assertion (private_key_jwt) at the token endpoint.",
    }


def _resources(services: Services) -> Iterator[dict[str, Any]]:
    able = {known.resource_type: known for known in services.capabilities.types}
    sources = [able[name] for name in services.policy.readable]
    for name, codes in services.policy.types.items():
        yield _resource(able[name], codes, services, sources)


def _resource(
    able: TypeCapability, codes: tuple[str, ...], services: Services, sources: Sequence[TypeCapability]
) -> dict[str, Any]:
    settings = services.settings
    resource: dict[str, Any] = {"type": able.resource_type}
    if able.supported_profiles:
        resource["supportedProfile"] = list(able.supported_profiles)
    resource["interaction"] = [{"code": code} for code in codes]
    resource["versioning"] = "versioned" if "vread" in codes else "no-version"
    resource["readHistory"] = "vread" in codes
    searches = "search-type" in codes
    resource["updateCreate"] = settings.update_create and "update" in codes
    resource["conditionalCreate"] = searches and "create" in codes
    resource["conditionalRead"] = "full-support" if "read" in codes else "not-supported"
    resource["conditionalUpdate"] = searches and "update" in codes
    deletes = searches and "delete" in codes
    resource["conditionalDelete"] = settings.conditional_delete if deletes else "not-supported"
    name = able.resource_type
    invoked = [known for known in services.policy.invoked if known.type or known.instance]
    listed = [_operation(known) for known in invoked if name in known.resource_types or not known.resource_types]
    if "$export" in services.policy.operations and name in _EXPORTS:
        listed.append({"name": "export", "definition": _EXPORT + _EXPORTS[name]})
    if listed:
        resource["operation"] = listed
    if "search-type" in codes and able.search_parameters:
        if includes := _includes(able):
            resource["searchInclude"] = ["*", *includes]
        if revincludes := _revincludes(able.resource_type, sources):
            resource["searchRevInclude"] = revincludes
        resource["searchParam"] = [_parameter(known) for known in able.search_parameters]
    return resource


def _operation(known: OperationCapability) -> dict[str, Any]:
    return {"name": known.code, "definition": known.definition}


def _parameter(known: SearchParameterCapability) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": known.code, "type": known.type}
    if known.definition:
        parameter["definition"] = known.definition
    modifiers = [f":{modifier}" for modifier in known.modifiers]
    if known.targets:
        modifiers += [f":{target}" for target in known.targets if target != "*"] or [":[type]"]
    if modifiers:
        parameter["documentation"] = f"Modifiers: {', '.join(modifiers)}."
    return parameter


def _includes(able: TypeCapability) -> list[str]:
    return [f"{able.resource_type}:{known.code}" for known in able.search_parameters if known.targets]


def _revincludes(target: str, sources: Sequence[TypeCapability]) -> list[str]:
    return [
        f"{source.resource_type}:{known.code}"
        for source in sources
        for known in source.search_parameters
        if target in known.targets or "*" in known.targets
    ]
