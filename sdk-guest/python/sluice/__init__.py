"""Write a Sluice connector in Python: a subclass of `Connector` in `connector.py`, beside `connector.toml`.

A connector runs in a sandbox. It gets a fresh instance for every call, keeps nothing between calls but what it returns, and
reaches the outside only through `sluice.http`. It never holds a secret: the host puts credentials on the wire. Retries, rate
limits, signature checks and schema checks are the host's; there is nothing here for them on purpose.
"""

from . import files, http, log, metrics, records, secrets, storage
from .connector import (
    Account,
    Action,
    Connection,
    Connector,
    Delete,
    Event,
    Handled,
    Page,
    PendingWrite,
    ReadRequest,
    Receipt,
    Redirect,
    Registration,
    Reply,
    Stream,
    Upsert,
    Window,
    WriteResult,
)
from .errors import (
    AuthError,
    ConfigError,
    ConnectorError,
    InvalidDataError,
    RateLimitedError,
    TransientError,
    UnsupportedError,
)

__all__ = [
    "Account",
    "Action",
    "AuthError",
    "ConfigError",
    "Connection",
    "Connector",
    "ConnectorError",
    "Delete",
    "Event",
    "Handled",
    "InvalidDataError",
    "Page",
    "PendingWrite",
    "RateLimitedError",
    "ReadRequest",
    "Receipt",
    "Redirect",
    "Registration",
    "Reply",
    "Stream",
    "TransientError",
    "UnsupportedError",
    "Upsert",
    "Window",
    "WriteResult",
    "files",
    "http",
    "log",
    "metrics",
    "records",
    "secrets",
    "storage",
]
