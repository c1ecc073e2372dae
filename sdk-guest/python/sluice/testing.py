"""The sandbox played by an ordinary Python, so that a connector's tests need no wasm: requests are answered by a function of the
test, storage is a map, files have no bytes, log lines are kept. It is never part of a component."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from . import _host
from .connector import Connection, ReadRequest
from .http import Into


@dataclass
class Request:
    """A request as the contract has it."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes | None
    credential: str | None
    idempotency_key: str | None
    captures: list[Any]
    timeout_ms: int | None


@dataclass
class Answer:
    """A response as the contract has it."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


@dataclass
class Capture:
    """What the host keeps of a response: the name of a secret, or an `http.Into`."""

    pointer: str
    into: str | Into


class Error_Conflict:
    """The contract's `storage.error`."""


class _Err(Exception):
    """How componentize-py throws the contract's errors."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Incoming:
    """It has answered whole, and the pieces are of that."""

    def __init__(self, answer: Answer) -> None:
        self._answer, self._at = answer, 0

    def status(self) -> int:
        return self._answer.status

    def headers(self) -> list[tuple[str, str]]:
        return self._answer.headers

    def read(self, size: int) -> bytes | None:
        piece = self._answer.body[self._at : self._at + max(size, 1)]
        self._at += len(piece)
        return piece or None

    def __exit__(self, *reason: object) -> None:
        pass


def _presigned(request: Any) -> Any:
    text = f"sluice-placeholder-{request.method} {request.url} for {request.expires_s} s"
    return SimpleNamespace(placeholder=lambda: text)


class _Level(enum.Enum):
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


requests: list[Request] = []
lines: list[tuple[str, str]] = []


def serve(vendor: Callable[[Request], Answer]) -> None:
    """Lets `vendor` answer requests from now on, and forgets what was before."""
    requests.clear()
    lines.clear()
    kept: dict[str, Any] = {}

    def send(request: Request) -> Answer:
        requests.append(request)
        return vendor(request)

    def put(key: str, value: bytes, expect: int | None) -> None:
        version = kept[key].version if key in kept else 0
        if expect is not None and expect != version:
            raise _Err(Error_Conflict())
        kept[key] = SimpleNamespace(value=value, version=version + 1)

    shelf: dict[str, Any] = {}

    def fetch(request: Request, into: Any) -> Any:
        answer = send(request)
        if not 200 <= answer.status < 300:
            return SimpleNamespace(value=answer)
        kind = dict(answer.headers).get("content-type", "application/octet-stream")
        known = shelf.get(into.key)
        shelf[into.key] = SimpleNamespace(
            id=known.id if known else f"fil_test{len(shelf) + 1}",
            name=into.name,
            media_type=kind.split(";")[0].strip(),
            size=len(answer.body),
            # No real digest: it only tells lengths apart.
            sha256=f"{len(answer.body):064x}",
        )
        return SimpleNamespace(value=shelf[into.key])

    _host.use(
        files=SimpleNamespace(
            Save=SimpleNamespace,
            Owner=SimpleNamespace,
            fetch=fetch,
            get=shelf.get,
            delete=lambda key: shelf.pop(key, None),
        ),
        http=SimpleNamespace(
            Request=Request,
            Capture=Capture,
            PresignRequest=SimpleNamespace,
            **{f"CaptureInto_{into.value}": (lambda into=into: into) for into in Into},
            CaptureInto_Secret=str,
            send=send,
            open=lambda request: _Incoming(send(request)),
            presign=_presigned,
            send_all=lambda all_: [SimpleNamespace(value=send(one)) for one in all_],
        ),
        log=SimpleNamespace(Level=_Level, write=lambda level, message, fields: lines.append((level.value, message))),
        metrics=SimpleNamespace(count=lambda name, by: None, gauge=lambda name, value: None),
        secrets=SimpleNamespace(open=lambda name: None),
        storage=SimpleNamespace(
            get=kept.get,
            set=put,
            delete=lambda key: kept.pop(key, None),
            list_keys=lambda prefix, after, limit: sorted(k for k in kept if k.startswith(prefix))[:limit],
        ),
    )


def answer(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Answer:
    """An answer for `serve`; a body that is neither bytes nor text is written as JSON."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Answer(status, list((headers or {}).items()), body)


def connection(config: Any = None) -> Connection:
    """A connection with this configuration."""
    return Connection("cnn_test", {} if config is None else config)


def read_request(stream: str, cursor: Any = None) -> ReadRequest:
    """A request for the first page of a stream, or for the one after `cursor`."""
    return ReadRequest(stream, cursor)
