// The sandbox played by Node, so that a connector's tests need no wasm: requests are answered by a function of the test, storage is
// a map, files have no bytes, log lines are kept.

import { host, use } from "./host.js";
import { Headers, Response, fetch } from "./fetch.js";
import { encodeUtf8 } from "./text.js";

Object.assign(globalThis, { Headers, Response, fetch });

export const requests = [];
export const lines = [];
const kept = new Map();
const shelf = new Map();

/** Lets `vendor` answer requests from now on; it is given the request and returns `answer(…)`. Forgets what was before. */
export function serve(vendor) {
  requests.length = 0;
  lines.length = 0;
  kept.clear();
  shelf.clear();
  const send = (request) => {
    requests.push(request);
    return vendor(request);
  };
  use({
    http: {
      send,
      // It has answered whole, and the pieces are of that.
      open: (request) => {
        const response = send(request);
        let at = 0;
        return {
          status: () => response.status,
          headers: () => response.headers,
          read: (max) => {
            if (at === response.body.length) return null;
            const piece = response.body.subarray(at, at + Math.max(max, 1));
            at += piece.length;
            return piece;
          },
        };
      },
      presign: ({ method, url, expiresS }) => ({ placeholder: () => `sluice-placeholder-${method} ${url} for ${expiresS} s` }),
      sendAll: (all) => all.map((request) => {
        try {
          return { tag: "ok", val: send(request) };
        } catch (error) {
          return { tag: "err", val: error };
        }
      }),
    },
    files: {
      fetch: (request, { key, name }) => {
        const response = send(request);
        if (response.status < 200 || response.status > 299) return { tag: "response", val: response };
        const kind = response.headers.find(([header]) => header.toLowerCase() === "content-type")?.[1] ?? "application/octet-stream";
        const size = BigInt(response.body.length);
        // No real digest: it only tells lengths apart.
        const sha256 = size.toString(16).padStart(64, "0");
        const id = shelf.get(key)?.id ?? `fil_test${shelf.size + 1}`;
        shelf.set(key, { id, name, size, sha256, mediaType: kind.split(";")[0].trim() });
        return { tag: "file", val: shelf.get(key) };
      },
      get: (key) => shelf.get(key) ?? null,
      delete: (key) => void shelf.delete(key),
    },
    log: { write: (level, message, fields) => lines.push({ level, message, fields }) },
    metrics: { count() {}, gauge() {} },
    secrets: { open: () => null },
    storage: {
      get: (key) => kept.get(key) ?? null,
      set: (key, value, expect) => {
        const version = kept.get(key)?.version ?? 0;
        if (expect !== null && expect !== version) throw { tag: "conflict" };
        kept.set(key, { value, version: version + 1 });
      },
      delete: (key) => void kept.delete(key),
      listKeys: (prefix) => [...kept.keys()].filter((key) => key.startsWith(prefix)).sort(),
    },
  });
}

/** An answer for `serve`; a body that is no text is written as JSON. */
export function answer(status, body = "", headers = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { status, headers: Object.entries(headers), body: encodeUtf8(text) };
}

/** A connection with this configuration. */
export function connection(config = {}) {
  return { id: "cnn_test", config, account: null };
}

/** A request for the first page of a stream, or for the one after `cursor`. */
export function readRequest(stream, cursor = null) {
  return { stream, partition: null, cursor, window: null, pageHint: 100 };
}

export { host };
