"""FHIR $validate as an operation. https://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

from typing import Final, cast

from toro_core.json import dumps
from toro_core.operations.contract import Answer, InvalidArguments, Invocation, OperationFacts, ParameterFacts
from toro_core.storage import Key
from toro_core.validating import Mode, Validating

__all__ = ["Validate"]


class Validate:
    """Checks a resource; what the caller needs for that, `Validating` decides."""

    facts: Final = OperationFacts(
        code="validate",
        url="http://hl7.org/fhir/OperationDefinition/Resource-validate",
        levels=("type", "instance"),
        parameters=(
            ParameterFacts(name="resource", type="Resource"),
            ParameterFacts(name="mode", type="code"),
            ParameterFacts(name="profile", type="uri", max=None),
        ),
    )

    def __init__(self, validating: Validating) -> None:
        """Check with this."""
        self._validating = validating

    async def invoke(self, invocation: Invocation) -> Answer:
        """Answer with an OperationOutcome. Raises what `Validating.judge` raises."""
        given = invocation.arguments
        mode = given.text("mode")
        if mode not in ("", "create", "update", "delete"):
            raise InvalidArguments("mode is create, update or delete.")
        key = Key(invocation.type, invocation.id) if invocation.id else None
        json = next(iter(given.trees.get("resource", ())), b"")
        profiles = given.texts.get("profile", ())
        judged = await self._validating.judge(invocation.caller, invocation.type, key, json, cast(Mode, mode), profiles)
        issues = [
            {
                "severity": issue.severity,
                "code": issue.code,
                "diagnostics": issue.diagnostics,
                **({"expression": list(issue.expressions)} if issue.expressions else {}),
            }
            for issue in judged.issues
        ]
        sound = {"severity": "information", "code": "informational", "diagnostics": "The resource is valid."}
        return Answer(json=dumps({"resourceType": "OperationOutcome", "issue": issues or [sound]}))  # type: ignore[dict-item]
