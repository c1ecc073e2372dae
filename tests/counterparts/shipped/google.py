"""Google Calendar and Drive (Calendar API, "Push notifications", "Synchronize resources efficiently"; Drive API, "Notifications for resource
changes", "Retrieve changes"), for a service account. Channels are not listed, and stopped only by the resource's id that the answer says."""

import json
import time

from cryptography.hazmat.primitives import serialization

API, TOKEN, WHO = "www.googleapis.com", "oauth2.googleapis.com", "openidconnect.googleapis.com"


class Vendor:
    hosts = [API, TOKEN, WHO]

    def __init__(self, signing):
        self.channels, self.life_s, self.made, self.stopped = {}, 7 * 86400, 0, 0
        self.events, self.files = [f"v{n}" for n in range(3)], [f"f{n}" for n in range(2)]
        key = signing.keys["RSA"].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        account = {"type": "service_account", "client_email": "robot@doors.iam.gserviceaccount.com", "private_key_id": "1", "private_key": key.decode()}
        self.ready = {"account": json.dumps(account)}

    def __call__(self, asked):
        if asked.host == TOKEN:
            return 200, {"access_token": "ya29.madeup", "token_type": "Bearer", "expires_in": 3599}, {}
        if asked.headers.get("authorization") != "Bearer ya29.madeup":
            return 401, {"error": {"code": 401, "message": "no"}}, {}
        if asked.host == WHO:
            return 200, {"sub": "110248495921238986420", "email": "robot@doors.iam.gserviceaccount.com"}, {}
        if asked.path.endswith("/stop"):
            found = self.channels.get(asked.json["id"])
            if not found or found["resourceId"] != asked.json["resourceId"]:
                return 404, {"error": {"code": 404, "message": "Channel not found"}}, {}
            del self.channels[asked.json["id"]]
            self.stopped += 1
            return 204, None, {}
        if asked.path.endswith("/watch"):
            return self.watch(asked)
        return self.read(asked)

    def watch(self, asked):
        body = asked.json
        if body["id"] in self.channels:
            return 400, {"error": {"errors": [{"reason": "channelIdNotUnique"}], "code": 400, "message": "Channel id not unique"}}, {}
        self.made += 1
        path = asked.path.removesuffix("/watch")
        answer = {
            "kind": "api#channel", "id": body["id"], "resourceId": f"r{abs(hash(path))}", "resourceUri": f"https://{API}{path}?alt=json",
            "token": body["token"], "expiration": str(int((time.time() + self.life_s) * 1000)),
        }  # fmt: skip
        self.channels[body["id"]] = {**answer, "address": body["address"], "number": 1}
        return 200, answer, {}

    def read(self, asked):
        if asked.path == "/drive/v3/changes/startPageToken":
            return 200, {"startPageToken": str(len(self.files))}, {}
        file = lambda id: {"id": id, "name": f"File {id}", "modifiedTime": "2026-01-05T10:00:00.000Z"}
        if asked.path == "/drive/v3/files":
            return 200, {"files": [file(id) for id in self.files]}, {}
        if asked.path == "/drive/v3/changes":
            since = int(asked.query["pageToken"])
            changes = [{"changeType": "file", "fileId": id, "file": file(id)} for id in self.files[since:]]
            return 200, {"changes": changes, "newStartPageToken": str(len(self.files))}, {}
        if asked.path == "/calendar/v3/calendars/primary/events":
            since = int(asked.query.get("syncToken", 0))
            return 200, {"items": [{"id": id, "status": "confirmed"} for id in self.events[since:]], "nextSyncToken": str(len(self.events))}, {}
        return 200, {"items": [], "nextSyncToken": "c1"}, {}

    def set(self, asked):
        self.life_s = asked.get("life_s", self.life_s)
        self.events += asked.get("events", [])
        self.files += asked.get("files", [])
        return {}

    def seen(self):
        return {"channels": sorted(channel["resourceUri"] for channel in self.channels.values()), "made": self.made, "stopped": self.stopped}

    def sign(self, asked):
        channel = next(channel for channel in self.channels.values() if asked["of"] in channel["resourceUri"])
        channel["number"] += 1
        headers = {
            "x-goog-channel-id": channel["id"], "x-goog-channel-token": asked.get("token", channel["token"]), "x-goog-resource-id": channel["resourceId"],
            "x-goog-resource-uri": channel["resourceUri"], "x-goog-resource-state": asked.get("state", "exists"), "x-goog-message-number": str(channel["number"]),
        }  # fmt: skip
        return {"headers": headers, "body": ""}
