// Sign in, then allow or deny: what a person does between the authorization endpoint and the way back.
import { bodyOf } from "../loopback/life.mjs";
import * as pages from "./pages.mjs";

const PATH = /^\/interaction\/([\w-]+)(?:\/(login|allow|deny))?$/;

/** True when the request was for one of these pages. */
export async function interactions(provider, world, request, response) {
  const [, uid, step] = PATH.exec(request.url) ?? [];
  if (!uid) return false;
  try {
    if (!step) await show(provider, request, response, uid);
    else await decide(provider, world, request, response, step);
  } catch (error) {
    html(response, 400, pages.failed({ error: error.name, error_description: error.message }));
  }
  return true;
}

async function show(provider, request, response, uid) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") return html(response, 200, pages.login(uid, params.login_hint));
  const client = await provider.Client.find(params.client_id);
  const scopes = (params.scope ?? "").split(" ").filter(Boolean);
  return html(response, 200, pages.consent(uid, client.clientName ?? client.clientId, session.accountId, scopes));
}

async function decide(provider, world, request, response, step) {
  const form = new URLSearchParams((await bodyOf(request)).toString());
  const finish = (result, how) => provider.interactionFinished(request, response, result, how);
  if (step === "deny") {
    world.count("denials");
    return finish({ error: "access_denied", error_description: "the person said no" }, { mergeWithLastSubmission: false });
  }
  if (step === "login") return finish({ login: { accountId: form.get("user") } }, { mergeWithLastSubmission: false });

  const { params, session, grantId } = await provider.interactionDetails(request, response);
  const grant =
    (grantId && (await provider.Grant.find(grantId))) ||
    new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const allowed = new Set(form.getAll("scope"));
  const asked = (params.scope ?? "").split(" ").filter(Boolean);
  const given = asked.filter((scope) => allowed.has(scope));
  const refused = asked.filter((scope) => !allowed.has(scope));
  if (given.length) grant.addOIDCScope(given.join(" "));
  if (refused.length) grant.rejectOIDCScope(refused.join(" "));
  world.count("consents");
  return finish({ consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

function html(response, status, body) {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "content-length": Buffer.byteLength(body) });
  response.end(body);
}
