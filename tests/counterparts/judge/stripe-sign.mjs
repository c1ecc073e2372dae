// Stripe's own library signs webhooks and judges signatures (`Stripe-Signature`).
//
//   { secret, body_base64, timestamp }                    → { signature }       signed
//   { secret, body_base64, signature, now, tolerance_s? } → { verified, error } judged as if it came at `now` (seconds)
import Stripe from "stripe";
import { bodyOf, lines } from "./lines.mjs";

const { webhooks } = new Stripe("sk_test_none"); // never sent: only the webhooks are used

await lines((asked) => {
  const payload = bodyOf(asked).toString("utf8");
  if (!asked.signature) return { signature: webhooks.generateTestHeaderString({ payload, secret: asked.secret, timestamp: asked.timestamp }) };
  const at = asked.now === undefined ? undefined : asked.now * 1000;
  webhooks.signature.verifyHeader(payload, asked.signature, asked.secret, asked.tolerance_s ?? 300, undefined, at);
  return { verified: true };
});
