"""The log: JSON lines without the messages of exceptions."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys

import pytest

from toro_core.log import JsonLines


def rendered(record: logging.LogRecord) -> str:
    return JsonLines().format(record)


def record(message: str, name: str = "toro.core", error: Exception | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.WARNING, __file__, 1, message, (), info)


def test_a_record_is_one_json_object() -> None:
    line = json.loads(rendered(record("it is so")))
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warning", "logger": "toro.core", "message": "it is so"}


def test_a_message_that_is_an_object_is_kept_as_one() -> None:
    assert json.loads(rendered(record('{"event":"x"}', "toro.auth")))["message"] == {"event": "x"}


@pytest.mark.parametrize("name", ["toro.access", "toro.core.calls"])
def test_lines_that_are_ready_made_pass_as_they_are(name: str) -> None:
    assert rendered(record('{"a":1}\n{"a":2}', name)) == '{"a":1}\n{"a":2}'


def test_an_exception_is_told_by_its_type_and_place() -> None:
    try:
        json.loads("canary")
    except ValueError as error:
        text = rendered(record("it failed", error=error))
    line = json.loads(text)
    assert line["exception"] == "JSONDecodeError"
    assert line["place"].startswith("json.decoder:")
    assert "canary" not in text


def test_an_exception_nobody_waited_for_is_told_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("canary")

    async def main() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])

    asyncio.run(main())
    texts = [rendered(each) for each in caplog.records if each.name == "asyncio"]
    assert ["never retrieved" in text for text in texts] == [True]
    assert "canary" not in texts[0]


def test_it_goes_to_standard_error_from_the_level_asked_for() -> None:
    code = (
        "import logging; from toro_core.log import configure; configure('info')\n"
        "for name in ('toro.core', 'httpx', 'asyncio'):\n"
        "    for level in (10, 20, 30): logging.getLogger(name).log(level, '%s %s', name, level)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    told = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert told == ["toro.core 20", "toro.core 30", "httpx 30", "asyncio 30"]
    assert not done.stdout
