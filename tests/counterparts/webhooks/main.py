"""Vendors that sign webhooks, on loopback: the rows of host/model/tests/webhooks.py made now and for the address that is asked for,
and the vendors' own servers, where their certificates and keys are.

    target/counterparts-venv/bin/python tests/counterparts/webhooks/main.py [--host NAME]... [--port N] [--keep]

Prints one line when it is ready, as the others do (see ../README.md); `vendor_ca_pem` is the authority of the vendors' certificates.
Every path of every host is answered with what was published for it, and with 404 where nothing was.
"""

import argparse
import datetime
import json
import runpy
import sys
import threading
from pathlib import Path

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, str(Path(__file__).parent.parent / "loopback"))

import loopback
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROWS = Path(__file__).parent.parent.parent.parent / "host/model/tests/webhooks.py"


class Vendors:
    """What was published, and how often it was asked for."""

    def __init__(self):
        self.lock = threading.Lock()
        self.published, self.asked, self.faults = {}, {}, 0
        self.open, self.held = threading.Event(), 0
        self.open.set()

    def __call__(self, environ, start_response):
        query = environ.get("QUERY_STRING")
        address = f"https://{environ['HTTP_HOST'].partition(':')[0]}{environ['PATH_INFO']}" + (f"?{query}" if query else "")
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with self.lock:
            self.asked[address] = self.asked.get(address, 0) + 1
            fails = self.faults > 0
            self.faults -= fails
            found = None if fails else self.published.get(address)
            self.held += 1
        self.open.wait()
        with self.lock:
            self.held -= 1
        status = "503 Service Unavailable" if fails else "404 Not Found" if found is None else "200 OK"
        text = (found or "").encode()
        start_response(status, [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(text)))])
        return [text]

    def publish(self, address, text):
        with self.lock:
            self.published[address] = text
        return {}

    def fail(self, times):
        with self.lock:
            self.faults = times
        return {}

    def hold(self, shut):
        """Every answer waits until this is called with false."""
        (self.open.clear if shut else self.open.set)()
        return {}


class Signer:
    """Runs the rows again and again with the same keys."""

    def __init__(self):
        self.authority, self.ca_pem = certificate_authority()
        self.keys = {}
        self.keys = {name: self.run(0, "https://x.example/hooks/x")[name] for name in ("RSA", "P256", "ED")}

    def run(self, now, url):
        given = {"now": now, "url": url, "authority": self.authority, **self.keys}
        return runpy.run_path(str(ROWS), {"GIVEN": given}, "webhooks")

    def confirmation(self, now, topic, url):
        """What SNS sends first to an endpoint."""
        made = self.run(now, "https://x.example/hooks/x")
        note = {
            "Type": "SubscriptionConfirmation", "MessageId": "m-0", "Token": "abc", "TopicArn": topic, "Message": "confirm",
            "SubscribeURL": url, "Timestamp": made["stamp"]() + ".000Z", "SignatureVersion": "2",
        }  # fmt: skip
        names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
        note["Signature"] = made["b64"](made["rsa_sign"]("".join(f"{name}\n{note[name]}\n" for name in names)))
        note["SigningCertURL"] = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-0.pem"
        certificate = made["certificate"]("sns.amazonaws.com")
        return {"body": json.dumps(note), "certificate_url": note["SigningCertURL"], "certificate": certificate}

    def untrusted(self):
        """PayPal's certificate, signed by itself."""
        given = {"GIVEN": {**self.keys}}
        return {"certificate": runpy.run_path(str(ROWS), given, "webhooks")["certificate"]("messageverificationcerts.sandbox.paypal.com", False)}

    def secrets(self):
        rows = self.run(0, "https://x.example/hooks/x")["rows"]
        return {"rows": [{name: row[name] for name in ("system", "secret", "signs_url")} for row in rows]}

    def sign(self, now, urls):
        """The rows for these addresses, one for each; only those that sign their address are made anew for it."""
        whole = self.run(now, urls[0])["rows"]
        return {"rows": [self.run(now, url)["rows"][number] if whole[number]["signs_url"] else whole[number] for number, url in enumerate(urls)]}


def certificate_authority():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Sluice vendors' authority")])
    today = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(today - datetime.timedelta(days=1)).not_valid_after(today + datetime.timedelta(days=7))
    made = made.add_extension(x509.BasicConstraints(True, 0), True).sign(key, hashes.SHA256())
    return (name, key), made.public_bytes(serialization.Encoding.PEM).decode()


def main():
    words = argparse.ArgumentParser(description="vendors that sign webhooks, on loopback")
    words.add_argument("--host", action="append", default=[])
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--keep", action="store_true")
    options = words.parse_args()
    vendors, signer = Vendors(), Signer()
    calls = loopback.control({
        "GET counts": lambda _: vendors.asked,
        "GET held": lambda _: {"answers": vendors.held},
        "POST hold": lambda asked: vendors.hold(asked["shut"]),
        "GET secrets": lambda _: signer.secrets(),
        "POST sign": lambda asked: signer.sign(asked["now"], asked["urls"]),
        "POST confirmation": lambda asked: signer.confirmation(asked["now"], asked["topic"], asked["url"]),
        "GET untrusted": lambda _: signer.untrusted(),
        "POST publish": lambda asked: vendors.publish(asked["address"], asked["text"]),
        "POST fail": lambda asked: vendors.fail(asked["times"]),
    })  # fmt: skip
    loopback.live(vendors, calls, options.host, options, {"vendor_ca_pem": signer.ca_pem})


if __name__ == "__main__":
    main()
