"""What can go wrong, by who has to act. The host decides about retries from the class alone; every other exception is the author's
bug and is reported with its file and line."""

from __future__ import annotations


class ConnectorError(Exception):
    """The base of the others; raise one of those."""

    tag = "internal"

    def __init__(self, message: str, *, pointer: str | None = None, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer
        self.retry_after_ms = retry_after_ms


class ConfigError(ConnectorError):
    """The user: the configuration is wrong, at `pointer` (RFC 6901). Not retried."""

    tag = "config"


class AuthError(ConnectorError):
    """The user: the credential no longer works. Not retried; the connection asks to be reconnected."""

    tag = "auth"


class RateLimitedError(ConnectorError):
    """Nobody: the vendor asked to wait, for `retry_after_ms` where it says how long."""

    tag = "rate-limited"


class TransientError(ConnectorError):
    """Nobody: a fault that passes. Retried with backoff."""

    tag = "transient"


class InvalidDataError(ConnectorError):
    """The vendor sent, or the caller gave, something that breaks its schema. Not retried."""

    tag = "invalid-data"


class UnsupportedError(ConnectorError):
    """The connector does not offer this. Not retried."""

    tag = "unsupported"
