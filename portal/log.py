"""Where the processes' own words go: stderr, as text for people or as JSON for machines. No numbers, no secrets."""

import logging
import sys

import structlog


def configure(log_format: str) -> None:
    """`log_format` is text or json (`PORTAL_LOG_FORMAT`)."""
    last = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
