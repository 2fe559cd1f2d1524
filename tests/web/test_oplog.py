"""The operator's log: what is in a line, and what never is."""

import asyncio
import logging

import orjson
import pytest

from medlock.clock import Clock
from medlock.web.oplog import OpLog, ServerLog


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
