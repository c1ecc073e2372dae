/** Write a Sluice connector in JavaScript or TypeScript. Times are milliseconds since 1970 where they are numbers. */

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The connection that a call is made for. */
export interface Connection<Config = any> {
  /** `cnn_…`; stable for the life of the connection. */
  id: string;
  /** The user's configuration; it has passed the manifest's `[config]` schema. */
  config: Config;
  /** The vendor's id of the connected account, once `check` has told it. */
  account: string | null;
}

/** A moment: a Date, an RFC 3339 text, milliseconds since 1970, or nothing. */
export type Time = Date | string | number | null | undefined;

export interface Account {
  /** The vendor's stable id of the account. */
  id: string | number;
  /** What a person would recognise it by. */
  name: string;
  /** The scopes that the credential has, where the vendor tells. */
  scopes?: string[];
}

export interface ReadRequest {
  stream: string;
  partition: string | null;
  /** What the last committed page returned; null at the very start. */
  cursor: any;
  /** Only what changed from `start` up to but not including `end`, for backfills. */
  window: { start: number; end: number } | null;
  /** How many records the host would like; a hint. */
  pageHint: number;
}

/** Made by `upsert` and `remove`. */
export type Change = { upsert: { id: string; data: unknown; modified: number | null } } | { delete: string };

/** One bounded step. The host commits changes and cursor together; a page with `more` must move the cursor. */
export interface Page {
  changes: Change[];
  /** Any JSON value of at most 64 KiB; none: the cursor stays as it was. */
  cursor?: unknown;
  more: boolean;
  /** How many records the whole run will read, where the vendor tells. */
  totalHint?: number | null;
}

export interface Stream {
  name: string;
  /** JSON Schema of a record's data. */
  schema: unknown;
  primaryKey: string[];
  cursorVersion?: number;
}

export interface PendingWrite {
  create?: any;
  update?: { id: string; data: any; modified: number | null };
  /** By id. */
  delete?: string;
  /** The same for every try of the same write. */
  idempotencyKey: string;
  expectRevision: string | null;
}

type Record = { id: string | number; data: unknown; modified?: Time };

/** What became of a write. */
export type WriteOutcome = { done: Record } | { conflict: Record | null } | { failed: unknown };

export interface Registration {
  id: string;
  expires?: Time;
  state?: any;
}

/** One webhook as it arrived: the exact bytes of the body. */
export interface Receipt {
  id: string;
  /** Which of the manifest's webhooks it came by. */
  webhook: string;
  received: number;
  method: string;
  query: [string, string][];
  headers: Headers;
  body: Uint8Array;
  text(): string;
  /** The body as JSON; anything else throws `InvalidDataError`. */
  json(): any;
}

export interface Event {
  /** As the manifest lists it, e.g. `issues.opened`. */
  kind: string;
  /** The same for a redelivery. */
  id: string;
  occurred?: Time;
  data: unknown;
}

/** What a receipt means. */
export interface Handled {
  events?: Event[];
  /** Stream name and change. */
  changes?: [string, Change][];
  /** Streams to be synced because the receipt tells less than the API. */
  resync?: string[];
  reply?: { status?: number; contentType?: string; body?: string | Uint8Array } | null;
}

export interface Action {
  name: string;
  title?: string;
  input: unknown;
  output: unknown;
}

type Maybe<T> = T | Promise<T>;

/**
 * A connector: `check`, and whatever else its manifest declares. Every function may be called again with the same arguments after
 * a crash and must then do the same. A fresh instance is made for every call: nothing outside what is returned is kept.
 */
export interface Connector<Config = any> {
  /** Who does this connection belong to? It is the connection test, so it should cost one cheap request. */
  check(connection: Connection<Config>): Maybe<Account>;
  /** One page of a stream. */
  read?(connection: Connection<Config>, request: ReadRequest): Maybe<Page>;
  /** Streams beyond the manifest's. */
  discover?(connection: Connection<Config>): Maybe<Stream[]>;
  /** The partitions of a stream, each with a cursor of its own. */
  partitions?(connection: Connection<Config>, stream: string): Maybe<string[]>;
  /** Writes to the vendor; one outcome per write, in order. */
  write?(connection: Connection<Config>, stream: string, writes: PendingWrite[]): Maybe<WriteOutcome[]>;
  /** A cursor of an older format as the current one; null: it can't be carried over. */
  migrateCursor?(stream: string, fromVersion: number, cursor: any): any;
  /** Performs an action; `input` has passed its schema. */
  runAction?(connection: Connection<Config>, name: string, input: any, idempotencyKey: string): Maybe<unknown>;
  listActions?(connection: Connection<Config>): Maybe<Action[]>;
  /** What a receipt means; the same receipt must give the same result. */
  handleWebhook?(connection: Connection<Config>, receipt: Receipt): Maybe<Handled>;
  /** The accounts a receipt concerns, where the manifest says `account = "code"`; there is no connection yet. */
  routeWebhook?(receipt: Receipt): Maybe<string[]>;
  registerWebhook?(connection: Connection<Config>, webhook: string, url: string, events: string[]): Maybe<Registration>;
  renewWebhook?(connection: Connection<Config>, registration: Registration): Maybe<Registration>;
  unregisterWebhook?(connection: Connection<Config>, registration: Registration): Maybe<void>;
  beginAuth?(connection: Connection<Config>, callbackUrl: string): Maybe<{ url: string; state?: unknown }>;
  completeAuth?(connection: Connection<Config>, state: any, query: [string, string][]): Maybe<void>;
  refreshAuth?(connection: Connection<Config>): Maybe<void>;
  revokeAuth?(connection: Connection<Config>): Maybe<void>;
}

/** Says what a connector is to the type checker; it changes nothing. */
export function defineConnector<Config = any>(connector: Connector<Config>): Connector<Config>;

/** A record that is to be there. `data`: a value, or the text of a JSON object as it came (see `each`). */
export function upsert(id: string | number | bigint | null | undefined, data: unknown, modified?: Time): Change;
/** A record that is gone at the vendor. */
export function remove(id: string | number | bigint): Change;
/** The elements of a JSON array, parsed and as the vendor wrote them. */
export function each<T = any>(array: string): { value: T; text: string }[];

/**
 * The response, if its status is 2xx or 304; otherwise throws what the status means. With `pointer`, "there is no such thing" is the
 * configuration's fault: what it points at named the thing.
 */
export function ok(response: Response, pointer?: string): Response;
/** All of them at once, within the connection's limits; in the order of the requests. */
export function fetchAll(requests: (string | [string, RequestInit])[]): Promise<PromiseSettledResult<Response>[]>;

/** A response whose body is read piece by piece. */
export interface Incoming {
  readonly status: number;
  readonly headers: Headers;
  /** At least one and at most `max` bytes; null at the end of the body. */
  read(max?: number): Uint8Array | null;
  /** All of them: `for (const piece of response.pieces())`. */
  pieces(max?: number): IterableIterator<Uint8Array>;
}
/** Sends a request and gives the response as soon as its head is there, for bodies that should not be held in memory. */
export function open(url: string | URL, init?: RequestInit): Incoming;
/**
 * The address that makes this request possible for so many seconds, for whoever has it; `credential` is an `aws-sigv4` one. Its
 * placeholder goes into the output of an action that `presigns`.
 */
export function presign(url: string | URL, request: { method?: string; expiresS: number; credential?: string }): Secret;

/** The base of the others. What is thrown that is not one of them is the author's bug, and is reported with its place. */
export class ConnectorError extends Error {
  readonly pointer: string | null;
  readonly retryAfterMs: number | null;
}
/** The user: the configuration is wrong, at `pointer` (RFC 6901). Not retried. */
export class ConfigError extends ConnectorError {
  constructor(message: string, pointer: string);
}
/** The user: the credential no longer works. Not retried; the connection asks to be reconnected. */
export class AuthError extends ConnectorError {
  constructor(message: string);
}
/** Nobody: the vendor asked to wait. */
export class RateLimitedError extends ConnectorError {
  constructor(message: string, retryAfterMs?: number | null);
}
/** Nobody: a fault that passes. Retried with backoff. */
export class TransientError extends ConnectorError {
  constructor(message: string);
}
/** The vendor sent, or the caller gave, something that breaks its schema. Not retried. */
export class InvalidDataError extends ConnectorError {
  constructor(message: string, pointer?: string);
}
/** The connector does not offer this. Not retried. */
export class UnsupportedError extends ConnectorError {
  constructor(message: string);
}

type Say = (message: string, fields?: { [name: string]: unknown }) => void;
/** Lines of the run's log; `console` writes there too. */
export const log: { debug: Say; info: Say; warn: Say; error: Say };
/** Names are `[a-z][a-z0-9_]*` up to 64 bytes, at most 32 a call. */
export const metrics: { count(name: string, by?: number): void; gauge(name: string, value: number): void };
/** Key-value storage of the connection, values as JSON; durable together with the call's outcome. */
export const storage: {
  get(key: string): any;
  entry(key: string): { value: any; version: number } | undefined;
  /** `expect`: the version seen before (0: must not exist). Throws a `StorageError`. */
  set(key: string, value: unknown, options?: { expect?: number }): void;
  delete(key: string): void;
  keys(options?: { prefix?: string; after?: string; limit?: number }): string[];
};

/** What `storage` throws: another version is there, the quota would be exceeded, or the key is none. */
export class StorageError extends Error {
  readonly reason: "conflict" | "quota" | "invalid-key";
}

/** A file that the host keeps: what to put in a record. */
export interface FileReference {
  /** `fil_…`; the same as long as its key is kept. */
  id: string;
  name: string;
  media_type: string;
  bytes: number;
  /** In lower-case hexadecimal. */
  sha256: string;
}

/** How a file is kept; the rest is as for `fetch`. */
export interface SaveInit extends RequestInit {
  /** 1 to 256 bytes; should be the vendor's own id of the file. */
  key: string;
  /** For people; the key without it. */
  name?: string;
  /** The record that it belongs to; it goes some time after that. */
  owner?: { stream: string; id: string | number };
}

/** Files of the connection, within `file_bytes` and `files_bytes` of the manifest; durable together with the call's outcome. */
export const files: {
  /** Downloads without holding it, and keeps it. A status other than 2xx throws what it means. */
  fetch(url: string, init: SaveInit): FileReference;
  get(key: string): FileReference | undefined;
  delete(key: string): void;
};

/** A secret of this connection. It can be put on the wire and derived from; it can't be read. */
export interface Secret {
  /** A text to put into a header, the query or the body of a request of this same call. */
  placeholder(): string;
  hmac(
    algorithm: "hmac-sha1" | "hmac-sha256" | "hmac-sha512",
    message: Uint8Array,
    encoding: "hex" | "base64" | "base64url",
  ): Secret;
  /** Header and claims as JSON texts. */
  signJwt(header: string, claims: string): Secret;
  verifyHmac(algorithm: "hmac-sha1" | "hmac-sha256" | "hmac-sha512", message: Uint8Array, signature: Uint8Array): boolean;
}
/** The secret that the manifest names, or null; `webhook.secret` is that of the webhook that is being set up. */
export function secret(name: string): Secret | null;

/** A request as the contract has it. */
export interface HostRequest {
  method: string;
  url: string;
  headers: [string, string][];
  body: Uint8Array | null;
  credential: string | null;
  idempotencyKey: string | null;
  captures: unknown[];
  timeoutMs: number | null;
}
/** The contract's functions (`wit/0.1`) as they are, for what has no word of its own here. Their errors are thrown as `{ tag, val }`. */
export const host: {
  http: {
    send(request: HostRequest): { status: number; headers: [string, string][]; body: Uint8Array };
    /** A response whose body is read piece by piece; `read` gives null at its end. */
    open(request: HostRequest): {
      status(): number;
      headers(): [string, string][];
      read(max: number): Uint8Array | null;
    };
    /** The address that makes this request possible until it ends; its placeholder goes into an action's output. */
    presign(request: { method: string; url: string; expiresS: number; credential: string | null }): Secret;
  };
};

declare global {
  /** What the sandbox has of the web's interfaces; `fetch` goes through the broker. */
  function fetch(url: string | URL, init?: RequestInit): Promise<Response>;

  interface RequestInit {
    method?: string;
    headers?: Headers | [string, string][] | { [name: string]: string };
    body?: string | Uint8Array | URLSearchParams | null;
    /** The manifest's auth scheme to apply; none: the connection's own; "": no credential. */
    credential?: string;
    /** Sent as `Idempotency-Key`; makes an unsafe method retryable. */
    idempotencyKey?: string;
    /** Total time, retries included. */
    timeoutMs?: number;
    /** For custom auth flows: what the broker keeps instead of showing it. */
    captures?: {
      pointer: string;
      into: { tag: "secret"; val: string } | { tag: "expires-in-s" | "expires-at-s" | "scopes" | "account" };
    }[];
  }

  interface Response {
    readonly status: number;
    readonly ok: boolean;
    readonly headers: Headers;
    readonly url: string;
    text(): Promise<string>;
    json(): Promise<any>;
    bytes(): Promise<Uint8Array>;
    arrayBuffer(): Promise<ArrayBuffer>;
    /** The target of the `Link` header (RFC 8288) with this relation, such as `next`. */
    link(relation: string): string | null;
  }

  class Headers {
    constructor(init?: Iterable<[string, string]> | { [name: string]: string });
    append(name: string, value: string): void;
    set(name: string, value: string): void;
    delete(name: string): void;
    get(name: string): string | null;
    has(name: string): boolean;
    forEach(callback: (value: string, name: string) => void): void;
    entries(): IterableIterator<[string, string]>;
    keys(): IterableIterator<string>;
    values(): IterableIterator<string>;
    [Symbol.iterator](): IterableIterator<[string, string]>;
  }

  class URLSearchParams {
    constructor(init?: string | Iterable<[string, string]> | { [name: string]: string | number | boolean });
    readonly size: number;
    append(name: string, value: string | number): void;
    delete(name: string): void;
    get(name: string): string | null;
    getAll(name: string): string[];
    has(name: string): boolean;
    set(name: string, value: string | number): void;
    sort(): void;
    forEach(callback: (value: string, name: string) => void): void;
    entries(): IterableIterator<[string, string]>;
    [Symbol.iterator](): IterableIterator<[string, string]>;
    toString(): string;
  }

  /** Absolute http and https addresses. */
  class URL {
    constructor(url: string, base?: string);
    static canParse(url: string, base?: string): boolean;
    readonly protocol: string;
    readonly hostname: string;
    readonly port: string;
    readonly host: string;
    readonly origin: string;
    pathname: string;
    search: string;
    hash: string;
    readonly href: string;
    readonly searchParams: URLSearchParams;
    toString(): string;
    toJSON(): string;
  }

  class TextEncoder {
    encode(text?: string): Uint8Array;
  }

  class TextDecoder {
    constructor(label?: string, options?: { fatal?: boolean });
    decode(bytes?: Uint8Array): string;
  }

  const console: {
    debug(...values: unknown[]): void;
    log(...values: unknown[]): void;
    info(...values: unknown[]): void;
    warn(...values: unknown[]): void;
    error(...values: unknown[]): void;
  };
}
