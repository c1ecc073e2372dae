// A certified OpenID provider on loopback, with a protected resource, counts and faults.
//
//   node oidc/main.mjs [--issuer https://id.acme.example] [--redirect URI]… [--host NAME]… [--access-token-s 3600]
//                      [--refresh-token-s 1209600] [--items 120] [--route token=/login/oauth/access_token]… [--scope NAME]…
//                      [--answer /path=FILE]… [--port N] [--keep]
//
// Prints one line when it is ready; ends on SIGTERM or, unless --keep, when stdin does. See README.md for the control calls.
import http from "node:http";
import https from "node:https";
import { Readable } from "node:stream";
import { parseArgs } from "node:util";
import { authority } from "../loopback/authority.mjs";
import { answer, bodyOf, endWithCaller, listen, ready } from "../loopback/life.mjs";
import { assertion, GRANT } from "./assertion.mjs";
import { control } from "./control.mjs";
import { Faults } from "./faults.mjs";
import { interactions } from "./interactions.mjs";
import { endpoints, provider as makeProvider, SCOPES } from "./provider.mjs";
import { resource } from "./resource.mjs";
import { firstClients, World } from "./world.mjs";

const { values: options } = parseArgs({
  options: {
    issuer: { type: "string" },
    redirect: { type: "string", multiple: true, default: ["https://sluice.example/callback"] },
    host: { type: "string", multiple: true, default: [] },
    route: { type: "string", multiple: true, default: [] },
    scope: { type: "string", multiple: true, default: [] },
    answer: { type: "string", multiple: true, default: [] },
    port: { type: "string", default: "0" },
    items: { type: "string", default: "120" },
    "access-token-s": { type: "string", default: "3600" },
    "refresh-token-s": { type: "string", default: "1209600" },
    keep: { type: "boolean", default: false },
  },
});
endWithCaller(options.keep);

const world = new World({
  accessTokenS: Number(options["access-token-s"]),
  refreshTokenS: Number(options["refresh-token-s"]),
  items: Number(options.items),
  answers: pairs(options.answer),
});
const faults = new Faults(world);
const routes = pairs(options.route);
const scopes = [...SCOPES, ...options.scope];
const endpointAt = endpoints(routes);
let provider; // made when the port is known, which is in the issuer unless that is given
let callback;
let tokenUrl;

function pairs(words) {
  return Object.fromEntries(words.map((word) => word.split(/=(.*)/s, 2)));
}

const named = options.issuer ? [new URL(options.issuer).hostname] : [];
const { caPem, certPem, keyPem } = await authority(["127.0.0.1", "localhost", ...named, ...options.host]);
const server = https.createServer({ cert: certPem, key: keyPem }, (request, response) => {
  serve(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) answer(response, 500, { error: "server_error" });
    else response.destroy();
  });
});

async function serve(request, response) {
  const url = new URL(request.url, "https://counterpart");
  if (await interactions(provider, world, request, response)) return undefined;
  const endpoint = endpointAt.get(url.pathname) ?? (isWayBack(url) ? "authorization" : undefined);
  if (!endpoint) {
    if (await resource(provider, world, request, response, url)) return undefined;
    return callback(request, response);
  }

  let params = Object.fromEntries(url.searchParams);
  let body;
  if (request.method === "POST") {
    body = await bodyOf(request);
    params = { ...params, ...parsed(body, request.headers["content-type"]) };
  }
  const back = isWayBack(url);
  if (!back) note(endpoint, request, url, params);

  const proceed = async () => {
    if (endpoint === "me" || endpoint === "items") return resource(provider, world, request, response, url);
    if (endpoint === "token" && params.grant_type === GRANT) return assertion(provider, world, tokenUrl, params, response);
    if (endpoint === "token") rememberTokens(response);
    return callback(body ? again(request, body) : request, response);
  };
  // The way back is where an authorization's faults show; before it there are only our own pages.
  if (endpoint === "authorization" && !back) return proceed();
  if (endpoint === "authorization") return onlyToClient(request, response, proceed);
  return faults.around(endpoint, request, response, params.grant_type, proceed);
}

/** Resuming after the pages: `/authorize/<uid>`. */
function isWayBack(url) {
  return [...endpointAt].some(([path, name]) => name === "authorization" && url.pathname.startsWith(`${path}/`));
}

/** The last of several resumptions is the one that leaves us; only that one is spoilt. */
async function onlyToClient(request, response, proceed) {
  const end = response.end.bind(response);
  response.end = (chunk) => {
    response.end = end;
    const location = response.getHeader("location");
    const leaves = location && new URL(location, provider.issuer).origin !== new URL(provider.issuer).origin;
    if (leaves) world.issue("code", new URL(location).searchParams.get("code") ?? undefined);
    if (!leaves) return end(chunk);
    return faults.around("authorization", request, response, undefined, async () => response.end(chunk));
  };
  return proceed();
}

function note(endpoint, request, url, params) {
  world.saw({
    endpoint,
    method: request.method,
    path: url.pathname,
    content_type: request.headers["content-type"] ?? null,
    authorization: request.headers.authorization?.split(" ")[0] ?? null,
    params,
  });
  if (endpoint === "authorization") world.count("authorizations");
  if (endpoint === "revocation") world.count("revocations");
  if (endpoint === "device") world.count("device_authorizations");
  if (endpoint !== "token") return;
  world.count("token_requests");
  if (params.grant_type === "refresh_token") world.count("refresh_requests");
  if (params.grant_type?.endsWith(":device_code")) world.count("device_polls");
}

function parsed(body, type = "") {
  if (type.startsWith("application/x-www-form-urlencoded")) return Object.fromEntries(new URLSearchParams(body.toString()));
  return {};
}

/** The request once more, for oidc-provider: its body has been read. */
function again(request, body) {
  const copy = Readable.from([body]);
  return Object.assign(copy, {
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    httpVersion: request.httpVersion,
    httpVersionMajor: request.httpVersionMajor,
    method: request.method,
    url: request.url,
    socket: request.socket,
    connection: request.socket,
  });
}

function rememberTokens(response) {
  const end = response.end.bind(response);
  response.end = (chunk) => {
    try {
      const token = JSON.parse(chunk);
      for (const kind of ["access_token", "refresh_token", "id_token"]) world.issue(kind, token[kind]);
    } catch {
      // an error page
    }
    return end(chunk);
  };
}

server.on("tlsClientError", () => {}); // a client that does not trust us
const port = await listen(server, Number(options.port));
const issuer = options.issuer ?? `https://localhost:${port}`;
const clients = firstClients(options.redirect);
for (const client of clients) await world.store.adapter("Client").upsert(client.client_id, client);
provider = makeProvider(issuer, world, routes, scopes);
callback = provider.callback();
tokenUrl = provider.urlFor("token");
const controlPort = await listen(http.createServer(control(provider, world, faults)));

ready({
  port,
  issuer,
  control: `http://127.0.0.1:${controlPort}`,
  control_port: controlPort,
  ca_pem: caPem,
  scopes,
  clients: Object.fromEntries(clients.map(({ client_id, client_secret, redirect_uris }) => [client_id, { client_id, client_secret: client_secret ?? null, redirect_uris }])),
});
