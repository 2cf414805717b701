"""$latest: the newest resource of each type that a patient has; an example of an operation that a plugin adds."""

from __future__ import annotations

import json
from collections.abc import Sequence

from toro_core.errors import ToroError
from toro_core.hookspecs import hookimpl
from toro_core.operations.contract import Answer, Invocation, Operation, OperationFacts, ParameterFacts
from toro_core.search.query import Parameter

_TYPES = ("Observation", "Condition")


class Latest:
    """Looks for the newest of each type, as far as the caller may search it."""

    facts = OperationFacts(
        code="latest",
        url="http://example.org/OperationDefinition/latest",
        levels=("instance",),
        types=("Patient",),
        parameters=(ParameterFacts(name="type", type="code", max=None),),
        permissions="r",
    )

    async def invoke(self, invocation: Invocation) -> Answer:
        """Answer with Parameters, one for each type that has any."""
        asked = [name for text in invocation.arguments.texts.get("type", _TYPES) for name in text.split(",")]
        given = (
            Parameter(code="patient", values=(f"Patient/{invocation.id}",)),
            Parameter(code="_count", values=("1",)),  # the newest comes first
        )
        found = []
        for name in asked:
            try:
                page = await invocation.resources.search(name, given)
            except ToroError:
                continue  # not granted or not exposed: then there is nothing of it to tell
            found += [{"name": name, "valueReference": {"reference": str(stored.key)}} for stored in page.matches]
        answer = {"resourceType": "Parameters", **({"parameter": found} if found else {})}
        return Answer(json=json.dumps(answer).encode())


@hookimpl
def toro_operations() -> Sequence[Operation]:
    """Add $latest."""
    return [Latest()]
