// The SDK's own pieces against Node's, which have the same names.

import assert from "node:assert/strict";
import test from "node:test";

import { InvalidDataError, RateLimitedError, ok, toContract } from "../src/errors.js";
import { Response, linkTarget, open, presign } from "../src/fetch.js";
import { decode } from "../src/place.js";
import asynchronous, { SettledPromise, settled } from "../src/promise.js";
import { each, toTimestamp, upsert } from "../src/records.js";
import { decodeUtf8, encodeUtf8 } from "../src/text.js";
import { files } from "../src/files.js";
import { host } from "../src/host.js";
import { StorageError, storage } from "../src/storage.js";
import { answer, requests, serve } from "../src/testing.js";
import * as ours from "../src/url.js";

/** The same numbers every time. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("UTF-8 is Node's, malformed or not", () => {
  const number = numbers(1);
  const interesting = [0x00, 0x41, 0x7f, 0x80, 0xbf, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80];
  for (let round = 0; round < 2000; round += 1) {
    const bytes = Uint8Array.from({ length: number(12) }, () => interesting[number(interesting.length)]);
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    if (!text.includes("\ufffd")) assert.equal(decodeUtf8(bytes), text);
    else assert.throws(() => decodeUtf8(bytes, true));
    assert.deepEqual(encodeUtf8(text), new TextEncoder().encode(text));
  }
  const long = "é😀x".repeat(20_000);
  assert.equal(decodeUtf8(encodeUtf8(long)), long);
});

test("queries are Node's", () => {
  const number = numbers(2);
  const letters = "aZ9-._~!*'() +&=?/%é😀";
  const word = () => Array.from({ length: number(5) }, () => [...letters][number([...letters].length)]).join("");
  for (let round = 0; round < 500; round += 1) {
    const pairs = Array.from({ length: number(4) }, () => [word(), word()]);
    const text = new URLSearchParams(pairs).toString();
    assert.equal(new ours.URLSearchParams(pairs).toString(), text);
    assert.deepEqual([...new ours.URLSearchParams(text)], pairs);
  }
});

test("addresses are Node's", () => {
  for (const text of ["https://A.example/x/../y?q=1#f", "http://a.example:8080", "https://a.example:443/a b", "https://a.example/é?x=é"]) {
    assert.equal(new ours.URL(text).href, new URL(text).href);
  }
  for (const [text, base] of [["/p?x", "https://a.example/q/r"], ["s", "https://a.example/q/r"], ["?y=2", "https://a.example/q?x"]]) {
    assert.equal(new ours.URL(text, base).href, new URL(text, base).href);
  }
  for (const text of ["", "x", "ftp://a.example", "https://", "https://user@a.example/"]) assert.equal(ours.URL.canParse(text), false);
  const url = new ours.URL("https://a.example/?a=1");
  url.searchParams.set("b", "x y");
  assert.equal(url.href, "https://a.example/?a=1&b=x+y");
});

test("a record keeps the vendor's text", () => {
  const page = ' [ {"id": 9007199254740993, "a":[1.10,"],\\"{"]} ,{"id":"b"}, 7 ] ';
  assert.deepEqual(each(page).map(({ text }) => text), ['{"id": 9007199254740993, "a":[1.10,"],\\"{"]}', '{"id":"b"}', "7"]);
  assert.deepEqual(each(" [] "), []);
  for (const wrong of ["", "{}", "[", "[1,", "[1,]", "[1 2]", "[1]x", "[,1]", "x[1]", "null", '["', "[}", '[{"a":]'])
    assert.throws(() => each(wrong), InvalidDataError, wrong);
  const number = numbers(3);
  const value = (depth) => {
    const kind = number(depth > 3 ? 3 : 5);
    if (kind < 2) return number(100);
    if (kind === 2) return '"\\[]{},é'.slice(0, number(9));
    if (kind === 3) return Array.from({ length: number(3) }, () => value(depth + 1));
    return Object.fromEntries(Array.from({ length: number(3) }, (_, at) => [`k${at}"`, value(depth + 1)]));
  };
  for (let round = 0; round < 500; round += 1) {
    const values = Array.from({ length: number(4) }, () => value(0));
    assert.deepEqual(each(JSON.stringify(values, null, number(2))).map((one) => one.value), values);
  }
});

test("ids and times", () => {
  assert.deepEqual(upsert(7, {}, "1970-01-01T00:00:01Z"), { upsert: { id: "7", data: {}, modified: 1000 } });
  for (const none of [null, undefined, 2 ** 60, 1.5, {}]) assert.equal(upsert(none, {}).upsert.id, "");
  for (const none of [null, "yesterday", -1, Number.NaN]) assert.equal(toTimestamp(none), null);
});

test("awaiting is done at once, and deep chains need no stack", () => {
  const order = [];
  const inner = asynchronous(function* (value) {
    order.push(value);
    return yield value;
  });
  const outer = asynchronous(function* () {
    let sum = 0;
    for (let at = 0; at < 100_000; at += 1) sum += yield inner(at);
    return sum;
  });
  assert.equal(settled(outer()), 4_999_950_000);
  assert.equal(order.length, 100_000);
  const fails = asynchronous(function* () {
    yield SettledPromise.reject(new RangeError("no"));
  });
  assert.throws(() => settled(fails()), RangeError);
  assert.deepEqual(settled(SettledPromise.all([inner(1), 2, SettledPromise.resolve(3)])), [1, 2, 3]);
  assert.throws(() => settled(SettledPromise.all([fails(), 1])), RangeError);
  assert.equal(settled(SettledPromise.any([fails(), 5])), 5);
  assert.throws(() => settled(SettledPromise.any([fails()])), AggregateError);
  assert.deepEqual(settled(SettledPromise.allSettled([1, fails()])).map((one) => one.status), ["fulfilled", "rejected"]);
  assert.equal(settled(SettledPromise.reject(1).catch((n) => n + 1).finally(() => 9)), 2);
  assert.throws(() => settled(new SettledPromise(() => {})), /nothing settles/);
  const later = SettledPromise.withResolvers();
  const waits = asynchronous(function* () {
    return (yield later.promise) + 1;
  })();
  later.resolve(1);
  assert.equal(settled(waits), 2);
});

test("a link is found, and a broken tail invents none", () => {
  const header = '<https://a/x?a=1,2;3>; title="x, <y>; rel=\\"no\\""; rel="Next start", <b>; rel=last';
  assert.equal(linkTarget(header, "next"), "https://a/x?a=1,2;3");
  assert.equal(linkTarget(header, "last"), "b");
  assert.equal(linkTarget(header, "no"), null);
  for (const none of ["", "<a>", "<a>; rel=\"next", "a; rel=next", "<a> junk; rel=next"]) assert.equal(linkTarget(none, "next"), null);
});

test("a status becomes the class of who must act", () => {
  const of = (status, headers = {}, body = "") => {
    try {
      ok(new Response(body, { status, headers }), "/list");
      return "ok";
    } catch (error) {
      return error.tag;
    }
  };
  assert.deepEqual([200, 304, 401, 403, 404, 422, 429, 500].map((status) => of(status)), [
    "ok", "ok", "auth", "auth", "config", "config", "rate-limited", "transient",
  ]);
  assert.equal(of(403, { "x-ratelimit-remaining": "0" }), "rate-limited");
  const said = toContract(new RateLimitedError("wait", 7000));
  assert.deepEqual(said, { tag: "rate-limited", val: { message: "wait", retryAfterMs: 7000 } });
  assert.equal(toContract(new RangeError("no")).tag, "internal");
});

test("a source map is read", () => {
  assert.deepEqual(decode("AAAA;;ACAA,IAAC;A"), [[[0, 0, 0]], [], [[0, 1, 0], [4, 1, 0]], []]);
});

test("a file is kept, and what is none says why", () => {
  serve((request) => (request.url.endsWith("/f") ? answer(200, "png", { "content-type": "image/png; q=1" }) : answer(404)));
  const file = files.fetch("https://a.example/f", { key: "f", name: "logo.png", owner: { stream: "messages", id: 7 } });
  assert.deepEqual([file.bytes, file.media_type, file.name], [3, "image/png", "logo.png"]);
  assert.deepEqual([files.get("f"), requests[0].method], [file, "GET"]);
  assert.throws(() => files.fetch("https://a.example/none", { key: "n" }), { tag: "invalid-data" });
  files.delete("f");
  assert.equal(files.get("f"), undefined);
  const refused = { tag: "quota", val: 4096n };
  host.files.fetch = () => {
    throw Object.assign(new Error("refused"), { payload: refused });
  };
  assert.throws(() => files.fetch("https://a.example/f", { key: "f" }), { tag: "config", message: /4096 bytes/ });
});

test("a body comes in pieces", () => {
  serve(() => answer(200, "x".repeat(10), { etag: "1" }));
  const response = open("https://a.example/long");
  assert.deepEqual([response.status, response.headers.get("ETag")], [200, "1"]);
  assert.deepEqual([...response.pieces(4)].map((piece) => piece.length), [4, 4, 2]);
  assert.equal(response.read(), null);
  assert.match(presign("https://a.example/f", { expiresS: 60 }).placeholder(), /GET https:\/\/a.example\/f for 60 s/);
});

test("what was not stored says why", () => {
  serve(() => answer(404));
  storage.set("a", 1, { expect: 0 });
  storage.set("a", { two: 2 }, { expect: 1 });
  assert.deepEqual(storage.entry("a"), { value: { two: 2 }, version: 2 });
  assert.throws(() => storage.set("a", 3, { expect: 1 }), (error) => error instanceof StorageError && error.reason === "conflict");
});
