// From the author's object to the contract's four interfaces. Imported first by the build's entry: it also puts the usual globals
// in place before any code of the author runs.

import { use } from "./host.js";
import { SettledPromise, settled } from "./promise.js";
import { TextDecoder, TextEncoder, decodeUtf8 } from "./text.js";
import { URL, URLSearchParams } from "./url.js";
import { Headers, Response, fetch } from "./fetch.js";
import { InvalidDataError, UnsupportedError, toContract } from "./errors.js";
import { place } from "./place.js";
import { console, log } from "./log.js";
import { toTimestamp } from "./records.js";

Object.assign(globalThis, {
  Promise: SettledPromise,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  Headers,
  Response,
  fetch,
  console,
});

export function expose(connector, imports) {
  use(imports);
  const call = (name, given, absent) => guarded(() => {
    if (typeof connector[name] === "function") return connector[name](...given());
    return absent();
  });
  const no = (message) => () => {
    throw new UnsupportedError(message);
  };
  const flow = no("this connector has no auth flow of its own");
  const byHand = no("the webhook is set up by hand at this vendor");
  const inOrder = (list, turn) => [...(list ?? [])].map(turn);

  const auth = {
    check: (c) => account(call("check", () => [connection(c)], no("this connector has no `check`"))),
    begin: (c, url) => {
      const begun = call("beginAuth", () => [connection(c), url], flow);
      return { url: begun.url, state: json(begun.state) };
    },
    complete: (c, state, query) => void call("completeAuth", () => [connection(c), read(state, ""), query], flow),
    refresh: (c) => void call("refreshAuth", () => [connection(c)], flow),
    revoke: (c) => void call("revokeAuth", () => [connection(c)], flow),
  };
  const sync = {
    discover: (c) => inOrder(call("discover", () => [connection(c)], () => []), (stream) => ({
      name: stream.name,
      schema: json(stream.schema),
      primaryKey: stream.primaryKey,
      cursorVersion: stream.cursorVersion ?? 1,
    })),
    partitions: (c, stream) => call("partitions", () => [connection(c), stream], () => []),
    read: (c, request) => {
      const given = () => [connection(c), { ...request, stream: request.streamName, cursor: read(request.cursor, null) }];
      return page(call("read", given, no(`there is no stream \`${request.streamName}\` to read`)));
    },
    write: (c, stream, writes) => {
      const given = () => [connection(c), stream, writes.map(pending)];
      return inOrder(call("write", given, no(`the stream \`${stream}\` is read-only`)), outcome);
    },
    migrateCursor: (stream, from, cursor) => {
      const migrated = call("migrateCursor", () => [stream, from, read(cursor, null)], () => null);
      return migrated === null || migrated === undefined ? null : json(migrated);
    },
  };
  const webhook = {
    register: (c, webhook, url, events) =>
      registration(call("registerWebhook", () => [connection(c), webhook, url, events], byHand)),
    renew: (c, known) => registration(call("renewWebhook", () => [connection(c), registered(known)], byHand)),
    unregister: (c, known) => void call("unregisterWebhook", () => [connection(c), registered(known)], byHand),
    route: (r) => inOrder(
      call("routeWebhook", () => [receipt(r)], no("this connector's webhooks name their accounts themselves")), String,
    ),
    handle: (c, r) => handled(
      call("handleWebhook", () => [connection(c), receipt(r)], no("this connector declares no webhooks")),
    ),
  };
  const actions = {
    list: (c) => inOrder(call("listActions", () => [connection(c)], () => []), (action) => ({
      name: action.name,
      title: action.title ?? action.name,
      input: json(action.input),
      output: json(action.output),
    })),
    run: (c, name, input, key) => {
      const given = () => [connection(c), name, read(input, "", true), key];
      return json(call("runAction", given, no(`there is no action \`${name}\``)));
    },
  };
  return { auth: watched(auth), sync: watched(sync), webhook: watched(webhook), actions: watched(actions) };
}

/** The value of an author's function, waited for. */
function guarded(run) {
  return settled(run());
}

/** Every function throws the contract's error and nothing else; the stack of a bug goes to the run's log. */
function watched(functions) {
  const turned = {};
  for (const [name, run] of Object.entries(functions)) {
    turned[name] = (...given) => {
      try {
        return run(...given);
      } catch (thrown) {
        const error = toContract(thrown);
        if (error.tag === "internal") {
          const { lines } = place(thrown?.stack);
          log.error([error.val.message, ...lines].join("\n"));
        }
        // What is no error of the contract ends the instance, and the host tells which memory it refused.
        throw isOutOfMemory(thrown) ? thrown : error;
      }
    };
  }
  return turned;
}

/** The engine's own error for it. */
function isOutOfMemory(thrown) {
  return thrown === null || (thrown?.name === "InternalError" && /out of memory/.test(thrown.message));
}

function connection({ id, config, account: known }) {
  return { id, config: read(config, "", true), account: known ?? null };
}

function receipt(r) {
  return {
    ...r,
    received: Number(r.received),
    headers: new Headers(r.headers),
    text: () => new TextDecoder().decode(r.body),
    json: () => {
      try {
        return JSON.parse(decodeUtf8(r.body, true));
      } catch (error) {
        throw new InvalidDataError(`the webhook is not JSON: ${error.message}`);
      }
    },
  };
}

/** JSON of the host's, parsed. */
function read(text, absent, required = false) {
  if (text === null || text === undefined) return absent;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!required) throw new InvalidDataError(`not JSON: ${error.message}`);
    throw new InvalidDataError(`the host's JSON could not be read: ${error.message}`);
  }
}

/** A value as JSON text; a text is taken for JSON already. */
function json(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (typeof text !== "string") throw new TypeError("a value that has no JSON form was returned");
  return text;
}

const account = (a) => ({ id: String(a.id), name: String(a.name ?? a.id), scopes: [...(a.scopes ?? [])] });

const item = (i) => ({ id: String(i.id), data: json(i.data), modified: toTimestamp(i.modified) });

function change(c) {
  if (c.upsert) return { tag: "upsert", val: item(c.upsert) };
  if (typeof c.delete === "string") return { tag: "delete", val: c.delete };
  throw new TypeError("a change is made by `upsert` or `remove`");
}

/** A cursor is any JSON value, a text among them. */
function page(p) {
  if (p === null || typeof p !== "object") throw new TypeError("`read` did not return a page");
  const cursor = p.cursor === null || p.cursor === undefined ? null : JSON.stringify(p.cursor);
  return {
    changes: [...(p.changes ?? [])].map(change),
    cursor,
    more: Boolean(p.more),
    totalHint: p.totalHint ?? null,
  };
}

function pending(w) {
  const { tag, val } = w.op;
  const data = (text) => JSON.parse(text);
  const op = { create: tag === "create" ? data(val) : undefined, delete: tag === "delete" ? val : undefined };
  if (tag === "update") op.update = { ...val, data: data(val.data) };
  return { ...op, idempotencyKey: w.idempotencyKey, expectRevision: w.expectRevision ?? null };
}

function outcome(o) {
  if (o.done) return { tag: "done", val: item(o.done) };
  if ("conflict" in o) return { tag: "conflict", val: o.conflict ? item(o.conflict) : null };
  if (o.failed) return { tag: "failed", val: toContract(o.failed) };
  throw new TypeError("an outcome is `{ done }`, `{ conflict }` or `{ failed }`");
}

const registration = (r) => ({ id: String(r.id), expires: toTimestamp(r.expires), state: JSON.stringify(r.state ?? null) });

const registered = (r) => ({ ...r, state: read(r.state, null) });

function handled(h) {
  return {
    events: [...(h?.events ?? [])].map((e) => ({
      kind: e.kind,
      id: String(e.id),
      occurred: toTimestamp(e.occurred),
      data: json(e.data),
    })),
    changes: [...(h?.changes ?? [])].map(([stream, one]) => [stream, change(one)]),
    resync: [...(h?.resync ?? [])],
    reply: h?.reply ? reply(h.reply) : null,
  };
}

function reply({ status = 200, contentType = "text/plain", body = "" }) {
  return { status, contentType, body: typeof body === "string" ? new TextEncoder().encode(body) : body };
}
