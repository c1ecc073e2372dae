// The reference library of Standard Webhooks and Svix's own judge what we deliver; Ed25519, which neither verifies in JavaScript, is
// judged by Node's crypto over what the specification says is signed.
//
//   { key: "whsec_…", id, timestamp, signature, body_base64 } → { standardwebhooks: true, svix: true }
//   { key: "whpk_…", … }                                      → { ed25519: true }
// What is not believed is { verified: false, error }.
import { createPublicKey, verify } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { bodyOf, lines } from "./lines.mjs";

function ed25519({ key, id, timestamp, signature }, body) {
  const raw = Buffer.from(key.slice("whpk_".length), "base64");
  const jwk = { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") };
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const candidates = signature.split(" ").filter((one) => one.startsWith("v1a,"));
  const good = candidates.some((one) =>
    verify(null, content, createPublicKey({ key: jwk, format: "jwk" }), Buffer.from(one.slice(4), "base64")),
  );
  if (!good) throw new Error("no signature is the key's");
  return { ed25519: true };
}

await lines((asked) => {
  const body = bodyOf(asked);
  if (asked.key.startsWith("whpk_")) return ed25519(asked, body);
  const { id, timestamp, signature } = asked;
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
  new Webhook(asked.key).verify(body.toString("utf8"), headers);
  new Svix(asked.key).verify(body.toString("utf8"), headers);
  return { standardwebhooks: true, svix: true };
});
