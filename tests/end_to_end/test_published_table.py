"""The published table in both directions, over HTTP: what is listed works, what is not answers 405, the statement says the same.

Everything is derived from the one table in `toro_facade.policy`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from toro_core.auth.clients import Clients
from toro_core.definitions import load
from toro_core.local import open_core
from toro_core.plugins import open_storage
from toro_core.settings import Settings
from toro_core.v1 import GetCapabilitiesRequest
from toro_facade.app import create_app
from toro_facade.policy import CODES, PUBLISHED, SUPPORTING

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

GRANTS = {name: set(row.grants) for row in (*PUBLISHED, SUPPORTING) for name in row.types}
"""By type, what is listed."""
INTERACTIONS = {name: {code for grant in grants for code in CODES[grant]} for name, grants in GRANTS.items()}
UNLISTED = sorted(load().resource_types - set(GRANTS))

# By interaction: method, path under the type, the status where it works (a made-up id is not found; a body that is none, refused).
REQUESTS = {
    "read": ("GET", "/nobody", 404),
    "vread": ("GET", "/nobody/_history/1", 404),
    "history-instance": ("GET", "/nobody/_history", 404),
    "search-type": ("GET", "?_count=1", 200),
    "create": ("POST", "", 400),
    "update": ("PUT", "/nobody", 400),
    "patch": ("PATCH", "/nobody", 400),
    "delete": ("DELETE", "/nobody", None),
    "history-type": ("GET", "/_history", None),
    "conditional-update": ("PUT", "?identifier=x", 400),
    "conditional-delete": ("DELETE", "?identifier=x", None),
    "search by POST": ("POST", "/_search", 200),
}
LISTED_BY = {"conditional-update": "update", "search by POST": "search-type"}

types = pytest.mark.parametrize("resource_type", sorted(GRANTS))


def sent(client: httpx.Client, name: str, resource_type: str) -> httpx.Response:
    method, path, _ = REQUESTS[name]
    form = {"content-type": "application/x-www-form-urlencoded"} if name == "search by POST" else {}
    return client.request(method, f"{resource_type}{path}", headers=form)


def issue(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"].startswith("application/fhir+json")
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    first = outcome["issue"][0]
    assert isinstance(first, dict)
    return first


@pytest.mark.parametrize("name", REQUESTS)
@types
def test_what_is_listed_works_and_what_is_not_answers_405(partner: httpx.Client, resource_type: str, name: str) -> None:
    answer = sent(partner, name, resource_type)
    if LISTED_BY.get(name, name) in INTERACTIONS[resource_type]:
        assert answer.status_code == REQUESTS[name][2], answer.text
        assert "not-supported" not in answer.text
    else:
        assert answer.status_code == 405
        assert issue(answer)["code"] == "not-supported"
        assert answer.request.method not in answer.headers["allow"].replace(" ", "").split(",")


@types
def test_allow_names_what_the_path_takes(partner: httpx.Client, resource_type: str) -> None:
    listed = INTERACTIONS[resource_type]
    whole = partner.request("DELETE", resource_type).headers["allow"]
    updates = {"PUT", "PATCH"} if "update" in listed else set()
    assert set(whole.split(", ")) == {"GET", "HEAD"} | ({"POST"} if "create" in listed else set()) | updates
    one = partner.request("DELETE", f"{resource_type}/nobody").headers["allow"]
    assert set(one.split(", ")) == {"GET", "HEAD"} | updates


@types
def test_what_exists_can_be_read_in_every_listed_way(partner: httpx.Client, resource_type: str) -> None:
    (entry,) = partner.get(resource_type, params={"_count": "1"}).json()["entry"]
    name = f"{resource_type}/{entry['resource']['id']}"
    headers = {"accept": "application/fhir+json"}  # a Binary's content comes where anything will do
    assert partner.get(name, headers=headers).json() == entry["resource"]
    assert partner.get(f"{name}/_history/1").status_code == 200
    assert partner.get(f"{name}/_history").json()["total"] >= 1


@pytest.mark.parametrize("resource_type", [name for name, grants in GRANTS.items() if "create" in grants])
def test_what_exists_can_be_written_where_that_is_listed(
    partner: httpx.Client, records: dict[str, Any], resource_type: str
) -> None:
    record = next(record for record in records.values() if record["resourceType"] == resource_type)
    created = partner.post(resource_type, json=record)
    assert created.status_code == 201, created.text
    assert created.json()["id"] != record["id"]
    if "update" in GRANTS[resource_type]:
        updated = partner.put(f"{resource_type}/{created.json()['id']}", json=created.json())
        assert updated.status_code == 200, updated.text
        assert updated.json()["meta"]["versionId"] == "2"


@pytest.mark.parametrize("resource_type", UNLISTED)
def test_a_type_outside_is_not_found_in_any_way(partner: httpx.Client, resource_type: str) -> None:
    for name in REQUESTS:
        answer = sent(partner, name, resource_type)
        assert answer.status_code == 404, name
        assert issue(answer)["code"] == "not-supported"


def test_the_system_as_a_whole_offers_search_batch_and_transaction_alone(partner: httpx.Client) -> None:
    assert partner.post("", json={"resourceType": "Bundle", "type": "batch"}).status_code == 200
    assert partner.get("", params={"_type": "Patient,Account"}).status_code == 200
    assert partner.post("_search", data={"_type": "Patient"}).status_code == 200
    for method, path in (("DELETE", ""), ("GET", "_history"), ("GET", "_search"), ("PUT", "metadata")):
        answer = partner.request(method, path)
        assert answer.status_code == 405, path
        assert issue(answer)["code"] == "not-supported"


def test_what_is_not_offered_is_so_without_a_token_too(sandbox: Sandbox) -> None:
    with httpx.Client(base_url=sandbox.base_url) as stranger:
        assert stranger.delete("Patient/1").status_code == 405
        assert stranger.get("Basic/1").status_code == 404
        assert stranger.get("Patient/1").status_code == 401


def listed_in(statement: dict[str, Any], *more: str) -> dict[str, set[str]]:
    (rest,) = statement["rest"]
    assert [one["code"] for one in rest["interaction"]] == ["search-system", *more, "batch", "transaction"]
    return {known["type"]: {one["code"] for one in known["interaction"]} for known in rest["resource"]}


def test_the_capability_statement_says_the_same(partner: httpx.Client) -> None:
    assert listed_in(partner.get("metadata").json()) == INTERACTIONS


def test_the_scopes_offered_are_those_of_the_table(partner: httpx.Client) -> None:
    offered = set(partner.get(".well-known/smart-configuration").json()["scopes_supported"])
    letters = {name: {"r", "s", *("c" for _ in grants & {"create"})} for name, grants in GRANTS.items()}
    for name, grants in GRANTS.items():
        letters[name] |= {"u"} if "update" in grants else set()
        spelled = "".join(letter for letter in "cruds" if letter in letters[name])
        assert f"system/{name}.{spelled}" in offered
        assert f"system/{name}.read" in offered
        assert (f"system/{name}.write" in offered) == bool(letters[name] & {"c", "u"})
    assert len(offered) == 2 + 2 * len(GRANTS) + sum(1 for grants in GRANTS.values() if "create" in grants)


Open = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def opened(sandbox: Sandbox, tmp_path: Path) -> Open:
    """Open the whole house in this process, with other settings and a client that may do everything."""

    @asynccontextmanager
    async def open_with(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        configured = Settings(storage=f"sqlite:///{tmp_path}/toro.db", base_url="http://toro.test", **settings)
        async with open_storage(configured.storage) as storage:
            keys = sandbox.jwks_file.read_bytes()
            await Clients(storage).add(name="All", scopes=("system/*.cruds",), jwks=keys, client_id="all")
        async with open_core(configured) as core:
            app = create_app(core, configured, await core.GetCapabilities(GetCapabilitiesRequest()))
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://toro.test/fhir"
            ) as client:
                assertion = sandbox.assertion(client_id="all", aud=configured.token_url())
                form = sandbox.form("system/*.cruds", client_assertion=assertion)
                answer = await client.post(configured.token_url(), data=form)
                client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
                yield client

    return open_with


async def test_without_the_supporting_types_only_the_published_ones_answer(opened: Open) -> None:
    async with opened(supporting=False) as client:
        promised = {name for row in PUBLISHED for name in row.types}
        assert listed_in((await client.get("metadata")).json()) == {name: INTERACTIONS[name] for name in promised}
        for name in SUPPORTING.types:
            assert (await client.get(f"{name}?_count=1")).status_code == 404
        assert (await client.get("Patient?_count=1")).status_code == 200


async def test_everything_the_core_can_do_is_exposed_where_the_operator_says_so(opened: Open) -> None:
    async with opened(expose="full") as client:
        listed = listed_in((await client.get("metadata")).json(), "history-system")
        assert set(listed) == load().resource_types
        everything = {code for codes in CODES.values() for code in codes} | {"delete", "history-type"}
        assert all(codes == everything for codes in listed.values())
        created = await client.post("Basic", json={"resourceType": "Basic", "code": {"text": "note"}})
        assert created.status_code == 201
        stored = created.json()
        assert (await client.put(f"Basic/{stored['id']}", json=stored)).json()["meta"]["versionId"] == "2"
        assert (await client.get(f"Basic?_id={stored['id']}")).json()["total"] == 1
        assert (await client.delete(f"Basic/{stored['id']}")).status_code == 204
