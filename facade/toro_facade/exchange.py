"""One request as the interactions see it: parsed headers, the core to call, and what its answer has to look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from starlette.types import Receive, Scope

from toro_core.settings import Settings
from toro_core.v1 import Core, Exposure, GetCapabilitiesResponse, Metadata
from toro_core.xml import Xml
from toro_facade.links import Links
from toro_facade.media import FHIR_JSON, NO_XML, Media, accepted, format_named
from toro_facade.outcome import Refused
from toro_facade.policy import Policy
from toro_facade.query import Pair, pairs, quoted

__all__ = ["Exchange", "Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every request shares."""

    core: Core
    settings: Settings
    policy: Policy
    capabilities: GetCapabilitiesResponse
    exposure: Exposure
    """The policy as the core is told it."""
    links: Links
    started: str
    """When the server started, as a FHIR dateTime."""
    xml: Xml | None = None
    """What translates from and to XML, where that is live."""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A request. `parameters` holds what its query says beyond `_format` and `_pretty`, which have gone into `media`."""

    services: Services
    scope: Scope
    receive: Receive
    headers: Mapping[bytes, bytes]
    request_id: str
    resource_type: str = ""
    resource_id: str = ""
    version_id: str = ""
    compartment: str = ""
    """The patient in whose compartment is searched, as in `Patient/123`."""
    media: Media = FHIR_JSON
    parameters: list[Pair] = field(default_factory=list)
    asked_format: list[Pair] = field(default_factory=list)
    """The `_format` and `_pretty` of the request."""
    client_id: str = ""

    def header(self, name: bytes) -> str:
        """Return a header by its lower-case name; several of a name are joined by commas, a missing one is empty."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def metadata(self) -> Metadata:
        """Return what goes to the core beside each message."""
        bearer = self.headers.get(b"authorization")
        request_id = ("x-request-id", self.request_id)
        return (("authorization", bearer.decode("latin-1")), request_id) if bearer else (request_id,)

    @property
    def timeout(self) -> float:
        """Return the deadline of a call to the core, in seconds."""
        return self.services.settings.call_timeout

    @property
    def name(self) -> str:
        """Return the name of the resource the path names, as in `Patient/123`."""
        return f"{self.resource_type}/{self.resource_id}"

    def base(self) -> str:
        """Return the server's URL as the client knows it."""
        return self.services.links.base(self.header(b"host"))

    def fhir_base(self) -> str:
        """Return the FHIR base URL as the client knows it."""
        return f"{self.base()}/fhir"

    def negotiate(self) -> None:
        """Take `media` from Accept, `_format` and `_pretty`, and `parameters` from the query. Raises Refused (400, 406)."""
        query: bytes = self.scope["query_string"]
        given = pairs(query) if query else []
        if not any(name == "_format" for name, _ in given):
            media = accepted(self.headers.get(b"accept", b"").decode("latin-1"), xml=self.services.xml is not None)
            if media is None:
                raise self._unacceptable()
            self.media = media
        self.parameters = self.take_format(given) if given else given

    def take_format(self, given: list[Pair]) -> list[Pair]:
        """Let `_format` and `_pretty` decide about `media` and return the other parameters. Raises Refused (400, 406)."""
        rest = []
        self.asked_format = [pair for pair in given if pair[0] in ("_format", "_pretty")] or self.asked_format
        for name, value in given:
            if name == "_format":
                media = format_named(value, xml=self.services.xml is not None)
                if media is None:
                    raise self._unacceptable()
                self.media = replace(media, pretty=self.media.pretty)
            elif name == "_pretty":
                if value not in ("true", "false"):
                    raise Refused(400, "value", "_pretty is true or false.")
                self.media = replace(self.media, pretty=value == "true")
            else:
                rest.append((name, value))
        return rest

    def link(self, url: str) -> str:
        """Return the URL so that it answers in the format that this request asked for."""
        asked = "&".join(f"{name}={quoted(value)}" for name, value in self.asked_format)
        return f"{url}{'&' if '?' in url else '?'}{asked}" if asked else url

    def _unacceptable(self) -> Refused:
        kinds = "JSON and XML" if self.services.xml else "JSON"
        text = f"This server answers in {kinds}: accept application/fhir+json or application/json"
        text += ", application/fhir+xml or application/xml." if self.services.xml else f". {NO_XML}"
        return Refused(406, "not-supported", text)
