// What can go wrong, by who has to act. The host decides about retries from the class alone; everything else that is thrown is
// the author's bug and is reported with its place in the source.

import { place } from "./place.js";

/** A vendor's own words in a message are cut here, in characters. */
const MAX_WORDS = 300;

export class ConnectorError extends Error {
  /** @param {string} tag the contract's case */
  constructor(tag, message, more = {}) {
    super(message);
    this.name = this.constructor.name;
    this.tag = tag;
    this.pointer = more.pointer ?? null;
    this.retryAfterMs = more.retryAfterMs ?? null;
  }
}

/** The user: the configuration is wrong, at `pointer` (RFC 6901). */
export class ConfigError extends ConnectorError {
  constructor(message, pointer) {
    super("config", message, { pointer });
  }
}

/** The user: the credential no longer works. */
export class AuthError extends ConnectorError {
  constructor(message) {
    super("auth", message);
  }
}

/** Nobody: the vendor asked to wait, `retryAfterMs` where it says how long. */
export class RateLimitedError extends ConnectorError {
  constructor(message, retryAfterMs) {
    super("rate-limited", message, { retryAfterMs });
  }
}

/** Nobody: a fault that passes. */
export class TransientError extends ConnectorError {
  constructor(message) {
    super("transient", message);
  }
}

/** The vendor sent, or the caller gave, something that breaks its schema. */
export class InvalidDataError extends ConnectorError {
  constructor(message, pointer) {
    super("invalid-data", message, { pointer });
  }
}

/** The connector does not offer this. */
export class UnsupportedError extends ConnectorError {
  constructor(message) {
    super("unsupported", message);
  }
}

/** The contract's error for whatever was thrown. */
export function toContract(thrown) {
  if (thrown instanceof ConnectorError) {
    if (thrown.tag === "rate-limited") {
      return { tag: thrown.tag, val: { message: thrown.message, retryAfterMs: whole(thrown.retryAfterMs) } };
    }
    return { tag: thrown.tag, val: { message: thrown.message, pointer: thrown.pointer } };
  }
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `thrown: ${String(thrown)}`;
  const { first } = place(thrown?.stack);
  return { tag: "internal", val: { message: first ? `${message} at ${first}` : message, pointer: null } };
}

function whole(number) {
  return Number.isFinite(number) && number >= 0 ? Math.floor(number) : null;
}

/** What the host says when there is no response (the contract's `http.error`). */
export function fromHttp({ tag, val }) {
  switch (tag) {
    case "denied":
      return new ConfigError(`not permitted: ${val}`);
    case "rate-limited":
      return new RateLimitedError("the rate limit is used up", val);
    case "circuit-open":
      return new TransientError("the vendor failed repeatedly and is left alone for a while");
    case "timeout":
      return new TransientError("the vendor did not answer in time");
    case "unreachable":
      return new TransientError(`the vendor could not be reached: ${val}`);
    case "tls":
      return new TransientError(`no acceptable TLS with the vendor: ${val}`);
    case "protocol":
      return new TransientError(`the vendor broke the HTTP protocol: ${val}`);
    case "too-large":
      return new InvalidDataError(`the vendor's response is larger than ${val} bytes`);
    default:
      return new ConnectorError("internal", `the call's budget is used up: ${val}`);
  }
}

/**
 * The response, if its status is 2xx or 304; otherwise throws what the status means. With `pointer`, "there is no such thing" is
 * the configuration's fault: what it points at named the thing.
 */
export function ok(response, pointer) {
  if (response.ok || response.status === 304) return response;
  throw fromResponse(response, pointer);
}

function fromResponse(response, pointer) {
  const { status } = response;
  const said = words(response);
  const message = said ? `the vendor answered ${status}: ${said}` : `the vendor answered ${status}`;
  const asked = response.headers.has("retry-after");
  const throttled = asked || response.headers.get("x-ratelimit-remaining") === "0";
  if (status === 429 || (status === 403 && throttled) || (status === 503 && asked)) {
    return new RateLimitedError(message, retryAfterMs(response));
  }
  if (status === 401 || status === 403) return new AuthError(message);
  if (status === 408 || status === 425 || status >= 500 || status < 400) return new TransientError(message);
  return pointer === undefined ? new InvalidDataError(message) : new ConfigError(message, pointer);
}

/** By `Retry-After` in seconds or as a date, or `x-ratelimit-reset`; dates are compared with the response's own. */
function retryAfterMs(response) {
  const now = Date.parse(response.headers.get("date") ?? "");
  const after = response.headers.get("retry-after")?.trim();
  if (after !== undefined) {
    const ms = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - now;
    return Number.isFinite(ms) ? Math.max(0, ms) : null;
  }
  const reset = response.headers.get("x-ratelimit-reset");
  const ms = reset === null ? Number.NaN : Number(reset) * 1000 - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** What the vendor says in a JSON body's usual members; never HTML. */
function words(response) {
  let body;
  try {
    body = JSON.parse(response.textNow());
  } catch {
    return null;
  }
  if (body === null || typeof body !== "object" || Array.isArray(body)) return null;
  for (const name of ["message", "error_description", "error", "detail", "title"]) {
    const value = body[name];
    const text = typeof value === "string" ? value : value?.message;
    if (typeof text === "string") {
      return [...text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "")].slice(0, MAX_WORDS).join("");
    }
  }
  return null;
}
