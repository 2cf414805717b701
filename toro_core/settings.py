"""The settings of a Toro process: one frozen object, read once, documented from its fields.

Past 250 lines because every setting is here, with its meaning.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, cast

from toro_core.errors import ToroError
from toro_core.settings_shapes import FLAG, NAMES, SIZE, TEXT, Shape, choice, number, seconds

__all__ = ["CONFIG_FILE", "Loaded", "Settings", "SettingsError", "describe", "load", "resolve", "variable"]

CONFIG_FILE: Final = "toro.toml"
_PREFIX: Final = "TORO_"
_CONFIG_VARIABLE: Final = "TORO_CONFIG"
_NOT_SETTINGS: Final = frozenset({_CONFIG_VARIABLE, "TORO_TOKEN"})  # the latter is what `toro import --core` sends
_TESTS: Final = "TORO_TEST_"


class SettingsError(ToroError):
    """The settings are wrong."""

    reason = "SETTINGS_INVALID"
    issue = "invalid"


def _setting(default: Any, shape: Shape, meaning: str) -> Any:
    return field(default=default, metadata={"shape": shape, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process runs with. Paths are relative to the working directory; "" means not set."""

    storage: str = _setting("sqlite:///toro.db", TEXT, "URL of the storage; its scheme picks the plugin.")
    host: str = _setting("127.0.0.1", TEXT, "Address the HTTP server listens on.")
    port: int = _setting(8080, number(0, 65535), "Port the HTTP server listens on; 0 takes a free one.")
    base_url: str = _setting(
        "", TEXT, "URL under which clients reach the server, without `/fhir`; on loopback the Host header stands in."
    )
    expose: Literal["published", "full"] = _setting(
        "published",
        choice("published", "full"),
        "What partners may do: the published table, or all the core can do.",
    )
    supporting: bool = _setting(True, FLAG, "Also expose read and search of the types the published ones refer to.")
    operations: tuple[str, ...] | None = _setting(
        None, NAMES, "Operations to expose by name; unset means the published ones, or all."
    )
    max_body: int = _setting(32 << 20, SIZE, "Largest HTTP body and gRPC message.")
    header_timeout: float = _setting(10.0, seconds(0.1, 3600), "Time a client has to send a request's headers.")
    body_timeout: float = _setting(30.0, seconds(0.1, 3600), "Longest pause between two chunks of a body.")
    call_timeout: float = _setting(30.0, seconds(0.1, 3600), "Deadline of a call to the core.")
    shutdown_grace: float = _setting(10.0, seconds(0, 3600), "Time open requests have to finish after SIGTERM.")
    insecure: bool = _setting(False, FLAG, "Allow plain text beyond loopback.")
    tls_certificate: str = _setting("", TEXT, "Path of the HTTP server's certificate chain, PEM.")
    tls_key: str = _setting("", TEXT, "Path of the HTTP server's private key, PEM.")
    core_listen: str = _setting("", TEXT, "HOST:PORT of the gRPC door; unset means none.")
    core_address: str = _setting("", TEXT, "HOST:PORT of the core a facade calls; unset means in the same process.")
    core_tls_certificate: str = _setting("", TEXT, "Path of this side's certificate between facade and core, PEM.")
    core_tls_key: str = _setting("", TEXT, "Path of this side's private key between facade and core, PEM.")
    core_tls_ca: str = _setting("", TEXT, "Path of the authority that signed the other side's certificate, PEM.")
    core_reflection: bool = _setting(False, FLAG, "Serve gRPC reflection.")
    page_size: int = _setting(50, number(1, 10_000), "Entries on a page where `_count` is not given.")
    page_size_max: int = _setting(1000, number(1, 10_000), "Most entries on a page, whatever `_count` says.")
    search_handling: Literal["strict", "lenient"] = _setting(
        "strict",
        choice("strict", "lenient"),
        "Unknown search parameters where `Prefer` is not given: refused, or ignored and said.",
    )
    profile_policy: Literal["off", "warn", "enforce"] = _setting(
        "warn",
        choice("off", "warn", "enforce"),
        "US Core profiles of resources that do not claim them: not checked, checked with warnings, or demanded.",
    )
    service_bases: tuple[str, ...] = _setting((), NAMES, "Further FHIR base URLs in references that mean this server.")
    update_create: bool = _setting(False, FLAG, "Let an update create a resource under the id it names.")
    conditional_delete: Literal["single", "multiple"] = _setting(
        "single",
        choice("single", "multiple"),
        "Whether a conditional delete that finds several resources is refused or deletes them all, up to 1000.",
    )
    delete_referenced: bool = _setting(False, FLAG, "Let a resource be deleted that others refer to.")
    check_references: bool = _setting(
        False, FLAG, "Refuse a resource whose references lead to resources this server does not have."
    )
    token_ttl: int = _setting(300, number(1, 300), "Life of an access token in seconds.")
    audience_list: bool = _setting(False, FLAG, "Accept a list in an assertion's `aud`.")
    clock_skew: int = _setting(60, number(0, 300), "Seconds a client's clock may be off.")
    export_files: str = _setting(
        "exports", TEXT, "Folder for the files of bulk exports, or a URL such as `s3://bucket/path`."
    )
    export_signed_urls: bool = _setting(
        True,
        FLAG,
        "Let clients download the files of bulk exports from where they lie, by signed URLs, where that is possible.",
    )
    export_keep: float = _setting(86_400.0, seconds(60, 2_592_000), "How long a complete export is kept.")
    export_file_size: int = _setting(128 << 20, SIZE, "Size at which a bulk export begins another file.")
    export_limit: int = _setting(4, number(1, 1000), "Bulk exports a client may have under way.")
    export_workers: int = _setting(
        2, number(0, 64), "Bulk exports this process works on at a time; 0 leaves them to others."
    )
    export_process: bool = _setting(
        True, FLAG, "Work on bulk exports in a process of its own, where the storage can be opened by two."
    )
    export_poll: float = _setting(
        5.0, seconds(0.1, 600), "How often a process looks for exports that others left undone."
    )
    export_ascii: bool = _setting(
        False, FLAG, "Write bulk exports in ASCII, everything else escaped, for clients that cut UTF-8."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", choice("debug", "info", "warning", "error"), "Least level that is logged."
    )

    def base(self, given: str = "") -> str:
        """Return the server's URL: the configured one, else `given` (from the Host header), else host and port."""
        scheme = "https" if self.tls_certificate else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.base_url or given or f"{scheme}://{host}:{self.port}").rstrip("/")

    def fhir_base(self, given: str = "") -> str:
        """Return the FHIR base URL, without a slash at its end."""
        return f"{self.base(given)}/fhir"

    def token_url(self, given: str = "") -> str:
        """Return the token endpoint: the one `aud` an assertion may have."""
        return f"{self.base(given)}/auth/token"

    def own_bases(self) -> tuple[str, ...]:
        """Return the FHIR base URLs that mean this server: without `base_url`, on loopback, every name of it."""
        here = ("127.0.0.1", "localhost", "[::1]") if _loopback(self.host) and not self.base_url else ()
        scheme = self.base().partition(":")[0]
        others = (self.fhir_base(f"{scheme}://{name}:{self.port}") for name in here)
        return tuple(dict.fromkeys((self.fhir_base(), *others, *(base.rstrip("/") for base in self.service_bases))))

    def check_http(self) -> None:
        """Refuse plain text beyond loopback on the HTTP side. Raises SettingsError."""
        safe = self.insecure or self.tls_certificate or self.base_url.startswith("https://") or _loopback(self.host)
        if not safe:
            raise SettingsError(
                f"{self.host} is not loopback: set tls_certificate and tls_key, or an https base_url where a proxy "
                "ends TLS, or insecure (--insecure) to accept plain text"
            )

    def check_grpc(self, address: str) -> None:
        """Refuse plain text beyond loopback between facade and core. Raises SettingsError."""
        if not (self.insecure or self.core_tls_certificate or address.startswith("unix:") or _loopback(_host(address))):
            raise SettingsError(
                f"{address} is not loopback: set core_tls_certificate, core_tls_key and core_tls_ca, "
                "or insecure (--insecure) to accept plain text"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings and, by key, where each value came from."""

    settings: Settings
    sources: Mapping[str, str]


def load(config_file: Path | str | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Return the settings: flag over environment over file over default. Raises SettingsError.

    Without `config_file`, the file is what TORO_CONFIG names, else `toro.toml` in the working directory where there is one.
    A flag whose value is None was not given.
    """
    return resolve(config_file, environ, flags).settings


def resolve(config_file: Path | str | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """Return the settings with their sources. Raises SettingsError."""
    values: dict[str, Any] = {}
    sources = {f.name: "default" for f in fields(Settings)}
    for key, source, value in _given(config_file, environ, flags):
        values[key] = _parsed(key, source, value)
        sources[key] = source
    settings = Settings(**values)
    _check_pairs(settings)
    return Loaded(settings=settings, sources=sources)


def describe() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield key, variable, default, expected shape and meaning of each setting, in order."""
    for f in fields(Settings):
        yield f.name, variable(f.name), _rendered(f), f.metadata["shape"].expected, f.metadata["meaning"]


def variable(key: str) -> str:
    """Name the environment variable of a setting."""
    return _PREFIX + key.upper()


def _given(
    config_file: Path | str | None, environ: Mapping[str, str], flags: Mapping[str, object]
) -> Iterator[tuple[str, str, object]]:
    path = config_file or environ.get(_CONFIG_VARIABLE) or (CONFIG_FILE if Path(CONFIG_FILE).is_file() else None)
    for key, value in _read(Path(path)).items() if path else ():
        yield _known(key, f"{path}: {key}"), f"{path}: {key}", value
    for name, text in sorted(environ.items()):
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS and not name.startswith(_TESTS):
            yield _known(name.removeprefix(_PREFIX).lower(), name), name, text
    for key, value in flags.items():
        if value is not None:
            option = "--" + key.replace("_", "-")
            yield _known(key, option), option, value


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def _known(key: str, source: str) -> str:
    keys = [f.name for f in fields(Settings)]
    if key in keys:
        return key
    near = difflib.get_close_matches(key, keys, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else "; see docs/config.md for the settings there are"
    if source.startswith(("TORO_SERVICE_", "TORO_PORT_")):
        hint = "; Kubernetes sets it for a service named toro: rename the service or set enableServiceLinks to false"
    raise SettingsError(f"{source} is not a setting{hint}")


def _parsed(key: str, source: str, value: object) -> object:
    shape = cast(Shape, next(f for f in fields(Settings) if f.name == key).metadata["shape"])
    try:
        return shape.parse(value)
    except ValueError:
        raise SettingsError(f"{source} must be {shape.expected}") from None


def _check_pairs(settings: Settings) -> None:
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise SettingsError("tls_certificate and tls_key go together; set both or neither")
    core = (settings.core_tls_certificate, settings.core_tls_key, settings.core_tls_ca)
    if any(core) and not all(core):
        raise SettingsError("core_tls_certificate, core_tls_key and core_tls_ca go together; set all or none")
    if settings.page_size > settings.page_size_max:
        raise SettingsError("page_size is larger than page_size_max")
    if settings.base_url and not settings.base_url.startswith(("http://", "https://")):
        raise SettingsError("base_url must start with http:// or https://")


def _rendered(f: Field[Any]) -> str:
    value: Any = f.default
    if f.metadata["shape"] is SIZE:
        return f'"{value >> 20}MiB"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:g}"
    return "unset" if value is None else str(list(value)) if isinstance(value, tuple) else str(value)


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
