// What goes wrong at real providers, on demand. Some faults answer before oidc-provider sees the request, so it changes nothing
// there; some rewrite or swallow the answer, when what was asked for has already happened.
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

const HTML = "<!doctype html><title>Sign in</title><h1>Something went wrong</h1><p>Please try again later.</p>";

const json = (value) => ({ headers: { "content-type": "application/json" }, body: JSON.stringify(value) });

/** Instead of oidc-provider. */
const BEFORE = {
  html: () => ({ status: 200, headers: { "content-type": "text/html" }, body: HTML }),
  500: () => ({ status: 500, headers: { "content-type": "text/html" }, body: HTML }),
  401: () => ({ status: 401, ...json({ error: "invalid_token" }) }),
  429: (fault) => ({ status: 429, ...json({ error: "slow_down" }), extra: { "retry-after": String(fault.retry_after_s ?? 1) } }),
  error200: (fault) => ({ status: 200, ...json({ error: fault.error ?? "invalid_grant", error_description: "answered with 200" }) }),
  invalid_grant: () => ({ status: 400, ...json({ error: "invalid_grant", error_description: "grant request is invalid" }) }),
  empty: () => ({ status: 200, headers: { "content-type": "application/json" }, body: "" }),
  answer: (fault) => ({ status: fault.status ?? 200, headers: fault.headers ?? {}, body: fault.body ?? "" }),
  redirect: (fault) => ({ status: fault.status ?? 307, headers: { location: fault.location }, body: "" }),
};

/** A change to the answer's JSON. */
const REWRITE = {
  negative_expiry: (token) => ({ ...token, expires_in: -3600 }),
  string_expiry: (token) => ({ ...token, expires_in: String(token.expires_in) }),
  nonsense_expiry: (token) => ({ ...token, expires_in: "soon" }),
  vast_expiry: (token) => ({ ...token, expires_in: 1e300 }),
  no_expiry: ({ expires_in: _, ...token }) => token,
  no_refresh_token: ({ refresh_token: _, ...token }) => token,
  no_access_token: ({ access_token: _, ...token }) => token,
  fields: (token, fault) => ({ ...token, ...fault.fields }),
};

/** A change to the way back to the client. */
const WAY_BACK = {
  wrong_iss: (query) => query.set("iss", "https://other.example"),
  no_iss: (query) => query.delete("iss"),
  wrong_state: (query) => query.set("state", "not-the-state"),
  no_state: (query) => query.delete("state"),
  wrong_code: (query) => query.set("code", "not-the-code"),
};

/** Everything else. */
const OTHER = ["slow", "hold", "hold_answer", "drop", "lost_answer", "truncated", "half_json", "huge"];

export const KINDS = [...Object.keys(BEFORE), ...Object.keys(REWRITE), ...Object.keys(WAY_BACK), ...OTHER];

export class Faults {
  #waiting = []; // { endpoint, kind, times, … } in the order in which they were asked for
  #held = [];

  constructor(world) {
    this.world = world;
  }

  add(fault) {
    if (!KINDS.includes(String(fault.kind))) throw new Error(`no such kind: ${fault.kind}; there are ${KINDS.join(", ")}`);
    this.#waiting.push({ endpoint: "token", times: 1, ...fault, kind: String(fault.kind) });
  }

  clear() {
    this.#waiting = [];
    return this.release();
  }

  list() {
    return this.#waiting;
  }

  get held() {
    return this.#held.length;
  }

  /** Lets everything go on that is held; gives how much that was. */
  release() {
    const held = this.#held.splice(0);
    for (const go of held) go();
    return held.length;
  }

  #take(endpoint, grantType) {
    const at = this.#waiting.findIndex((f) => f.endpoint === endpoint && (!f.grant_type || f.grant_type === grantType));
    if (at < 0) return undefined;
    const fault = this.#waiting[at];
    fault.times -= 1;
    if (fault.times <= 0) this.#waiting.splice(at, 1);
    this.world.count("faults");
    return fault;
  }

  #hold() {
    return new Promise((go) => this.#held.push(go));
  }

  /** Does the next fault of this endpoint; `proceed` is oidc-provider's own answer. */
  async around(endpoint, request, response, grantType, proceed) {
    const fault = this.#take(endpoint, grantType);
    const kind = fault?.kind;
    if (!fault) return proceed();
    if (kind in BEFORE) {
      const { status, headers, extra, body } = BEFORE[kind](fault);
      response.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers, ...extra });
      return response.end(body);
    }
    if (kind === "drop") return request.socket.destroy();
    if (kind === "huge") return huge(response, fault.bytes ?? 64 << 20);
    if (kind === "slow") await sleep(fault.ms ?? 10_000);
    if (kind === "hold") await this.#hold();
    if (kind in WAY_BACK) changeLocation(response, WAY_BACK[kind]);
    else if (kind !== "slow" && kind !== "hold") this.#changeAnswer(fault, request, response);
    return proceed();
  }

  #changeAnswer(fault, request, response) {
    const end = response.end.bind(response);
    const send = (body, declared = body) => {
      response.setHeader("content-length", Buffer.byteLength(declared));
      return end(body);
    };
    response.end = (chunk) => {
      const body = Buffer.from(chunk ?? "");
      if (fault.kind === "lost_answer") return request.socket.destroy();
      if (fault.kind === "hold_answer") return void this.#hold().then(() => end(chunk));
      const half = body.subarray(0, body.length >> 1);
      if (fault.kind === "half_json") return send(half);
      if (fault.kind === "truncated") {
        response.setHeader("content-length", body.length);
        return response.write(half, () => request.socket.destroy());
      }
      if (response.statusCode !== 200) return end(chunk);
      return send(JSON.stringify(REWRITE[fault.kind](JSON.parse(body.toString()), fault)));
    };
  }
}

/** A JSON text that does not end, up to `bytes`. */
async function huge(response, bytes) {
  function* text() {
    const chunk = "a".repeat(64 << 10);
    yield '{"access_token":"';
    for (let sent = 0; sent < bytes; sent += chunk.length) yield chunk;
    yield '"}';
  }
  response.writeHead(200, { "content-type": "application/json" });
  await pipeline(text, response).catch(() => {}); // nobody wants to read it to its end
}

function changeLocation(response, change) {
  const end = response.end.bind(response);
  response.end = (chunk) => {
    const location = new URL(response.getHeader("location") ?? "about:blank");
    change(location.searchParams);
    response.setHeader("location", location.href);
    response.removeHeader("content-length");
    return end(location.href);
  };
}
