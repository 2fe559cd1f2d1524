"""The operator's log: what is in a line, and what never is."""

import asyncio
import logging
import re
from pathlib import Path

import orjson
import pytest

from medlock.clock import Clock
from medlock.web.oplog import Line, OpLog, ServerLog, Told


class Lines(list):
    """A sink that keeps lines."""

    write = list.append

    def flush(self):
        """Nothing is held back."""


@pytest.fixture
def lines():
    """The lines of a log that stands in for the server's own handlers, which come back afterwards."""
    kept = {}
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        kept[name] = logger.handlers[:], logger.level, logger.propagate
    lines = Lines()
    ServerLog.attach(OpLog(Clock(), lines))
    yield lines
    for name, (handlers, level, propagate) in kept.items():
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_an_error_of_the_server_keeps_its_text_and_loses_its_values(lines):
    """The template of a message is logged, its arguments are not."""
    logging.getLogger("uvicorn.error").error("ASGI callable should return None, but returned '%s'.", "a patient's name")
    line = orjson.loads(lines[0])
    assert line["text"] == "ASGI callable should return None, but returned '%s'."
    assert "a patient's name" not in lines[0]


def test_an_exception_is_logged_by_kind_and_place(lines):
    """The message of an exception stays out."""
    fault = ValueError("a patient's name")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=fault)
    line = orjson.loads(lines[0])
    assert (line["event"], line["kind"]) == ("fault", "ValueError")
    assert "a patient's name" not in lines[0]


def test_what_strangers_cause_is_left_out(lines):
    """Warnings, such as those about bytes that are not HTTP, do not reach the log."""
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert not lines


async def test_a_lost_task_is_logged_by_kind(lines):
    """Asyncio's own complaints go the same way."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError("a patient's name")}
    )
    assert orjson.loads(lines[0])["kind"] == "ValueError"
    assert "a patient's name" not in lines[0]


class FullDisk(Lines):
    """A sink that takes no line."""

    def write(self, _line):
        raise OSError(28, "No space left on device")


def test_a_full_disk_costs_lines_and_nothing_else():
    """Whoever tells something goes on."""
    log = OpLog(Clock(), FullDisk())
    log.fault(ValueError("x"), "name")
    log.notice(Told.SERVER, text="x")


PAGE = (Path(__file__).parents[2] / "docs/spec/operator-log.md").read_text()


def schema():
    """Event → members of its lines by the page; those with a question mark may be missing."""
    table = PAGE.partition("## 2 Events")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|", table, flags=re.MULTILINE)
    return {event: set(re.findall(r"`([a-z]+)`(?!\?)", members)) for event, members in rows}


def test_the_page_lists_every_event():
    """The table is the enum."""
    assert set(schema()) == {told.value for told in Told}


def test_lines_have_the_members_that_the_page_says():
    """Each way to write a line, against the table; a trace only where there is one."""
    lines = Lines()
    log = OpLog(Clock(), lines, worker=3)
    log.request(Line("GET", "/fhir/{type}/{id}", "read", 200, 1.234, "name"))
    log.request(Line("GET", "/fhir/{type}/{id}", "read", 200, 1.234, "name", "trace"))
    log.fault(ValueError("a patient's name"), "name")
    found = [orjson.loads(line) for line in lines]
    for line, more in zip(found, (set(), {"trace"}, set()), strict=True):
        assert set(line) == schema()[line["event"]] | {"time", "event", "worker"} | more
        assert line["worker"] == 3


def test_notices_have_the_members_that_the_page_says():
    """Wherever the program tells something, the words are those of the table."""
    told = set()
    for path in (Path(__file__).parents[2] / "src/medlock").rglob("*.py"):
        for name, rest in re.findall(r"notice\(\s*Told\.([A-Z_]+), ([^\n]*)\)", path.read_text()):
            event = Told[name].value
            assert set(re.findall(r"(\w+)=", rest)) == schema()[event], path
            told.add(event)
        for event in re.findall(r"notice\(\"([a-z-]+)\", ", path.read_text()):  # the broker's, by a callback
            assert schema()[event] == {"code"}
            told.add(event)
    assert told == set(schema()) - {"request", "fault"}


def test_the_example_is_a_line():
    """It has the members of its event."""
    line = orjson.loads(PAGE.partition("```json\n")[2].partition("\n```")[0])
    assert set(line) == schema()[line["event"]] | {"time", "event", "worker"}
