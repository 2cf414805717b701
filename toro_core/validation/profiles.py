"""Profiles and extension definitions, each compiled when first met."""

from __future__ import annotations

from threading import RLock
from typing import Any, Final

from toro_core.definitions import Definitions, ProfileFacts
from toro_core.json import JsonObject
from toro_core.validation.context import Context
from toro_core.validation.findings import Problem, Problems
from toro_core.validation.members import ValueCheck
from toro_core.validation.rules import RuleCompiler
from toro_core.validation.slices import without_url
from toro_core.validation.wording import Wording

__all__ = ["Profiles"]

_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"


class Profiles:
    """The compiled profiles of some definitions."""

    __slots__ = ("_compiled", "_lock", "_making", "definitions")

    def __init__(self, definitions: Definitions) -> None:
        """Compile from these definitions."""
        self.definitions: Final = definitions
        self._compiled: dict[tuple[str, str], ValueCheck] = {}
        self._making: dict[tuple[str, str], ValueCheck] = {}
        self._lock = RLock()

    def check(self, facts: ProfileFacts) -> ValueCheck:
        """Return the check of what a profile demands beyond its type."""
        key = (facts.url, facts.version)
        found = self._compiled.get(key)
        return self._compile(key, facts) if found is None else found

    def _compile(self, key: tuple[str, str], facts: ProfileFacts) -> ValueCheck:
        """Compile a profile and those it leads to; others see them only when all are complete."""
        with self._lock:
            outermost = not self._making
            check = self._compiled.get(key) or self._make(key, facts)
            if outermost:
                self._compiled.update(self._making)
                self._making.clear()
            return check

    def _make(self, key: tuple[str, str], facts: ProfileFacts) -> ValueCheck:
        if key not in self._making:
            cell: list[ValueCheck] = []
            # A profile may lead back to itself.
            self._making[key] = lambda value, context: cell[0](value, context)
            root = without_url(facts.root) if facts.type == "Extension" else facts.root
            found = RuleCompiler(f"{facts.url}|{facts.version}", self).value(root, facts.type) or _nothing
            cell.append(found)
            self._making[key] = found
        return self._making[key]

    def one_of(self, profiles: tuple[str, ...]) -> ValueCheck:
        """Return a check that a value follows one of these profiles; one that is not known is not checked."""
        known = [facts for url in profiles if (facts := self.definitions.profile(url)) is not None]
        if len(known) < len(profiles) or not known:
            return _nothing
        if len(known) == 1:
            return self._typed(known[0])
        checks = [self._typed(facts) for facts in known]
        names = ", ".join(facts.url for facts in known)
        text = f"follows none of the profiles {names}; follow one of them."

        def run(value: Any, context: Context) -> Problems | None:
            for check in checks:
                found = check(value, context)
                if found is None or all(one.severity != "error" for one in found):
                    return found
            return [Problem("structure", text, layer="profile")]

        return run

    def target(self, canonicals: tuple[str, ...], say: Wording) -> ValueCheck:
        """Return a check that what a Reference leads to follows one of these profiles or types.

        Judged is what is contained or in the same Bundle; a type that none of them is of is told elsewhere.
        """
        known = [self.definitions.profile(url) for url in canonicals if not _is_type(url, self.definitions)]
        types = {url.removeprefix(_CORE) for url in canonicals if _is_type(url, self.definitions)}
        if None in known or types & {"Resource", "DomainResource"}:
            return _nothing
        profiles: dict[str, list[ProfileFacts]] = {}
        for facts in known:
            if facts is not None and facts.type not in types:
                profiles.setdefault(facts.type, []).append(facts)
        texts = {
            name: say.text(f"leads to a resource that breaks {', '.join(one.url for one in found)}; correct it.")
            for name, found in profiles.items()
        }

        def run(value: Any, context: Context) -> Problems | None:
            reference = value.get("reference") if type(value) is dict else None
            if type(reference) is not str or (context.bundle is None and reference[:1] != "#"):
                return None
            resource = context.resolve(reference)
            name = resource.get("resourceType") if resource is not None else None
            if resource is None or not isinstance(name, str) or name not in profiles:
                return None
            if any(self._followed(reference, resource, facts, context) for facts in profiles[name]):
                return None
            return [Problem("value", texts[name], layer="profile")]

        return run

    def _followed(self, reference: str, resource: JsonObject, facts: ProfileFacts, context: Context) -> bool:
        """Say whether a resource follows a profile, once for each: resources may refer to each other in circles."""
        followed, key = context.followed(), (id(resource), facts.url)
        if key not in followed:
            followed[key] = True
            found = self.check(facts)(resource, context.of(reference, resource))
            followed[key] = found is None or all(one.severity != "error" for one in found)
        return followed[key]

    def _typed(self, facts: ProfileFacts) -> ValueCheck:
        """Check a resource against a profile of its type only."""
        check = self.check(facts)
        if facts.type not in self.definitions.resource_types:
            return check
        wrong = f"is no {facts.type}, which {facts.url} constrains; send one."

        def run(value: Any, context: Context) -> Problems | None:
            if type(value) is dict and value.get("resourceType") != facts.type:
                return [Problem("structure", wrong, layer="profile")]
            return check(value, context)

        return run

    def extensions(self, host: str, modifying: bool) -> ValueCheck:
        """Return a check of the extensions on a structure by their definitions, of the modifier extensions where `modifying`.

        https://hl7.org/fhir/R4/defining-extensions.html
        """
        known: dict[str, ValueCheck] = {}

        def run(value: Any, context: Context) -> Problems | None:
            url = value.get("url") if type(value) is dict else None
            if type(url) is not str:
                return None
            check = known.get(url)
            if check is None:
                facts = (
                    self.definitions.profile(url) if ":" in url else None
                )  # others are named by what they are part of
                if facts is None or facts.type != "Extension":
                    return [Problem("extension", _UNKNOWN_MODIFIER, layer="profile")] if modifying else None
                check = known[url] = self._extension(facts, host, modifying)
            return check(value, context)

        return run

    def _extension(self, facts: ProfileFacts, host: str, modifying: bool) -> ValueCheck:
        """Return a check of an extension on this structure; where it stands is judged once."""
        check = self.check(facts)
        wrong_member = modifying != facts.modifier
        wrong_place = bool(facts.contexts) and self._names(host).isdisjoint(facts.contexts)
        if not wrong_member and not wrong_place:
            return check

        def run(value: Any, context: Context) -> Problems | None:
            found = [*(check(value, context) or ())]
            if wrong_member:
                found.append(Problem("extension", _wrong_member(facts, modifying), layer="profile"))
            if wrong_place:
                found.append(_misplaced(facts))
            return found

        return run

    def _names(self, structure: str) -> frozenset[str]:
        """Return the names under which a definition's context may mean this structure: its own and its bases'."""
        found = {"Element"}  # definitions mean resources too
        name: str | None = structure
        while name is not None:
            found.add(name)
            name = self.definitions.structure(name).base
        return frozenset(found)


_UNKNOWN_MODIFIER: Final = (
    "is a modifier extension that no loaded package defines, so what it changes cannot be known; "
    "leave it out, or ask the operator to add its package."
)


def _nothing(value: Any, context: Context) -> Problems | None:
    return None


def _wrong_member(facts: ProfileFacts, modifying: bool) -> str:
    if modifying:
        return f"is no modifier extension ({facts.url}); send it in `extension`."
    return f"is a modifier extension ({facts.url}); send it in `modifierExtension`."


def _misplaced(facts: ProfileFacts) -> Problem:
    paths = frozenset(path.replace("[x]", "") for path in facts.contexts)
    shown = ", ".join(sorted(facts.contexts)[:5]) + (", …" if len(facts.contexts) > 5 else "")
    text = f"is an extension that may not stand here ({facts.url}); it may on {shown}."
    return Problem("extension", text, layer="profile", contexts=paths)


def _is_type(canonical: str, definitions: Definitions) -> bool:
    name = canonical.removeprefix(_CORE)
    return name in definitions.resource_types or name in ("Resource", "DomainResource")
