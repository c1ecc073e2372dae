// `fetch` through the broker: policy, credential, retries and rate limits are the host's. The whole response is there when the
// promise is settled, which is at once.

import { host } from "./host.js";
import { SettledPromise } from "./promise.js";
import { decodeUtf8, encodeUtf8 } from "./text.js";
import { URLSearchParams } from "./url.js";
import { InvalidDataError, fromHttp } from "./errors.js";

export class Headers {
  constructor(init = []) {
    this._pairs = [];
    const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }

  append(name, value) {
    this._pairs.push([String(name).toLowerCase(), String(value).trim()]);
  }

  set(name, value) {
    this.delete(name);
    this.append(name, value);
  }

  delete(name) {
    const known = String(name).toLowerCase();
    this._pairs = this._pairs.filter(([other]) => other !== known);
  }

  /** All values of the name, joined as RFC 9110 §5.3 says; null where there is none. */
  get(name) {
    const known = String(name).toLowerCase();
    const values = this._pairs.filter(([other]) => other === known).map(([, value]) => value);
    return values.length === 0 ? null : values.join(", ");
  }

  has(name) {
    return this.get(name) !== null;
  }

  forEach(callback) {
    for (const [name, value] of this._pairs) callback(value, name, this);
  }

  entries() {
    return this._pairs.map(([name, value]) => [name, value])[Symbol.iterator]();
  }

  keys() {
    return this._pairs.map(([name]) => name)[Symbol.iterator]();
  }

  values() {
    return this._pairs.map(([, value]) => value)[Symbol.iterator]();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

export class Response {
  constructor(body, init = {}) {
    this._bytes = typeof body === "string" ? encodeUtf8(body) : new Uint8Array(body ?? 0);
    this.status = init.status ?? 200;
    this.statusText = "";
    this.headers = new Headers(init.headers);
    this.url = init.url ?? "";
    this.bodyUsed = false;
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  /** The target of the `Link` header (RFC 8288) with this relation, such as `next`; null where there is none. */
  link(relation) {
    return linkTarget(this.headers.get("link") ?? "", relation);
  }

  /** The body's text without a promise. */
  textNow() {
    return decodeUtf8(this._bytes);
  }

  text() {
    return SettledPromise.try(() => this.textNow());
  }

  json() {
    return SettledPromise.try(() => {
      try {
        return JSON.parse(this.textNow());
      } catch (error) {
        const kind = (this.headers.get("content-type") ?? "no content type").slice(0, 80);
        throw new InvalidDataError(`the vendor's response (${kind}) could not be read: ${error.message}`);
      }
    });
  }

  bytes() {
    return SettledPromise.resolve(this._bytes);
  }

  arrayBuffer() {
    return SettledPromise.try(() => this._bytes.slice().buffer);
  }
}

/** Any status is a response; a failure to get one throws, with the class that says who has to act. */
export function fetch(url, init = {}) {
  return SettledPromise.try(() => {
    const request = toRequest(url, init);
    let answer;
    try {
      answer = host.http.send(request);
    } catch (thrown) {
      throw failure(thrown);
    }
    return toResponse(answer, request.url);
  });
}

/** All of them at once, within the connection's limits; settles like `Promise.allSettled`, in the order of the requests. */
export function fetchAll(requests) {
  return SettledPromise.try(() => {
    const wanted = requests.map((one) => (Array.isArray(one) ? toRequest(one[0], one[1] ?? {}) : toRequest(one, {})));
    return host.http.sendAll(wanted).map((answer, at) => {
      if (answer.tag === "ok") return { status: "fulfilled", value: toResponse(answer.val, wanted[at].url) };
      return { status: "rejected", reason: fromHttp(answer.val) };
    });
  });
}

/**
 * Sends a request and gives the response as soon as its head is there, for bodies that should not be held in memory: iterate over
 * `pieces(max)`, or call `read(max)` until it gives null.
 */
export function open(url, init = {}) {
  const request = toRequest(url, init);
  const incoming = asked(() => host.http.open(request));
  const read = (max = 65_536) => asked(() => incoming.read(max)) ?? null;
  return {
    status: incoming.status(),
    headers: new Headers(incoming.headers()),
    read,
    *pieces(max) {
      for (let piece = read(max); piece !== null; piece = read(max)) yield piece;
    },
  };
}

/** The address that makes a request possible for so many seconds, for whoever has it; see the contract's `http.presign`. */
export function presign(url, { method = "GET", expiresS, credential = null }) {
  return asked(() => host.http.presign({ method, url: String(url), expiresS, credential }));
}

function asked(run) {
  try {
    return run();
  } catch (thrown) {
    throw failure(thrown);
  }
}

export function toRequest(url, init) {
  const headers = [...new Headers(init.headers)];
  let body = init.body ?? null;
  if (body instanceof URLSearchParams) {
    if (!headers.some(([name]) => name === "content-type")) {
      headers.push(["content-type", "application/x-www-form-urlencoded"]);
    }
    body = encodeUtf8(body.toString());
  } else if (typeof body === "string") {
    if (!headers.some(([name]) => name === "content-type")) headers.push(["content-type", "text/plain;charset=UTF-8"]);
    body = encodeUtf8(body);
  } else if (body !== null && !(body instanceof Uint8Array)) {
    throw new TypeError("a body is a string, a Uint8Array or URLSearchParams; write JSON with JSON.stringify");
  }
  return {
    method: String(init.method ?? "GET").toUpperCase(),
    url: String(url),
    headers,
    body,
    credential: init.credential ?? null,
    idempotencyKey: init.idempotencyKey ?? null,
    captures: init.captures ?? [],
    timeoutMs: init.timeoutMs ?? null,
  };
}

export function toResponse(answer, url) {
  return new Response(answer.body, { status: answer.status, headers: answer.headers, url });
}

/** What the host threw: the contract's error, which comes as it is or inside an `Error`. */
export function failure(thrown) {
  const error = thrown?.payload ?? thrown;
  return typeof error?.tag === "string" && !(error instanceof Error) ? fromHttp(error) : thrown;
}

const PARAMETER = /\s*;\s*([^\s=;,]*)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/y;

/** RFC 8288: the first link of the header with this relation. What is malformed ends the search: a broken tail invents no link. */
export function linkTarget(header, relation) {
  const target = /[\s,]*<([^>]*)>/y;
  for (;;) {
    const found = target.exec(header);
    if (!found) return null;
    let relations = null;
    PARAMETER.lastIndex = target.lastIndex;
    for (let at = target.lastIndex; ; at = PARAMETER.lastIndex) {
      const parameter = PARAMETER.exec(header);
      if (!parameter) {
        target.lastIndex = at;
        break;
      }
      // The first `rel` counts (§3.3).
      if (parameter[1].toLowerCase() === "rel") relations ??= parameter[2] ?? parameter[3] ?? "";
    }
    if (!/^\s*(,|$)/.test(header.slice(target.lastIndex))) return null;
    if ((relations ?? "").toLowerCase().split(/\s+/).includes(relation.toLowerCase())) return found[1];
  }
}
