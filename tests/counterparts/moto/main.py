"""An AWS that checks signatures, on loopback: moto with its checks switched on, behind what it does not check (signatures.py).

    target/counterparts-venv/bin/python tests/counterparts/moto/main.py [--bucket NAME]... [--region NAME] [--host NAME]...
                                                                        [--port N] [--keep]

Prints one line when it is ready: {"ready":true,"port":...,"http_port":...,"control":...,"ca_pem":...,"ca_file":...,"region":...,
"buckets":[...],"user":{"access_key_id":...,"secret_access_key":...},"reader":{...},"stranger":{...}}. `user` may do everything in S3, SNS,
SES, SQS and STS, `reader` may only list and get, `stranger` has a key and no policy. `port` speaks TLS with an authority of this
start; `http_port` is the same without. Ends on SIGTERM or, unless --keep, when stdin does.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the checkout stays as it is
sys.path.insert(0, str(Path(__file__).parent.parent / "loopback"))

# Before moto reads them: no credentials and no configuration of whoever runs this.
os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_EC2_METADATA_DISABLED="true")
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, MOTO_CALL_RESET_API="false")

import boto3
import loopback
from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from signatures import Signatures, Verdicts

FULL = ("s3:*", "sns:*", "ses:*", "sqs:*", "sts:*")
READER = ("s3:ListBucket", "s3:GetObject", "s3:ListAllMyBuckets", "s3:HeadObject")


class Quiet(loopback.Quiet, MotoRequestHandler):
    """moto's own, without a line for each request."""


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
        "s3.amazonaws.com", "*.s3.amazonaws.com", f"s3.{region}.amazonaws.com", f"*.s3.{region}.amazonaws.com",
        *(f"{service}.{region}.amazonaws.com" for service in ("sts", "sns", "sqs", "email")), *options.host,
    ]  # fmt: skip
    line = {"region": region, "buckets": buckets, "account": DEFAULT_ACCOUNT_ID, **users}
    loopback.live(guarded, control(verdicts), hosts, options, line, Quiet)


def people(app, region, buckets):
    """Users, keys, policies and buckets through moto's own API, as long as its checks are off; then they go on for good."""
    server = loopback.serve(app, 0, None, Quiet)
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
    return loopback.control({
        "GET counts": lambda _: verdicts.counts,
        "GET requests": lambda _: {"requests": verdicts.requests},
        "POST reset": lambda _: verdicts.reset() or {},
        # As an administrator takes a key back.
        "POST key": lambda asked: {"found": set_status(asked["access_key_id"], "Active" if asked["active"] else "Inactive")},
    })  # fmt: skip


if __name__ == "__main__":
    main()
