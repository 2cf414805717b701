"""SMART backend services from the client's side: discovery, the token endpoint and what tokens are good for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key

from toro_core.auth.signer import read_private_key

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Sandbox

SCOPE = "system/Patient.rs"


def ask(sandbox: Sandbox, scope: str = SCOPE, **changes: str | None) -> httpx.Response:
    return httpx.post(sandbox.token_url, data=sandbox.form(scope, **changes))


def refused(answer: httpx.Response, status: int, error: str) -> str:
    """Check the form of an OAuth refusal (RFC 6749, 5.2) and return its description."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert ("www-authenticate" in answer.headers) == (status == 401)
    said = answer.json()
    assert said["error"] == error, said
    description = said["error_description"]
    assert isinstance(description, str)
    return description


@pytest.mark.parametrize("accept", ["application/json", "application/fhir+json", "text/html", "*/*"])
def test_discovery_is_json_in_both_places_whatever_is_asked_for(sandbox: Sandbox, accept: str) -> None:
    host = sandbox.base_url.removesuffix("/fhir")
    told = []
    for base in (sandbox.base_url, host):
        headers = {"accept": accept, "origin": "https://app.example"}
        answer = httpx.get(f"{base}/.well-known/smart-configuration", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["access-control-allow-origin"] == "*"
        told.append(answer.json())
    assert told[0] == told[1]
    assert told[0]["token_endpoint"] == sandbox.token_url
    assert "private_key_jwt" in told[0]["token_endpoint_auth_methods_supported"]
    assert {"RS384", "ES384"} <= set(told[0]["token_endpoint_auth_signing_alg_values_supported"])
    assert told[0]["grant_types_supported"] == ["client_credentials"]
    assert {"client-confidential-asymmetric", "permission-v1", "permission-v2"} <= set(told[0]["capabilities"])
    assert "issuer" not in told[0]
    assert httpx.get(told[0]["jwks_uri"]).json()["keys"]


def test_the_published_keys_verify_access_tokens(sandbox: Sandbox) -> None:
    configuration = httpx.get(f"{sandbox.base_url}/.well-known/smart-configuration").json()
    (key,) = jwt.PyJWKSet.from_dict(httpx.get(configuration["jwks_uri"]).json()).keys
    claims = jwt.decode(sandbox.token(SCOPE), key, algorithms=["ES384"], audience=sandbox.base_url)
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("sandbox", "sandbox", SCOPE)
    assert claims["iss"] == sandbox.base_url.removesuffix("/fhir")
    assert claims["exp"] - claims["iat"] == 300


def test_a_token_answer_is_as_rfc_6749_has_it(sandbox: Sandbox) -> None:
    answer = ask(sandbox)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    said = answer.json()
    assert set(said) == {"access_token", "token_type", "expires_in", "scope"}
    assert (said["token_type"].lower(), said["expires_in"], said["scope"]) == ("bearer", 300, SCOPE)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "not_a_grant_type"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"client_assertion_type": "not_an_assertion_type"}, "invalid_request"),
        ({"client_assertion_type": None}, "invalid_request"),
        ({"client_assertion": None}, "invalid_request"),
        ({"client_assertion": ""}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "system/Nothing.read"}, "invalid_scope"),
        ({"scope": "patient/Patient.read user/Patient.read launch openid"}, "invalid_scope"),
        ({"scope": "system/Patient.sr"}, "invalid_scope"),
        ({"scope": "system/Patient.rs?shoesize=44"}, "invalid_scope"),
        ({"scope": 'system/Patient.rs "quoted"'}, "invalid_scope"),
        ({"scope": "x" * 60_000}, "invalid_scope"),
        ({"scope": "system/Patient.rs " * 300}, "invalid_request"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_request_that_is_wrong_is_a_400(sandbox: Sandbox, changes: dict[str, Any], error: str) -> None:
    form = sandbox.form(SCOPE) | changes
    answer = httpx.post(sandbox.token_url, data={name: value for name, value in form.items() if value is not None})
    assert refused(answer, 400, error)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"grant_type":"client_credentials"}', "application/json"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        (b"grant_type=%zz", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_form_is_a_400(sandbox: Sandbox, content: bytes, content_type: str) -> None:
    answer = httpx.post(sandbox.token_url, content=content, headers={"content-type": content_type})
    assert refused(answer, 400, "invalid_request")


def test_a_form_without_measure_is_a_413(sandbox: Sandbox) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert refused(httpx.post(sandbox.token_url, content=b"a" * 100_000, headers=form), 413, "invalid_request")


def test_only_post_gets_a_token(sandbox: Sandbox) -> None:
    answer = httpx.get(sandbox.token_url)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"sub": "somebody"}, "sub"),
        ({"aud": "https://elsewhere.example/token"}, "aud"),
        ({"aud": ["https://elsewhere.example/token"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"exp": NOW - 100}, "exp"),
        ({"exp": NOW + 100_000}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": str(NOW + 100)}, "exp"),
        ({"nbf": NOW + 100_000}, "nbf"),
        ({"iat": NOW + 100_000}, "iat"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, "jti"),
    ],
)
def test_a_signed_assertion_with_a_wrong_claim_is_told_which(
    sandbox: Sandbox, claims: dict[str, Any], named: str
) -> None:
    answer = ask(sandbox, client_assertion=sandbox.assertion(**claims))
    assert refused(answer, 401, "invalid_client").startswith(f"{named}: expected ")


def test_the_token_url_alone_is_the_audience(sandbox: Sandbox) -> None:
    listed = ask(sandbox, client_assertion=sandbox.assertion(aud=[sandbox.token_url]))
    assert "not as a list" in refused(listed, 401, "invalid_client")
    base = ask(sandbox, client_assertion=sandbox.assertion(aud=sandbox.base_url))
    assert sandbox.token_url in refused(base, 401, "invalid_client")


def test_an_assertion_counts_once(sandbox: Sandbox, neighbour: Sandbox) -> None:
    assertion = sandbox.assertion()
    assert ask(sandbox, client_assertion=assertion).status_code == 200
    assert refused(ask(sandbox, client_assertion=assertion), 401, "invalid_client").startswith("jti: ")
    jti = "the same in two processes"
    assert ask(sandbox, client_assertion=sandbox.assertion(jti=jti)).status_code == 200
    again = ask(neighbour, client_assertion=neighbour.assertion(jti=jti))
    assert refused(again, 401, "invalid_client").startswith("jti: ")


def unproved(sandbox: Sandbox) -> dict[str, str]:
    other = generate_private_key(SECP384R1())
    claims = jwt.decode(sandbox.assertion(), options={"verify_signature": False})
    head, _, signature = sandbox.assertion().split(".")
    return {
        "rubbish": "rubbish",
        "three parts": "a.b.c",
        "another key": jwt.encode(claims, other, algorithm="ES384"),
        "no signature": jwt.encode(claims, "", algorithm="none"),
        "a shared secret": jwt.encode(claims, "s" * 64, algorithm="HS384"),
        "a cut signature": f"{head}.{_}.{signature[:-8]}",
        "an unknown client": sandbox.assertion(client_id="nobody"),
        "no issuer": sandbox.assertion(iss=None),
        "a foreign key set": sandbox.assertion(headers={"jku": "https://evil.example/jwks"}),
        "an access token": sandbox.token(SCOPE),
        "far too long": "a" * 40_000,
    }


def test_whoever_proves_nothing_is_told_nothing(sandbox: Sandbox) -> None:
    for what, assertion in unproved(sandbox).items():
        description = refused(ask(sandbox, client_assertion=assertion), 401, "invalid_client")
        assert description.startswith("the client could not be authenticated; the operator finds the reason"), what


def test_a_client_id_that_is_sent_too_has_to_be_the_assertions(sandbox: Sandbox) -> None:
    assert ask(sandbox, client_id="sandbox").status_code == 200
    refused(ask(sandbox, client_id="somebody"), 401, "invalid_client")


@pytest.fixture(scope="module")
def limited(sandbox: Sandbox) -> str:
    """A client that may read and search patients and nothing else."""
    return sandbox.register("limited", "system/Patient.rs")


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/Patient.rs", "system/Patient.rs"),
        ("system/Patient.read system/Encounter.read", "system/Patient.read"),
        ("system/Patient.cruds", "system/Patient.rs"),
        ("system/Patient.*", "system/Patient.read"),
        ("system/*.read", "system/Patient.read"),
        ("system/*.rs openid fhirUser", "system/Patient.rs"),
        ("system/Patient.r", "system/Patient.r"),
        ("system/Patient.rs?gender=male", "system/Patient.rs?gender=male"),
    ],
)
def test_as_much_is_granted_as_the_client_may_have(sandbox: Sandbox, limited: str, asked: str, granted: str) -> None:
    answer = ask(sandbox, asked, client_assertion=sandbox.assertion(client_id=limited))
    assert (answer.status_code, answer.json()["scope"]) == (200, granted)


@pytest.mark.parametrize("asked", ["system/Encounter.read", "system/Patient.write", "system/*.cud"])
def test_what_a_client_may_not_have_at_all_is_an_invalid_scope(sandbox: Sandbox, limited: str, asked: str) -> None:
    answer = ask(sandbox, asked, client_assertion=sandbox.assertion(client_id=limited))
    assert "system/Patient.rs" in refused(answer, 400, "invalid_scope")


def test_a_suspended_client_is_out_within_a_second_and_back_when_resumed(sandbox: Sandbox) -> None:
    client_id = sandbox.register("passing", "system/Patient.rs")
    member = sandbox.partner(SCOPE, client_id=client_id)
    assert member.get("Patient?_count=1").status_code == 200
    sandbox.operate("client", "suspend", client_id)
    time.sleep(1.1)
    assert member.get("Patient?_count=1").status_code == 401
    assertion = sandbox.assertion(client_id=client_id)
    assert "suspended" in refused(ask(sandbox, client_assertion=assertion), 401, "invalid_client")
    sandbox.operate("client", "resume", client_id)
    assert ask(sandbox, client_assertion=sandbox.assertion(client_id=client_id)).status_code == 200


def tokens(sandbox: Sandbox) -> dict[str, str]:
    own = read_private_key(sandbox.key_file.read_bytes()).material
    told = jwt.decode(sandbox.token(SCOPE), options={"verify_signature": False})
    head, body, signature = sandbox.token(SCOPE).split(".")
    access = {"typ": "at+jwt"}
    return {
        "rubbish": "Bearer rubbish",
        "another scheme": "Basic c2FuZGJveDpzYW5kYm94",
        "no token": "Bearer",
        "two tokens": f"Bearer {sandbox.token(SCOPE)} {sandbox.token(SCOPE)}",
        "an assertion": f"Bearer {sandbox.assertion()}",
        "signed by the client": "Bearer " + jwt.encode(told, own, algorithm="ES384", headers=access),
        "signed by nobody": "Bearer " + jwt.encode(told, "", algorithm="none", headers=access),
        "expired": "Bearer " + jwt.encode(told | {"exp": NOW - 1}, own, algorithm="ES384", headers=access),
        "cut": f"Bearer {head}.{body}.{signature[:-4]}",
        "claims changed": f"Bearer {head}.{body[:-4]}AAAA.{signature}",
        "endless": "Bearer " + "a" * 30_000,
    }


def test_a_forged_token_opens_nothing_and_the_challenge_says_so(sandbox: Sandbox) -> None:
    with httpx.Client(base_url=sandbox.base_url) as stranger:
        for what, authorization in tokens(sandbox).items():
            for answer in (
                stranger.get("Patient?_count=1", headers={"authorization": authorization}),
                stranger.get("Patient/nobody", headers={"authorization": authorization}),
                stranger.post("Observation", json={}, headers={"authorization": authorization}),
            ):
                assert answer.status_code == 401, what
                assert answer.headers["www-authenticate"].startswith("Bearer realm="), what
                assert answer.json()["resourceType"] == "OperationOutcome", what
                assert authorization[7:] not in answer.text or len(authorization) < 20, what


def test_no_token_is_challenged_without_an_error(sandbox: Sandbox) -> None:
    answer = httpx.get(f"{sandbox.base_url}/Patient/1")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="toro"')
    assert answer.json()["issue"][0]["code"] == "login"
    by_query = httpx.get(f"{sandbox.base_url}/Patient/1?access_token={sandbox.token(SCOPE)}")
    assert by_query.status_code == 401


def test_a_token_of_one_server_is_not_anothers(sandbox: Sandbox, neighbour: Sandbox) -> None:
    foreign = {"authorization": f"Bearer {sandbox.token(SCOPE)}"}
    assert httpx.get(f"{neighbour.base_url}/Patient?_count=1", headers=foreign).status_code == 401


def test_an_expired_token_opens_nothing_any_more(sandbox: Sandbox) -> None:
    with sandbox.another(TORO_TOKEN_TTL="1") as brief, httpx.Client(base_url=brief.base_url) as client:
        client.headers["authorization"] = f"Bearer {brief.token(SCOPE)}"
        assert client.get("Patient?_count=1").status_code == 200
        time.sleep(2)
        expired = client.get("Patient?_count=1")
        assert expired.status_code == 401
        assert 'error="invalid_token"' in expired.headers["www-authenticate"]
        assert "expired" in expired.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("scope", "method", "path", "missing"),
    [
        ("system/Patient.rs", "GET", "Encounter", "system/Encounter.s"),
        ("system/Patient.rs", "GET", "Encounter/1", "system/Encounter.r"),
        ("system/Patient.rs", "GET", "Encounter/1/_history", "system/Encounter.r"),
        ("system/Patient.rs", "GET", "Encounter/1/_history/1", "system/Encounter.r"),
        ("system/Patient.rs", "POST", "Encounter/_search", "system/Encounter.s"),
        ("system/Patient.rs", "POST", "Patient", "system/Patient.c"),
        ("system/Patient.rs", "PUT", "Patient/1", "system/Patient.u"),
        ("system/Patient.r", "GET", "Patient", "system/Patient.s"),
        ("system/Patient.s", "GET", "Patient/1", "system/Patient.r"),
        ("system/Patient.c", "PUT", "Patient/1", "system/Patient.u"),
        ("system/Patient.write", "GET", "Patient/1", "system/Patient.r"),
        ("system/Observation.write", "GET", "Observation", "system/Observation.s"),
    ],
)
def test_a_scope_that_is_missing_is_named(sandbox: Sandbox, scope: str, method: str, path: str, missing: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"} if path.endswith("_search") else {}
    answer = sandbox.partner(scope).request(method, path, content=b"" if headers else b"{}", headers=headers)
    assert answer.status_code == 403
    assert missing in answer.json()["issue"][0]["diagnostics"]
    challenge = answer.headers["www-authenticate"]
    assert challenge == f'Bearer realm="toro", error="insufficient_scope", scope="{missing}"'
