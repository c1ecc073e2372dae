"""Key-value storage of the connection, values as JSON. Writes become durable with the call's outcome or not at all; a cursor belongs
in the page, not here."""

from __future__ import annotations

import json
from typing import Any

from . import _host


class StorageError(RuntimeError):
    """Why something was not stored: `reason` is `conflict` (another version is there), `quota` or `invalid-key`."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"could not store {key!r}: {reason}")
        self.reason = reason


_REASONS = {"Error_Conflict": "conflict", "Error_Quota": "quota", "Error_InvalidKey": "invalid-key"}


def _refusal(key: str, error: Exception) -> Exception:
    """The contract's `storage.error` comes inside componentize-py's `Err`."""
    reason = _REASONS.get(type(getattr(error, "value", None)).__name__)
    return error if reason is None else StorageError(key, reason)


def get(key: str, default: Any = None) -> Any:
    """The value under `key`."""
    entry = _host.of("storage").get(key)
    return default if entry is None else json.loads(entry.value)


def version(key: str) -> int:
    """How often `key` was written; 0: it is not there."""
    entry = _host.of("storage").get(key)
    return 0 if entry is None else entry.version


def put(key: str, value: Any, expect: int | None = None) -> None:
    """Writes; `expect` is the version seen before (0: must not exist). Raises `StorageError`."""
    try:
        _host.of("storage").set(key, json.dumps(value, allow_nan=False).encode(), expect)
    except Exception as error:
        raise _refusal(key, error) from None


def delete(key: str) -> None:
    """Deletes; deleting what is not there succeeds."""
    try:
        _host.of("storage").delete(key)
    except Exception as error:
        raise _refusal(key, error) from None


def keys(prefix: str = "", after: str | None = None, limit: int = 1_000) -> list[str]:
    """Keys with this prefix that sort after `after`, in byte order."""
    return list(_host.of("storage").list_keys(prefix, after, limit))
