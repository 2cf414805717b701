from __future__ import annotations

import pytest

from toro_core.auth.errors import InvalidToken, Unauthenticated
from toro_core.auth.scopes import grants_of
from toro_core.caller import Caller, caller_of


class OneToken:
    async def verify(self, token: str) -> Caller:
        if token != "good.to_ken-":
            raise InvalidToken
        return Caller(client_id="partner", grants=grants_of(["system/Patient.rs"]))


@pytest.mark.parametrize("value", ["Bearer good.to_ken-", "bearer good.to_ken-", "BEARER   good.to_ken- "])
async def test_the_bearer_of_a_good_token_is_its_client(value: str) -> None:
    caller = await caller_of([("x-request-id", "1"), ("authorization", value)], OneToken())
    assert caller.client_id == "partner"


async def test_without_a_token_the_call_is_unauthenticated() -> None:
    with pytest.raises(Unauthenticated) as refused:
        await caller_of([("x-request-id", "1")], OneToken())
    assert (refused.value.reason, refused.value.issues[0].code) == ("UNAUTHENTICATED", "login")


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic Zm9vOmJhcg==", "good.to_ken-", "Bearer a b", "Bearer other", b"Bearer x"]
)
async def test_another_authorization_is_an_invalid_token(value: str | bytes) -> None:
    with pytest.raises(InvalidToken) as refused:
        await caller_of([("authorization", value)], OneToken())
    assert refused.value.reason == "INVALID_TOKEN"


async def test_two_authorizations_are_refused_even_if_both_are_good() -> None:
    with pytest.raises(InvalidToken, match="several"):
        await caller_of([("authorization", "Bearer good.to_ken-")] * 2, OneToken())


async def test_what_the_metadata_says_of_scopes_counts_for_nothing() -> None:
    metadata = [("authorization", "Bearer good.to_ken-"), ("scope", "system/*.cruds"), ("x-scope", "system/*.cruds")]
    caller = await caller_of(metadata, OneToken())
    assert caller.grants == grants_of(["system/Patient.rs"])
    with pytest.raises(Unauthenticated):
        await caller_of(metadata[1:], OneToken())
