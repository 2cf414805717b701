from __future__ import annotations

from pathlib import Path

import pytest

from toro_core.commands.main import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_config_check_says_where_each_value_came_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "own.toml").write_text('host = "::1"\n')
    monkeypatch.setenv("TORO_PORT", "9090")
    assert main(["config", "check", "--config", "own.toml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'host = "::1"  # own.toml: host' in lines
    assert "port = 9090  # TORO_PORT" in lines
    assert 'expose = "published"  # default' in lines


def test_config_check_prints_no_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TORO_STORAGE", "postgresql://toro:open-sesame@db/toro")
    assert main(["config", "check"]) == 0
    out = capsys.readouterr().out
    assert "postgresql://toro:***@db/toro" in out
    assert "sesame" not in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", 'toro.toml: prot is not a setting; did you mean "port"?'),
        ('host = "0.0.0.0"', "0.0.0.0 is not loopback"),
        ('core_listen = "0.0.0.0:9090"', "0.0.0.0:9090 is not loopback"),
    ],
)
def test_config_check_fails_where_a_server_would_not_start(
    folder: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "toro.toml").write_text(text)
    assert main(["config", "check"]) == 1
    assert f"Error: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://toro:s3cret@db1,db2:5433/toro", "postgresql://toro:***@db1,db2:5433/toro"),
        ("postgresql://toro:p@s3/cret@db/toro", "postgresql://toro:***@db/toro"),
        ("postgresql://db/toro?password=s3cret&sslmode=require", "postgresql://db/toro?password=***&sslmode=require"),
        ("postgresql://db/toro?user=x&sslpassword=s3cret", "postgresql://db/toro?user=x&sslpassword=***"),
        ("postgresql://db1:5432,db2:5433/toro", "postgresql://db1:5432,db2:5433/toro"),
    ],
)
def test_no_part_of_a_password_in_a_storage_url_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, shown: str
) -> None:
    monkeypatch.setenv("TORO_STORAGE", url)
    assert main(["config", "check"]) == 0
    out = capsys.readouterr().out
    assert f'storage = "{shown}"' in out
    assert "s3" not in out
