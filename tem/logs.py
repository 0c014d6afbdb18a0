"""How TEM logs: JSON lines with a UTC time from the long-running parts, plain words from commands."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import structlog

TIMESTAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    TIMESTAMP,
    structlog.processors.format_exc_info,
]


def configure(options: dict[str, Any]) -> None:
    """Route the standard library's loggers and structlog to stderr; called by Django's setup.

    `options["format"]` is "json" (level INFO) or anything else (plain text, warnings only).
    """
    as_json = options["format"] == "json"
    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = {"class": "logging.StreamHandler", "formatter": "tem"}
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        "foreign_pre_chain": SHARED,
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"tem": formatter},
            "handlers": {"stderr": handler},
            "root": {"handlers": ["stderr"], "level": "INFO" if as_json else "WARNING"},
        }
    )
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
