from __future__ import annotations

from typing import Any

import httpx
import pytest

from toro_core.v1 import CallError, GetKeysResponse
from toro_facade.policy import PUBLISHED


@pytest.fixture(autouse=True)
def _anonymous(client: httpx.AsyncClient) -> None:
    del client.headers["authorization"]


async def test_the_capability_statement_says_what_conformance_testers_look_for(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/metadata?mode=full")
    statement = answer.json()
    assert answer.headers["access-control-allow-origin"] == "*"
    assert statement["resourceType"] == "CapabilityStatement"
    assert (statement["status"], statement["kind"], statement["fhirVersion"]) == ("active", "instance", "4.0.1")
    assert statement["implementation"]["url"] == "https://fhir.example.org/fhir"
    assert {"application/fhir+json", "json"} <= set(statement["format"])
    assert statement["date"].endswith("Z")
    assert "instantiates" not in statement
    [rest] = statement["rest"]
    assert rest["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert rest["security"]["extension"] == [
        {
            "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
            "extension": [{"url": "token", "valueUri": "https://fhir.example.org/auth/token"}],
        }
    ]
    types = [resource["type"] for resource in rest["resource"]]
    assert len(types) == len(set(types))
    observation = next(resource for resource in rest["resource"] if resource["type"] == "Observation")
    assert observation == {
        "type": "Observation",
        "supportedProfile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation"],
        "interaction": [{"code": code} for code in ("read", "vread", "history-instance", "search-type", "create")],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "operation": [{"name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate"}],
        "searchParam": [
            {"name": "_id", "definition": "http://hl7.org/fhir/SearchParameter/Resource-id", "type": "token"},
            {"name": "date", "type": "date"},
        ],
    }


async def test_the_capability_statement_is_cached_by_its_tag(client: httpx.AsyncClient) -> None:
    first = await client.get("/fhir/metadata")
    again = await client.get("/fhir/metadata", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/fhir/metadata?_format=turtle")).status_code == 406


@pytest.mark.parametrize("path", ["/fhir/.well-known/smart-configuration", "/.well-known/smart-configuration"])
@pytest.mark.parametrize("accept", ["application/json", "application/fhir+xml", "text/html"])
async def test_smart_discovery_is_json_whatever_is_accepted(client: httpx.AsyncClient, path: str, accept: str) -> None:
    answer = await client.get(path, headers={"accept": accept})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    found = answer.json()
    assert found["token_endpoint"] == "https://fhir.example.org/auth/token"
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert found["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert found["grant_types_supported"] == ["client_credentials"]
    assert "client-confidential-asymmetric" in found["capabilities"]
    assert "issuer" not in found


async def test_the_scopes_on_offer_are_those_the_policy_opens(client: httpx.AsyncClient) -> None:
    scopes = (await client.get("/fhir/.well-known/smart-configuration")).json()["scopes_supported"]
    assert {"system/Patient.crus", "system/Observation.crs", "system/Coverage.rs", "system/Organization.rs"} <= set(
        scopes
    )
    assert {"system/Observation.write", "system/Patient.read"} <= set(scopes)
    assert not any(scope.startswith("system/Coverage.w") for scope in scopes)
    assert not any(scope.startswith("system/Basic") for scope in scopes)


async def test_the_keys_are_the_cores(client: httpx.AsyncClient, transport: Any) -> None:
    transport.answers["GetKeys"] = GetKeysResponse(jwks=b'{"keys":[]}')
    answer = await client.get("/auth/jwks")
    assert answer.json() == {"keys": []}


async def test_readiness_is_the_cores(client: httpx.AsyncClient, transport: Any) -> None:
    assert (await client.get("/health/ready")).status_code == 200
    transport.answers["GetCapabilities"] = CallError("UNAVAILABLE", "", [])
    assert (await client.get("/health/ready")).status_code == 503
    assert (await client.get("/health/live")).status_code == 200


async def test_the_developers_page_lists_what_is_live(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    for row in PUBLISHED:
        for name in row.types:
            assert f"<td>{name}</td>" in answer.text
    assert "Basic" not in answer.text


@pytest.mark.parametrize("path", ["/", "/fhir/metadata", "/fhir/.well-known/smart-configuration", "/health/live"])
async def test_head_goes_wherever_get_goes(client: httpx.AsyncClient, path: str) -> None:
    get, head = await client.get(path), await client.head(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]
