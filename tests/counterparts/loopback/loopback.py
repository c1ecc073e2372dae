"""How a counterpart in Python lives: on 127.0.0.1 alone, with an authority of its own, until whoever started it ends."""

import datetime
import ipaddress
import json
import os
import shutil
import signal
import ssl
import sys
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


def serve(app, port=0, context=None, request_handler=Quiet):
    """Gives the server; its port is `server_port`."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=request_handler, ssl_context=context)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def live(app, calls, hosts, options, line, request_handler=Quiet):
    """Serves `app` with TLS and without, and `calls` for control; prints the one line that tests wait for; returns only to end."""
    directory = tempfile.mkdtemp(prefix="sluice-counterpart-")
    try:
        ca_pem, context = authority(["localhost", "*.localhost", *hosts], directory)
        tls = serve(app, options.port, context, request_handler).server_port
        plain = serve(app, 0, None, request_handler).server_port
        control = serve(calls).server_port
        ready = {
            "ready": True, "port": tls, "http_port": plain, "control": f"http://127.0.0.1:{control}", "control_port": control,
            "ca_pem": ca_pem, "ca_file": os.path.join(directory, "ca.pem"), **line,
        }  # fmt: skip
        print(json.dumps(ready), flush=True)
        wait_for_end(options.keep)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)  # the servers' threads hold nothing that needs closing


def control(calls):
    """An application of control calls: `{"POST name": function of the body's JSON that gives the answer}`."""

    def app(environ, start_response):
        name = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].removeprefix('/__control/')}"
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            status, answer = "200 OK", calls[name](json.loads(body) if body else {}) if name in calls else None
        except (ValueError, KeyError, TypeError) as error:
            status, answer = "400 Bad Request", {"error": repr(error)}
        if answer is None:
            status, answer = "404 Not Found", {"error": f"no such call; there are {', '.join(calls)}"}
        text = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    return app


def authority(hosts, directory):
    """A CA of its own for every start, and a server that it vouches for."""
    today = datetime.datetime.now(datetime.timezone.utc)
    keys = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    issuer = name("Sluice counterpart authority")

    def certificate(subject, key, *extensions):
        made = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(today - datetime.timedelta(days=1)).not_valid_after(today + datetime.timedelta(days=7))
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(keys[0], hashes.SHA256())

    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key())
    ca = certificate(
        issuer, keys[0],
        (x509.BasicConstraints(True, 0), True),
        (x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True}), True),
        (identifier, False),
    )  # fmt: skip
    names = [x509.DNSName(host) for host in dict.fromkeys(hosts)] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = certificate(
        name("Sluice counterpart"), keys[1],
        (x509.BasicConstraints(False, None), True),
        (x509.KeyUsage(**{**usage, "digital_signature": True}), True),
        (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    )  # fmt: skip

    pem = lambda made: made.public_bytes(serialization.Encoding.PEM).decode()
    private = keys[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = os.path.join(directory, "chain.pem")
    with open(chain, "w") as file:
        os.chmod(chain, 0o600)
        file.write(pem(server) + pem(ca) + private.decode())
    with open(os.path.join(directory, "ca.pem"), "w") as file:
        file.write(pem(ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return pem(ca), context


def wait_for_end(keep):
    over = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: over.set())
    if not keep:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), over.set()), daemon=True).start()
    over.wait()
