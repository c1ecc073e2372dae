// Slack's own library judges signatures of requests (`X-Slack-Signature`, `X-Slack-Request-Timestamp`). It has nothing that signs:
// here that is done by its documentation, and nothing is handed out that its verifier does not accept.
//
//   { secret, body_base64, timestamp }                 → { signature }       signed
//   { secret, body_base64, timestamp, signature, now } → { verified, error } judged as if it came at `now` (seconds)
import { createHmac } from "node:crypto";
import bolt from "@slack/bolt";
import { bodyOf, lines } from "./lines.mjs";

function judge({ secret, body, timestamp, signature, now }) {
  bolt.verifySlackRequest({
    signingSecret: secret,
    body,
    headers: { "x-slack-signature": signature, "x-slack-request-timestamp": timestamp },
    nowMilliseconds: now === undefined ? undefined : now * 1000,
  });
}

await lines((asked) => {
  const body = bodyOf(asked).toString("utf8");
  if (asked.signature) {
    judge({ ...asked, body });
    return { verified: true };
  }
  const hmac = createHmac("sha256", asked.secret).update(`v0:${asked.timestamp}:${body}`);
  const signature = `v0=${hmac.digest("hex")}`;
  judge({ ...asked, body, signature, now: asked.timestamp });
  return { signature };
});
