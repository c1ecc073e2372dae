"""SES and SNS ("Amazon SES API v2", "Amazon SNS API reference", "Verifying the signatures of Amazon SNS messages"). SNS asks whoever is
subscribed to confirm it, and says so when its address was visited."""

import datetime
import json
import threading
import time
import urllib.request
import uuid
from xml.sax.saxutils import escape

REGION = "eu-west-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:mail"
SES, SNS = f"email.{REGION}.amazonaws.com", f"sns.{REGION}.amazonaws.com"
CERTIFICATE = "/SimpleNotificationService-01d088a6f77103d0fe307c0069e40ed6.pem"


class Vendor:
    hosts = [SES, SNS]

    def __init__(self, signing):
        self.signing, self.subscriptions, self.confirmed, self.server, self.sent = signing, {}, [], None, []

    def __call__(self, asked):
        if asked.method == "GET" and asked.host == SNS:
            if asked.path == CERTIFICATE:
                return 200, self.signing.at(0)["certificate"]("sns.amazonaws.com"), {}
            if asked.query.get("Action") == "ConfirmSubscription":
                self.confirmed.append(asked.query["Token"])
                return 200, xml("ConfirmSubscription", ""), {}
        signed = asked.headers.get("authorization", "")
        service = "sns" if asked.host == SNS else "ses"
        if f"/{REGION}/{service}/aws4_request" not in signed:
            return 403, {"message": "not signed for this service"}, {"x-amzn-ErrorType": "InvalidSignatureException"}
        return (self.sns if asked.host == SNS else self.ses)(asked)

    def ses(self, asked):
        name = asked.path.removeprefix("/v2/email/")
        if name == "account":
            return 200, {"SendingEnabled": True, "SendQuota": {"Max24HourSend": 50000.0}}, {}
        if name == "identities":
            return 200, {"EmailIdentities": [{"IdentityName": "doors.example", "IdentityType": "DOMAIN", "SendingEnabled": True}]}, {}
        if name == "suppression/addresses":
            whole = [{"EmailAddress": f"jane{n}@example.com", "Reason": "BOUNCE", "LastUpdateTime": 1767607200.0 + n} for n in range(5)]
            since = asked.query.get("StartDate")
            since = datetime.datetime.fromisoformat(since).timestamp() if since else 0
            whole = [one for one in whole if one["LastUpdateTime"] >= since]
            start = int(asked.query.get("NextToken", 0))
            more = {"NextToken": str(start + 2)} if start + 2 < len(whole) else {}
            return 200, {"SuppressedDestinationSummaries": whole[start : start + 2], **more}, {}
        if name == "outbound-emails":
            self.sent.append(asked.json)
            return 200, {"MessageId": f"0100-{len(self.sent)}"}, {}
        return 404, {"message": "no"}, {"x-amzn-ErrorType": "NotFoundException"}

    def sns(self, asked):
        form = asked.form
        action = form["Action"]
        if action == "Subscribe":
            arn = next((arn for arn, url in self.subscriptions.items() if url == form["Endpoint"]), f"{TOPIC}:{uuid.uuid4()}")
            self.subscriptions[arn] = form["Endpoint"]
            threading.Thread(target=self.ask, args=[form["Endpoint"]], daemon=True).start()
            return 200, xml(action, f"<SubscriptionArn>{arn}</SubscriptionArn>"), {}
        if action == "Unsubscribe":
            self.subscriptions.pop(form["SubscriptionArn"], None)
            return 200, xml(action, ""), {}
        if action == "ListTopics":
            return 200, xml(action, f"<Topics><member><TopicArn>{TOPIC}</TopicArn></member></Topics>"), {}
        members = "".join(
            f"<member><TopicArn>{TOPIC}</TopicArn><Protocol>https</Protocol><SubscriptionArn>{arn}</SubscriptionArn>"
            f"<Owner>123456789012</Owner><Endpoint>{escape(url)}</Endpoint></member>"
            for arn, url in self.subscriptions.items()
        )
        return 200, xml(action, f"<Subscriptions>{members}</Subscriptions>"), {}

    def ask(self, url):
        """As SNS: at once, by itself."""
        if self.server:
            made = self.sign({"type": "SubscriptionConfirmation", "message": "You have chosen to subscribe"})
            path = url.split("/", 3)[3]
            request = urllib.request.Request(f"http://{self.server}/{path}", made["body"].encode(), made["headers"])
            urllib.request.urlopen(request, timeout=10).read()

    def set(self, asked):
        self.server = asked.get("server", self.server)
        return {}

    def seen(self):
        return {"subscriptions": list(self.subscriptions.values()), "confirmed": len(self.confirmed), "sent": self.sent}

    def sign(self, asked):
        made = self.signing.at(int(time.time()))
        kind, version = asked.get("type", "Notification"), asked.get("version", "2")
        note = {
            "Type": kind, "MessageId": asked.get("id") or str(uuid.uuid4()), "TopicArn": asked.get("topic", TOPIC), "Message": asked["message"],
            "Timestamp": made["stamp"]() + ".000Z", "SignatureVersion": version, "SigningCertURL": f"https://{SNS}{CERTIFICATE}",
        }  # fmt: skip
        names = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
        if kind != "Notification":
            note |= {"Token": "t" * 20, "SubscribeURL": f"https://{SNS}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={'t' * 20}"}
            names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{note[name]}\n" for name in names)
        algorithm = made["hashes"].SHA1() if version == "1" else made["hashes"].SHA256()
        note["Signature"] = made["b64"](made["rsa_sign"](text, algorithm))
        headers = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": kind, "x-amz-sns-message-id": note["MessageId"]}
        return {"headers": headers, "body": json.dumps(note)}


def xml(action, result):
    return f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{action}Result>{result}</{action}Result></{action}Response>'
