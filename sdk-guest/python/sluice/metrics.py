"""Numbers about the connector's own work; names are `[a-z][a-z0-9_]*` up to 64 bytes, at most 32 a call."""

from . import _host


def count(name: str, by: int = 1) -> None:
    """Adds to a counter that only grows."""
    _host.of("metrics").count(name, by)


def gauge(name: str, value: float) -> None:
    """Sets a value that goes up and down."""
    _host.of("metrics").gauge(name, value)
