"""What a check may ask about the resource around the value it is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from toro_core.fhirpath.environment import Environment
from toro_core.json import JsonObject

__all__ = ["Context"]


class Context:
    """A resource being checked, what contains it, and what invariants are evaluated in; made afresh for each resource.

    Most resources need none of it, so that only what differs from the defaults is set.
    """

    container: JsonObject | None = None
    bundle: Context | None = None
    _environment: Environment | None = None
    _ids: dict[str, JsonObject] | None = None
    _targets: dict[str, JsonObject] | None = None
    _followed: dict[tuple[int, str], bool] | None = None

    def __init__(
        self, resource: JsonObject, container: JsonObject | None = None, bundle: Context | None = None
    ) -> None:
        """Take the resource, the one that contains it, and the Bundle it is an entry of."""
        self.resource = resource
        if container is not None:
            self.container = container
        if bundle is not None:
            self.bundle = bundle

    @property
    def root(self) -> JsonObject:
        """The resource that `#` means."""
        return self.resource if self.container is None else self.container

    def environment(self) -> Environment:
        """Return what FHIRPath expressions on this resource are evaluated in."""
        if self._environment is None:
            self._environment = Environment(resource=self.resource, root_resource=self.container, resolve=self.resolve)
        return self._environment

    def resolve(self, reference: str) -> JsonObject | None:
        """Return what a reference names where it is contained or an entry of the same Bundle."""
        reference = reference.partition("|")[0]
        if reference.startswith("#"):
            return self.root if reference == "#" else self.contained().get(reference[1:])
        return self.bundle.entries().get(reference) if self.bundle is not None else None

    def followed(self) -> dict[tuple[int, str], bool]:
        """Return what is known of the resources that are referred to: by identity and profile, whether they follow it.

        It is kept with the outermost resource, which holds them all.
        """
        holder = self.bundle or self
        if holder._followed is None:
            holder._followed = {}
        return holder._followed

    def of(self, reference: str, resource: JsonObject) -> Context:
        """Return the context of a resource that `resolve` found, which shares what is known of others."""
        inside = reference.startswith("#") and resource is not self.root
        found = Context(resource, container=self.root if inside else None, bundle=self.bundle)
        found._followed = self.followed()
        return found

    def contained(self) -> dict[str, JsonObject]:
        """Return the contained resources by id."""
        if self._ids is None:
            self._ids = {key: one for one in _objects(self.root, "contained") if isinstance(key := one.get("id"), str)}
        return self._ids

    def entries(self) -> dict[str, JsonObject]:
        """Return a Bundle's resources by fullUrl, and by `Type/id` where that says the same."""
        if self._targets is None:
            self._targets = {}
            for entry in _objects(self.resource, "entry"):
                resource = entry.get("resource")
                if isinstance(resource, dict):
                    url, name = entry.get("fullUrl"), f"{resource.get('resourceType')}/{resource.get('id')}"
                    self._targets.setdefault(name, resource)
                    if isinstance(url, str):
                        self._targets[url] = resource
        return self._targets


def _objects(resource: JsonObject, name: str) -> Iterator[dict[str, Any]]:
    values = resource.get(name)
    if isinstance(values, list):
        yield from (value for value in values if isinstance(value, dict))
