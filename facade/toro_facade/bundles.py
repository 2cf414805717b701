"""FHIR batch and transaction: https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from typing import Final

from toro_core.v1 import CommitBundleRequest, Content, ExposedType, Exposure, Handling, Interaction
from toro_facade.answer import Answer
from toro_facade.body import read_resource
from toro_facade.bundle_response import bundle_response
from toro_facade.exchange import Exchange
from toro_facade.headers import preferences
from toro_facade.policy import INTERACTIONS, Policy
from toro_facade.resource import no_parameters

__all__ = ["commit_bundle", "exposure_of"]

_HANDLING: Final = {"strict": Handling.HANDLING_STRICT, "lenient": Handling.HANDLING_LENIENT}


async def commit_bundle(exchange: Exchange) -> Answer:
    """Answer `POST /fhir` with what became of each entry, which may do what the policy exposes, and nothing else.

    A transaction that fails is an error and has written nothing.
    """
    no_parameters(exchange)
    settings = exchange.services.settings
    preferred = preferences(exchange.header(b"prefer"))
    wanted = preferred.get("return") == "representation"
    request = CommitBundleRequest(
        json=await read_resource(exchange),
        exposure=exchange.services.exposure,
        allow_missing=settings.update_create,
        allow_multiple=settings.conditional_delete == "multiple",
        content=Content.CONTENT_FULL if wanted else Content.CONTENT_UNSPECIFIED,
        handling=_HANDLING.get(preferred.get("handling", "")),
        max_bytes=settings.max_body,
    )
    core = exchange.services.core
    answer = await core.CommitBundle(request, metadata=exchange.metadata, timeout=exchange.timeout)
    body = await bundle_response(exchange, answer, with_resources=wanted)
    return Answer(
        headers=[(b"content-type", exchange.media.content_type), (b"cache-control", b"private, no-cache")],
        body=exchange.media.render(body),
    )


def exposure_of(policy: Policy) -> Exposure:
    """Say the policy to the core."""
    by_code = {code: interaction for interaction, code in INTERACTIONS.items()}
    system = {"batch": Interaction.INTERACTION_BATCH, "transaction": Interaction.INTERACTION_TRANSACTION}
    return Exposure(
        types=[
            ExposedType(resource_type=name, interactions=[by_code[code] for code in codes])
            for name, codes in policy.types.items()
        ],
        interactions=[interaction for name, interaction in system.items() if name in policy.operations]
        + ([Interaction.INTERACTION_HISTORY_SYSTEM] if policy.system_history else []),
    )
