"""Logging to stderr, as text for people or as JSON for machines.

The log holds no phone numbers and no secrets: it shows an exception's type and frames, never its message, which may
quote input or stored data.
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from structlog.typing import EventDict, WrappedLogger

from portal.core.rules.connection_errors import match_database_error

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{7,14}(?![0-9])")


def configure(log_format: str) -> None:
    """`log_format` is text or json (`PORTAL_LOG_FORMAT`). Log records of libraries get the same format."""
    renderer = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact_exception,
        _neutralize_values,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.getLogger().handlers = [handler]
    logging.getLogger().setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Replaces Python's default, which prints the message of an uncaught exception."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger().critical("unhandled exception", exc_info=(kind, error, trace))


def _neutralize_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """So that no value can begin a line of its own, steer a terminal or show a phone number (docs/logging.md)."""
    return {name: _neutral(value) for name, value in event.items()}


def _neutral(value: Any) -> Any:
    if isinstance(value, str):
        escaped = _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
        return _PHONE_NUMBER.sub(lambda match: f"+*******{match[0][-2:]}", escaped)
    if isinstance(value, Mapping):
        return {name: _neutral(part) for name, part in value.items()}
    return [_neutral(part) for part in value] if isinstance(value, list | tuple) else value


def _redact_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        if isinstance(error, SQLAlchemyError) and (cause := match_database_error(error)):
            event["cause"] = str(cause)
        event["frames"] = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ][-12:]
    return event
