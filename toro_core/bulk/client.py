"""A bulk client of any server: kick-off, wait, download, each going on where it broke off.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from toro_core.auth.signer import ASSERTION_TYPE, PrivateKey, sign_assertion
from toro_core.bulk.errors import FetchFailed
from toro_core.importing.manifests import MANIFEST

__all__ = ["Access", "Fetch"]

_ASYNC: Final = {"accept": "application/fhir+json", "prefer": "respond-async"}
_STATE: Final = "fetch.json"
_TRIES: Final = 6
_LONGEST_WAIT: Final = 300.0
_YOUNG: Final = 30.0
_SCOPES: Final = ("system/*.rs", "system/*.read")
_ENDINGS: Final = (".ndjson", ".parquet")


@dataclass(slots=True, kw_only=True)
class Access:
    """How the client gets in: access tokens of SMART backend services, or none where there is no key."""

    http: httpx.AsyncClient
    base: str
    client_id: str = ""
    key: PrivateKey | None = None
    token_url: str = ""
    scope: str = ""
    _token: str = ""
    _until: float = 0.0

    async def headers(self) -> dict[str, str]:
        """Return the header that lets the client in, with a token that is young enough. Raises FetchFailed."""
        if self.key is None:
            return {}
        if not self._token or time.monotonic() > self._until - _YOUNG:
            await self._renew(self.key)
        return {"authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        """Get a new token next time."""
        self._token = ""

    async def _renew(self, key: PrivateKey) -> None:
        token_url = self.token_url or await self._found()
        answer: httpx.Response | None = None
        for scope in (self.scope,) if self.scope else _SCOPES:
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": sign_assertion(key, client_id=self.client_id, token_url=token_url),
                "scope": scope,
            }
            answer = await self.http.post(token_url, data=form, headers={"accept": "application/json"})
            told = _object(answer)
            if answer.is_success and isinstance(told.get("access_token"), str):
                self._token = told["access_token"]
                self._until = time.monotonic() + float(told.get("expires_in", 300))
                return
            if told.get("error") != "invalid_scope":
                break
        why = _object(answer).get("error", "no token") if answer else "no token"
        raise FetchFailed(f"{token_url} gave no access token ({why}); look at --client-id, --key and --scope")

    async def _found(self) -> str:
        answer = await self.http.get(
            f"{self.base}/.well-known/smart-configuration", headers={"accept": "application/json"}
        )
        found = _object(answer).get("token_endpoint")
        if not answer.is_success or not isinstance(found, str):
            raise FetchFailed(f"{self.base} does not say where tokens are given; name it with --token-url")
        self.token_url = found
        return found


class Fetch:
    """One export of a server, fetched into a folder."""

    def __init__(self, access: Access, kick_off: str, folder: Path, tell: Callable[[str], None]) -> None:
        """Fetch what this URL kicks off; `tell` hears how it goes."""
        self._access = access
        self._kick_off = kick_off
        self._folder = folder
        self._tell = tell
        self._state: dict[str, Any] = {}

    async def run(self) -> None:
        """Download everything the export has, and write its manifest beside it. Raises FetchFailed."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._state = self._kept()
        if "status" not in self._state:
            self._keep(status=await self._begun())
        if "manifest" not in self._state:
            self._keep(manifest=await self._complete())
        manifest: dict[str, Any] = self._state["manifest"]
        local = {**manifest}
        for kind in ("output", "deleted", "error"):
            local[kind] = [
                {**item, "url": await self._download(item, self._name(kind, item, number), manifest)}
                for number, item in enumerate(manifest.get(kind) or (), 1)
            ]
        (self._folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(local), indent=2))

    async def finish(self) -> None:
        """Tell the server that its files are no longer needed, and forget where the export was."""
        await self._request("DELETE", self._state["status"])
        (self._folder / _STATE).unlink(missing_ok=True)

    def _kept(self) -> dict[str, Any]:
        """Return what an earlier run left of the same export."""
        try:
            found: Any = msgspec.json.decode((self._folder / _STATE).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return {"kick_off": self._kick_off}
        if not isinstance(found, dict) or found.get("kick_off") != self._kick_off:
            raise FetchFailed(f"{self._folder} holds what was begun of another export; name another --folder")
        return found

    def _keep(self, **more: object) -> None:
        self._state |= more
        making = self._folder / f"{_STATE}.part"
        making.write_bytes(msgspec.json.encode(self._state))
        making.replace(self._folder / _STATE)

    async def _begun(self) -> str:
        answer = await self._request("GET", self._kick_off, _ASYNC)
        location = answer.headers.get("content-location", "")
        if answer.status_code != 202 or not location:
            raise FetchFailed(f"the export was refused ({answer.status_code}): {_diagnostics(answer)}")
        self._tell("the export has begun")
        return str(answer.url.join(location))

    async def _complete(self) -> dict[str, Any]:
        wait = 1.0
        while True:
            answer = await self._request("GET", self._state["status"], {"accept": "application/json"})
            if answer.status_code == 200:
                return _object(answer)
            if answer.status_code not in (202, 429):
                if answer.status_code == 404:
                    (self._folder / _STATE).unlink(missing_ok=True)
                raise FetchFailed(f"the export failed ({answer.status_code}): {_diagnostics(answer)}")
            if progress := answer.headers.get("x-progress"):
                self._tell(progress[:100])
            await asyncio.sleep(min(_LONGEST_WAIT, _retry_after(answer) or wait))
            wait = min(wait * 2, 30.0)

    def _name(self, kind: str, item: Mapping[str, Any], number: int) -> str:
        name = str(item.get("url", "")).partition("?")[0]
        ending = next((ending for ending in _ENDINGS if name.endswith(ending)), ".ndjson")
        about = "" if kind == "output" else f"{kind}."
        type_ = "".join(letter for letter in str(item.get("type", "")) if letter.isalpha())
        return f"{about}{type_}.{number:03}{ending}"

    async def _download(self, item: Mapping[str, Any], name: str, manifest: Mapping[str, Any]) -> str:
        """Download a file, from where it broke off; return its name."""
        path, part = self._folder / name, self._folder / f"{name}.part"
        url, protected = str(item["url"]), manifest.get("requiresAccessToken") is not False
        if not path.exists():
            for attempt in range(_TRIES):
                try:
                    if await self._downloaded(url, part, protected):
                        break
                except httpx.HTTPError as error:
                    if attempt == _TRIES - 1:
                        raise FetchFailed(f"{name} cannot be downloaded ({type(error).__name__})") from None
                    await asyncio.sleep(2**attempt / 4)
            self._check(item, part)
            part.replace(path)
        self._tell(f"{name}: {path.stat().st_size} bytes")
        return name

    async def _downloaded(self, url: str, part: Path, protected: bool) -> bool:
        have = _size(part)
        headers = {"accept-encoding": "identity"} | (await self._access.headers() if protected else {})
        if have:
            headers["range"] = f"bytes={have}-"
        async with self._access.http.stream("GET", url, headers=headers, follow_redirects=True) as answer:
            if answer.status_code == 401:
                self._access.forget()
                return False
            if answer.status_code == 416 and have:
                return True
            if answer.status_code not in (200, 206):
                raise FetchFailed(f"a file was refused with {answer.status_code}; it may have expired: fetch again")
            with part.open("ab" if answer.status_code == 206 else "wb") as file:
                async for chunk in answer.aiter_bytes():
                    file.write(chunk)
        return True

    def _check(self, item: Mapping[str, Any], part: Path) -> None:
        count = item.get("count")
        if isinstance(count, int) and str(item["url"]).partition("?")[0].endswith(".ndjson"):
            with part.open("rb") as file:
                found = sum(1 for line in file if line.strip())
            if found != count:
                part.unlink()
                raise FetchFailed(f"a file has {found} resources and not {count}, as the manifest says; fetch again")

    async def _request(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a request; try again where the connection fails, the server is busy or the token is too old."""
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                sent = {**(headers or {}), **await self._access.headers()}
                answer = await self._access.http.request(method, url, headers=sent)
            except httpx.HTTPError as error:
                if last:
                    raise FetchFailed(f"the server cannot be reached ({type(error).__name__})") from None
                await asyncio.sleep(2**attempt / 4)
                continue
            if answer.status_code == 401 and attempt == 0:
                self._access.forget()
            elif answer.status_code not in (502, 503, 504) or last:
                return answer
            else:
                await asyncio.sleep(min(_LONGEST_WAIT, _retry_after(answer) or 2**attempt / 4))
        raise FetchFailed("the server lets this client in no more; look at its registration")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _diagnostics(answer: httpx.Response) -> str:
    issues = _object(answer).get("issue") or ()
    said = [str(issue.get("diagnostics", "")) for issue in issues if isinstance(issue, dict)]
    return "; ".join(text for text in said if text) or "the server gives no reason"
