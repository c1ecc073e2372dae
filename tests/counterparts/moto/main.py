"""An AWS that checks signatures, on loopback: moto with its checks switched on, behind what it does not check (signatures.py).

    target/counterparts-venv/bin/python tests/counterparts/moto/main.py [--bucket NAME]... [--region NAME] [--host NAME]...
                                                                        [--port N] [--keep]

Prints one line when it is ready: {"ready":true,"port":...,"http_port":...,"control":...,"ca_pem":...,"ca_file":...,"region":...,
"buckets":[...],"user":{"access_key_id":...,"secret_access_key":...},"reader":{...},"stranger":{...}}. `user` may do everything in S3, SNS,
SES, SQS and STS, `reader` may only list and get, `stranger` has a key and no policy. `port` speaks TLS with an authority of this
start; `http_port` is the same without. Ends on SIGTERM or, unless --keep, when stdin does.
"""

import argparse
import datetime
import ipaddress
import json
import logging
import os
import shutil
import signal
import ssl
import sys
import tempfile
import threading

sys.dont_write_bytecode = True  # the checkout stays as it is

# Before moto reads them: no credentials and no configuration of whoever runs this.
os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_EC2_METADATA_DISABLED="true")
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, MOTO_CALL_RESET_API="false")

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from signatures import Signatures, Verdicts
from werkzeug.serving import make_server

FULL = ("s3:*", "sns:*", "ses:*", "sqs:*", "sts:*")
READER = ("s3:ListBucket", "s3:GetObject", "s3:ListAllMyBuckets", "s3:HeadObject")


class Quiet(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


def main():
    words = argparse.ArgumentParser(description="an AWS that checks signatures, on loopback")
    words.add_argument("--bucket", action="append")
    words.add_argument("--region", default="us-east-1")
    words.add_argument("--host", action="append", default=[])
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--keep", action="store_true")
    options = words.parse_args()
    buckets = options.bucket or ["sluice-test"]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    inner = DomainDispatcherApplication(create_backend_app)
    users = people(inner, options.region, buckets)
    verdicts = Verdicts()
    guarded = Signatures(inner, secret_of, verdicts.note)
    region = options.region
    hosts = [
        "localhost", "*.localhost", "s3.amazonaws.com", "*.s3.amazonaws.com", f"s3.{region}.amazonaws.com", f"*.s3.{region}.amazonaws.com",
        f"sts.{region}.amazonaws.com", f"sns.{region}.amazonaws.com", f"email.{region}.amazonaws.com", f"sqs.{region}.amazonaws.com", *options.host,
    ]  # fmt: skip
    directory = tempfile.mkdtemp(prefix="sluice-counterpart-")
    try:
        ca_pem, context = authority(hosts, directory)
        tls = serve(guarded, options.port, context)
        plain = serve(guarded, 0)
        calls = serve(control(verdicts), 0)
        line = {
            "ready": True, "port": tls, "http_port": plain, "control": f"http://127.0.0.1:{calls}", "control_port": calls, "ca_pem": ca_pem,
            "ca_file": os.path.join(directory, "ca.pem"), "region": region, "buckets": buckets, "account": DEFAULT_ACCOUNT_ID, **users,
        }  # fmt: skip
        print(json.dumps(line), flush=True)
        wait_for_end(options.keep)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)  # the servers' threads hold nothing that needs closing


def serve(app, port, context=None):
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet, ssl_context=context)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def people(app, region, buckets):
    """Users, keys, policies and buckets through moto's own API, as long as its checks are off; then they go on for good."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "region_name": region}
    iam, s3 = boto3.client("iam", **at), boto3.client("s3", **at)
    for bucket in buckets:
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **place)
    keys = {}
    for name, actions in (("user", FULL), ("reader", READER), ("stranger", ())):
        iam.create_user(UserName=name)
        if actions:
            policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
            iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        keys[name] = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    ActionAuthenticatorMixin.request_count = 0
    server.shutdown()
    server.server_close()
    return keys


def secret_of(key_id):
    for user in iam_backends[DEFAULT_ACCOUNT_ID]["aws"].users.values():
        for key in user.access_keys:
            if key.access_key_id == key_id and key.status == "Active":
                return key.secret_access_key
    return None


def set_status(key_id, status):
    for user in iam_backends[DEFAULT_ACCOUNT_ID]["aws"].users.values():
        for key in user.access_keys:
            if key.access_key_id == key_id:
                key.status = status
                return True
    return False


def control(verdicts):
    """GET counts and requests; POST reset, and key: {"access_key_id":..., "active":false}, as an administrator takes a key back."""

    def app(environ, start_response):
        call = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, answer = "200 OK", {}
        if call == "GET /__control/counts":
            answer = verdicts.counts
        elif call == "GET /__control/requests":
            answer = {"requests": verdicts.requests}
        elif call == "POST /__control/reset":
            verdicts.reset()
        elif call == "POST /__control/key":
            asked = json.loads(body)
            answer = {"found": set_status(asked["access_key_id"], "Active" if asked["active"] else "Inactive")}
        else:
            status, answer = "404 Not Found", {"error": "no such call"}
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


if __name__ == "__main__":
    main()
