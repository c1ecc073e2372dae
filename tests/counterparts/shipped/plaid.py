"""Plaid (API docs: `/item/get`, `/accounts/get`, `/transactions/sync`, `/investments/holdings/get`, `/item/webhook/update`,
`/webhook_verification_key/get`; "Webhook verification"). What changes while a pass is read makes it end the pass, once."""

import json
import time
import uuid

HOST = "sandbox.plaid.com"
ITEM = "wz666MBjYWTp2PDzzggYhM6oWWmBb"
CLIENT, SECRET, TOKEN = "0123456789abcdef01234567", "a made up secret", "access-sandbox-made-up"
ACCOUNT = "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp"


class Vendor:
    hosts = [HOST]

    def __init__(self, signing):
        self.signing, self.webhook, self.keys, self.mutate = signing, "", 0, True
        self.changes = [("added", f"t{n:02}") for n in range(25)] + [("removed", "t03"), ("modified", "t04")]

    def __call__(self, asked):
        refuse = lambda kind, code: (400, {"error_type": kind, "error_code": code, "error_message": "no"}, {})
        if asked.headers.get("plaid-secret") != SECRET:
            return refuse("INVALID_INPUT", "INVALID_API_KEYS")
        body = asked.json
        if asked.path == "/webhook_verification_key/get":
            if body.get("client_id") != CLIENT:
                return refuse("INVALID_INPUT", "INVALID_API_KEYS")
            if body["key_id"] != "k-1":
                return refuse("INVALID_REQUEST", "INVALID_WEBHOOK_VERIFICATION_KEY_ID")
            self.keys += 1
            return 200, {"key": {**self.signing.at(0)["ec_jwk"]("k-1"), "alg": "ES256", "created_at": 1, "expired_at": None}, "request_id": "r"}, {}
        if asked.headers.get("plaid-client-id") != CLIENT:
            return refuse("INVALID_INPUT", "INVALID_API_KEYS")
        if asked.path == "/link/token/create":
            return 200, {"link_token": "link-sandbox-1", "expiration": "2026-01-05T14:00:00Z"}, {}
        if body.get("access_token") != TOKEN:
            return refuse("INVALID_INPUT", "INVALID_ACCESS_TOKEN")
        if asked.path == "/item/webhook/update":
            self.webhook = body["webhook"] or ""
        if asked.path in ("/item/get", "/item/webhook/update"):
            return 200, {"item": {"item_id": ITEM, "institution_name": "First Platypus Bank", "webhook": self.webhook}}, {}
        if asked.path == "/accounts/get":
            return 200, {"accounts": [{"account_id": ACCOUNT, "name": "Checking", "type": "depository", "balances": {"current": 110.0}}]}, {}
        if asked.path == "/transactions/sync":
            return self.sync(body) or refuse("TRANSACTIONS_ERROR", "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION")
        if asked.path == "/investments/holdings/get":
            return refuse("ITEM_ERROR", "NO_INVESTMENT_ACCOUNTS")
        return 200, {"request_id": "r"}, {}

    def sync(self, body):
        start = int(body.get("cursor", "c0")[1:])
        if start == 10 and self.mutate:
            self.mutate = False
            return None
        step = self.changes[start : start + 10]
        shown = lambda id: {"transaction_id": id, "account_id": ACCOUNT, "amount": 1.5, "date": "2026-01-04", "name": "Doors"}
        of = lambda kind: [shown(id) for known, id in step if known == kind]
        end = start + len(step)
        return 200, {"added": of("added"), "modified": of("modified"), "removed": of("removed"), "next_cursor": f"c{end}", "has_more": end < len(self.changes)}, {}

    def set(self, asked):
        self.changes += [("added", id) for id in asked.get("add", [])]
        return {}

    def seen(self):
        return {"webhook": self.webhook, "keys": self.keys}

    def sign(self, asked):
        now = int(time.time()) - asked.get("age", 0)
        made = self.signing.at(now)
        body = json.dumps({"environment": "sandbox", "item_id": ITEM, "nonce": str(uuid.uuid4()), **asked["body"]})
        claims = {"iat": now, "request_body_sha256": made["sha"](body)}
        token = made["jws"](asked.get("alg", "ES256"), {"kid": asked.get("kid", "k-1"), "typ": "JWT"}, claims)
        return {"headers": {"plaid-verification": token, "content-type": "application/json"}, "body": body}
