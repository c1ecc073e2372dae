// What the control calls read and change: counts, clients, lifetimes, and a bounded memory of what was asked and given.
import { randomBytes } from "node:crypto";
import { Store } from "./store.mjs";

const REMEMBERED = 1_000; // requests
const ISSUED = 50_000; // values

const NO_COUNTS = {
  authorizations: 0, // requests at the authorization endpoint
  consents: 0,
  denials: 0,
  token_requests: 0, // everything that reached the token endpoint, faults included
  code_exchanges: 0, // with success
  refresh_requests: 0, // faults included
  refreshes: 0, // with success
  reuse_detections: 0, // a used refresh token came again, and its family died
  invalid_grants: 0, // reuse included
  client_credentials: 0, // with success
  assertions: 0, // JWT bearer, with success
  device_authorizations: 0,
  device_polls: 0,
  device_tokens: 0, // with success
  revocations: 0, // requests at the revocation endpoint
  grants_revoked: 0, // families that died, for whatever reason
  me: 0,
  items: 0,
  unauthorized: 0, // 401 of /me and /items
  faults: 0, // answers that a fault made
};

export class World {
  store = new Store();
  counts = { ...NO_COUNTS };
  lifetimes;
  items;
  answers; // path → file with what is answered to whoever has a token
  serviceAccounts = new Map(); // iss → public key in PEM
  #requests = [];
  #issued = [];

  constructor({ accessTokenS, refreshTokenS, items, answers }) {
    this.lifetimes = { access_token_s: accessTokenS, refresh_token_s: refreshTokenS };
    this.items = items;
    this.answers = answers;
  }

  count(name) {
    this.counts[name] += 1;
  }

  reset() {
    this.counts = { ...NO_COUNTS };
    this.#requests = [];
  }

  /** A request as it came, for tests that ask how we spoke. */
  saw(request) {
    this.#requests.push(request);
    if (this.#requests.length > REMEMBERED) this.#requests.shift();
  }

  get requests() {
    return this.#requests;
  }

  /** Every secret value that was handed out, so that a test can look for it where it must not be. */
  issue(kind, value) {
    if (typeof value !== "string") return;
    this.#issued.push({ kind, value });
    if (this.#issued.length > ISSUED) this.#issued.shift();
  }

  get issued() {
    return this.#issued;
  }
}

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

/** The clients that are there from the start, with secrets of this start. */
export function firstClients(redirects) {
  const secret = () => randomBytes(24).toString("base64url");
  const web = {
    client_name: "Sluice",
    application_type: "web",
    redirect_uris: redirects,
    response_types: ["code"],
    grant_types: ["authorization_code", "refresh_token", "client_credentials", DEVICE],
    token_endpoint_auth_method: "client_secret_basic",
    id_token_signed_response_alg: "RS256",
  };
  return [
    { ...web, client_id: "sluice", client_secret: secret() },
    { ...web, client_id: "sluice-post", client_secret: secret(), token_endpoint_auth_method: "client_secret_post" },
    // RFC 6749 §2.3.1: both are form-encoded before they go into the Basic header.
    { ...web, client_id: "sluice odd", client_secret: `a b+c%2F:/${secret()}=&` },
    {
      ...web,
      client_id: "sluice-cli",
      application_type: "native", // RFC 8252 §7.3: any port on the loopback address
      redirect_uris: ["http://127.0.0.1/callback"],
      grant_types: ["authorization_code", "refresh_token", DEVICE],
      token_endpoint_auth_method: "none",
    },
  ];
}
