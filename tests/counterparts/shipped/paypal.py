"""PayPal (REST API docs: "Transaction Search", "Invoicing", "Disputes", "Webhooks Management", "Webhooks": what is signed is the transmission's id
and time, the webhook's id and the body's CRC-32). It gives a token for an app's id and secret, and knows the events that it told of."""

import json
import time
import uuid
import zlib

HOST, CERTIFICATES = "api-m.sandbox.paypal.com", "api.sandbox.paypal.com"
NAME = "messageverificationcerts.sandbox.paypal.com"
CERTIFICATE = "/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"


class Vendor:
    hosts = [HOST, CERTIFICATES]

    def __init__(self, signing):
        self.signing, self.webhooks, self.events, self.keys, self.tokens, self.refunds = signing, {}, {}, {}, 0, 0

    def __call__(self, asked):
        if asked.host == CERTIFICATES:
            return (200, self.signing.at(0)["certificate"](NAME, alternative=False), {}) if asked.path == CERTIFICATE else (404, "", {})
        if asked.path == "/v1/oauth2/token":
            self.tokens += 1
            good = asked.form.get("grant_type") == "client_credentials" and asked.headers.get("authorization", "").startswith("Basic ")
            return (200, {"access_token": "A21AAmadeup", "token_type": "Bearer", "expires_in": 32400}, {}) if good else (401, {"error": "invalid_client"}, {})
        if asked.headers.get("authorization") != "Bearer A21AAmadeup":
            return 401, {"name": "AUTHENTICATION_FAILURE"}, {}
        return self.api(asked)

    def api(self, asked):
        path = asked.path
        if path == "/v1/identity/openidconnect/userinfo":
            return 200, {"payer_id": "WDJJHEBZ4X2LY", "name": "Doors and Sons"}, {}
        if path == "/v1/reporting/transactions":
            return self.transactions(asked.query)
        if path == "/v2/invoicing/invoices":
            page = int(asked.query["page"])
            return 200, {"total_pages": 2, "items": [{"id": f"INV2-{page}{n}", "status": "SENT"} for n in range(3)]}, {}
        if path == "/v1/customer/disputes":
            items = [{"dispute_id": "PP-D-1", "update_time": "2026-01-05T10:00:00.000Z", "status": "OPEN"}]
            return 200, {"items": items, "links": []}, {}
        if path.endswith("/refund"):
            key = asked.headers["paypal-request-id"]
            self.refunds += key not in self.keys
            self.keys[key] = True
            return 201, {"id": "1JU08902781691411", "status": "COMPLETED"}, {}
        if path.startswith("/v1/notifications/webhooks-events/"):
            event = self.events.get(path.rsplit("/", 1)[1])
            return (200, event, {}) if event else (404, {"name": "RESOURCE_NOT_FOUND"}, {})
        return self.management(asked)

    def transactions(self, query):
        """Two a day, and more than a hundred days' at once are too many."""
        parse = lambda text: time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) // 86400
        first, last = parse(query["start_date"]), parse(query["end_date"])
        if last - first > 31:
            return 400, {"name": "INVALID_REQUEST"}, {}
        if last - first > 10:
            return 400, {"name": "RESULTSET_TOO_LARGE"}, {}
        of = lambda day, n: {"transaction_info": {"transaction_id": f"T{int(day)}", "transaction_event_code": f"T000{n}", "transaction_status": "S"}}
        whole = [of(day, n) for day in range(int(first), int(last)) for n in range(2)]
        return 200, {"transaction_details": whole, "page": 1, "total_pages": 1}, {}

    def management(self, asked):
        root, id = "/v1/notifications/webhooks", asked.path.removeprefix("/v1/notifications/webhooks").strip("/")
        shown = lambda id: {"id": id, **self.webhooks[id], "links": [{"rel": "self", "href": f"https://{HOST}{root}/{id}"}]}
        if asked.method == "GET" and not id:
            return 200, {"webhooks": [shown(id) for id in self.webhooks]}, {}
        if asked.method == "POST":
            if any(known["url"] == asked.json["url"] for known in self.webhooks.values()):
                return 400, {"name": "WEBHOOK_URL_ALREADY_EXISTS"}, {}
            id = uuid.uuid4().hex[:17].upper()
            self.webhooks[id] = asked.json
            return 201, shown(id), {}
        if id not in self.webhooks:
            return 404, {"name": "INVALID_RESOURCE_ID"}, {}
        if asked.method == "DELETE":
            del self.webhooks[id]
            return 204, None, {}
        return 200, shown(id), {}

    def set(self, asked):
        return {}

    def seen(self):
        return {"webhooks": [known["url"] for known in self.webhooks.values()], "tokens": self.tokens, "refunds": self.refunds}

    def sign(self, asked):
        """An event of PayPal's for its webhook; with `unknown` one that PayPal itself never heard of, signed all the same."""
        now = int(time.time())
        made, event = self.signing.at(now), asked["event"]
        if not asked.get("unknown"):
            self.events[event["id"]] = event
        body = json.dumps(event)
        transmission, at = str(uuid.uuid4()), made["stamp"]() + "Z"
        webhook = asked.get("webhook") or next(iter(self.webhooks))
        text = f"{transmission}|{at}|{webhook}|{zlib.crc32(body.encode())}"
        headers = {
            "paypal-transmission-id": transmission, "paypal-transmission-time": at, "paypal-auth-algo": "SHA256withRSA",
            "paypal-cert-url": f"https://{CERTIFICATES}{CERTIFICATE}", "paypal-transmission-sig": made["b64"](made["rsa_sign"](text)),
            "content-type": "application/json",
        }  # fmt: skip
        return {"headers": headers, "body": body}
