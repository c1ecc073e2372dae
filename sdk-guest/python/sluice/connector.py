"""What a connector is: the class to derive from, what it is given and what it returns. JSON is Python's own values everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .errors import UnsupportedError

Time = datetime | str | int | None
"""A moment: a datetime with a zone, an RFC 3339 text, milliseconds since 1970, or nothing."""


@dataclass(frozen=True)
class Connection:
    """The connection that a call is made for."""

    id: str
    config: Any
    """The user's configuration; it has passed the manifest's `[config]` schema."""
    account: str | None = None
    """The vendor's id of the connected account, once `check` has told it."""


@dataclass(frozen=True)
class Account:
    """Who the connection belongs to."""

    id: str | int
    name: str
    scopes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Redirect:
    """Where to send the user's browser, and what to keep until they come back."""

    url: str
    state: Any = None


@dataclass(frozen=True)
class Stream:
    """A stream beyond the manifest's. `schema` is a JSON Schema of a record's data."""

    name: str
    schema: Any
    primary_key: list[str]
    cursor_version: int = 1


@dataclass(frozen=True)
class Window:
    """Half-open, in milliseconds since 1970: from `start`, up to but not including `end`."""

    start: int
    end: int

    def holds(self, moment: int | None) -> bool:
        """Whether it is inside; what has no time is."""
        return moment is None or self.start <= moment < self.end


@dataclass(frozen=True)
class ReadRequest:
    """Which page is asked for."""

    stream: str
    cursor: Any = None
    """What the last committed page returned; None at the very start."""
    partition: str | None = None
    window: Window | None = None
    """Only what changed in this window, for backfills."""
    page_hint: int = 100


@dataclass(frozen=True)
class Upsert:
    """A record that is to be there. `data` is a value, or the text of a JSON object as it came (see `records.each`)."""

    id: str | int
    data: Any
    modified: Time = None


@dataclass(frozen=True)
class Delete:
    """A record that is gone at the vendor."""

    id: str | int


@dataclass(frozen=True)
class Page:
    """One bounded step. The host commits changes and cursor together; a page with `more` must move the cursor."""

    changes: list[Upsert | Delete] = field(default_factory=list)
    cursor: Any = None
    """Any JSON value; None: the cursor stays as it was."""
    more: bool = False
    total_hint: int | None = None


@dataclass(frozen=True)
class PendingWrite:
    """A write to the vendor: `op` is `create`, `update` or `delete`."""

    op: str
    id: str | None
    data: Any
    idempotency_key: str
    expect_revision: str | None = None


@dataclass(frozen=True)
class WriteResult:
    """What became of a write: `record` is the vendor's now, or the vendor's other revision where `conflict`; or an `error`."""

    record: Upsert | None = None
    conflict: bool = False
    error: Exception | None = None


@dataclass(frozen=True)
class Registration:
    """A webhook's subscription at the vendor."""

    id: str
    expires: Time = None
    state: Any = None


@dataclass(frozen=True)
class Receipt:
    """One webhook as it arrived: the exact bytes of the body, header names in lower case."""

    id: str
    webhook: str
    """Which of the manifest's webhooks it came by."""
    received: int
    method: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        from .records import parse

        return parse(self.body, "the webhook")


@dataclass(frozen=True)
class Event:
    """What happened, as the manifest lists it; `id` is the same for a redelivery."""

    kind: str
    id: str
    data: Any
    occurred: Time = None


@dataclass(frozen=True)
class Reply:
    """An answer to the vendor, only where the manifest says that it waits for one."""

    status: int = 200
    content_type: str = "text/plain"
    body: bytes = b""


@dataclass(frozen=True)
class Handled:
    """What a receipt means; nothing by default."""

    events: list[Event] = field(default_factory=list)
    changes: list[tuple[str, Upsert | Delete]] = field(default_factory=list)
    resync: list[str] = field(default_factory=list)
    reply: Reply | None = None


@dataclass(frozen=True)
class Action:
    """An action beyond the manifest's; `input` and `output` are JSON Schemas."""

    name: str
    input: Any
    output: Any
    title: str = ""


class Connector:
    """A connector: `check`, and whatever else its manifest declares.

    Every other method says `unsupported` by default, or nothing where nothing is a right answer. All of them may be called again
    with the same arguments after a crash and must then do the same.
    """

    def check(self, connection: Connection) -> Account:
        """Who does this connection belong to? It is the connection test, so it should cost one cheap request."""
        raise UnsupportedError("this connector has no `check`")

    def begin_auth(self, connection: Connection, callback_url: str) -> Redirect:
        raise UnsupportedError("this connector has no auth flow of its own")

    def complete_auth(self, connection: Connection, state: Any, query: list[tuple[str, str]]) -> None:
        raise UnsupportedError("this connector has no auth flow of its own")

    def refresh_auth(self, connection: Connection) -> None:
        raise UnsupportedError("this connector has no auth flow of its own")

    def revoke_auth(self, connection: Connection) -> None:
        raise UnsupportedError("this connector has no auth flow of its own")

    def discover(self, connection: Connection) -> list[Stream]:
        return []

    def partitions(self, connection: Connection, stream: str) -> list[str]:
        return []

    def read(self, connection: Connection, request: ReadRequest) -> Page:
        """One page of a stream."""
        raise UnsupportedError(f"there is no stream `{request.stream}` to read")

    def write(self, connection: Connection, stream: str, writes: list[PendingWrite]) -> list[WriteResult]:
        """Writes to the vendor; one result per write, in order."""
        raise UnsupportedError(f"the stream `{stream}` is read-only")

    def migrate_cursor(self, stream: str, from_version: int, cursor: Any) -> Any:
        """A cursor of an older format as the current one; None: it can't be carried over, start again."""
        return None

    def register_webhook(
        self, connection: Connection, webhook: str, url: str, events: list[str]
    ) -> Registration:
        raise UnsupportedError("the webhook is set up by hand at this vendor")

    def renew_webhook(self, connection: Connection, registration: Registration) -> Registration:
        raise UnsupportedError("the webhook is set up by hand at this vendor")

    def unregister_webhook(self, connection: Connection, registration: Registration) -> None:
        raise UnsupportedError("the webhook is set up by hand at this vendor")

    def route_webhook(self, receipt: Receipt) -> list[str]:
        """The accounts a receipt concerns, where the manifest says `account = "code"`; there is no connection yet."""
        raise UnsupportedError("this connector's webhooks name their accounts themselves")

    def handle_webhook(self, connection: Connection, receipt: Receipt) -> Handled:
        raise UnsupportedError("this connector declares no webhooks")

    def list_actions(self, connection: Connection) -> list[Action]:
        return []

    def run_action(self, connection: Connection, name: str, input: Any, idempotency_key: str) -> Any:
        raise UnsupportedError(f"there is no action `{name}`")
