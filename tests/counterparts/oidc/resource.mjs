// What the tokens are for: who one is, a list in pages, and what files say (--answer). Also two places that a thief would use: an echo, and a redirect to
// wherever it is told.
import { readFileSync } from "node:fs";
import { answer, bodyOf } from "../loopback/life.mjs";
import { person } from "./provider.mjs";

const PER_PAGE = 50;

/** True when the request was for one of these. */
export async function resource(provider, world, request, response, url) {
  switch (url.pathname) {
    case "/me":
    case "/items": {
      world.count(url.pathname.slice(1));
      const token = await bearer(provider, request);
      if (!token) {
        world.count("unauthorized");
        answer(response, 401, { error: "invalid_token" }, { "www-authenticate": 'Bearer error="invalid_token"' });
      } else answer(response, 200, url.pathname === "/me" ? me(token) : items(world, url));
      return true;
    }
    case "/echo": {
      const body = (await bodyOf(request)).toString();
      const reflected = { "x-echo-authorization": request.headers.authorization ?? "" };
      answer(response, 200, { method: request.method, url: request.url, headers: request.headers, body }, reflected);
      return true;
    }
    case "/redirect":
      response.writeHead(Number(url.searchParams.get("status") ?? 302), { location: url.searchParams.get("to") ?? "/", "content-length": 0 });
      response.end();
      return true;
    default:
      if (!(url.pathname in world.answers)) return false;
      if (await bearer(provider, request)) answer(response, 200, JSON.parse(readFileSync(world.answers[url.pathname])));
      else answer(response, 401, { error: "invalid_token" });
      return true;
  }
}

async function bearer(provider, request) {
  const [, value] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (!value) return undefined;
  return (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value));
}

function me(token) {
  const id = token.accountId ?? token.clientId;
  return { id, name: person(id).name, scope: token.scope ?? "", client_id: token.clientId };
}

function items(world, url) {
  const number = (name, least, most, otherwise) => Math.min(most, Math.max(least, Number(url.searchParams.get(name)) || otherwise));
  const page = number("page", 1, 1e6, 1);
  const size = number("per_page", 1, 100, PER_PAGE);
  const first = (page - 1) * size;
  const found = [];
  for (let n = first; n < Math.min(world.items, first + size); n += 1) {
    found.push({ id: `item-${n}`, name: `Item ${n}`, updated_at: new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString() });
  }
  return { items: found, page, next_page: first + size < world.items ? page + 1 : null, total: world.items };
}
