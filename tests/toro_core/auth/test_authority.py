from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toro_core.auth.errors import InvalidRequest, InvalidScope
from toro_core.errors import ToroError
from toro_core.search.plan import AllOf, Criterion, Token

if TYPE_CHECKING:
    from tests.toro_core.auth.conftest import KeyPair, World


async def test_the_part_of_the_scopes_that_the_client_may_have_is_granted(world: World, ec_pair: KeyPair) -> None:
    await world.register(ec_pair, scopes=("system/Patient.rs", "system/Encounter.cruds"))
    asked = "system/Patient.read system/Encounter.read system/Observation.read"
    issued = await world.exchange(ec_pair.sign(world.claims()), asked)
    assert issued.scopes == ("system/Patient.read", "system/Encounter.read")
    caller = await world.authority.verify(issued.access_token)
    assert [(grant.type, grant.permissions) for grant in caller.grants] == [("Patient", "rs"), ("Encounter", "rs")]


@pytest.mark.parametrize(
    "asked", ["", "system/Observation.rs", "openid launch user/Patient.rs", "nonsense", "system/Patient.c"]
)
async def test_where_nothing_is_left_the_scope_is_invalid_and_what_is_possible_is_told(
    world: World, ec_pair: KeyPair, asked: str
) -> None:
    await world.register(ec_pair, scopes=("system/Patient.rs",))
    with pytest.raises(InvalidScope, match=r"system/Patient\.rs") as refused:
        await world.exchange(ec_pair.sign(world.claims()), asked)
    assert refused.value.reason == "INVALID_SCOPE"


async def test_unknown_types_and_parameters_are_not_granted(world: World, ec_pair: KeyPair) -> None:
    def compile_constraint(resource_type: str, query: str) -> Criterion:
        if query.startswith("category="):
            return Token(param="category", code="x")
        if query.startswith("_count="):
            return AllOf(())
        raise ToroError("unknown parameter")

    await world.register(ec_pair, scopes=("system/*.rs",))
    world.authority = world.another(compile_constraint=compile_constraint, types={"Observation"})
    asked = (
        "system/Observation.rs?category=x system/Observation.rs?nonsense=x system/Observation.rs?_count=1"
        " system/Observations.rs"
    )
    issued = await world.exchange(ec_pair.sign(world.claims()), asked)
    assert issued.scopes == ("system/Observation.rs?category=x",)


async def test_floods_of_scopes_are_refused(world: World, ec_pair: KeyPair) -> None:
    await world.register(ec_pair)
    with pytest.raises(InvalidRequest, match="200"):
        await world.exchange(ec_pair.sign(world.claims()), "system/Patient.rs " * 201)
    long = " ".join(f"system/Patient.rs?name={'x' * 100}{number}" for number in range(100))
    with pytest.raises(InvalidScope, match="ask for fewer"):
        await world.exchange(ec_pair.sign(world.claims()), long)
