"""Netlify (API reference, "Hooks", "Deploys", "Forms"; docs, "Deploy notifications", "Payload signature"): a notification is of one event of one
site, and what is sent is signed with a token (HS256) that has the body's SHA-256."""

import json

HOST = "api.netlify.com"
SITE = "3970e0fe-8564-4903-9a55-c5f8de49fb8b"


class Vendor:
    hosts = [HOST]

    def __init__(self, signing):
        self.signing, self.hooks, self.deploys, self.gone, self.builds = signing, {}, {}, set(), 0
        for n in range(5):
            self.deploys[f"d{n}"] = {"id": f"d{n}", "site_id": SITE, "state": "ready", "created_at": f"2026-01-{n * 3 + 1:02}T10:00:00.000Z"}

    def __call__(self, asked):
        if asked.headers.get("authorization") != "Bearer a made up token":
            return 401, {"code": 401, "message": "Access Denied"}, {}
        parts = asked.path.removeprefix("/api/v1/").split("/")
        if parts == ["user"]:
            return 200, {"id": "5ee000000000000000000001", "full_name": "Mona Octo"}, {}
        if parts == ["sites"]:
            return 200, [{"id": SITE, "name": "doors"}, {"id": "11111111-8564-4903-9a55-c5f8de49fb8b", "name": "other"}], {}
        if parts[0] == "hooks":
            return self.notification(asked, parts[1] if len(parts) > 1 else None)
        if parts[0] == "deploys":
            found = self.deploys.get(parts[1])
            return (200, found, {}) if found else (404, {"message": "Not Found"}, {})
        if parts[0] == "submissions":
            return 200, {"id": parts[1], "form_id": "f", "data": {"message": "as it is now"}}, {}
        if parts[-1] == "builds":
            self.builds += 1
            return 200, {"id": f"b{self.builds}", "deploy_id": "d9"}, {}
        if parts[-1] == "deploys":
            whole = sorted(self.deploys.values(), key=lambda deploy: deploy["created_at"], reverse=True)
            page = int(asked.query["page"])
            more = {"Link": f'<https://{HOST}{asked.path}?page={page + 1}>; rel="next"'} if page * 3 < len(whole) else {}
            return 200, whole[page * 3 - 3 : page * 3], more
        return 200, [], {}

    def notification(self, asked, id):
        if asked.method == "GET":
            return 200, [hook for hook in self.hooks.values() if hook["site_id"] == asked.query["site_id"]], {}
        if asked.method == "DELETE":
            return (204, None, {}) if self.hooks.pop(id, None) else (404, {"message": "Not Found"}, {})
        id = id or f"h{len(self.hooks)}"
        self.hooks[id] = {"id": id, **asked.json}
        return 200, self.hooks[id], {}

    def set(self, asked):
        self.deploys |= asked.get("deploys", {})
        return {}

    def seen(self):
        return {"hooks": sorted([hook["event"], hook["data"]["url"]] for hook in self.hooks.values()), "builds": self.builds}

    def sign(self, asked):
        made = self.signing.at(0)
        body = json.dumps(asked["body"])
        secret = next(iter(self.hooks.values()))["data"]["signature_secret"]
        token = made["jws"](asked.get("alg", "HS256"), {}, {"iss": asked.get("iss", "netlify"), "sha256": made["sha"](body)}, key=secret)
        return {"headers": {"x-webhook-signature": token, "x-netlify-event": asked["event"], "content-type": "application/json"}, "body": body}
