"""Vendors whose connectors are shipped, on loopback: of each the API as far as its connector uses it, what it promises about webhooks, and
deliveries signed by its own method. Written from the vendors' documentation; each vendor is a file beside this one.

    target/counterparts-venv/bin/python tests/counterparts/shipped/main.py --vendor amazon [--port N] [--keep]

Prints one line when it is ready, as the others do (see ../README.md); `vendor_ca_pem` is the authority of the vendors' certificates.
Control: GET seen (what the vendor was asked for and what it has), POST set (what the vendor is to do), POST sign (a delivery: headers and body).
"""

import argparse
import importlib
import json
import runpy
import sys
import threading
import urllib.parse
from pathlib import Path

sys.dont_write_bytecode = True  # the checkout stays as it is
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "loopback")]

import loopback

ROWS = HERE.parent.parent.parent / "host/model/tests/webhooks.py"


class Asked:
    """A request, read."""

    def __init__(self, environ):
        self.host = environ["HTTP_HOST"].partition(":")[0]
        self.method, self.path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.query = {name: values[0] for name, values in urllib.parse.parse_qs(environ.get("QUERY_STRING") or "", keep_blank_values=True).items()}
        self.body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}

    @property
    def json(self):
        return json.loads(self.body or b"{}")

    @property
    def form(self):
        return {name: values[0] for name, values in urllib.parse.parse_qs(self.body.decode()).items()}


class Signing:
    """The formulas of host/model/tests/webhooks.py with keys of this start."""

    def __init__(self):
        self.authority, self.ca_pem = runpy.run_path(str(HERE.parent / "webhooks/main.py"))["certificate_authority"]()
        self.keys = {}
        self.keys = {name: self.at(0)[name] for name in ("RSA", "P256", "ED")}

    def at(self, now):
        return runpy.run_path(str(ROWS), {"GIVEN": {"now": now, "authority": self.authority, **self.keys}}, "webhooks")


class App:
    def __init__(self, vendor):
        self.vendor, self.lock, self.log = vendor, threading.Lock(), []

    def __call__(self, environ, start_response):
        asked = Asked(environ)
        with self.lock:
            self.log.append(f"{asked.method} {asked.host}{asked.path}")
        # Not under the lock: a vendor may ask the hook a question while it is asked to register it.
        status, answer, headers = self.vendor(asked)
        text = answer if isinstance(answer, bytes) else answer.encode() if isinstance(answer, str) else b"" if answer is None else json.dumps(answer).encode()
        kind = [] if any(name.lower() == "content-type" for name in headers) else [("Content-Type", "application/json")]
        start_response(f"{status} x", [*kind, ("Content-Length", str(len(text))), *headers.items()])
        return [text]

    def seen(self, _):
        with self.lock:
            return {"requests": list(self.log), **self.vendor.seen()}


def main():
    words = argparse.ArgumentParser(description="a vendor whose connector is shipped, on loopback")
    words.add_argument("--vendor", required=True)
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--keep", action="store_true")
    options = words.parse_args()
    signing = Signing()
    vendor = importlib.import_module(options.vendor).Vendor(signing)
    app = App(vendor)
    calls = loopback.control({"GET seen": app.seen, "POST set": vendor.set, "POST sign": vendor.sign})
    loopback.live(app, calls, vendor.hosts, options, {"vendor_ca_pem": signing.ca_pem, "hosts": vendor.hosts, **getattr(vendor, "ready", {})})


if __name__ == "__main__":
    main()
