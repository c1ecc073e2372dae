// oidc-provider, as strict as it can be made: PKCE S256 from everybody, refresh tokens that rotate and whose reuse kills the
// family, revocation, device flow, client credentials, ID tokens by RS256, `iss` in the authorization answer (RFC 9207).
import { generateKeyPairSync, randomBytes } from "node:crypto";
import Provider from "oidc-provider";
import * as pages from "./pages.mjs";

export const SCOPES = ["openid", "offline_access", "profile", "email", "items:read", "items:write"];

export function provider(issuer, world, routes, scopes) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const accessLifetime = () => world.lifetimes.access_token_s;
  const made = new Provider(issuer, {
    adapter: world.store.adapter,
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
    cookies: { keys: [randomBytes(32).toString("hex")] },
    scopes,
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false, // the name is in the ID token too: not every client asks `userinfo`
    routes: { ...ROUTES, ...routes },
    responseTypes: ["code"],
    clockTolerance: 0, // a token ends when it says so: its default of 15 s would hide what we do too late
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    expiresWithSession: async () => false,
    ttl: {
      AccessToken: accessLifetime,
      ClientCredentials: accessLifetime,
      RefreshToken: () => world.lifetimes.refresh_token_s,
      AuthorizationCode: 60,
      DeviceCode: 600,
      IdToken: 3600,
      Interaction: 3600,
      Session: 86_400,
      Grant: 30 * 86_400,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      userinfo: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: async (ctx, form, _out, error) => {
          ctx.body = pages.deviceCode(form, error ? `Not accepted: ${error.message}` : "Enter the code that the device shows.");
        },
        userCodeConfirmSource: async (ctx, form, client, _device, code) => {
          ctx.body = pages.deviceConfirm(form, client.clientName ?? client.clientId, code);
        },
        successSource: async (ctx) => {
          ctx.body = pages.deviceDone();
        },
      },
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: async (_ctx, sub) => ({ accountId: sub, claims: async () => person(sub) }),
    renderError: async (ctx, out) => {
      ctx.type = "html";
      ctx.body = pages.failed(out);
    },
  });
  counted(made, world);
  return made;
}

const ROUTES = {
  authorization: "/authorize",
  token: "/token",
  revocation: "/revoke",
  introspection: "/introspect",
  device_authorization: "/device/code",
  code_verification: "/device",
  jwks: "/jwks",
  userinfo: "/userinfo", // `/me` is the protected resource
};

/** Where each endpoint is, for the faults and the counts. */
export const endpoints = (routes) => {
  const at = { ...ROUTES, ...routes };
  return new Map([
    [at.authorization, "authorization"],
    [at.token, "token"],
    [at.revocation, "revocation"],
    [at.device_authorization, "device"],
    [at.jwks, "jwks"],
    [at.userinfo, "userinfo"],
    ["/.well-known/openid-configuration", "discovery"],
    ["/me", "me"],
    ["/items", "items"],
  ]);
};

/** Whoever signs in exists. */
export const person = (sub) => ({
  sub,
  name: `${sub[0].toUpperCase()}${sub.slice(1)} of Acme`,
  preferred_username: sub,
  email: `${sub}@acme.example`,
  email_verified: true,
});

const SUCCESS = new Map([
  ["authorization_code", "code_exchanges"],
  ["refresh_token", "refreshes"],
  ["client_credentials", "client_credentials"],
  ["urn:ietf:params:oauth:grant-type:device_code", "device_tokens"],
]);

function counted(made, world) {
  made.on("grant.success", (ctx) => {
    const name = SUCCESS.get(ctx.oidc.params.grant_type);
    if (name) world.count(name);
  });
  made.on("grant.error", (_ctx, error) => {
    if (error.error === "invalid_grant") world.count("invalid_grants");
    if (error.error_detail === "refresh token already used") world.count("reuse_detections");
  });
  made.on("grant.revoked", () => world.count("grants_revoked"));
  made.on("server_error", (_ctx, error) => console.error(error));
}
