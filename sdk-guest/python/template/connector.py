"""A connector to start from: one stream, read page by page along `Link` headers."""

from sluice import Account, Connection, Connector, Page, ReadRequest, UnsupportedError, Upsert, http, records

API = "https://api.todo.example"


class MyConnector(Connector):
    def check(self, connection: Connection) -> Account:
        me = http.get(f"{API}/me").raise_for_status().json()
        return Account(me["id"], me["name"])

    def read(self, connection: Connection, request: ReadRequest) -> Page:
        if request.stream != "tasks":
            raise UnsupportedError(f"there is no stream `{request.stream}`")
        # The cursor is the address of the next page.
        url = request.cursor or f"{API}/lists/{connection.config['list']}/tasks?per_page=100"
        response = http.get(url).raise_for_status(blame="/list")
        # `text` is the record as the vendor wrote it; `task` is parsed.
        changes = [Upsert(task.get("id"), text, task.get("updated_at")) for task, text in records.each(response.text)]
        following = response.links.get("next")
        return Page(changes, following, more=following is not None)
