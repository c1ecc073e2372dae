"""The vendors of connectors as they are shipped, on loopback: they answer what each connector's documented case has
(plugins/*/tests/documented/cassette.json), keep webhooks as their APIs say, ask an address where they are documented to ask it, and sign
by an implementation of their own: hmac and cryptography of Python.

    target/counterparts-venv/bin/python tests/counterparts/saas/main.py --host gitlab.com ... [--port N] [--keep]

Prints one line when it is ready, as the others do (see ../README.md). Written from the vendors' documentation.
"""

import argparse
import base64
import hashlib
import hmac
import json
import re
import secrets
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, str(Path(__file__).parent.parent / "loopback"))

import loopback
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PLUGINS = Path(__file__).parents[3] / "plugins"
CREDENTIAL = "a made up secret"

HOSTS = {
    "gitlab.com": "gitlab",
    "api.zoom.us": "zoom",
    "zoom.us": "zoom",
    "discord.com": "discord",
    "slack.com": "slack",
    "api.sendgrid.com": "sendgrid",
    "api.mailgun.net": "mailgun",
    "api.postmarkapp.com": "postmark",
}


class Dated(loopback.Quiet):
    """Zoom's day is the one of its documented case: recordings are read until today."""

    def date_time_string(self, timestamp=None):
        if self.headers["Host"].partition(":")[0].endswith("zoom.us"):
            return "Wed, 01 May 2024 12:00:00 GMT"
        return super().date_time_string(timestamp)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Vendors:
    def __init__(self):
        self.lock = threading.Lock()
        self.hooks = {}  # (vendor, id) -> {"url", …}
        self.answers = {}  # what a test says instead: (method, url) -> (status, answer)
        self.asked = []
        self.reach = None
        self.ed = ed25519.Ed25519PrivateKey.generate()
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.mailgun_key = secrets.token_hex(16)
        self.played = {}
        for vendor in set(HOSTS.values()):
            case = PLUGINS / vendor / "tests/documented/cassette.json"
            if case.exists():
                for exchange in json.loads(case.read_text())["exchanges"]:
                    asked, said = exchange["request"], exchange["response"]
                    self.played.setdefault((asked["method"], asked["url"]), said)

    def __call__(self, environ, start_response):
        host = environ["HTTP_HOST"].partition(":")[0]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]
        vendor = HOSTS[host]
        headers = {}
        with self.lock:
            raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or path
            url = f"https://{host}{urllib.parse.urlsplit(raw).path}" + (f"?{query}" if query else "")
            self.asked.append({"method": method, "url": url, "body": body.decode(errors="replace")})
            if not self.may(vendor, host, environ):
                found = 401, {"message": "401 Unauthorized"}
            else:
                own = getattr(self, vendor)(method, host, path, body) if hasattr(self, vendor) else None
                found = self.answers.get((method, url)) or own
        if callable(found):  # what asks the address goes on without the lock
            found = found()
        if found is None:
            said = self.played.get((method, url))
            found = (said["status"], said.get("body", {}).get("json")) if said else (404, {"message": f"not documented: {method} {url}"})
            headers = {name.title(): value for name, value in (said or {}).get("headers", []) if name not in ("content-type", "date")}
        status, answer = found
        text = b"" if answer is None else json.dumps(answer).encode()
        lines = [("Content-Type", "application/json"), ("Content-Length", str(len(text))), *headers.items()]
        start_response(f"{status} x", lines)
        return [text]

    def may(self, vendor, host, environ):
        """Whether the host has put the vendor's credential on the request."""
        given = environ.get("HTTP_AUTHORIZATION")
        wanted = {
            "gitlab": f"Bearer {CREDENTIAL}",
            "zoom": basic("app-id", "app-secret") if host == "zoom.us" else "Bearer zoom-token",
            "discord": f"Bot {CREDENTIAL}",
            "slack": f"Bearer {CREDENTIAL}",
            "sendgrid": f"Bearer {CREDENTIAL}",
            "mailgun": basic("api", CREDENTIAL),
        }
        if vendor == "postmark":
            return environ.get("HTTP_X_POSTMARK_SERVER_TOKEN") == CREDENTIAL
        if vendor == "discord" and environ["PATH_INFO"].startswith("/api/v10/webhooks/"):
            return given is None  # the interaction's token alone
        return given == wanted[vendor]

    def of(self, vendor):
        return {id: hook for (of, id), hook in self.hooks.items() if of == vendor}

    def gitlab(self, method, host, path, body):
        """GitLab docs, "Project webhooks API": the token is never shown."""
        place = re.fullmatch(r"/api/v4/projects/7/hooks(?:/(\d+))?", path)
        if not place:
            return None
        shown = lambda id: {"id": int(id), **{name: value for name, value in self.hooks["gitlab", id].items() if name != "token"}}
        id = place[1]
        if method == "GET":
            return 200, [shown(id) for id in self.of("gitlab")]
        if method == "POST":
            id = str(12 + len(self.hooks))
        elif ("gitlab", id) not in self.hooks:
            return 404, {"message": "404 Not found"}
        if method == "DELETE":
            del self.hooks["gitlab", id]
            return 204, None
        self.hooks["gitlab", id] = json.loads(body)
        return (201 if method == "POST" else 200), shown(id)

    def zoom(self, method, host, path, body):
        """Zoom docs, "Server-to-Server OAuth"."""
        if host != "zoom.us":
            return None
        asked = urllib.parse.parse_qs(body.decode())
        if asked.get("grant_type") != ["account_credentials"] or asked.get("account_id") != ["AccDoors_0001"]:
            return 400, {"reason": "unsupported grant type", "error": "unsupported_grant_type"}
        return 200, {"access_token": "zoom-token", "token_type": "bearer", "expires_in": 3599, "scope": "user:read:list_users:admin", "api_url": "https://api.zoom.us"}

    def discord(self, method, host, path, body):
        """Discord docs, "Edit Current Application": an address is asked for before it is taken, rightly and wrongly signed."""
        if path != "/api/v10/applications/@me":
            return None
        app = json.loads((PLUGINS / "discord/fixtures/application.json").read_text())
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        app["verify_key"] = self.ed.public_key().public_bytes(*raw).hex()
        fields = {"interactions": "interactions_endpoint_url", "events": "event_webhooks_url"}
        for which, field in fields.items():
            app[field] = self.hooks.get(("discord", which), {}).get("url")
        if method == "GET":
            return 200, app
        changes = json.loads(body)

        def change():
            for which, field in fields.items():
                if field not in changes:
                    continue
                if changes[field] is None:
                    self.hooks.pop(("discord", which), None)
                    continue
                if not self.answers_pings(changes[field], which):
                    return 400, {"message": "Invalid Form Body", "code": 50035}
                self.hooks["discord", which] = {"url": changes[field], "types": changes.get("event_webhooks_types")}
            return 200, {"id": app["id"]}

        return change

    def sendgrid(self, method, host, path, body):
        """SendGrid docs, "Event Webhook settings": nothing is signed before it is told to be, and the key is told then."""
        root = "/v3/user/webhooks/event/settings"
        if not path.startswith(root):
            return None
        asked = json.loads(body) if body else {}
        shown = lambda id: {"id": id, **self.hooks["sendgrid", id]}
        if (method, path) == ("GET", root + "/all"):
            return 200, {"max_allowed": 5, "webhooks": [shown(id) for id in self.of("sendgrid")]}
        if (method, path) == ("POST", root):
            id = f"77d4a5da-7015-11ed-a1eb-{secrets.token_hex(6)}"
            self.hooks["sendgrid", id] = asked
            return 201, shown(id)
        place = re.fullmatch(re.escape(root) + r"(/signed)?/([\w-]+)", path)
        if not place or ("sendgrid", place[2]) not in self.hooks:
            return 404, {"errors": [{"message": "not found", "field": "id"}]}
        id = place[2]
        if method == "DELETE":
            del self.hooks["sendgrid", id]
            return 204, None
        if place[1]:
            spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            self.hooks["sendgrid", id]["signed"] = asked["enabled"]
            return 200, {"id": id, "public_key": base64.b64encode(self.ec.public_key().public_bytes(*spki)).decode()}
        self.hooks["sendgrid", id].update(asked)
        return 200, shown(id)

    def mailgun(self, method, host, path, body):
        """Mailgun docs, "Domain Webhooks", "Get HTTP signing key": addresses by kind, and one key for all."""
        if path == "/v5/accounts/http_signing_key":
            return 200, {"message": "success", "http_signing_key": self.mailgun_key}
        if (method, path) == ("GET", "/v3/domains/mg.doors.example/webhooks"):
            kinds = {}
            for hook in self.of("mailgun").values():
                for kind in hook["types"]:
                    kinds.setdefault(kind, {"urls": []})["urls"].append(hook["url"])
            return 200, {"webhooks": kinds}
        if path != "/v4/domains/mg.doors.example/webhooks":
            return None
        asked = urllib.parse.parse_qs(body.decode() or self.asked[-1]["url"].partition("?")[2])
        url = asked["url"][0]
        if method == "DELETE":
            self.hooks.pop(("mailgun", url), None)
        else:
            self.hooks["mailgun", url] = {"url": url, "types": asked["event_types"]}
        return 200, {"webhooks": {}}

    def postmark(self, method, host, path, body):
        """Postmark docs, "Webhooks API"."""
        place = re.fullmatch(r"/webhooks(?:/(\d+))?", path)
        if not place:
            return None
        shown = lambda id: {"ID": int(id), "Url": self.hooks["postmark", id]["url"], **self.hooks["postmark", id]["more"]}
        id = place[1]
        if method == "GET":
            return 200, {"Webhooks": [shown(id) for id in self.of("postmark")]}
        if method == "POST":
            id = str(1234567 + len(self.hooks))
        elif ("postmark", id) not in self.hooks:
            return 404, {"ErrorCode": 1, "Message": "not found"}
        if method == "DELETE":
            del self.hooks["postmark", id]
            return 200, {"ErrorCode": 0, "Message": "removed"}
        asked = json.loads(body)
        self.hooks["postmark", id] = {"url": asked.pop("Url"), "more": asked}
        return 200, shown(id)

    def answers_pings(self, url, which):
        ping = {"interactions": {"type": 1}, "events": {"version": 1, "application_id": "1234567890123456789", "type": 0}}[which]
        text = json.dumps({"id": str(time.time_ns()), **ping})
        right = self.sign({"vendor": "discord", "body": text})["headers"]
        wrong = {**right, "x-signature-ed25519": "00" * 64}
        if self.post(url, text, wrong)[0] != 401:
            return False
        status, answer = self.post(url, text, right)
        return status == 204 if which == "events" else (status == 200 and json.loads(answer) == {"type": 1})

    def post(self, url, text, headers):
        """To the server itself: nobody resolves the public address here."""
        request = urllib.request.Request(self.reach + urllib.parse.urlsplit(url).path, text.encode(), {"content-type": "application/json", **headers})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    # What tests ask for.

    def set(self, asked):
        with self.lock:
            self.reach = asked.get("reach", self.reach)
            for answer in asked.get("answers", []):
                self.answers[answer["method"], answer["url"]] = (answer["status"], answer.get("answer"))
        return {}

    def registered(self):
        with self.lock:
            return {"hooks": [{"vendor": vendor, "id": id, **hook} for (vendor, id), hook in self.hooks.items()]}

    def sign(self, asked):
        """The headers that the vendor sends with this body, and the body where the signature is in it."""
        vendor, body, now = asked["vendor"], asked["body"], str(int(time.time()))
        hmac_of = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256)
        if vendor == "zoom":
            signature = hmac_of(asked["secret"].encode(), f"v0:{now}:{body}").hexdigest()
            return {"headers": {"x-zm-request-timestamp": now, "x-zm-signature": "v0=" + signature}}
        if vendor == "gitlab":
            id, key = secrets.token_hex(8), base64.b64decode(asked["secret"].removeprefix("whsec_"))
            if len(key) != 32:  # as GitLab has it
                return {"headers": {}}
            signature = base64.b64encode(hmac_of(key, f"{id}.{now}.{body}").digest()).decode()
            return {"headers": {"webhook-id": id, "webhook-timestamp": now, "webhook-signature": "v1," + signature}}
        if vendor == "discord":
            return {"headers": {"x-signature-timestamp": now, "x-signature-ed25519": self.ed.sign(f"{now}{body}".encode()).hex()}}
        if vendor == "sendgrid":
            name = "x-twilio-email-event-webhook-"
            signature = self.ec.sign(f"{now}{body}".encode(), ec.ECDSA(hashes.SHA256()))
            return {"headers": {name + "timestamp": now, name + "signature": base64.b64encode(signature).decode()}}
        if vendor == "mailgun":
            token = secrets.token_hex(25)
            signature = hmac_of(self.mailgun_key.encode(), now + token).hexdigest()
            signed = {**json.loads(body), "signature": {"timestamp": now, "token": token, "signature": signature}}
            return {"headers": {}, "body": json.dumps(signed)}
        raise KeyError(vendor)

    def crc(self, asked):
        """What Zoom compares an answer to its question with."""
        return {"signature": hmac.new(asked["secret"].encode(), asked["value"].encode(), hashlib.sha256).hexdigest()}


def main():
    words = argparse.ArgumentParser(description="the vendors of connectors as they are shipped, on loopback")
    words.add_argument("--host", action="append", default=[])
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--keep", action="store_true")
    options = words.parse_args()
    vendors = Vendors()
    calls = loopback.control({
        "GET registered": lambda _: vendors.registered(),
        "GET asked": lambda _: {"requests": vendors.asked},
        "POST set": vendors.set,
        "POST sign": vendors.sign,
        "POST crc": vendors.crc,
    })  # fmt: skip
    loopback.live(vendors, calls, options.host, options, {}, Dated)


if __name__ == "__main__":
    main()
