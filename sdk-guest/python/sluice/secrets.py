"""Secrets as handles. A connector can put one on the wire and derive from it; it can't read it."""

from __future__ import annotations

from typing import Any

from . import _host


def open(name: str) -> Any | None:
    """The handle of a secret that the manifest names, or None: `placeholder()`, `hmac(…)`, `sign_jwt(…)`, `verify_hmac(…)` of the
    contract's `secrets.secret`."""
    return _host.of("secrets").open(name)
