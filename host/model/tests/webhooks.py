#!/usr/bin/env python3
"""Makes webhooks.json: one signed request for each vendor, by the vendors' own documented formulas and Python's
libraries, independently of the host. Run: pip install cryptography && python3 webhooks.py > webhooks.json
Every secret is made up; private keys are made for the run and thrown away.

tests/counterparts/webhooks runs it too, with GIVEN: another time, another address, the keys of a run before, and an authority
that vouches for the certificates."""

import base64
import datetime
import hashlib
import hmac
import json
import urllib.parse
import zlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

GIVEN = globals().get("GIVEN", {})
NOW = GIVEN.get("now", 1795000000)
URL = GIVEN.get("url", "https://hooks.example.com/hooks/hok_1")
KEY = "a made up secret"
OTHER = "another made up secret"
FORM = ["content-type", "application/x-www-form-urlencoded"]
JSON = ["content-type", "application/json"]
BODY = '{"id":"evt_1","type":"thing.changed","amount":5}'
rows = []


def mac(hash_name, key, text):
    key = key.encode() if isinstance(key, str) else key
    text = text.encode() if isinstance(text, str) else text
    return hmac.new(key, text, hash_name).digest()


def b64(data):
    return base64.b64encode(data).decode()


def b64u(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def add(system, headers, body=BODY, secret=KEY, other=OTHER, method="POST", url=URL, fetched=None, flips="all",
        stale=None, signs_url=False, other_code="webhook.signature", now=NOW, id=None, one_time=None, also=None):
    rows.append(dict(system=system, method=method, url=url, headers=headers, body=body, secret=secret, other=other,
                     fetched=fetched, flips=flips, stale=stale, signs_url=signs_url, other_code=other_code, now=now,
                     id=id, one_time=one_time, signed_headers=also if also is not None else [h[0] for h in headers if h[0] != "content-type"]))


# Keys for this run.
RSA = GIVEN.get("RSA") or rsa.generate_private_key(65537, 2048)
P256 = GIVEN.get("P256") or ec.generate_private_key(ec.SECP256R1())
ED = GIVEN.get("ED") or ed25519.Ed25519PrivateKey.generate()
OTHER_ED = ed25519.Ed25519PrivateKey.generate()
OTHER_P256 = ec.generate_private_key(ec.SECP256R1())


def raw(key):
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def spki(key, encoding=serialization.Encoding.DER):
    return key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate(name, alternative=True):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = datetime.datetime(2026, 1, 1)
    issuer, issuer_key = GIVEN.get("authority", (subject, RSA))
    build = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(RSA.public_key())
    build = build.serial_number(12345).not_valid_before(made).not_valid_after(made + datetime.timedelta(days=3650))
    if alternative:
        build = build.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return build.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def stamp(zone=0):
    """The time of signing, as RFC 3339 has it."""
    at = datetime.datetime.fromtimestamp(NOW, datetime.timezone(datetime.timedelta(hours=zone)))
    return at.strftime("%Y-%m-%dT%H:%M:%S")


def rsa_sign(text, algorithm=None):
    return RSA.sign(text.encode(), padding.PKCS1v15(), algorithm or hashes.SHA256())


def jwk(kid):
    numbers = RSA.public_key().public_numbers()
    size = lambda n: n.to_bytes((n.bit_length() + 7) // 8, "big")
    return dict(kty="RSA", kid=kid, use="sig", n=b64u(size(numbers.n)), e=b64u(size(numbers.e)))


def ec_jwk(kid):
    numbers = P256.public_key().public_numbers()
    return dict(kty="EC", crv="P-256", kid=kid, use="sig", x=b64u(numbers.x.to_bytes(32, "big")),
                y=b64u(numbers.y.to_bytes(32, "big")))


def jws(alg, header, payload, key=KEY, detached=False):
    head = b64u(json.dumps(dict(alg=alg, **header), separators=(",", ":")).encode())
    load = b64u(payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode())
    text = f"{head}.{load}".encode()
    if alg == "HS256":
        signature = mac("sha256", key, text)
    elif alg == "RS256":
        signature = RSA.sign(text, padding.PKCS1v15(), hashes.SHA256())
    elif alg == "PS256":
        signature = RSA.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    else:
        r, s = decode_dss_signature(P256.sign(text, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{head}.{'' if detached else load}.{b64u(signature)}"


def sha(text):
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


# --- Family 1
add("Facebook", [["x-hub-signature-256", "sha256=" + mac("sha256", KEY, BODY).hex()]])
add("LinkedIn", [["x-li-signature", mac("sha256", KEY, "hmacsha256=" + BODY).hex()]])
for system, header, alg, style, prefix in [
    ("Coinbase Commerce", "x-cc-webhook-signature", "sha256", "hex", ""),
    ("BitPay", "x-signature", "sha256", "base64", ""),
    ("Alchemy", "x-alchemy-signature", "sha256", "hex", ""),
    ("Webex", "x-spark-signature", "sha1", "hex", ""),
    ("Agora", "agora-signature-v2", "sha256", "hex", ""),
    ("Agora (version 1)", "agora-signature", "sha1", "hex", ""),
    ("Asana", "x-hook-signature", "sha256", "hex", ""),
    ("Jira", "x-hub-signature", "sha256", "hex", "sha256="),
    ("Notion", "x-notion-signature", "sha256", "hex", "sha256="),
    ("Dropbox", "x-dropbox-signature", "sha256", "hex", ""),
    ("Intercom", "x-hub-signature", "sha1", "hex", "sha1="),
    ("GitHub", "x-hub-signature-256", "sha256", "hex", "sha256="),
    ("Sentry", "sentry-hook-signature", "sha256", "hex", ""),
    ("Vercel", "x-vercel-signature", "sha1", "hex", ""),
    ("Segment", "x-signature", "sha1", "hex", ""),
    ("HubSpot (version 1)", "x-hubspot-signature", None, "hex", ""),
]:
    digest = mac(alg, KEY, BODY) if alg else hashlib.sha256((KEY + BODY).encode()).digest()
    add(system, [[header, prefix + (digest.hex() if style == "hex" else b64(digest))]])
RAW, OTHER_RAW = b"0123456789abcdef0123456789abcdef", b"another made up key with 32 byte"
add("Airtable", [["x-airtable-content-mac", "hmac-sha256=" + mac("sha256", RAW, BODY).hex()]], secret=b64(RAW), other=b64(OTHER_RAW))
add("Microsoft Teams (outgoing webhook)", [["authorization", "HMAC " + b64(mac("sha256", RAW, BODY))]], secret=b64(RAW), other=b64(OTHER_RAW))
add("Pusher", [["x-pusher-key", "app1"], ["x-pusher-signature", mac("sha256", KEY, BODY).hex()]], secret="app1:" + KEY, other="app1:" + OTHER)

# --- Family 2
add("Stripe", [["stripe-signature", f"t={NOW},v1={'00' * 32},v1={mac('sha256', KEY, f'{NOW}.{BODY}').hex()}"]], stale=301, also=[])
add("Paddle", [["paddle-signature", f"ts={NOW};h1={mac('sha256', KEY, f'{NOW}:{BODY}').hex()}"]], stale=301)
add("Calendly", [["calendly-webhook-signature", f"t={NOW},v1={mac('sha256', KEY, f'{NOW}.{BODY}').hex()}"]], stale=301)
MS = NOW * 1000
add("Recurly", [["recurly-signature", f"{MS},{'11' * 32},{mac('sha256', KEY, f'{MS}.{BODY}').hex()}"]], stale=301, also=[])
add("Zoom", [["x-zm-request-timestamp", str(NOW)], ["x-zm-signature", "v0=" + mac("sha256", KEY, f"v0:{NOW}:{BODY}").hex()]], stale=301)
add("Slack", [["x-slack-request-timestamp", str(NOW)], ["x-slack-signature", "v0=" + mac("sha256", KEY, f"v0:{NOW}:{BODY}").hex()]], stale=301)
add("Daily", [["x-webhook-timestamp", str(NOW)], ["x-webhook-signature", b64(mac("sha256", RAW, f"{NOW}.{BODY}"))]], secret=b64(RAW), other=b64(OTHER_RAW), stale=301)
for system, name in [("Resend", "svix"), ("Standard Webhooks", "webhook")]:
    add(system, [[f"{name}-id", "msg_1"], [f"{name}-timestamp", str(NOW)], [f"{name}-signature", "v1," + b64(mac("sha256", RAW, f"msg_1.{NOW}.{BODY}"))]],
        secret="whsec_" + b64(RAW), other="whsec_" + b64(OTHER_RAW), stale=301, id="msg_1")
DELIVERED = stamp(-7) + "-07:00"
add("Box", [["box-delivery-timestamp", DELIVERED], ["box-signature-primary", b64(mac("sha256", KEY, BODY + DELIVERED))],
            ["box-signature-secondary", b64(mac("sha256", "a third secret", BODY + DELIVERED))]], stale=601, also=["box-delivery-timestamp", "box-signature-primary"])
LINEAR = '{"action":"create","type":"Issue","webhookTimestamp":%d}' % MS
add("Linear", [["linear-signature", mac("sha256", KEY, LINEAR).hex()]], body=LINEAR, stale=61)

# --- Family 3
TWILIO = [("CallSid", "CA123"), ("Caller", "+12349013030"), ("Digits", "1234"), ("Zip", "")]
TWILIO_URL = URL + "?foo=1&bar=2"
add("Twilio", [FORM, ["x-twilio-signature", b64(mac("sha1", KEY, TWILIO_URL + "".join(n + v for n, v in TWILIO)))]],
    body=urllib.parse.urlencode(TWILIO), url=TWILIO_URL, signs_url=True)
DIGEST_URL = URL + "?bodySHA256=" + sha(BODY)
add("Twilio", [JSON, ["x-twilio-signature", b64(mac("sha1", KEY, DIGEST_URL))]], url=DIGEST_URL, signs_url=True)
add("Square", [["x-square-hmacsha256-signature", b64(mac("sha256", KEY, URL + BODY))]], signs_url=True)
add("Trello", [["x-trello-webhook", b64(mac("sha1", KEY, BODY + URL))]], signs_url=True)
HS_URL = URL + "?a=%3A%2F"
add("HubSpot", [["x-hubspot-request-timestamp", str(MS)], ["x-hubspot-signature-v3", b64(mac("sha256", KEY, f"POST{URL}?a=:/{BODY}{MS}"))]],
    url=HS_URL, signs_url=True, stale=301)
add("HubSpot (version 2)", [["x-hubspot-signature", hashlib.sha256(f"{KEY}POST{URL}{BODY}".encode()).hexdigest()]], signs_url=True)
PLIVO = [("From", "14150000001"), ("To", "14150000002")]
PLIVO_URL = URL + "?b=2&a=1"
add("Plivo", [FORM, ["x-plivo-signature-v3-nonce", "05429567804466091622"],
              ["x-plivo-signature-v3", "AAAA," + b64(mac("sha256", KEY, f"{URL}?a=1&b=2.{''.join(n + v for n, v in PLIVO)}.05429567804466091622"))]],
    body=urllib.parse.urlencode(PLIVO), url=PLIVO_URL, signs_url=True, id="05429567804466091622", one_time="05429567804466091622",
    also=["x-plivo-signature-v3-nonce"])
AUTHY = '{"approval_request":{"seconds":"0","transaction":{"hidden":"a b"}},"status":"approved"}'
AUTHY_TEXT = "approval_request%5Bseconds%5D=0&approval_request%5Btransaction%5D%5Bhidden%5D=a+b&status=approved"
add("Twilio Authy", [JSON, ["x-authy-signature-nonce", "1427849783.886085"],
                     ["x-authy-signature", b64(mac("sha256", KEY, f"1427849783.886085|POST|{URL}|{AUTHY_TEXT}"))]], body=AUTHY, signs_url=True,
    id="1427849783.886085", one_time="1427849783.886085")

# --- Family 4
TOKEN = "f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5"
SIGNED = mac("sha256", KEY, f"{NOW}{TOKEN}").hex()
add("Mailgun", [JSON], body=json.dumps(dict(signature=dict(timestamp=str(NOW), token=TOKEN, signature=SIGNED), **{"event-data": {"event": "opened"}}), separators=(",", ":")),
    flips=[str(NOW), TOKEN, SIGNED], stale=301, one_time=TOKEN)
add("Mailgun (routes)", [FORM], body=urllib.parse.urlencode(dict(timestamp=NOW, token=TOKEN, signature=SIGNED, subject="a b")),
    flips=[str(NOW), TOKEN, SIGNED], stale=301, one_time=TOKEN)
PART = '--x1\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
add("Mailgun (routes)", [["content-type", "multipart/form-data; boundary=x1"]],
    body=PART % ("timestamp", NOW) + PART % ("token", TOKEN) + PART % ("signature", SIGNED) +
    '--x1\r\nContent-Disposition: form-data; name="attachment-1"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x1--\r\n',
    flips=[str(NOW), TOKEN, SIGNED], stale=301, one_time=TOKEN)
PAYLOAD = b64(b"<notification><kind>check</kind></notification>") + "\n"
BT = mac("sha1", hashlib.sha1(KEY.encode()).digest(), PAYLOAD).hex()
add("Braintree", [FORM], body=urllib.parse.urlencode(dict(bt_signature=f"other|{'22' * 20}&public1|{BT}", bt_payload=PAYLOAD)),
    secret="public1:" + KEY, other="public1:" + OTHER, flips=[BT, urllib.parse.quote(PAYLOAD.strip(), safe="")])

# --- Family 5
add("Discord", [["x-signature-timestamp", str(NOW)], ["x-signature-ed25519", ED.sign(f"{NOW}{BODY}".encode()).hex()]], secret=raw(ED).hex(), other=raw(OTHER_ED).hex(), stale=301)
add("Standard Webhooks (asymmetric)", [["webhook-id", "msg_1"], ["webhook-timestamp", str(NOW)],
    ["webhook-signature", "v1,AAAA v1a," + b64(ED.sign(f"msg_1.{NOW}.{BODY}".encode()))]], secret="whpk_" + b64(raw(ED)), other="whpk_" + b64(raw(OTHER_ED)), stale=301,
    id="msg_1", also=["webhook-id", "webhook-timestamp"])

# --- Family 6
add("SendGrid", [["x-twilio-email-event-webhook-timestamp", str(NOW)],
                 ["x-twilio-email-event-webhook-signature", b64(P256.sign(f"{NOW}{BODY}\r\n".encode(), ec.ECDSA(hashes.SHA256())))]],
    body=BODY + "\r\n", secret=b64(spki(P256)), other=b64(spki(OTHER_P256)), stale=301)

# --- Family 7
SENT = stamp() + "Z"
add("PayPal", [["paypal-transmission-id", "69cd13f0-d67a"], ["paypal-transmission-time", SENT], ["paypal-auth-algo", "SHA256withRSA"],
               ["paypal-cert-url", "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"],
               ["paypal-transmission-sig", b64(rsa_sign(f"69cd13f0-d67a|{SENT}|WH-1|{zlib.crc32(BODY.encode())}"))]],
    secret="WH-1", other="WH-2", fetched=certificate("messageverificationcerts.sandbox.paypal.com", alternative=False), stale=301, id="69cd13f0-d67a")
for version, algorithm in [("1", hashes.SHA1()), ("2", hashes.SHA256())]:
    note = dict(Type="Notification", MessageId="m-1", TopicArn="arn:aws:sns:us-west-2:1:t", Subject="s", Message="line 1\nType\nline 2",
                Timestamp=stamp() + ".000Z", SignatureVersion=version)
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    text = "".join(f"{name}\n{note[name]}\n" for name in names)
    note["Signature"] = b64(rsa_sign(text, algorithm))
    note["SigningCertURL"] = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-01d088a6f77103d0fe307c0069e40ed6.pem"
    add("Amazon SNS", [["content-type", "text/plain; charset=UTF-8"]], body=json.dumps(note, separators=(",", ":")), secret="arn:aws:sns:us-west-2:1:t",
        other="arn:aws:sns:us-west-2:2:t", fetched=certificate("sns.amazonaws.com"), flips=["m-1", "arn:aws:sns:us-west-2:1:t", '"s"', "line 2", ".000Z", note["Signature"]],
        stale=8 * 3600, id="m-1")
add("Coinbase", [["cb-signature", b64(rsa_sign(BODY))]], secret="", other="", fetched=spki(RSA, serialization.Encoding.PEM).decode(), other_code=None)

# --- Family 8
add("MessageBird", [["messagebird-signature-jwt", jws("HS256", dict(typ="JWT"), dict(iss="MessageBird", nbf=NOW - 1, exp=NOW + 60, jti="j1", url_hash=sha(URL), payload_hash=sha(BODY)))]],
    signs_url=True, stale=62, id="j1")
add("MessageBird", [["messagebird-signature-jwt", jws("HS256", dict(typ="JWT"), dict(iss="MessageBird", nbf=NOW - 1, exp=NOW + 60, jti="j2", url_hash=sha(URL)))]],
    body="", method="GET", signs_url=True, stale=62, id="j2")
add("Vonage", [["authorization", "Bearer " + jws("HS256", {}, dict(iss="Vonage", iat=NOW, jti="j1", payload_hash=sha(BODY), api_key="k"))]], stale=301, id="j1")
add("Netlify", [["x-webhook-signature", jws("HS256", {}, dict(iss="netlify", sha256=sha(BODY)))]])
add("Plaid", [["plaid-verification", jws("ES256", dict(kid="k-1", typ="JWT"), dict(iat=NOW, request_body_sha256=sha(BODY)))]], secret="", other="", other_code=None,
    fetched=json.dumps(dict(key=dict(ec_jwk("k-1"), alg="ES256", created_at=1, expired_at=None), request_id="r")), stale=301)
add("Monday", [["authorization", jws("HS256", {}, dict(aud=URL, exp=NOW + 60, iat=NOW, accountId=1))]], signs_url=True, flips=[], stale=361)
QSH = sha(f"POST&{urllib.parse.urlsplit(URL).path}&a=1&b=2%203,4")
add("Jira (Connect)", [["authorization", "JWT " + jws("HS256", {}, dict(iss="client1", iat=NOW, exp=NOW + 180, qsh=QSH))]],
    url=URL + "?b=4&a=1&b=2%203", secret="client1:" + KEY, other="client1:" + OTHER, signs_url=True, flips=[], stale=481)
SET = dict(keys=[jwk("other"), jwk("k-1")])
SET["keys"][0]["n"] = b64u(b"\xc1" + bytes(254) + b"\x01")
add("Google Cloud Storage", [["authorization", "Bearer " + jws("RS256", dict(kid="k-1"), dict(iss="https://accounts.google.com", aud=URL, email="push@project.iam.gserviceaccount.com",
    email_verified=True, iat=NOW, exp=NOW + 3600))]], secret="push@project.iam.gserviceaccount.com", other="evil@project.iam.gserviceaccount.com", other_code="webhook.claims",
    fetched=json.dumps(SET), flips=[], stale=3901, signs_url=True)
add("Google (RISC)", [["content-type", "application/secevent+jwt"]], body=jws("RS256", dict(kid="k-1"), dict(iss="https://accounts.google.com/", aud=["client-1", "x"], iat=NOW, jti="j1",
    events={"https://schemas.openid.net/secevent/risc/event-type/account-disabled": {}})), secret="client-1", other="client-2", other_code="webhook.claims", fetched=json.dumps(SET), stale=3601, id="j1")
LOGOUT = jws("RS256", dict(kid="k-1"), dict(iss="https://id.example.com", aud="client-1", iat=NOW, jti="j1", sub="u", events={"http://schemas.openid.net/event/backchannel-logout": {}}))
add("OIDC", [FORM], body="logout_token=" + LOGOUT, secret="client-1", other="client-2", other_code="webhook.claims", fetched=json.dumps(SET), flips=[LOGOUT], stale=301, id="j1")
OB = dict(kid="k-1", crit=["http://openbanking.org.uk/iat", "http://openbanking.org.uk/iss", "http://openbanking.org.uk/tan"])
OB.update({"http://openbanking.org.uk/iat": NOW, "http://openbanking.org.uk/iss": "bank-1", "http://openbanking.org.uk/tan": "openbanking.org.uk"})
add("Open Banking", [["x-jws-signature", jws("PS256", OB, BODY.encode(), detached=True)]], secret="bank-1", other="bank-2", other_code="webhook.claims", fetched=json.dumps(SET), stale=301)

# --- Family 9
add("Google Workspace", [["x-goog-channel-token", KEY]], flips=[])
add("Okta", [["authorization", KEY]], flips=[])
add("Auth0", [["authorization", "Bearer " + KEY]], secret="Bearer " + KEY, flips=[])
add("Yodlee", [["x-webhook-token", KEY]], flips=[])
add("OneSignal", [["x-webhook-secret", KEY]], flips=[])
add("GitLab", [["x-gitlab-token", KEY]], flips=[])
add("Microsoft Entra ID", [JSON], body=json.dumps(dict(value=[dict(clientState=KEY, id=1), dict(clientState=KEY, id=2)]), separators=(",", ":")), flips=[KEY])
add("Google Ads", [JSON], body=json.dumps(dict(lead_id="1", google_key=KEY), separators=(",", ":")), flips=[KEY])
add("Salesforce", [["content-type", "text/xml"]], body='<?xml version="1.0"?><soapenv:Envelope><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
    "<OrganizationId>00D000000000001AAA</OrganizationId></notifications></soapenv:Body></soapenv:Envelope>", secret="00D000000000001AAA", other="00D000000000002AAA", flips=["00D000000000001AAA"])

# --- Family 10
add("Chargebee", [["authorization", "Basic " + b64(b"hook:" + KEY.encode())]], secret="hook:" + KEY, other="hook:" + OTHER, flips=[])

if __name__ == "__main__":
    print(json.dumps(rows, indent=1))
