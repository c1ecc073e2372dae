"""The SDK's own pieces, on this machine."""

import doctest
import json
import random
import unittest

from sluice import ConfigError, InvalidDataError, RateLimitedError, files, http, records, storage, testing


class Records(unittest.TestCase):
    def test_the_text_is_the_vendors(self) -> None:
        page = ' [ {"id": 9007199254740993, "a":[1.10,"],\\"{"]} ,{"id":"b"}, 7 ] '
        self.assertEqual(
            [text for _, text in records.each(page)],
            ['{"id": 9007199254740993, "a":[1.10,"],\\"{"]}', '{"id":"b"}', "7"],
        )

    def test_what_is_no_array_is_refused(self) -> None:
        for wrong in ["", "{}", "[", "[1,", "[1,]", "[1 2]", "[1]x", "[,1]", "x[1]", "null", '["', "[}", '[{"a":]', "[" * 9_999]:
            with self.assertRaises(InvalidDataError, msg=wrong[:20]):
                list(records.each(wrong))

    def test_any_array_is_taken_apart(self) -> None:
        pick = random.Random(1)

        def value(depth: int) -> object:
            match pick.randrange(5 if depth < 3 else 2):
                case 0:
                    return pick.random()
                case 1:
                    return '"\\[]{},é'[: pick.randrange(9)]
                case 2:
                    return [value(depth + 1) for _ in range(pick.randrange(3))]
                case _:
                    return {f'k{at}"': value(depth + 1) for at in range(pick.randrange(3))}

        for _ in range(300):
            values = [value(0) for _ in range(pick.randrange(4))]
            self.assertEqual([one for one, _ in records.each(json.dumps(values, indent=pick.choice([None, 1])))], values)

    def test_times(self) -> None:
        self.assertEqual(records.timestamp("1970-01-01T01:00:00.250+01:00"), 250)
        self.assertEqual(records.rfc3339(1_250), "1970-01-01T00:00:01.250Z")
        for none in (None, "yesterday", True, 1.5, -1, "1969-01-01T00:00:00Z"):
            self.assertIsNone(records.timestamp(none))


class Http(unittest.TestCase):
    def test_a_request_is_what_was_asked_for(self) -> None:
        testing.serve(lambda request: testing.answer(200, {"id": 1}, {"ETag": '"1"'}))
        answered = http.post("https://a.example/x?p=1", params={"q": "a b&c"}, json={"n": 1}, timeout=1.5, idempotency_key="k")
        sent = testing.requests[0]
        self.assertEqual(sent.url, "https://a.example/x?p=1&q=a%20b%26c")
        self.assertEqual((sent.method, sent.body, sent.timeout_ms), ("POST", b'{"n": 1}', 1_500))
        self.assertEqual(sent.headers, [("content-type", "application/json")])
        self.assertEqual((answered.json(), answered.headers["etag"]), ({"id": 1}, '"1"'))

    def test_a_status_becomes_the_class_of_who_must_act(self) -> None:
        def of(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> str:
            try:
                http.Response(status, (headers or {}).items(), body).raise_for_status(blame="/list")
            except Exception as error:
                return type(error).__name__
            return "ok"

        named = {200: "ok", 304: "ok", 401: "AuthError", 404: "ConfigError", 429: "RateLimitedError", 500: "TransientError"}
        self.assertEqual({status: of(status) for status in named}, named)
        self.assertEqual(of(403, {"X-RateLimit-Remaining": "0"}), "RateLimitedError")
        with self.assertRaises(RateLimitedError) as wait:
            http.Response(429, [("Retry-After", "7")], b"").raise_for_status()
        self.assertEqual(wait.exception.retry_after_ms, 7_000)
        with self.assertRaisesRegex(ConfigError, "the vendor answered 404: Not Found$"):
            http.Response(404, [], b'{"message":"Not Found"}').raise_for_status(blame="/list")

    def test_a_broken_link_invents_none(self) -> None:
        header = '<https://a/x?a=1,2;3>; title="x, <y>; rel=\\"no\\""; rel="Next start", <b>; rel=last'
        self.assertEqual(http.link_targets(header), {"next": "https://a/x?a=1,2;3", "start": "https://a/x?a=1,2;3", "last": "b"})
        for none in ["", "<a>", '<a>; rel="next', "a; rel=next", "<a> junk; rel=next", '<a>; rel="\\']:
            self.assertEqual(http.link_targets(none), {})


    def test_a_body_comes_in_pieces(self) -> None:
        testing.serve(lambda request: testing.answer(200, b"x" * 10, {"ETag": "1"}))
        with http.open("GET", "https://a.example/long") as response:
            self.assertEqual((response.status_code, response.headers["etag"]), (200, "1"))
            self.assertEqual([len(piece) for piece in response.iter_content(4)], [4, 4, 2])
            self.assertEqual(response.read(), b"")
        self.assertIn("GET https://a.example/f for 60 s", http.presign("get", "https://a.example/f", 60).placeholder())

    def test_what_is_captured_is_named(self) -> None:
        testing.serve(lambda request: testing.answer(200, {}))
        http.post("https://a.example/token", captures={"/token": "access_token", "/life": http.Into.EXPIRES_IN_S})
        captured = [(capture.pointer, capture.into) for capture in testing.requests[0].captures]
        self.assertEqual(captured, [("/token", "access_token"), ("/life", http.Into.EXPIRES_IN_S)])


class Storage(unittest.TestCase):
    def test_what_was_not_stored_says_why(self) -> None:
        testing.serve(lambda request: testing.answer(404))
        storage.put("a", 1, expect=0)
        storage.put("a", [2], expect=1)
        self.assertEqual((storage.get("a"), storage.version("a")), ([2], 2))
        with self.assertRaises(storage.StorageError) as refused:
            storage.put("a", 3, expect=1)
        self.assertEqual(refused.exception.reason, "conflict")


class Files(unittest.TestCase):
    def test_a_file_is_kept_and_what_is_none_says_why(self) -> None:
        kinds = {"content-type": "image/png; q=1"}
        testing.serve(lambda asked: testing.answer(200, b"png", kinds) if asked.url.endswith("/f") else testing.answer(404))
        file = files.fetch("https://a.example/f", "f", "logo.png", owner=("messages", "7"))
        self.assertEqual((file["bytes"], file["media_type"], file["name"]), (3, "image/png", "logo.png"))
        self.assertEqual(files.get("f"), file)
        with self.assertRaises(InvalidDataError):
            files.fetch("https://a.example/none", "n")
        files.delete("f")
        self.assertIsNone(files.get("f"))


def load_tests(_loader: object, tests: unittest.TestSuite, _pattern: object) -> unittest.TestSuite:
    tests.addTests(doctest.DocTestSuite(records))
    tests.addTests(doctest.DocTestSuite(http))
    return tests
