from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toro_core.settings import Settings, SettingsError, describe, load, resolve, variable


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_need_no_source() -> None:
    assert load(None, {}, {}) == Settings()


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(folder: Path) -> None:
    (folder / "own.toml").write_text('host = "::1"\nport = 1\nlog_level = "debug"\n')
    loaded = resolve("own.toml", {"TORO_PORT": "2", "TORO_LOG_LEVEL": "error"}, {"log_level": "warning", "host": None})
    settings = loaded.settings
    assert (settings.host, settings.port, settings.log_level) == ("::1", 2, "warning")
    assert loaded.sources["host"] == "own.toml: host"
    assert loaded.sources["port"] == "TORO_PORT"
    assert loaded.sources["log_level"] == "--log-level"
    assert loaded.sources["storage"] == "default"


def test_the_file_is_found_by_variable_or_in_the_working_directory(folder: Path) -> None:
    (folder / "toro.toml").write_text("port = 1")
    (folder / "other.toml").write_text("port = 2")
    (folder / "third.toml").write_text("port = 3")
    assert load(None, {}, {}).port == 1
    assert load(None, {"TORO_CONFIG": "other.toml"}, {}).port == 2
    assert load("third.toml", {"TORO_CONFIG": "other.toml"}, {}).port == 3


def test_a_file_that_was_named_must_exist() -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml cannot be read"):
        load("absent.toml", {}, {})


def test_a_file_that_is_not_toml_is_named(folder: Path) -> None:
    (folder / "toro.toml").write_text("port 1")
    with pytest.raises(SettingsError, match=r"toro\.toml is not TOML"):
        load(None, {}, {})


@pytest.mark.parametrize(
    ("text", "environ", "flags", "message"),
    [
        ("prot = 1", {}, {}, r'toro\.toml: prot is not a setting; did you mean "port"\?'),
        ("", {"TORO_MAXBODY": "1"}, {}, r'TORO_MAXBODY is not a setting; did you mean "max_body"\?'),
        ("", {}, {"bind_all": "1"}, r"--bind-all is not a setting; see docs/config\.md"),
        ("", {"TORO_SERVICE_HOST": "10.0.0.1"}, {}, "enableServiceLinks"),
    ],
)
def test_what_is_not_a_setting_is_refused_with_its_source(
    folder: Path, text: str, environ: dict[str, str], flags: dict[str, object], message: str
) -> None:
    (folder / "toro.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load(None, environ, flags)


@pytest.mark.parametrize(
    ("text", "environ", "flags", "message"),
    [
        ('port = "http"', {}, {}, r"toro\.toml: port must be a whole number from 0 to 65535"),
        ("port = true", {}, {}, "a whole number"),
        ("port = 65536", {}, {}, "a whole number"),
        ("host = 1", {}, {}, r"toro\.toml: host must be text"),
        ("token_ttl = 301", {}, {}, "a whole number from 1 to 300"),
        ("service_bases = [1]", {}, {}, "a list of names"),
        ("insecure = 1", {}, {}, "true or false"),
        ("", {"TORO_INSECURE": "maybe"}, {}, "TORO_INSECURE must be true or false"),
        ("", {"TORO_MAX_BODY": "32 potatoes"}, {}, 'bytes, or a size such as "32MiB"'),
        ("", {"TORO_BODY_TIMEOUT": "nan"}, {}, "seconds, from"),
        ("", {"TORO_BODY_TIMEOUT": "-1"}, {}, "seconds, from"),
        ("", {"TORO_EXPORT_KEEP": "1"}, {}, "seconds, from 60 to 2592000"),
        ("", {}, {"expose": "all"}, '--expose must be one of "published", "full"'),
    ],
)
def test_a_value_of_the_wrong_shape_names_its_source_and_the_shape(
    folder: Path, text: str, environ: dict[str, str], flags: dict[str, object], message: str
) -> None:
    (folder / "toro.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load(None, environ, flags)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('tls_key = "k"', "tls_certificate and tls_key go together"),
        ('core_tls_ca = "ca"', "core_tls_certificate, core_tls_key and core_tls_ca go together"),
        ("page_size = 60\npage_size_max = 59", "page_size is larger"),
        ('base_url = "fhir.example.org"', "base_url must start with http"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(folder: Path, text: str, message: str) -> None:
    (folder / "toro.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load(None, {}, {})


@pytest.mark.parametrize(("text", "size"), [("1024", 1024), ("10 KiB", 10240), ("32MiB", 32 << 20), ("1GiB", 1 << 30)])
def test_a_size_is_bytes_or_has_a_unit(folder: Path, text: str, size: int) -> None:
    (folder / "toro.toml").write_text(f'max_body = "{text}"')
    assert load(None, {}, {}).max_body == load(None, {"TORO_MAX_BODY": text}, {}).max_body == size


def test_a_list_is_a_list_in_the_file_and_comma_separated_in_a_variable(folder: Path) -> None:
    (folder / "toro.toml").write_text('operations = ["$validate", "$docref"]')
    assert load(None, {}, {}).operations == ("$validate", "$docref")
    assert load(None, {"TORO_OPERATIONS": "$validate, $docref"}, {}).operations == ("$validate", "$docref")
    assert load(None, {"TORO_OPERATIONS": ""}, {}).operations == ()


def test_a_token_and_variables_of_tests_are_not_settings() -> None:
    assert load(None, {"TORO_TEST_POSTGRES": "x", "TORO_TOKEN": "x"}, {}) == Settings()


@given(st.text(max_size=12))
def test_any_text_is_parsed_or_refused_with_a_settings_error(text: str) -> None:
    for f in fields(Settings):
        try:
            load(None, {variable(f.name): text}, {})
        except SettingsError as error:
            assert error.issues[0].diagnostics  # noqa: PT017 - either outcome is right, a crash is not


def test_every_setting_is_described_and_its_default_is_true_to_its_shape() -> None:
    described = list(describe())
    assert [row[0] for row in described] == [f.name for f in fields(Settings)]
    for f, (_, name, _, expected, meaning) in zip(fields(Settings), described, strict=True):
        assert name == f"TORO_{f.name.upper()}"
        assert expected
        assert meaning.endswith(".")
        assert f.default is None or f.metadata["shape"].parse(f.default) == f.default


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_urls_derive_from_the_base_url_else_from_the_request_else_from_the_address() -> None:
    assert Settings(base_url="https://a.example/").fhir_base("http://b") == "https://a.example/fhir"
    assert Settings().token_url("http://b:1") == "http://b:1/auth/token"
    assert Settings(host="::1", port=1, tls_certificate="c", tls_key="k").base() == "https://[::1]:1"
    own = Settings(base_url="https://a.example", service_bases=("https://b.example/fhir/",)).own_bases()
    assert own == ("https://a.example/fhir", "https://b.example/fhir")
    here = Settings(port=1).own_bases()
    assert here == ("http://127.0.0.1:1/fhir", "http://localhost:1/fhir", "http://[::1]:1/fhir")
    assert Settings(host="10.0.0.1", port=1, insecure=True).own_bases() == ("http://10.0.0.1:1/fhir",)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(host="127.0.0.9"),
        Settings(host="::1"),
        Settings(host="localhost"),
        Settings(host="0.0.0.0", insecure=True),  # noqa: S104 - what is tested
        Settings(host="10.0.0.1", base_url="https://a.example"),
        Settings(host="10.0.0.1", tls_certificate="c", tls_key="k"),
    ],
)
def test_a_safe_address_may_listen(settings: Settings) -> None:
    settings.check_http()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "fhir.example", ""])  # noqa: S104 - what is tested
def test_plain_text_beyond_loopback_is_refused_with_the_remedy(host: str) -> None:
    with pytest.raises(SettingsError, match="--insecure"):
        Settings(host=host, base_url="http://a.example").check_http()


def test_plain_grpc_beyond_loopback_is_refused_with_the_remedy() -> None:
    for address in ("127.0.0.1:1", "[::1]:1", "unix:/run/toro.sock"):
        Settings().check_grpc(address)
    Settings(insecure=True).check_grpc("0.0.0.0:1")
    Settings(core_tls_certificate="c", core_tls_key="k", core_tls_ca="a").check_grpc("core:1")
    for address in ("0.0.0.0:1", "[::]:1", "core:1"):
        with pytest.raises(SettingsError, match="core_tls_certificate"):
            Settings().check_grpc(address)
