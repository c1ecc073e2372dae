"""The issues of GitHub repositories, as an example of a connector in Python. plugins/github is the one to install."""

from __future__ import annotations

from sluice import (
    Account,
    Connection,
    Connector,
    Page,
    ReadRequest,
    UnsupportedError,
    Upsert,
    http,
    log,
    records,
)

API = "https://api.github.com"
PER_PAGE = 100
HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}


class GitHubIssues(Connector):
    def check(self, connection: Connection) -> Account:
        response = http.get(f"{API}/user", headers=HEADERS).raise_for_status()
        user = response.json()
        scopes = response.headers.get("x-oauth-scopes", "").split(",")
        return Account(user["id"], user["login"], [scope.strip() for scope in scopes if scope.strip()])

    def read(self, connection: Connection, request: ReadRequest) -> Page:
        if request.stream != "issues":
            raise UnsupportedError(f"there is no stream `{request.stream}`")
        repositories = connection.config["repositories"]
        # `done`: the time of the newest issue read, by repository. `at`: where the pass under way stands.
        cursor = request.cursor or {}
        done, at = cursor.get("done", {}), cursor.get("at")
        number = repositories.index(at["repository"]) if at and at["repository"] in repositories else 0
        repository = repositories[number]
        place = at if at and at["repository"] == repository else start(repository, done, request)

        def finished(changes: list[Upsert], since: str | None) -> Page:
            marks = {**done, repository: since}
            if number + 1 == len(repositories):
                return Page(changes, {"done": marks})
            following = start(repositories[number + 1], marks, request)
            return Page(changes, {"done": marks, "at": following}, more=True)

        response = page(place)
        if response.status_code in (409, 410):
            log.info(f"{repository}: there are no issues to read", status=response.status_code)
            return finished([], place["since"])
        response.raise_for_status(blame=f"/repositories/{number}")

        issues = list(records.each(response.text))
        newest = place["since"]
        changes = []
        for issue, text in issues:
            changed = issue.get("updated_at")
            newest = changed or newest
            # GitHub lists pull requests among the issues.
            wanted = "pull_request" not in issue and issue.get("id") not in place["seen"]
            if wanted and (request.window is None or request.window.holds(records.timestamp(changed))):
                changes.append(Upsert(issue.get("id"), text, changed))
        enough = request.window and newest and records.timestamp(newest) >= request.window.end
        if "next" not in response.links or not issues or enough:
            return finished(changes, newest)
        return Page(changes, {"done": done, "at": after(place, issues, newest)}, more=True)


def start(repository: str, done: dict, request: ReadRequest) -> dict:
    since = done.get(repository)
    if request.window:
        since = max(since or "", records.rfc3339(request.window.start))
    return {"repository": repository, "since": since, "page": 1, "seen": []}


def after(place: dict, issues: list, newest: str) -> dict:
    """The list moves while it is read: an issue that is changed goes to its end and pulls another one over the edge of a page
    that was read already. So the next page begins at the time where this one ended, and shows the issues of that time once more.
    Only if a whole page is of one time are pages counted."""
    last = [issue.get("id") for issue, _ in issues if issue.get("updated_at") == newest]
    if newest > (place["since"] or ""):
        return {**place, "since": newest, "page": 1, "seen": last}
    return {**place, "page": place["page"] + 1, "seen": (place["seen"] + last)[-2 * PER_PAGE :]}


def page(place: dict) -> http.Response:
    params = {"state": "all", "sort": "updated", "direction": "asc", "per_page": PER_PAGE}
    if place["since"]:
        params["since"] = place["since"]
    if place["page"] > 1:
        params["page"] = place["page"]
    return http.get(f"{API}/repos/{place['repository']}/issues", params=params, headers=HEADERS)
