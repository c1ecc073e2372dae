"""An OAuth 1.0a provider on loopback (RFC 5849): oauthlib judges every signature, timestamp and nonce; the addresses are Trello's.

    target/counterparts-venv/bin/python tests/counterparts/oauth1/main.py [--host NAME]... [--callback URL] [--cards 120] [--port N] [--keep]

Prints one line when it is ready: {"ready":true,"port":...,"http_port":...,"control":...,"ca_pem":...,"ca_file":...,"client_id":...,
"client_secret":...}. HMAC-SHA1, HMAC-SHA256 and PLAINTEXT are taken. Ends on SIGTERM or, unless --keep, when stdin does.
"""

import argparse
import hashlib
import html
import json
import secrets
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, str(Path(__file__).parent.parent / "loopback"))

import loopback
from oauthlib import oauth1

REMEMBERED = 1000  # requests
SEEN = 50_000  # nonces
HOSTS = ("trello.com", "api.trello.com")
BOARD = "5f1e00000000000000000b01"  # Trello's ids have 24 hexadecimal digits


class Validator(oauth1.RequestValidator):
    """What was issued and what was seen; oauthlib asks it and does the rest."""

    enforce_ssl = False  # the port without TLS is for reading along
    allowed_signature_methods = (oauth1.SIGNATURE_HMAC_SHA1, oauth1.SIGNATURE_HMAC_SHA256, oauth1.SIGNATURE_PLAINTEXT)
    client_key_length = request_token_length = access_token_length = verifier_length = (8, 80)
    nonce_length = (8, 80)
    safe_characters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    dummy_client = dummy_request_token = dummy_access_token = "dummy-dummy"
    realms = ()

    def __init__(self, client, secret, callback):
        super().__init__()
        self.client, self.secret, self.callback = client, secret, callback
        self.requests, self.access, self.nonces = {}, {}, {}

    def get_client_secret(self, client_key, request):
        return self.secret if client_key == self.client else "dummy"

    def get_request_token_secret(self, client_key, token, request):
        return self.requests.get(token, {}).get("secret", "dummy")

    def get_access_token_secret(self, client_key, token, request):
        return self.access.get(token, {}).get("secret", "dummy")

    def validate_client_key(self, client_key, request):
        return client_key == self.client

    def validate_request_token(self, client_key, token, request):
        return token in self.requests

    def validate_access_token(self, client_key, token, request):
        return token in self.access

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request, request_token=None, access_token=None):
        key = (client_key, timestamp, nonce, request_token, access_token)
        if abs(time.time() - int(timestamp)) > self.timestamp_lifetime or key in self.nonces:
            return False
        self.nonces[key] = True
        if len(self.nonces) > SEEN:
            del self.nonces[next(iter(self.nonces))]
        return True

    def validate_redirect_uri(self, client_key, redirect_uri, request):
        return redirect_uri == "oob" or self.callback is None or redirect_uri == self.callback

    def get_redirect_uri(self, token, request):
        return self.requests[token]["callback"]

    def get_default_realms(self, client_key, request):
        return []

    def get_realms(self, token, request):
        return []

    def validate_requested_realms(self, client_key, realms, request):
        return True

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True

    def verify_request_token(self, token, request):
        return token in self.requests

    def verify_realms(self, token, realms, request):
        return True

    def validate_verifier(self, client_key, token, verifier, request):
        return bool(verifier) and self.requests.get(token, {}).get("verifier") == verifier

    def save_request_token(self, token, request):
        self.requests[token["oauth_token"]] = {"secret": token["oauth_token_secret"], "callback": request.redirect_uri}

    def save_verifier(self, token, verifier, request):
        self.requests[token]["verifier"] = verifier["oauth_verifier"]

    def save_access_token(self, token, request):
        user = self.requests[request.resource_owner_key]["user"]
        self.access[token["oauth_token"]] = {"secret": token["oauth_token_secret"], "user": user}

    def invalidate_request_token(self, client_key, request_token, request):
        self.requests.pop(request_token, None)


class Provider:
    def __init__(self, validator, cards):
        self.validator, self.cards = validator, cards
        self.server = oauth1.WebApplicationServer(validator)
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.seen = []
        self.counts = dict.fromkeys(("request_tokens", "access_tokens", "allowed", "denied", "resources", "refused"), 0)
        return {}

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        headers = {name[5:].replace("_", "-").title(): value for name, value in environ.items() if name.startswith("HTTP_")}
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        uri = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{environ.get('RAW_URI') or environ['REQUEST_URI']}"
        with self.lock:
            found, text, status = self.answer(environ["PATH_INFO"], environ["REQUEST_METHOD"], uri, body, headers)
            self.seen.append({"method": environ["REQUEST_METHOD"], "uri": uri, "authorization": headers.get("Authorization"), "status": status})
            del self.seen[:-REMEMBERED]
        encoded = (text or "").encode()
        reason = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}.get(status, "Status")
        start_response(f"{status} {reason}", [*found.items(), ("Content-Length", str(len(encoded)))])
        return [encoded]

    def answer(self, path, method, uri, body, headers):
        if path == "/1/OAuthGetRequestToken":
            return self.token("request_tokens", self.server.create_request_token_response(uri, method, body, headers))
        if path == "/1/OAuthGetAccessToken":
            return self.token("access_tokens", self.server.create_access_token_response(uri, method, body, headers))
        if path == "/1/OAuthAuthorizeToken":
            return self.authorize(uri, method, body, headers)
        if path.startswith("/1/"):
            return self.resource(path, method, uri, body, headers)
        return {"Content-Type": "text/plain"}, "not found", 404

    def token(self, name, answer):
        self.counts[name if answer[2] == 200 else "refused"] += 1
        return answer

    def authorize(self, uri, method, body, headers):
        query = {name: values[0] for name, values in parse_qs(uri.partition("?")[2]).items()}
        token = query.get("oauth_token", "")
        waiting = self.validator.requests.get(token)
        if waiting is None:
            return page("error", "The token is not known", "", 400)
        if method == "GET" and "user" not in waiting:
            return page("login", "Sign in", form(uri, '<input name="user" required><button id="login">Sign in</button>'))
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        if method == "POST" and "user" in asked:
            waiting["user"] = asked["user"]
            allow = '<button id="allow" name="choice" value="allow">Allow</button><button id="deny" name="choice" value="deny">Deny</button>'
            return page("consent", f"{query.get('name', 'Somebody')} asks for access", form(uri, allow))
        if asked.get("choice") == "allow":
            self.counts["allowed"] += 1
            found, text, status = self.server.create_authorization_response(uri, "POST", body, headers, [], {})
            if waiting["callback"] == "oob":
                return page("done", "Allowed", f'<p>Your code is <code id="code">{waiting["verifier"]}</code></p>')
            return found, text, status
        self.counts["denied"] += 1
        del self.validator.requests[token]
        if waiting["callback"] == "oob":
            return page("done", "Denied", "")
        mark = "&" if "?" in waiting["callback"] else "?"
        return {"Location": f"{waiting['callback']}{mark}{urlencode({'denied': token})}"}, "", 302

    def resource(self, path, method, uri, body, headers):
        self.counts["resources"] += 1
        valid, request = self.server.validate_protected_resource_request(uri, method, body, headers)
        if not valid:
            self.counts["refused"] += 1
            return {"Content-Type": "text/plain"}, "invalid token", 401
        user = self.validator.access[request.resource_owner_key]["user"]
        if path == "/1/members/me":
            return found_json({"id": hashlib.sha256(user.encode()).hexdigest()[:24], "username": user, "fullName": f"{user.title()} of Acme"})
        if path == "/1/members/me/boards":
            return found_json([{"id": BOARD, "name": "Work", "closed": False}])
        if path == f"/1/boards/{BOARD}/cards":
            query = {name: values[0] for name, values in parse_qs(uri.partition("?")[2]).items()}
            last = int(query["before"].removeprefix("card-")) if "before" in query else self.cards
            first = max(0, last - int(query.get("limit", 50)))
            return found_json([{"id": f"card-{n}", "name": f"Card {n}", "idBoard": BOARD} for n in range(last - 1, first - 1, -1)])
        return {"Content-Type": "text/plain"}, "not found", 404


def found_json(value):
    return {"Content-Type": "application/json"}, json.dumps(value), 200


def form(uri, inside):
    return f'<form method="post" action="{html.escape(uri)}">{inside}</form>'


def page(name, title, inside, status=200):
    text = f'<!doctype html><title>{html.escape(title)}</title><body data-page="{name}"><h1>{html.escape(title)}</h1>{inside}</body>'
    return {"Content-Type": "text/html; charset=utf-8"}, text, status


def main():
    words = argparse.ArgumentParser(description="an OAuth 1.0a provider on loopback")
    words.add_argument("--host", action="append", default=[])
    words.add_argument("--callback")
    words.add_argument("--cards", type=int, default=120)
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--keep", action="store_true")
    options = words.parse_args()
    client = {"client_id": secrets.token_hex(16), "client_secret": secrets.token_hex(32)}
    validator = Validator(client["client_id"], client["client_secret"], options.callback)
    provider = Provider(validator, options.cards)
    calls = loopback.control({
        "GET counts": lambda _: provider.counts,
        "GET requests": lambda _: {"requests": provider.seen},
        "GET issued": lambda _: {"issued": [{"token": token, **kept} for token, kept in validator.access.items()]},
        "POST reset": lambda _: provider.reset(),
        # As a person takes the access back on the vendor's page.
        "POST disconnect": lambda _: validator.access.clear() or {},
    })  # fmt: skip
    loopback.live(provider, calls, [*HOSTS, *options.host], options, client)


if __name__ == "__main__":
    main()
