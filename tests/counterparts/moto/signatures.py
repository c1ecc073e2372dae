"""What AWS checks of a signed request and moto does not: presigned URLs, the body's digest, the chunks of a streamed body, the
clock, which headers are signed, and that there is a signature at all. Canonical forms and signatures are botocore's, AWS's own.

Stands in front of moto as WSGI middleware. A request that passes goes on to moto, which checks the header's signature once more and
the user's policies; a presigned one goes on with a header in place of its query.
"""

import datetime
import hashlib
import hmac
import io
import threading
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

LONGEST_BODY = 64 << 20
SKEW = datetime.timedelta(minutes=15)
LONGEST_PRESIGNED_S = 7 * 24 * 3600
UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
EMPTY = hashlib.sha256(b"").hexdigest()


class Refused(Exception):
    """An answer as AWS gives it."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Signatures:
    """`secrets` gives a key id's secret; `note` is told every verdict."""

    def __init__(self, app, secrets, note):
        self.app, self.secrets, self.note = app, secrets, note

    def __call__(self, environ, start_response):
        seen = {}
        try:
            self.check(environ, seen)
        except Refused as refused:
            self.note(environ, seen, refused.status, refused.code)
            body = (
                f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{refused.code}</Code>'
                f"<Message>{escape(refused.message)}</Message><RequestId>counterpart</RequestId></Error>"
            ).encode()
            start_response(refused.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]

        status = {}

        def noted(line, headers, exc_info=None):
            status["line"] = line
            return start_response(line, headers, exc_info)

        answer = b"".join(self.app(environ, noted))
        self.note(environ, seen, status["line"], error_code(answer) if status["line"][0] in "45" else None)
        return [answer]

    def check(self, environ, seen):
        # The connection stays open, so no more is read than there is: as announced, or to the last chunk.
        announced = LONGEST_BODY if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
        if announced > LONGEST_BODY:
            raise Refused("400 Bad Request", "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
        body = environ["wsgi.input"].read(announced)
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        target = environ.get("RAW_URI") or environ["REQUEST_URI"]
        query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if authorization.startswith("AWS4-HMAC-SHA256 "):
            seen["signed"] = "header"
            self.check_header(environ, target, authorization, body, seen)
        elif query.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256":
            seen["signed"] = "query"
            self.check_query(environ, target, query, body, seen)
        else:
            seen["signed"] = None
            raise Refused("403 Forbidden", "AccessDenied", "Anonymous access is forbidden for this operation")

    def check_header(self, environ, target, authorization, body, seen):
        parts = dict(part.strip().partition("=")[::2] for part in authorization[len("AWS4-HMAC-SHA256 ") :].split(","))
        if not {"Credential", "SignedHeaders", "Signature"} <= parts.keys():
            raise Refused("400 Bad Request", "AuthorizationHeaderMalformed", "The authorization header is malformed")
        credentials, date, region, service = self.scope(parts["Credential"], seen)
        stamp = environ.get("HTTP_X_AMZ_DATE", "")
        if not stamp.startswith(date) or abs(now() - parsed(stamp)) > SKEW:
            raise Refused("403 Forbidden", "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")

        signed = parts["SignedHeaders"].split(";")
        present = [name for name in headers(environ) if name == "host" or name.startswith("x-amz-")]
        if missing := sorted(set(present) - set(signed)):
            raise Refused("403 Forbidden", "AccessDenied", f"There were headers present in the request which were not signed: {', '.join(missing)}")
        digest = environ.get("HTTP_X_AMZ_CONTENT_SHA256")
        seen["payload"] = digest if digest in (*UNSIGNED, STREAMING) else "digest" if digest else None
        if service == "s3" and not digest:
            raise Refused("400 Bad Request", "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")

        judge = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region)
        request = aws_request(environ, target, signed, stamp, body)
        if not same(judge, request, parts["Signature"]):
            raise Refused("403 Forbidden", "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
        if digest == STREAMING:
            check_chunks(credentials, stamp, region, service, parts["Signature"], body)
        elif digest and digest not in UNSIGNED and digest != hashlib.sha256(body).hexdigest():
            raise Refused("400 Bad Request", "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")

    def check_query(self, environ, target, query, body, seen):
        needed = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")
        if any(name not in query for name in needed) or not query["X-Amz-Expires"].isdigit():
            raise Refused("400 Bad Request", "AuthorizationQueryParametersError", "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
        credentials, date, region, service = self.scope(query["X-Amz-Credential"], seen)
        stamp, lifetime = query["X-Amz-Date"], int(query["X-Amz-Expires"])
        if lifetime > LONGEST_PRESIGNED_S:
            raise Refused("400 Bad Request", "AuthorizationQueryParametersError", "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
        if not stamp.startswith(date) or parsed(stamp) - now() > SKEW or now() > parsed(stamp) + datetime.timedelta(seconds=lifetime):
            raise Refused("403 Forbidden", "AccessDenied", "Request has expired")

        path, _, raw = target.partition("?")
        kept = [part for part in raw.split("&") if not part.startswith("X-Amz-Signature=")]
        judge = S3SigV4QueryAuth(credentials, service, region)
        signed = query["X-Amz-SignedHeaders"].split(";")
        request = aws_request(environ, f"{path}?{'&'.join(kept)}", signed, stamp, body)
        if not same(judge, request, query["X-Amz-Signature"]):
            raise Refused("403 Forbidden", "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")

        # For moto the same request with a header, because it looks for nothing else.
        plain = "&".join(part for part in kept if not part.startswith("X-Amz-"))
        target = f"{path}?{plain}" if plain else path
        environ.update(RAW_URI=target, REQUEST_URI=target, QUERY_STRING=plain)
        environ.update(HTTP_X_AMZ_DATE=stamp, HTTP_X_AMZ_CONTENT_SHA256="UNSIGNED-PAYLOAD")
        judge = S3SigV4Auth(credentials, service, region)
        names = ["host", "x-amz-content-sha256", "x-amz-date"]
        request = aws_request(environ, target, names, stamp, body)
        signature = judge.signature(judge.string_to_sign(request, judge.canonical_request(request)), request)
        scope = query["X-Amz-Credential"]
        environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(names)}, Signature={signature}"

    def scope(self, credential, seen):
        fields = credential.split("/")
        if len(fields) != 5 or fields[4] != "aws4_request":
            raise Refused("400 Bad Request", "AuthorizationHeaderMalformed", "the Credential is malformed")
        key_id, date, region, service, _ = fields
        seen.update(key_id=key_id, region=region, service=service)
        secret = self.secrets(key_id)
        if secret is None:
            raise Refused("403 Forbidden", "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        return Credentials(key_id, secret), date, region, service


def headers(environ):
    found = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").lower()] = environ[name]
    return found


def aws_request(environ, target, signed, stamp, body):
    all_headers = headers(environ)
    chosen = {name: all_headers.get(name, "") for name in signed}
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=f"https://{environ['HTTP_HOST']}{target}", data=body, headers=chosen)
    request.context["timestamp"] = stamp
    return request


def same(judge, request, signature):
    expected = judge.signature(judge.string_to_sign(request, judge.canonical_request(request)), request)
    return hmac.compare_digest(expected, signature)


def check_chunks(credentials, stamp, region, service, signature, body):
    """The chain of chunk signatures (AWS: "Signature calculations: transferring payload in multiple chunks")."""
    refused = Refused("403 Forbidden", "SignatureDoesNotMatch", "a chunk's signature does not match")
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    stream = io.BytesIO(body)
    while True:
        size, _, given = stream.readline().strip().partition(b";chunk-signature=")
        try:
            data = stream.read(int(size, 16))
        except ValueError:
            raise Refused("400 Bad Request", "IncompleteBody", "a chunk is malformed") from None
        text = "\n".join(("AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, signature, EMPTY, hashlib.sha256(data).hexdigest()))
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, given.decode("latin-1")):
            raise refused
        stream.readline()
        if not data:
            return


def error_code(answer):
    text = answer[:4096].decode("utf-8", "replace")
    return text.partition("<Code>")[2].partition("</Code>")[0] or None


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def parsed(stamp):
    try:
        return datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Refused("403 Forbidden", "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header") from None


class Verdicts:
    """Counts by status and by error code, and the last requests."""

    REMEMBERED = 1000

    def __init__(self):
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.requests, self.counts = [], {"requests": 0, "accepted": 0, "refused": {}}

    def note(self, environ, seen, status, code):
        with self.lock:
            self.counts["requests"] += 1
            if status[0] in "23":
                self.counts["accepted"] += 1
            else:
                name = code or status.split()[0]
                self.counts["refused"][name] = self.counts["refused"].get(name, 0) + 1
            line = {"method": environ["REQUEST_METHOD"], "host": environ.get("HTTP_HOST"), "target": environ.get("RAW_URI")}
            self.requests.append({**line, "status": int(status.split()[0]), "code": code, "signed": None, **seen})
            del self.requests[: -self.REMEMBERED]
