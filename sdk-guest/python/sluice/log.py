"""The connector's voice in the run's log. The host cuts lines at 4 KiB and drops what exceeds the call's budget."""

from __future__ import annotations

import json
from typing import Any

from . import _host


def _write(level: str, message: str, fields: dict[str, Any]) -> None:
    log = _host.of("log")
    log.write(getattr(log.Level, level), str(message), json.dumps(fields, default=str) if fields else None)


def debug(message: str, **fields: Any) -> None:
    """A line for the author."""
    _write("DEBUG", message, fields)


def info(message: str, **fields: Any) -> None:
    """A line for whoever follows the run."""
    _write("INFO", message, fields)


def warn(message: str, **fields: Any) -> None:
    """A line about something odd that does not stop the run."""
    _write("WARN", message, fields)


def error(message: str, **fields: Any) -> None:
    """A line about what is about to fail the call."""
    _write("ERROR", message, fields)
