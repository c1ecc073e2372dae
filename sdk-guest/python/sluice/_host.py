"""The host's functions. Inside the sandbox they are what componentize-py generated; `sluice.testing` plays them outside."""

from __future__ import annotations

from typing import Any

imports: dict[str, Any] = {}


def use(**given: Any) -> None:
    """Puts the host's interfaces (`http`, `files`, `storage`, `secrets`, `log`, `metrics`) in place."""
    imports.update(given)


def of(name: str) -> Any:
    """One of them."""
    try:
        return imports[name]
    except KeyError:
        raise RuntimeError(f"`{name}` is the host's: run the connector in Sluice, or play the host with sluice.testing") from None
