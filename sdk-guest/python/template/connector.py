"""A connector to start from: one stream that is read page by page and from then on by what changed, written to, and told of by a
webhook. What you do not need, leave out here and in connector.toml."""

from typing import Any
from urllib.parse import quote

from sluice import (
    Account,
    Connection,
    Connector,
    ConnectorError,
    Delete,
    Event,
    Handled,
    InvalidDataError,
    Page,
    PendingWrite,
    ReadRequest,
    Receipt,
    UnsupportedError,
    Upsert,
    WriteResult,
    http,
    records,
)

API = "https://api.todo.example"
EVENTS = {"task.created", "task.updated", "task.removed"}


class MyConnector(Connector):
    def check(self, connection: Connection) -> Account:
        me = http.get(f"{API}/me").raise_for_status().json()
        return Account(me["id"], me["name"])

    def read(self, connection: Connection, request: ReadRequest) -> Page:
        if request.stream != "tasks":
            raise UnsupportedError(f"there is no stream `{request.stream}`")
        # The cursor has the newest change that was seen; and while there are more pages, the address of the next one.
        cursor = request.cursor or {"since": None}
        params = {"per_page": 100}
        if cursor["since"]:
            params["updated_since"] = cursor["since"]
        following = cursor.get("next")
        response = http.get(following) if following else http.get(tasks_of(connection), params=params)
        response.raise_for_status(blame="/list")
        # `text` is the record as the vendor wrote it; `task` is parsed.
        tasks = list(records.each(response.text))
        changes = [Upsert(task.get("id"), text, task.get("updated_at")) for task, text in tasks]
        # The times of one vendor sort as texts.
        times = [task.get("updated_at") or "" for task, _ in tasks]
        cursor = {"since": max([cursor["since"] or "", *times]) or None}
        if following := response.links.get("next"):
            cursor["next"] = following
        return Page(changes, cursor, more="next" in cursor)

    def write(self, connection: Connection, stream: str, writes: list[PendingWrite]) -> list[WriteResult]:
        if stream != "tasks":
            raise UnsupportedError(f"the stream `{stream}` is not written to")
        return [written(tasks_of(connection), write) for write in writes]

    def handle_webhook(self, connection: Connection, receipt: Receipt) -> Handled:
        """The host has verified, kept and answered it before this is called."""
        kind = receipt.headers.get("x-todo-event", "")
        if kind not in EVENTS:
            return Handled()  # What nobody declared is passed over.
        body = receipt.json()
        task = body.get("task") if isinstance(body, dict) else None
        if not isinstance(task, dict) or not task.get("id"):
            raise InvalidDataError("the webhook does not say which task it is about")
        changed = task.get("updated_at")
        change = Delete(task["id"]) if kind == "task.removed" else Upsert(task["id"], task, changed)
        event = Event(kind, receipt.headers.get("x-todo-delivery", receipt.id), task, changed)
        return Handled([event], [("tasks", change)])


def tasks_of(connection: Connection) -> str:
    return f"{API}/lists/{quote(connection.config['list'], safe='')}/tasks"


def written(tasks: str, write: PendingWrite) -> WriteResult:
    """One that the vendor refuses does not take the others with it."""
    try:
        return WriteResult(sent(tasks, write))
    except ConnectorError as error:
        return WriteResult(error=error)


def sent(tasks: str, write: PendingWrite) -> Upsert:
    url = tasks if write.id is None else f"{tasks}/{quote(write.id, safe='')}"
    if write.op == "delete":
        response = http.delete(url, idempotency_key=write.idempotency_key)
        if response.status_code != 404:  # Gone already is gone, as it was to be.
            response.raise_for_status()
        return Upsert(write.id, {})
    method = "POST" if write.op == "create" else "PATCH"
    answer = http.request(method, url, json=write.data, idempotency_key=write.idempotency_key).raise_for_status()
    task: Any = answer.json()
    if not isinstance(task, dict) or not task.get("id"):
        raise InvalidDataError("the vendor does not say which task it wrote")
    return Upsert(task["id"], task, task.get("updated_at"))
