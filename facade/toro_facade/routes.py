"""From method and path to the interaction that answers, as the policy has it. https://hl7.org/fhir/R4/http.html

Past 250 lines because what answers where is one table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from toro_core.v1 import OperationCapability
from toro_facade.answer import Answer
from toro_facade.binary import create_binary, read_binary, update_binary
from toro_facade.bundles import commit_bundle
from toro_facade.create import create
from toro_facade.delete import conditional_delete, delete
from toro_facade.exchange import Exchange
from toro_facade.export import export_group, export_patients, export_system
from toro_facade.export_file import export_file
from toro_facade.export_status import cancel_export, export_status
from toro_facade.health import live, ready
from toro_facade.history import instance_history, system_history, type_history
from toro_facade.home import home
from toro_facade.keys import keys
from toro_facade.metadata import Metadata
from toro_facade.operation import Invoke
from toro_facade.outcome import Refused
from toro_facade.patch import conditional_patch, patch
from toro_facade.policy import Policy
from toro_facade.read import read
from toro_facade.search import search, search_by_form, search_compartment, search_system, search_system_by_form
from toro_facade.smart import smart_configuration
from toro_facade.token import token
from toro_facade.update import conditional_update, update
from toro_facade.validate import validate
from toro_facade.vread import vread

__all__ = ["Endpoint", "Found", "Handler", "Routes"]

Handler: TypeAlias = Callable[[Exchange], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What answers. `negotiates`: in FHIR's media types; `protected`: only with an access token."""

    handler: Handler
    template: str
    negotiates: bool = False
    protected: bool = False


class Found(NamedTuple):
    """An endpoint with what the path says."""

    endpoint: Endpoint
    resource_type: str = ""
    resource_id: str = ""
    version_id: str = ""
    compartment: str = ""


_Methods: TypeAlias = Mapping[str, tuple[str, Handler]]
"""By HTTP method, the interaction and its handler; HEAD goes with GET."""

_SHAPES: Final[Mapping[str, _Methods]] = {
    "": {
        "GET": ("search-type", search),
        "POST": ("create", create),
        "PUT": ("update", conditional_update),
        "PATCH": ("patch", conditional_patch),
        "DELETE": ("delete", conditional_delete),
    },
    "/_search": {"POST": ("search-type", search_by_form)},
    "/_history": {"GET": ("history-type", type_history)},
    "/{id}": {
        "GET": ("read", read),
        "PUT": ("update", update),
        "PATCH": ("patch", patch),
        "DELETE": ("delete", delete),
    },
    "/{id}/_history": {"GET": ("history-instance", instance_history)},
    "/{id}/_history/{vid}": {"GET": ("vread", vread)},
}
"""What a type has by the rest of its path: every interaction that is built."""

_BINARY: Final[Mapping[tuple[str, str], Handler]] = {
    ("", "POST"): create_binary,
    ("/{id}", "GET"): read_binary,
    ("/{id}", "PUT"): update_binary,
    ("/{id}/_history/{vid}", "GET"): read_binary,
}
"""What answers for Binary otherwise than for other types, in whatever media type."""

_EXPORTS: Final[Mapping[str, tuple[str, Handler]]] = {
    "Patient": ("/$export", export_patients),
    "Group": ("/{id}/$export", export_group),
}
"""By type, the rest of the path of `$export` and its handler."""

_CONDITIONAL: Final = frozenset(("PUT", "PATCH", "DELETE"))
"""Methods that concern a whole type only by what a search of it finds."""

_NAMES: Final[Mapping[tuple[str, str], str]] = {
    ("", "GET"): "search",
    ("", "POST"): "create",
    ("", "PUT"): "conditional update",
    ("", "PATCH"): "conditional patch",
    ("", "DELETE"): "conditional delete",
    ("/_search", "POST"): "search",
    ("/_history", "GET"): "history of a type",
    ("/{id}", "GET"): "read",
    ("/{id}", "PUT"): "update",
    ("/{id}", "PATCH"): "patch",
    ("/{id}", "DELETE"): "delete",
    ("/{id}/_history", "GET"): "history",
    ("/{id}/_history/{vid}", "GET"): "version read",
}


class Routes:
    """Finds endpoints by dictionary look-ups, prepared once from the policy."""

    def __init__(self, policy: Policy) -> None:
        """Prepare the endpoints of every exposed type."""
        self._fixed = _fixed(policy)
        self._types = {
            name: {
                **{shape: _endpoints(name, shape, methods, codes) for shape, methods in _SHAPES.items()},
                **_operations(name, policy.invoked),
                **_exports(name, policy),
            }
            for name, codes in policy.types.items()
        }
        self._jobs = _jobs() if "$export" in policy.operations else {}
        self._searchable = frozenset(policy.searchable)
        self._compartment = _with_head({"GET": _searching(search_compartment, "/fhir/Patient/{id}/{type}")})

    def find(self, method: str, path: str) -> Found:
        """Find what answers. Raises Refused: 404 for what is not there, 405 for what is off."""
        if len(path) > 1 and path[-1] == "/":
            path = path[:-1]
        fixed = self._fixed.get(path)
        if fixed is not None:
            endpoint = fixed.get(method)
            if endpoint is None:
                raise _off(fixed, f"{method} of {path}")
            return Found(endpoint=endpoint)
        if not path.startswith("/fhir/"):  # nor has `OPTIONS *` any
            raise _nothing_here()
        _, _, *segments = path.split("/")
        match segments:
            case ["$export", export_id, *file] if self._jobs and len(file) < 2:
                return self._of_export(method, export_id, *file)
            case ["Patient", resource_id, name] if name == "*" or name[:1].isupper():
                return self._in_compartment(method, resource_id, name)
        shapes = self._types.get(segments[0])
        if shapes is None:
            raise _unknown(segments[0])
        shape, resource_id, version_id = _shape(segments)
        endpoints = shapes.get(shape)
        if endpoints is None:
            raise _no_operation()
        endpoint = endpoints.get(method)
        if endpoint is None:
            what = _NAMES.get((shape, "GET" if method == "HEAD" else method), method)
            raise _off(endpoints, f"{what} of {segments[0]}" + ("" if shape in _SHAPES else shape))
        return Found(endpoint=endpoint, resource_type=segments[0], resource_id=resource_id, version_id=version_id)

    def _of_export(self, method: str, export_id: str, file: str = "") -> Found:
        endpoints = self._jobs["file" if file else "status"]
        endpoint = endpoints.get(method)
        if endpoint is None:
            raise _off(endpoints, f"{method} of an export")
        return Found(endpoint=endpoint, resource_id=export_id, version_id=file)

    def _in_compartment(self, method: str, resource_id: str, name: str) -> Found:
        if "Patient" not in self._types or (name != "*" and name not in self._types):
            raise _unknown(name if "Patient" in self._types else "Patient")
        endpoint = self._compartment.get(method)
        if endpoint is None or (name != "*" and name not in self._searchable):
            raise _off({} if endpoint else self._compartment, f"{method} of a patient's compartment")
        resource_type = "" if name == "*" else name
        return Found(endpoint=endpoint, resource_type=resource_type, compartment=f"Patient/{resource_id}")


def _shape(segments: list[str]) -> tuple[str, str, str]:
    """Name the shape of a path under `/fhir`, and the ids in it."""
    match segments:
        case [_]:
            return "", "", ""
        case [_, "_search" | "_history" as special]:
            return f"/{special}", "", ""
        case [_, resource_id] if resource_id[:1] != "$":
            return "/{id}", resource_id, ""
        case [_, operation] if operation[:1] == "$":
            return f"/{operation}", "", ""
        case [_, resource_id, operation] if operation[:1] == "$" and resource_id[:1] != "$":
            return f"/{{id}}/{operation}", resource_id, ""
        case [_, resource_id, "_history"]:
            return "/{id}/_history", resource_id, ""
        case [_, resource_id, "_history", version_id]:
            return "/{id}/_history/{vid}", resource_id, version_id
    if segments[-1].startswith("$"):
        raise _no_operation()
    raise _nothing_here()


def _operations(name: str, invoked: Sequence[OperationCapability]) -> dict[str, dict[str, Endpoint]]:
    """Return the endpoints of the operations on a type and its resources, by the rest of the path."""
    made = {}
    for known in invoked:
        if name in known.resource_types or not known.resource_types:
            code = f"/${known.code}"
            if known.type:
                made[code] = _invoking(known, f"/fhir/{name}{code}", instance=False)
            if known.instance:
                made[f"/{{id}}{code}"] = _invoking(known, f"/fhir/{name}/{{id}}{code}", instance=True)
    return made


def _invoking(known: OperationCapability, template: str, *, instance: bool) -> dict[str, Endpoint]:
    """Return how an operation is invoked: by GET only where that changes nothing."""
    if known.code == "validate" and known.built_in:
        handler: Handler = validate
        gets = instance
    else:
        handler = Invoke(known.code)
        gets = not known.affects_state
    endpoint = Endpoint(handler=handler, template=template, negotiates=True, protected=True)
    return _with_head({"POST": endpoint, **({"GET": endpoint} if gets else {})})


def _exports(name: str, policy: Policy) -> dict[str, dict[str, Endpoint]]:
    """Return the kick-off of exports at a type's level."""
    if "$export" not in policy.operations or name not in _EXPORTS:
        return {}
    shape, handler = _EXPORTS[name]
    return {shape: _kick_off(handler, f"/fhir/{name}{shape}")}


def _kick_off(handler: Handler, template: str) -> dict[str, Endpoint]:
    """Return how an export begins: not by HEAD, which asks for nothing."""
    endpoint = Endpoint(handler=handler, template=template, negotiates=True, protected=True)
    return {"GET": endpoint, "POST": endpoint}


def _jobs() -> dict[str, dict[str, Endpoint]]:
    """Return what exports and their files answer; they have media types of their own, whatever Accept says."""

    def endpoint(handler: Handler, template: str) -> Endpoint:
        return Endpoint(handler=handler, template=template, protected=True)

    status, file = "/fhir/$export/{id}", "/fhir/$export/{id}/{file}"
    return {
        "status": _with_head({"GET": endpoint(export_status, status), "DELETE": endpoint(cancel_export, status)}),
        "file": _with_head({"GET": endpoint(export_file, file)}),
    }


def _endpoints(name: str, shape: str, methods: _Methods, codes: tuple[str, ...]) -> dict[str, Endpoint]:
    own = _BINARY if name == "Binary" else {}
    made = {
        method: Endpoint(
            handler=own.get((shape, method), handler),
            template=f"/fhir/{name}{shape}",
            negotiates=(shape, method) not in own,
            protected=True,
        )
        for method, (code, handler) in methods.items()
        if code in codes and (shape or method not in _CONDITIONAL or "search-type" in codes)
    }
    return _with_head(made)


def _fixed(policy: Policy) -> dict[str, dict[str, Endpoint]]:
    metadata = Endpoint(handler=Metadata(), template="/fhir/metadata", negotiates=True)
    found: dict[str, dict[str, Endpoint]] = {
        "/fhir/metadata": {"GET": metadata},
        "/auth/token": {"POST": Endpoint(handler=token, template="/auth/token")},
        "/fhir": _system(policy),
        "/fhir/_history": {"GET": _searching(system_history, "/fhir/_history")} if policy.system_history else {},
        "/fhir/_search": {"POST": _searching(search_system_by_form, "/fhir/_search")},
        **{
            f"/fhir/${known.code}": _invoking(known, f"/fhir/${known.code}", instance=False)
            for known in policy.invoked
            if known.system
        },
    }
    plain: dict[str, Handler] = {
        "/": home,
        "/.well-known/smart-configuration": smart_configuration,
        "/fhir/.well-known/smart-configuration": smart_configuration,
        "/auth/jwks": keys,
        "/health/live": live,
        "/health/ready": ready,
    }
    found.update({path: {"GET": Endpoint(handler=handler, template=path)} for path, handler in plain.items()})
    answering = {path: _with_head(methods) for path, methods in found.items()}
    if "$export" in policy.operations:
        answering["/fhir/$export"] = _kick_off(export_system, "/fhir/$export")
    return answering


def _system(policy: Policy) -> dict[str, Endpoint]:
    made = {"GET": _searching(search_system, "/fhir")}
    if {"batch", "transaction"} & set(policy.operations):
        made["POST"] = Endpoint(handler=commit_bundle, template="/fhir", negotiates=True, protected=True)
    return made


def _searching(handler: Handler, template: str) -> Endpoint:
    return Endpoint(handler=handler, template=template, negotiates=True, protected=True)


def _with_head(methods: dict[str, Endpoint]) -> dict[str, Endpoint]:
    return {**methods, "HEAD": methods["GET"]} if "GET" in methods else methods


def _off(endpoints: Mapping[str, Endpoint], what: str) -> Refused:
    allowed = ", ".join(sorted(endpoints))
    text = f"{what} is not offered here; " + (
        f"offered are {allowed}." if allowed else "nothing is offered at this path."
    )
    return Refused(405, "not-supported", text, ((b"allow", allowed.encode("ascii")),))


def _unknown(resource_type: str) -> Refused:
    if resource_type.startswith("$"):
        return _no_operation()
    return Refused(404, "not-supported", "This server has no such resource type; /fhir/metadata lists those it has.")


def _no_operation() -> Refused:
    return Refused(404, "not-supported", "This server has no such operation; /fhir/metadata lists what there is.")


def _nothing_here() -> Refused:
    return Refused(404, "not-found", "There is nothing at this path; the API is under /fhir, see /fhir/metadata.")
