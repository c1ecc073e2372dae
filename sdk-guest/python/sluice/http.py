"""Requests through the broker, in the manner of `requests`: policy, credential, retries and rate limits are the host's."""

from __future__ import annotations

import enum
import json as _json
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from . import _host
from .errors import AuthError, ConfigError, ConnectorError, InvalidDataError, RateLimitedError, TransientError
from .records import parse, timestamp
from .secrets import Secret

_WORDS = 300
"""A vendor's own words in a message are cut here, in characters."""


class Into(enum.Enum):
    """What of a response the host keeps that is no secret: see `captures` of `request`."""

    EXPIRES_IN_S = "ExpiresInS"
    """Lifetime of the captured credential in seconds."""
    EXPIRES_AT_S = "ExpiresAtS"
    """End of its life as seconds since 1970."""
    SCOPES = "Scopes"
    ACCOUNT = "Account"


class Headers(Mapping[str, str]):
    """Header fields; names in any case, repeated ones joined by a comma (RFC 9110 §5.3)."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, str] = {}
        for name, value in pairs:
            known = self._fields.get(name.lower())
            self._fields[name.lower()] = value if known is None else f"{known}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Any:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Response:
    """What came back. Any status is a response; `raise_for_status` refuses the error ones."""

    def __init__(self, status_code: int, headers: Iterable[tuple[str, str]], content: bytes, url: str = "") -> None:
        self.status_code = status_code
        self.headers = Headers(headers)
        self.content = content
        self.url = url

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx or 304 (asked for by `If-None-Match`)."""
        return 200 <= self.status_code < 300 or self.status_code == 304

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise InvalidDataError(f"the vendor's response is not UTF-8: {error}") from None

    def json(self) -> Any:
        """The body as JSON. For pages of records see `records.each`, which keeps the vendor's text."""
        kind = self.headers.get("content-type", "no content type")[:80]
        return parse(self.content, f"the vendor's response ({kind})")

    @property
    def links(self) -> dict[str, str]:
        """The targets of the `Link` header (RFC 8288) by their relation."""
        return link_targets(self.headers.get("link", ""))

    def raise_for_status(self, blame: str | None = None) -> Response:
        """Itself, or raises what the status means. With `blame`, a pointer into the configuration, "there is no such thing" is
        the configuration's fault: what it points at named the thing."""
        if self.ok:
            return self
        status = self.status_code
        said = self._words()
        message = f"the vendor answered {status}: {said}" if said else f"the vendor answered {status}"
        asked = "retry-after" in self.headers
        throttled = asked or self.headers.get("x-ratelimit-remaining") == "0"
        if status == 429 or (status == 403 and throttled) or (status == 503 and asked):
            raise RateLimitedError(message, retry_after_ms=self._retry_after_ms())
        if status in (401, 403):
            raise AuthError(message)
        if status in (408, 425) or status >= 500 or status < 400:
            raise TransientError(message)
        if blame is not None:
            raise ConfigError(message, pointer=blame)
        raise InvalidDataError(message)

    def _retry_after_ms(self) -> int | None:
        """By `Retry-After` in seconds or as a date, or `x-ratelimit-reset`; dates are compared with the response's own."""
        after = self.headers.get("retry-after", "").strip()
        if after.isascii() and after.isdigit():
            return int(after) * 1_000
        reset = self.headers.get("x-ratelimit-reset", "").strip()
        then = _http_date(after) if after else (int(reset) * 1_000 if reset.isascii() and reset.isdigit() else None)
        now = _http_date(self.headers.get("date", ""))
        return None if then is None or now is None else max(0, then - now)

    def _words(self) -> str:
        """What the vendor says in a JSON body's usual members; never HTML."""
        try:
            body = _json.loads(self.content)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(body, dict):
            return ""
        for name in ("message", "error_description", "error", "detail", "title"):
            value = body.get(name)
            value = value.get("message") if isinstance(value, dict) else value
            if isinstance(value, str):
                return "".join(c for c in value if c.isprintable())[:_WORDS]
        return ""


class Incoming:
    """A response whose body is read piece by piece. A context manager, which gives the rest up at its end."""

    def __init__(self, incoming: Any) -> None:
        self._incoming = incoming
        self.status_code: int = incoming.status()
        self.headers = Headers(incoming.headers())

    def read(self, size: int = 65_536) -> bytes:
        """At least one and at most `size` bytes; none at the end of the body."""
        try:
            return self._incoming.read(size) or b""
        except Exception as error:
            raise _failure(error) from None

    def iter_content(self, size: int = 65_536) -> Iterator[bytes]:
        """All of them, in order."""
        while piece := self.read(size):
            yield piece

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *reason: object) -> None:
        self._incoming.__exit__(None, None, None)


def get(url: str, **more: Any) -> Response:
    """A GET of an absolute URL; see `request`."""
    return request("GET", url, **more)


def post(url: str, **more: Any) -> Response:
    """A POST to an absolute URL; see `request`."""
    return request("POST", url, **more)


def put(url: str, **more: Any) -> Response:
    """A PUT to an absolute URL; see `request`."""
    return request("PUT", url, **more)


def patch(url: str, **more: Any) -> Response:
    """A PATCH of an absolute URL; see `request`."""
    return request("PATCH", url, **more)


def delete(url: str, **more: Any) -> Response:
    """A DELETE of an absolute URL; see `request`."""
    return request("DELETE", url, **more)


def request(method: str, url: str, **more: Any) -> Response:
    """Sends one request and holds the whole response.

    `params`: the query, as a mapping or pairs; `headers`: a mapping; `data`: bytes, a text, or a mapping sent as a form; `json`:
    any value; `timeout`: seconds in all, retries included; `credential`: the manifest's auth scheme to apply ("" for none);
    `idempotency_key`: makes an unsafe method retryable; `captures`: for auth flows and webhooks' secrets, what the host keeps of a
    JSON body instead of showing it, by RFC 6901 pointer: the name of a secret, or an `Into`.

    Raises the `ConnectorError` that says who has to act when there is no response.
    """
    wanted = build(method, url, **more)
    http = _host.of("http")
    try:
        answer = http.send(wanted)
    except Exception as error:
        raise _failure(error) from None
    return Response(answer.status, answer.headers, answer.body, url)


def open(method: str, url: str, **more: Any) -> Incoming:
    """Sends one request and returns as soon as the head of its response is there, for bodies that should not be held in memory:
    `with http.open("GET", url) as response: …`. See `request`; captures are refused here."""
    wanted = build(method, url, **more)
    try:
        return Incoming(_host.of("http").open(wanted))
    except Exception as error:
        raise _failure(error) from None


def presign(method: str, url: str, expires_s: int, credential: str | None = None) -> Secret:
    """The address that makes this request possible for so many seconds, for whoever has it; `credential` is an `aws-sigv4` one. Its
    placeholder goes into the output of an action that `presigns`."""
    http = _host.of("http")
    wanted = http.PresignRequest(method=method.upper(), url=url, expires_s=expires_s, credential=credential)
    try:
        return Secret(http.presign(wanted))
    except Exception as error:
        raise _failure(error) from None


def request_all(wanted: list[Any]) -> list[Response | ConnectorError]:
    """Sends all of them concurrently, within the connection's limits. Each is made by `build`; responses and errors are in the
    order of the requests."""
    answers = _host.of("http").send_all(wanted)
    results: list[Response | ConnectorError] = []
    for one, answer in zip(wanted, answers):
        value = answer.value
        if hasattr(value, "status"):
            results.append(Response(value.status, value.headers, value.body, one.url))
        else:
            results.append(_error(value))
    return results


def build(
    method: str,
    url: str,
    *,
    params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
    data: bytes | str | Mapping[str, Any] | None = None,
    json: Any = None,
    timeout: float | None = None,
    credential: str | None = None,
    idempotency_key: str | None = None,
    captures: Mapping[str, str | Into] | None = None,
) -> Any:
    """The request as the contract has it; for `request_all`."""
    fields = [(name, value) for name, value in (headers or {}).items()]
    kinds = {name.lower() for name, _ in fields}
    body: bytes | None = None
    kind: str | None = None
    if json is not None:
        body, kind = _json.dumps(json, allow_nan=False).encode(), "application/json"
    elif isinstance(data, Mapping):
        body, kind = urlencode(data, doseq=True).encode(), "application/x-www-form-urlencoded"
    elif isinstance(data, str):
        body = data.encode()
    elif data is not None:
        body = bytes(data)
    if kind and "content-type" not in kinds:
        fields.append(("content-type", kind))
    if params:
        url += ("&" if "?" in url else "?") + urlencode(params, doseq=True, quote_via=quote)
    return _host.of("http").Request(
        method=method.upper(),
        url=url,
        headers=fields,
        body=body,
        credential=credential,
        idempotency_key=idempotency_key,
        captures=[_capture(pointer, into) for pointer, into in (captures or {}).items()],
        timeout_ms=None if timeout is None else max(1, int(timeout * 1_000)),
    )


def _capture(pointer: str, into: str | Into) -> Any:
    http = _host.of("http")
    if isinstance(into, Into):
        return http.Capture(pointer=pointer, into=getattr(http, f"CaptureInto_{into.value}")())
    return http.Capture(pointer=pointer, into=http.CaptureInto_Secret(into))


def _failure(error: Exception) -> Exception:
    """The contract's `http.error` comes inside componentize-py's `Err`."""
    value = getattr(error, "value", None)
    return error if value is None or not type(value).__name__.startswith("Error_") else _error(value)


def _error(value: Any) -> ConnectorError:
    said = getattr(value, "value", None)
    case = type(value).__name__
    if case == "Error_Denied":
        return ConfigError(f"not permitted: {said}")
    if case == "Error_RateLimited":
        return RateLimitedError("the rate limit is used up", retry_after_ms=said)
    if case == "Error_CircuitOpen":
        return TransientError("the vendor failed repeatedly and is left alone for a while")
    if case == "Error_Timeout":
        return TransientError("the vendor did not answer in time")
    if case == "Error_Unreachable":
        return TransientError(f"the vendor could not be reached: {said}")
    if case == "Error_Tls":
        return TransientError(f"no acceptable TLS with the vendor: {said}")
    if case == "Error_Protocol":
        return TransientError(f"the vendor broke the HTTP protocol: {said}")
    if case == "Error_TooLarge":
        return InvalidDataError(f"the vendor's response is larger than {said} bytes")
    return ConnectorError(f"the call's budget is used up: {said}")


def _http_date(text: str) -> int | None:
    try:
        return timestamp(parsedate_to_datetime(text))
    except (TypeError, ValueError):
        return None


def link_targets(header: str) -> dict[str, str]:
    """RFC 8288: the first target for each relation. What is malformed ends the list: a broken tail never invents a link.

    >>> link_targets('<https://a.example/?page=2>; rel="next", <https://a.example/?page=9>; rel=last')
    {'next': 'https://a.example/?page=2', 'last': 'https://a.example/?page=9'}
    """
    targets: dict[str, str] = {}
    at = 0
    while True:
        while at < len(header) and header[at] in " \t,":
            at += 1
        end = header.find(">", at)
        if header[at : at + 1] != "<" or end < 0:
            return targets
        target, at = header[at + 1 : end], end + 1
        relations: list[str] | None = None
        while True:
            at = _blank(header, at)
            if header[at : at + 1] != ";":
                break
            at = _blank(header, at + 1)
            start = at
            while at < len(header) and header[at] not in " \t=;,":
                at += 1
            name, value = header[start:at].lower(), ""
            at = _blank(header, at)
            if header[at : at + 1] == "=":
                at = _blank(header, at + 1)
                if header[at : at + 1] == '"':
                    at += 1
                    while at < len(header) and header[at] != '"':
                        at += header[at] == "\\"
                        value += header[at : at + 1]
                        at += 1
                    if at >= len(header):
                        return targets
                    at += 1
                else:
                    start = at
                    while at < len(header) and header[at] not in " \t;,":
                        at += 1
                    value = header[start:at]
            if name == "rel" and relations is None:
                relations = value.lower().split()
        if at < len(header) and header[at] != ",":
            return targets
        for relation in relations or []:
            targets.setdefault(relation, target)


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at
