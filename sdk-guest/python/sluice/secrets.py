"""Secrets as handles. A connector can put one on the wire and derive from it; it can't read it."""

from __future__ import annotations

from typing import Any, Literal

from . import _host
from .errors import ConnectorError

Algorithm = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64", "base64url"]

OF_WEBHOOK = "webhook.secret"
"""The name of the webhook's secret in the methods that set it up; a vendor that makes it has it captured under this name."""


class Secret:
    """A handle. What is derived from one is again one, bound to the same origins."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def placeholder(self) -> str:
        """A text that stands for the value in a header, the query or the body of a request of this same call."""
        return self._handle.placeholder()

    def hmac(self, algorithm: Algorithm, message: bytes, encoding: Encoding) -> Secret:
        """The keyed hash of `message`, encoded."""
        encodings = _host.of("secrets").Encoding
        return Secret(self._handle.hmac(_algorithm(algorithm), message, getattr(encodings, encoding.upper())))

    def sign_jwt(self, header: str, claims: str) -> Secret:
        """A compact JWS over header and claims (JSON texts); `alg` is HS256 or RS256."""
        try:
            return Secret(self._handle.sign_jwt(header, claims))
        except Exception as error:
            raise ConnectorError(str(getattr(error, "value", error))) from None

    def verify_hmac(self, algorithm: Algorithm, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is the keyed hash of `message`; compared in constant time."""
        return self._handle.verify_hmac(_algorithm(algorithm), message, signature)


def open(name: str) -> Secret | None:
    """The secret that the manifest names, if this connection has it; None for somebody else's too."""
    handle = _host.of("secrets").open(name)
    return None if handle is None else Secret(handle)


def _algorithm(name: Algorithm) -> Any:
    return getattr(_host.of("secrets").Algorithm, f"HMAC_{name.upper()}")
