"""Vendors that webhooks are registered with, on loopback: the APIs of GitHub, Stripe and Airtable as far as webhooks go, with what each
promises about them: GitHub refuses a second one with the same address, Stripe answers a repeated key with what it answered first and
says a secret once, Airtable says a secret once and lets a webhook end.

    target/counterparts-venv/bin/python tests/counterparts/registrar/main.py --host api.github.com ... [--port N] [--keep]

Prints one line when it is ready, as the others do (see ../README.md). Written from the vendors' documentation.
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import re
import secrets
import sys
import threading
import time
import urllib.parse
from pathlib import Path

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, str(Path(__file__).parent.parent / "loopback"))

import loopback


class Vendors:
    def __init__(self):
        self.lock = threading.Lock()
        self.hooks = {}  # (vendor, id) -> {"url", "secret", …}
        self.keys = {}  # Stripe's answers by idempotency key
        self.count = {"made": 0, "removed": 0, "renewed": 0, "changed": 0, "held": 0, "refused": 0}
        self.life_s = 7 * 86400
        self.deny = False
        self.open = threading.Event()
        self.open.set()

    def __call__(self, environ, start_response):
        host = environ["HTTP_HOST"].partition(":")[0]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        vendor = {"api.github.com": self.github, "api.stripe.com": self.stripe, "api.airtable.com": self.airtable}[host]
        with self.lock:
            before = dict(self.count)
            found = (403, {"message": "no"}, {}) if self.deny and "hook" in environ["PATH_INFO"] else vendor(environ, body)
            status, answer, headers = found
            # The answer to whatever changed something is held back: it is done, and nobody knows.
            holds = self.count != before and not self.open.is_set()
            self.count["held"] += holds
            self.count["refused"] += status >= 400
        if holds:
            self.open.wait(60)
        text = b"" if answer is None else json.dumps(answer).encode()
        lines = [("Content-Type", "application/json"), ("Content-Length", str(len(text))), *headers.items()]
        start_response(f"{status} x", lines)
        return [text]

    def of(self, vendor):
        return {id: hook for (of, id), hook in self.hooks.items() if of == vendor}

    def made(self, vendor, id, url, secret, **more):
        self.count["made"] += 1
        self.hooks[vendor, id] = {"url": url, "secret": secret, "made": self.count["made"], **more}

    def removed(self, vendor, id):
        self.count["removed"] += (vendor, id) in self.hooks
        return self.hooks.pop((vendor, id), None)

    def github(self, environ, body):
        """GitHub REST docs, "Repository webhooks"."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/user":
            return 200, {"id": 1, "login": "mona"}, {}
        if re.fullmatch(r"/repos/[^/]+/[^/]+", path):
            return 200, {"id": 5, "name": "web", "full_name": "acme/web", "updated_at": "2026-01-05T10:00:00Z", "default_branch": "main"}, {}
        place = re.fullmatch(r"/repos/[^/]+/[^/]+/hooks(?:/(\d+))?", path)
        if not place:
            return 404, {"message": "Not Found"}, {}
        shown = lambda id: {"id": int(id), "config": {"url": self.hooks["github", id]["url"], "secret": "********"}}
        id = place[1]
        if method == "GET":
            return 200, [shown(id) for id in self.of("github")], {}
        asked = json.loads(body) if body else {}
        if method == "POST":
            config = asked["config"]
            if any(hook["url"] == config["url"] for hook in self.of("github").values()):
                return 422, {"message": "Validation Failed", "errors": [{"message": "Hook already exists on this repository"}]}, {}
            id = str(1000 + self.count["made"])
            self.made("github", id, config["url"], config["secret"], events=asked["events"])
            return 201, shown(id), {}
        if ("github", id) not in self.hooks:
            return 404, {"message": "Not Found"}, {}
        if method == "DELETE":
            self.removed("github", id)
            return 204, None, {}
        self.count["changed"] += 1
        self.hooks["github", id].update(secret=asked["config"]["secret"], events=asked["events"])
        return 200, shown(id), {}

    def stripe(self, environ, body):
        """Stripe API reference, "Webhook Endpoints", "Idempotent requests"."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/v1/account":
            return 200, {"id": "acct_doors", "email": "mona@doors.example"}, {}
        if method == "GET" and not path.startswith("/v1/webhook_endpoints"):
            return 200, {"object": "list", "has_more": False, "data": []}, {}
        found = re.fullmatch(r"/v1/webhook_endpoints(?:/(\w+))?", path)
        missing = 404, {"error": {"code": "resource_missing", "message": "No such webhook endpoint"}}, {}
        if not found:
            return missing
        id = found[1]
        shown = lambda id: {"id": id, "object": "webhook_endpoint", "url": self.hooks["stripe", id]["url"], "status": "enabled"}
        if method == "GET" and not id:
            return 200, {"object": "list", "has_more": False, "data": [shown(id) for id in self.of("stripe")]}, {}
        if id and ("stripe", id) not in self.hooks:
            return missing
        if method == "GET":
            return 200, shown(id), {}
        if method == "DELETE":
            self.removed("stripe", id)
            return 200, {"id": id, "object": "webhook_endpoint", "deleted": True}, {}
        if id:
            self.count["changed"] += 1
            return 200, shown(id), {}
        key = environ.get("HTTP_IDEMPOTENCY_KEY")
        if key in self.keys:
            return 200, self.keys[key], {"Idempotent-Replayed": "true"}
        form = urllib.parse.parse_qs(body.decode())
        id, secret = f"we_{self.count['made']}", "whsec_" + secrets.token_hex(16)
        self.made("stripe", id, form["url"][0], secret, events=form["enabled_events[]"])
        answer = {**shown(id), "secret": secret}
        if key:
            self.keys[key] = answer
        return 200, answer, {}

    def airtable(self, environ, body):
        """Airtable docs, "Webhooks overview"."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/v0/meta/whoami":
            return 200, {"id": "usrDoorsDoors0001"}, {}
        if path == "/v0/meta/bases":
            return 200, {"bases": [{"id": "appDoorsDoors0001", "name": "Doors", "permissionLevel": "create"}]}, {}
        if re.fullmatch(r"/v0/meta/bases/app\w{14}/tables", path):
            return 200, {"tables": []}, {}
        found = re.fullmatch(r"/v0/bases/(app\w{14})/webhooks(?:/(ach\w{14})(/refresh|/payloads)?)?", path)
        if not found:
            return 404, {"error": "NOT_FOUND"}, {}
        base, id, what = found[1], found[2], found[3]
        ends = lambda: (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.life_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        shown = lambda id: {"id": id, "notificationUrl": self.hooks["airtable", id]["url"], "expirationTime": ends()}
        if method == "GET" and not id:
            return 200, {"webhooks": [shown(id) for id in self.of("airtable")]}, {}
        if id and ("airtable", id) not in self.hooks:
            return 404, {"error": "NOT_FOUND"}, {}
        if what == "/payloads":
            cursor = int(urllib.parse.parse_qs(environ["QUERY_STRING"])["cursor"][0])
            payloads = self.hooks["airtable", id].setdefault("payloads", [])
            return 200, {"payloads": payloads[cursor - 1 :], "cursor": len(payloads) + 1, "mightHaveMore": False}, {}
        if what == "/refresh":
            self.count["renewed"] += 1
            return 200, {"expirationTime": ends()}, {}
        if method == "DELETE":
            self.removed("airtable", id)
            return 200, None, {}
        id, secret = f"achDoorsDoors{self.count['made']:04}", secrets.token_bytes(32)
        self.made("airtable", id, json.loads(body)["notificationUrl"], base64.b64encode(secret).decode(), base=base)
        return 200, {"id": id, "macSecretBase64": base64.b64encode(secret).decode(), "expirationTime": ends()}, {}

    # What tests ask for.

    def hold(self, asked):
        self.open.clear() if asked["hold"] else self.open.set()
        return {}

    def set(self, asked):
        with self.lock:
            self.life_s, self.deny = asked.get("life_s", self.life_s), asked.get("deny", False)
            for vendor, id in [key for key in self.hooks if asked.get("forget") == key[0]]:
                del self.hooks[vendor, id]
        return {}

    def registered(self):
        with self.lock:
            rows = [{"vendor": vendor, "id": id, **hook} for (vendor, id), hook in self.hooks.items()]
        return {"hooks": [{name: value for name, value in row.items() if name != "secret"} for row in rows]}

    def sign(self, asked):
        """A delivery as the vendor of this webhook signs it: with the secret that it has."""
        with self.lock:
            hook = self.hooks[asked["vendor"], asked["id"]]
            secret, body = hook["secret"], asked["body"]
            if asked["vendor"] == "airtable" and "payload" in asked:
                hook.setdefault("payloads", []).append(asked["payload"])
        hmac_of = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        if asked["vendor"] == "github":
            return {"headers": {"x-hub-signature-256": "sha256=" + hmac_of(secret.encode(), body), "x-github-event": "push", "x-github-delivery": secrets.token_hex(8)}}
        if asked["vendor"] == "stripe":
            now = int(time.time())
            return {"headers": {"stripe-signature": f"t={now},v1=" + hmac_of(secret.encode(), f"{now}.{body}")}}
        return {"headers": {"x-airtable-content-mac": "hmac-sha256=" + hmac_of(base64.b64decode(secret), body)}}


def main():
    words = argparse.ArgumentParser(description="vendors that webhooks are registered with, on loopback")
    words.add_argument("--host", action="append", default=[])
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--keep", action="store_true")
    options = words.parse_args()
    vendors = Vendors()
    calls = loopback.control({
        "GET counts": lambda _: vendors.count,
        "GET registered": lambda _: vendors.registered(),
        "POST hold": vendors.hold,
        "POST set": vendors.set,
        "POST sign": vendors.sign,
    })  # fmt: skip
    loopback.live(vendors, calls, options.host, options, {})


if __name__ == "__main__":
    main()
