"""Microsoft Graph (docs, "Use delta query", "Receive change notifications through webhooks", "Lifecycle notifications"). An address that is
subscribed is asked to repeat a token first, and is not subscribed unless it does."""

import datetime
import json
import urllib.error
import urllib.parse
import urllib.request
import uuid

HOST, LOGIN = "graph.microsoft.com", "login.microsoftonline.com"
TENANT, USER = "doors.example", "mona@doors.example"
ROOT = f"https://{HOST}/v1.0"


class Vendor:
    hosts = [HOST, LOGIN]

    def __init__(self, signing):
        self.subscriptions, self.server, self.life_s = {}, None, 3 * 86400
        self.made = self.renewed = self.reauthorized = 0
        self.events, self.sent = {}, []
        self.messages = {f"m{n}": {"isRead": False} for n in range(7)}
        self.log = [("whole", id) for id in self.messages]

    def __call__(self, asked):
        if asked.host == LOGIN:
            good = asked.path == f"/{TENANT}/oauth2/v2.0/token" and asked.form.get("scope") == f"https://{HOST}/.default"
            return (200, {"token_type": "Bearer", "access_token": "eyJmadeup", "expires_in": 3599}, {}) if good else (400, {"error": "invalid_scope"}, {})
        if asked.headers.get("authorization") != "Bearer eyJmadeup":
            return refused(401, "InvalidAuthenticationToken")
        path = asked.path.removeprefix("/v1.0/")
        if path.startswith("subscriptions"):
            return self.subscription(asked, path.split("/")[1:])
        if not path.startswith(f"users/{USER}"):
            return refused(404, "ErrorInvalidUser")
        return self.mailbox(asked, path.removeprefix(f"users/{USER}").strip("/"))

    def mailbox(self, asked, what):
        if not what:
            return 200, {"id": "87d349ed-44d7-43e1-9a83-5f2406dee5bd", "mail": USER}, {}
        if what == "mailFolders/inbox/messages/delta":
            return self.delta(asked)
        if what.startswith("messages/"):
            id = what.split("/")[1]
            return (200, self.message(id), {}) if id in self.messages else refused(404, "ErrorItemNotFound")
        if what == "calendarView/delta":
            found = [{"id": id, "subject": event["subject"], "type": "singleInstance"} for id, event in self.events.items()]
            return 200, {"value": found, "@odata.deltaLink": f"{ROOT}/users/{USER}/calendarView/delta?$deltatoken=e1"}, {}
        if what == "mailFolders/delta":
            return 200, {"value": [{"id": "f1", "displayName": "Inbox"}], "@odata.deltaLink": f"{ROOT}/x?$deltatoken=f1"}, {}
        if what == "calendars":
            return 200, {"value": [{"id": "c1", "name": "Calendar"}]}, {}
        if what == "sendMail":
            self.sent.append(asked.json)
            return 202, None, {}
        if what == "events":
            known = {event["transactionId"]: id for id, event in self.events.items()}
            id = known.get(asked.json["transactionId"]) or f"e{len(self.events)}"
            self.events[id] = asked.json
            return 201, {"id": id, "subject": asked.json["subject"]}, {}
        return refused(404, "BadRequest")

    def message(self, id):
        return {"id": id, "subject": f"Message {id}", "receivedDateTime": "2026-01-05T10:00:00Z", "lastModifiedDateTime": "2026-01-05T10:00:00Z", **self.messages[id]}

    def delta(self, asked):
        """A place in the log is the token; a page has four."""
        text = asked.query.get("$skiptoken") or asked.query.get("$deltatoken") or "0"
        if text == "gone":
            return refused(410, "syncStateNotFound")
        start = int(text)
        step, value = self.log[start : start + 4], []
        for kind, id in step:
            if kind == "removed":
                value.append({"id": id, "@removed": {"reason": "deleted"}})
            elif id in self.messages:
                value.append(self.message(id) if kind == "whole" else {"id": id, "isRead": self.messages[id]["isRead"]})
        end = start + len(step)
        link = "@odata.nextLink" if end < len(self.log) else "@odata.deltaLink"
        token = "skiptoken" if end < len(self.log) else "deltatoken"
        return 200, {"value": value, link: f"{ROOT}/users/{USER}/mailFolders('inbox')/messages/delta?${token}={end}"}, {}

    def subscription(self, asked, rest):
        ends = lambda: (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.life_s)).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
        id = rest[0] if rest else None
        shown = lambda id: {"id": id, **{**self.subscriptions[id], "clientState": None}, "expirationDateTime": ends()}
        if asked.method == "GET":
            return 200, {"value": [shown(id) for id in self.subscriptions]}, {}
        if asked.method == "POST" and not id:
            if not self.repeats(asked.json["notificationUrl"]):
                return refused(400, "ValidationError")
            id = str(uuid.uuid4())
            self.subscriptions[id] = asked.json
            self.made += 1
            return 201, shown(id), {}
        if id not in self.subscriptions:
            return refused(404, "ResourceNotFound")
        if asked.method == "DELETE":
            del self.subscriptions[id]
            return 204, None, {}
        if rest[1:] == ["reauthorize"]:
            self.reauthorized += 1
            return 200, None, {}
        self.renewed += 1
        return 200, shown(id), {}

    def repeats(self, url):
        token = "Validation: Testing client application <b> " + str(uuid.uuid4())
        at = f"http://{self.server}/{url.split('/', 3)[3]}?validationToken={urllib.parse.quote(token)}"
        try:
            answer = urllib.request.urlopen(urllib.request.Request(at, b"", {"content-type": "text/plain; charset=utf-8"}), timeout=10)
        except urllib.error.URLError:
            return False
        return answer.read().decode() == token and answer.headers["content-type"].startswith("text/plain")

    def set(self, asked):
        self.server, self.life_s = asked.get("server", self.server), asked.get("life_s", self.life_s)
        for id in asked.get("read", []):
            self.messages[id] = {"isRead": True}
            self.log.append(("partial", id))
        for id in asked.get("remove", []):
            del self.messages[id]
            self.log.append(("removed", id))
        if asked.get("forget"):
            self.subscriptions.clear()
        return {}

    def seen(self):
        of = [[one["resource"], one["changeType"]] for one in self.subscriptions.values()]
        return {"subscriptions": sorted(of), "made": self.made, "renewed": self.renewed, "reauthorized": self.reauthorized, "sent": self.sent, "events": len(self.events)}

    def sign(self, asked):
        id, known = next(iter(self.subscriptions.items()))
        note = {"subscriptionId": id, "subscriptionExpirationDateTime": "2026-11-25T11:00:00.0000000+00:00", "clientState": asked.get("state", known["clientState"]), "tenantId": TENANT}
        if "lifecycle" in asked:
            notes = [{**note, "lifecycleEvent": asked["lifecycle"]}]
        else:
            of = lambda kind, change, id: {**note, "changeType": change, "resource": f"Users/1/{kind}s/{id}", "resourceData": {"@odata.type": f"#Microsoft.Graph.{kind}", "@odata.etag": str(uuid.uuid4()), "id": id}}
            notes = [of(*one) for one in asked["changes"]]
        if asked.get("bare"):
            del notes[-1]["clientState"]
        return {"headers": {"content-type": "application/json"}, "body": json.dumps({"value": notes})}


def refused(status, code):
    return status, {"error": {"code": code, "message": "no"}}, {}
