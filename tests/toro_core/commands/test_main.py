from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints

import click
import pytest

from toro_core.commands import main as module
from toro_core.commands.main import main
from toro_core.errors import NotFound
from toro_core.v1 import CallError, Issue

BEHAVIOUR: dict[str, Callable[[], None]] = {}


@click.command()
def probe() -> None:
    """Do what the test asks."""
    BEHAVIOUR["probe"]()


not_a_command = 1


def _raise(error: BaseException) -> Callable[[], None]:
    def behave() -> None:
        raise error

    return behave


@pytest.fixture(autouse=True)
def probed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        EntryPoint("probe", f"{__name__}:probe", "toro.commands"),
        EntryPoint("missing", "toro_core.no_such_module:command", "toro.commands"),
        EntryPoint("wrong", f"{__name__}:not_a_command", "toro.commands"),
    ]
    monkeypatch.setattr(module, "entry_points", lambda **wanted: EntryPoints(found).select(**wanted))


def test_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "probe    Do what the test asks." in out
    assert "missing  (cannot be loaded: No module named 'toro_core.no_such_module')" in out


def test_version_names_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("toro, version 0.")


def test_a_command_that_cannot_be_loaded_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["missing", "--any", "thing"]) == 1
    assert "toro missing cannot be loaded from toro_core.no_such_module:command" in capsys.readouterr().err
    assert main(["wrong"]) == 1
    assert "is not a click command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (NotFound("Patient/1 is not there"), 1, "Error: Patient/1 is not there\n"),
        (CallError("NOT_FOUND", "RESOURCE_NOT_FOUND", [Issue(diagnostics="no Patient/1")]), 1, "Error: no Patient/1\n"),
        (FileNotFoundError(2, "No such file or directory", "a.json"), 1, "Error: a.json: No such file or directory\n"),
        (click.ClickException("no"), 1, "Error: no\n"),
    ],
)
def test_a_failure_is_one_line(error: Exception, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    BEHAVIOUR["probe"] = _raise(error)
    assert main(["probe"]) == code
    assert capsys.readouterr().err == message


def test_a_bug_keeps_its_traceback() -> None:
    BEHAVIOUR["probe"] = _raise(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["probe"])


def test_an_interrupt_exits_130_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    BEHAVIOUR["probe"] = _raise(KeyboardInterrupt())
    assert main(["probe"]) == 130
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize("arguments", [["nope"], ["probe", "--nope"], ["probe", "extra"]])
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Usage:" in capsys.readouterr().err


def test_success_exits_0() -> None:
    BEHAVIOUR["probe"] = lambda: None
    assert main(["probe"]) == 0
