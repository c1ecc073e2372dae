// The control calls: plain HTTP on a port of their own, so that no client under test meets them by accident.
import { answer, bodyOf } from "../loopback/life.mjs";

const TOKENS = ["AccessToken", "ClientCredentials"];

export function control(provider, world, faults) {
  const calls = {
    "GET /__control/counts": () => ({ ...world.counts, held: faults.held }),
    "GET /__control/requests": () => ({ requests: world.requests }),
    "GET /__control/issued": () => ({ issued: world.issued }),
    "GET /__control/faults": () => ({ faults: faults.list() }),
    "POST /__control/reset": () => (world.reset(), { released: faults.clear() }),
    "POST /__control/expire": () => ({ expired: world.store.expire(TOKENS) }),
    // As if the person had taken the access back on the vendor's own page.
    "POST /__control/disconnect": () => ({ gone: world.store.forget([...TOKENS, "RefreshToken", "Grant", "Session"]) }),
    "POST /__control/lifetimes": (body) => Object.assign(world.lifetimes, body),
    "POST /__control/items": (body) => ({ total: (world.items = body.total) }),
    "POST /__control/fault": (body) => (faults.add(body), { faults: faults.list() }),
    "POST /__control/release": () => ({ released: faults.release() }),
    "POST /__control/service-account": (body) => (world.serviceAccounts.set(body.iss, body.public_key), {}),
    "POST /__control/client": async (body) => {
      const clients = world.store.adapter("Client");
      const before = await clients.find(body.client_id);
      await clients.upsert(body.client_id, { ...before, ...body });
      try {
        // Asked for once, so that metadata that oidc-provider refuses is refused here.
        return (await provider.Client.find(body.client_id)).metadata();
      } catch (error) {
        if (before) await clients.upsert(body.client_id, before);
        else await clients.destroy(body.client_id);
        throw error;
      }
    },
  };
  return async (request, response) => {
    const call = calls[`${request.method} ${request.url}`];
    if (!call) return answer(response, 404, { error: `no such call; there are ${Object.keys(calls).join(", ")}` });
    try {
      const body = (await bodyOf(request)).toString();
      return answer(response, 200, await call(body ? JSON.parse(body) : {}));
    } catch (error) {
      return answer(response, 400, { error: error.error_description ?? error.message });
    }
  };
}
