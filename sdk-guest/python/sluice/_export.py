"""From the author's class to the contract's four interfaces. The build's entry imports the four classes from here; this is the only
module that knows what componentize-py generated."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import actions as wit_actions
from wit_world.exports import auth as wit_auth
from wit_world.exports import sync as wit_sync
from wit_world.exports import webhook as wit_webhook
from wit_world.imports import files, http, log, metrics, secrets, storage, types

from . import _host
from . import connector as sdk
from .errors import ConnectorError
from .records import text, timestamp

_FRAMES = 12
"""Frames shown of a traceback."""

_author: sdk.Connector


def use(module: Any) -> None:
    """Makes the one `Connector` that `module` defines the component's."""
    global _author
    _host.use(files=files, http=http, log=log, metrics=metrics, secrets=secrets, storage=storage)
    found = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, sdk.Connector) and one.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise RuntimeError(f"{module.__name__}.py defines {len(found)} subclasses of sluice.Connector; it has to be one")
    _author = found[0]()


def _guarded[**P, T](run: Callable[P, T]) -> Callable[P, T]:
    """Whatever is raised becomes the contract's error. Out of memory is the host's to tell: it knows what it refused."""

    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return run(*args, **kwargs)
        except MemoryError:
            raise
        except BaseException as error:
            raise Err(_contract(error)) from None

    return guarded


def _contract(error: BaseException) -> Any:
    if isinstance(error, ConnectorError):
        message, pointer = error.message, error.pointer
        match error.tag:
            case "config":
                return types.Error_Config(types.Detail(message, pointer))
            case "auth":
                return types.Error_Auth(types.Detail(message, pointer))
            case "rate-limited":
                return types.Error_RateLimited(types.Throttle(message, error.retry_after_ms))
            case "transient":
                return types.Error_Transient(types.Detail(message, pointer))
            case "invalid-data":
                return types.Error_InvalidData(types.Detail(message, pointer))
            case "unsupported":
                return types.Error_Unsupported(types.Detail(message, pointer))
            case _:
                return types.Error_Internal(types.Detail(message, pointer))
    said = "".join(traceback.format_exception_only(error)).strip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_the_authors(frame.filename)]
    shown = [f"  at {frame.name} ({_named(frame.filename)}:{frame.lineno})" for frame in reversed(frames)][:_FRAMES]
    if frames:
        said = f"{said} at {_named(frames[-1].filename)}:{frames[-1].lineno} in {frames[-1].name}"
    log.write(log.Level.ERROR, "\n".join([said, *shown]), None)
    return types.Error_Internal(types.Detail(said, None))


def _is_the_authors(file: str) -> bool:
    return not file.startswith("<") and "/sluice/" not in file and not file.startswith(("/python/", "/usr/", "/bundled/"))


def _named(file: str) -> str:
    """The file as the author names it: the component has it below a number."""
    parts = file.lstrip("/").split("/")
    return "/".join(parts[1:] if parts[0].isdigit() and len(parts) > 1 else parts)


def _connection(given: Any) -> sdk.Connection:
    return sdk.Connection(given.id, json.loads(given.config), given.account)


def _receipt(given: Any) -> sdk.Receipt:
    return sdk.Receipt(
        given.id, given.webhook, given.received, given.method, given.query, dict(given.headers), given.body
    )


def _optional(value: str | None) -> Any:
    return None if value is None else json.loads(value)


def _item(record: sdk.Upsert) -> Any:
    return wit_sync.Item(_id(record.id), text(record.data), timestamp(record.modified))


def _id(value: Any) -> str:
    """A number or a text; anything else is the empty id, and the host sets the record aside with the reason."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _change(change: Any) -> Any:
    if isinstance(change, sdk.Upsert):
        return wit_sync.Change_Upsert(_item(change))
    return wit_sync.Change_Delete(_id(change.id))


def _registration(value: sdk.Registration) -> Any:
    return wit_webhook.Registration(str(value.id), timestamp(value.expires), json.dumps(value.state))


def _registered(value: Any) -> sdk.Registration:
    return sdk.Registration(value.id, value.expires, json.loads(value.state))


class Auth(exports.Auth):
    @_guarded
    def check(self, connection: Any) -> Any:
        account = _author.check(_connection(connection))
        return wit_auth.Account(str(account.id), account.name, list(account.scopes))

    @_guarded
    def begin(self, connection: Any, callback_url: str) -> Any:
        redirect = _author.begin_auth(_connection(connection), callback_url)
        return wit_auth.Redirect(redirect.url, json.dumps(redirect.state))

    @_guarded
    def complete(self, connection: Any, state: str, query: Any) -> None:
        _author.complete_auth(_connection(connection), json.loads(state), query)

    @_guarded
    def refresh(self, connection: Any) -> None:
        _author.refresh_auth(_connection(connection))

    @_guarded
    def revoke(self, connection: Any) -> None:
        _author.revoke_auth(_connection(connection))


class Sync(exports.Sync):
    @_guarded
    def discover(self, connection: Any) -> Any:
        found = _author.discover(_connection(connection))
        return [wit_sync.StreamInfo(s.name, text(s.schema), list(s.primary_key), s.cursor_version) for s in found]

    @_guarded
    def partitions(self, connection: Any, stream_name: str) -> Any:
        return list(_author.partitions(_connection(connection), stream_name))

    @_guarded
    def read(self, connection: Any, request: Any) -> Any:
        window = request.window and sdk.Window(request.window.start, request.window.end)
        asked = sdk.ReadRequest(
            request.stream_name, _optional(request.cursor), request.partition, window, request.page_hint
        )
        page = _author.read(_connection(connection), asked)
        changes = [_change(change) for change in page.changes]
        cursor = None if page.cursor is None else json.dumps(page.cursor, separators=(",", ":"), allow_nan=False)
        return wit_sync.Page(changes, cursor, bool(page.more), page.total_hint)

    @_guarded
    def write(self, connection: Any, stream_name: str, writes: Any) -> Any:
        results = _author.write(_connection(connection), stream_name, [_pending(write) for write in writes])
        return [_outcome(result) for result in results]

    @_guarded
    def migrate_cursor(self, stream_name: str, from_version: int, cursor: str) -> Any:
        migrated = _author.migrate_cursor(stream_name, from_version, json.loads(cursor))
        return None if migrated is None else json.dumps(migrated)


def _pending(write: Any) -> sdk.PendingWrite:
    op = write.op
    key, revision = write.idempotency_key, write.expect_revision
    if isinstance(op, wit_sync.WriteOp_Create):
        return sdk.PendingWrite("create", None, json.loads(op.value), key, revision)
    if isinstance(op, wit_sync.WriteOp_Update):
        return sdk.PendingWrite("update", op.value.id, json.loads(op.value.data), key, revision)
    return sdk.PendingWrite("delete", op.value, None, key, revision)


def _outcome(result: sdk.WriteResult) -> Any:
    if result.error is not None:
        return wit_sync.WriteOutcome_Failed(_contract(result.error))
    item = None if result.record is None else _item(result.record)
    if result.conflict:
        return wit_sync.WriteOutcome_Conflict(item)
    if item is None:
        raise TypeError("a write that was done gives the record as the vendor has it now")
    return wit_sync.WriteOutcome_Done(item)


class Webhook(exports.Webhook):
    @_guarded
    def register(self, connection: Any, webhook: str, url: str, events: Any) -> Any:
        return _registration(_author.register_webhook(_connection(connection), webhook, url, events))

    @_guarded
    def renew(self, connection: Any, registration: Any) -> Any:
        return _registration(_author.renew_webhook(_connection(connection), _registered(registration)))

    @_guarded
    def unregister(self, connection: Any, registration: Any) -> None:
        _author.unregister_webhook(_connection(connection), _registered(registration))

    @_guarded
    def route(self, receipt: Any) -> Any:
        return list(_author.route_webhook(_receipt(receipt)))

    @_guarded
    def handle(self, connection: Any, receipt: Any) -> Any:
        handled = _author.handle_webhook(_connection(connection), _receipt(receipt))
        events = [wit_webhook.Event(e.kind, str(e.id), timestamp(e.occurred), text(e.data)) for e in handled.events]
        changes = [(stream, _change(change)) for stream, change in handled.changes]
        reply = handled.reply and wit_webhook.Reply(handled.reply.status, handled.reply.content_type, handled.reply.body)
        return wit_webhook.Handled(events, changes, list(handled.resync), reply)


class Actions(exports.Actions):
    @_guarded
    def list(self, connection: Any) -> Any:
        found = _author.list_actions(_connection(connection))
        return [wit_actions.ActionInfo(a.name, a.title or a.name, text(a.input), text(a.output)) for a in found]

    @_guarded
    def run(self, connection: Any, name: str, input: str, idempotency_key: str) -> str:
        return text(_author.run_action(_connection(connection), name, json.loads(input), idempotency_key))
