"""Dropbox (HTTP documentation: "Authorization", `/users/get_current_account`, `/files/list_folder` and `/continue`, `/files/download`): a folder
that is listed once and then told of by cursor, and files whose every revision can be downloaded."""

import hashlib
import hmac
import json

API, CONTENT, PEOPLE = "api.dropboxapi.com", "content.dropboxapi.com", "www.dropbox.com"
ACCOUNT = "dbid:AADoors"
KEY, SECRET, TOKEN = "app-key", "app-secret", "sl.made-up-access-token"


class Vendor:
    hosts = [API, CONTENT, PEOPLE]

    def __init__(self, _):
        self.entries, self.revisions, self.told, self.downloads, self.count = {}, {}, [], [], 0

    def __call__(self, asked):
        if asked.path == "/oauth2/token":
            return self.token(asked.form)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return refused(401, "invalid_access_token")
        if asked.path == "/2/users/get_current_account":
            return 200, {"account_id": ACCOUNT, "email": "mona@doors.example", "name": {"display_name": "Mona"}}, {}
        if asked.path == "/2/files/list_folder":
            known = [entry for entry in self.entries.values() if entry["path_lower"].startswith(asked.json["path"].lower())]
            return 200, {"entries": known, "cursor": f"c{len(self.told)}", "has_more": False}, {}
        if asked.path == "/2/sharing/list_shared_links":
            return 200, {"links": [], "has_more": False}, {}
        if asked.path == "/2/files/list_folder/continue":
            return 200, {"entries": self.told[int(asked.json["cursor"][1:]) :], "cursor": f"c{len(self.told)}", "has_more": False}, {}
        if asked.path == "/2/files/download" and asked.host == CONTENT:
            return self.download(json.loads(asked.headers["dropbox-api-arg"])["path"])
        return 404, {"error_summary": "unknown_function/."}, {}

    def token(self, form):
        code = form.get("code") == "a-code" and form.get("client_id") == KEY and form.get("client_secret") == SECRET
        if form.get("grant_type") != "authorization_code" or not code or "code_verifier" not in form:
            return 400, {"error": "invalid_grant"}, {}
        scopes = "account_info.read files.content.read files.metadata.read sharing.read"
        answer = {"access_token": TOKEN, "token_type": "bearer", "expires_in": 14400, "refresh_token": "a-refresh-token"}
        return 200, {**answer, "scope": scopes, "uid": "1", "account_id": ACCOUNT}, {}

    def download(self, path):
        self.downloads.append(path)
        found = self.revisions.get(path.removeprefix("rev:"))
        if found is None:
            return refused(409, "path/not_found")
        return 200, found, {"Content-Type": "application/octet-stream"}

    def set(self, asked):
        for path, text in asked.get("put", {}).items():
            self.count += 1
            lower, rev = path.lower(), f"{self.count:09x}"
            known = self.entries.get(lower, {"id": f"id:{self.count}"})
            data = text.encode()
            self.revisions[rev] = data
            self.entries[lower] = {
                ".tag": "file", "name": path.rsplit("/", 1)[1], "path_lower": lower, "path_display": path, "id": known["id"], "rev": rev,
                "client_modified": "2026-01-01T00:00:00Z", "server_modified": "2026-01-01T00:00:00Z", "size": len(data), "is_downloadable": True,
                "content_hash": hashlib.sha256(hashlib.sha256(data).digest()).hexdigest(),
            }  # fmt: skip
            self.told.append(self.entries[lower])
        for path in asked.get("delete", []):
            entry = self.entries.pop(path.lower())
            self.told.append({".tag": "deleted", **{name: entry[name] for name in ("name", "path_lower", "path_display")}})
        return {}

    def seen(self):
        return {"downloads": self.downloads}

    def sign(self, asked):
        body = json.dumps({"list_folder": {"accounts": [ACCOUNT]}, "n": asked.get("n")})
        return {"headers": {"x-dropbox-signature": hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()}, "body": body}


def refused(status, summary):
    return status, {"error_summary": f"{summary}/..", "error": {".tag": summary.split("/")[0]}}, {}
