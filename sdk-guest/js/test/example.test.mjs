// The example in Node: how an author tests a connector without wasm.

import assert from "node:assert/strict";
import test from "node:test";

import { ConfigError } from "sluice-sdk";
import { answer, connection, lines, readRequest, requests, serve } from "sluice-sdk/testing";

import connector from "../examples/github-issues/src/connector.js";

const issue = (id, second, more = {}) => ({ id, number: id, updated_at: `2024-01-01T00:00:0${second}Z`, ...more });
const next = { link: '<https://api.github.com/repositories/7/issues?page=2>; rel="next"' };

/** Reads until there is no more; gives the ids in their order. */
async function pass(config, cursor = null) {
  const ids = [];
  for (;;) {
    const page = await connector.read(connection(config), readRequest("issues", cursor));
    ids.push(...page.changes.map((change) => change.upsert.id));
    cursor = JSON.parse(JSON.stringify(page.cursor));
    if (!page.more) return { ids, cursor };
  }
}

test("a page begins where the one before ended, and shows what it repeats once", async () => {
  const pages = {
    "": [200, [issue(1, 1), issue(2, 2, { pull_request: {} }), issue(3, 2)], next],
    "2024-01-01T00:00:02Z": [200, [issue(3, 2), issue(4, 2)], {}],
  };
  serve(({ url }) => answer(...pages[new URL(url).searchParams.get("since") ?? ""]));
  const first = await pass({ repositories: ["acme/web"] });
  assert.deepEqual(first.ids, ["1", "3", "4"]);
  assert.deepEqual(first.cursor, { done: { "acme/web": "2024-01-01T00:00:02Z" } });
  assert.deepEqual(requests[0].headers.find(([name]) => name === "accept"), ["accept", "application/vnd.github+json"]);
});

test("a page of one time is counted, and repositories follow each other", async () => {
  serve(({ url }) => {
    const { pathname, searchParams } = new URL(url);
    if (pathname.startsWith("/repos/acme/off/")) return answer(410, {});
    const number = Number(searchParams.get("page") ?? 1);
    return answer(200, [issue(number, 1)], number < 3 ? next : {});
  });
  const { ids, cursor } = await pass({ repositories: ["acme/off", "acme/web"] });
  // The first page has a new time, so the list is asked for once more from there; then its pages are counted.
  assert.deepEqual(ids, ["1", "2", "3"]);
  assert.deepEqual(cursor, { done: { "acme/off": null, "acme/web": "2024-01-01T00:00:01Z" } });
  assert.equal(lines[0].level, "info");
});

test("what is not there is the configuration's fault, and says where", async () => {
  serve(() => answer(404, { message: "Not Found" }));
  const wrong = (error) => error instanceof ConfigError && error.pointer === "/repositories/0" && /Not Found/.test(error.message);
  await assert.rejects(pass({ repositories: ["acme/web"] }), wrong);
  assert.equal(lines.length, 0);
});
