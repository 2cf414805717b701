"""Reasons and codes: every error that a call can meet has one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from grpc import StatusCode

import toro_core
from toro_core.errors import Issue, ToroError
from toro_core.status import CODES, call_error, rich_status
from toro_core.v1 import CallError, IssueSeverity, bare_error

OF_COMMANDS = {
    "BROKEN_PLUGIN",
    "DEFINITIONS_DIFFER",
    "EXPORT_FILES_UNUSABLE",
    "EXPORT_LEASE_LOST",
    "FETCH_FAILED",
    "FOLDER_EXISTS",
    "INVALID_REGISTRATION",
    "NOTHING_TO_IMPORT",
    "NOTHING_TO_MOVE",
    "NO_STORAGE",
    "PACKAGE_UNUSABLE",
    "SANDBOX_REFUSED",
    "SETTINGS_INVALID",
    "TARGET_NOT_EMPTY",
    "UNKNOWN_STORAGE",
}
"""Reasons that only commands give, or work in the background."""
OF_DEFINITIONS = {"EVALUATION_FAILED", "INVALID_EXPRESSION", "UNSUPPORTED_EXPRESSION"}
"""Reasons met while definitions are compiled, and their expressions evaluated."""
OF_XML = {"INVALID_XML", "NO_XML"}  # gRPC carries JSON alone


def errors(kind: type[ToroError] = ToroError) -> Iterator[type[ToroError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from errors(below)


def load_everything() -> None:
    for module in pkgutil.walk_packages(toro_core.__path__, "toro_core."):
        if "._gen" not in module.name and ".testing" not in module.name:
            importlib.import_module(module.name)


def test_every_reason_a_call_can_meet_has_a_code() -> None:
    # Another reason would be answered with INTERNAL: give it a code, or say here why no call meets it.
    load_everything()
    reasons = {error.reason: error for error in errors() if error.__module__.startswith("toro_core.")}
    assert set(reasons) - set(CODES) == OF_COMMANDS | OF_DEFINITIONS | OF_XML


def test_every_code_is_of_a_reason_that_exists() -> None:
    load_everything()
    assert set(CODES) - {error.reason for error in errors()} == {"DEADLINE_EXCEEDED"}


def test_every_default_message_is_a_sentence_about_the_thing() -> None:
    load_everything()
    for error in errors():
        if error.__init__ is ToroError.__init__ and error.__module__.startswith("toro_core."):
            raised = error()
            assert len(str(raised).split()) > 2, error
            assert [issue.code for issue in raised.issues] == [error.issue]


def test_an_error_of_a_call_is_passed_on_as_it_is() -> None:
    error = CallError("ABORTED", "VERSION_CONFLICT", [])
    assert call_error(error) is error


def test_the_missing_scope_is_a_detail() -> None:
    from toro_core.access import Forbidden

    error = call_error(Forbidden("system/Patient.r"))
    assert error.details == {"scope": "system/Patient.r"}
    assert "system/Patient.r" in error.issues[0].diagnostics


def test_issues_keep_their_severity_and_places() -> None:
    issue = Issue(severity="warning", code="value", diagnostics="text", expressions=("Patient.name[0]",))
    [found] = call_error(ToroError(issues=(issue,))).issues
    assert found.severity == IssueSeverity.ISSUE_SEVERITY_WARNING
    assert (found.code, found.diagnostics, list(found.expressions)) == ("value", "text", ["Patient.name[0]"])


@pytest.mark.parametrize("size", [1, 100, 5_000])
def test_details_stay_within_what_is_asked_for(size: int) -> None:
    issues = tuple(Issue(code="value", diagnostics=f"{number} {'x' * size}") for number in range(100))
    error = call_error(ToroError(issues=issues))
    for limit in (1_000, 5_000, 50_000):
        status = rich_status(error, limit)
        assert status.ByteSize() < limit + 1_200
        assert len(status.message) <= 500


@pytest.mark.parametrize("code", [code.name for code in StatusCode if code is not StatusCode.OK])
def test_every_bare_code_says_something(code: str) -> None:
    error = bare_error(code)
    assert error.code == code
    assert error.reason
    assert error.issues[0].diagnostics
