// Every example payload of every event GitHub documents, signed by GitHub's own library.
//
//   WEBHOOK_SECRET=… node sign.mjs > deliveries.ndjson
//
// One JSON object a line: { event, action, delivery, headers, body_base64 }. `headers` are the ones GitHub sends, in lower case;
// the body is the exact bytes that were signed, so whoever posts a line must not parse and print it again.
// The same line has the same delivery id in every run: posting the output twice is redelivery, as GitHub does it.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { Webhooks } from "@octokit/webhooks";

const secret = process.env.WEBHOOK_SECRET;
if (!secret) {
  console.error("WEBHOOK_SECRET is not set: the payloads cannot be signed");
  process.exit(2);
}

// A reader that has seen enough (`| head -1`) is no failure.
process.stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 1));

/** A UUID made of what is delivered and where it stands, so that it is the same in every run. */
function deliveryId(event, index, body) {
  const hash = createHash("sha256").update(`${event}\0${index}\0${body}`).digest("hex");
  return [hash.slice(0, 8), hash.slice(8, 12), `5${hash.slice(13, 16)}`, `8${hash.slice(17, 20)}`, hash.slice(20, 32)].join("-");
}

const webhooks = new Webhooks({ secret });
const events = createRequire(import.meta.url)("@octokit/webhooks-examples");

for (const { name: event, examples } of events) {
  for (const [index, payload] of examples.entries()) {
    const body = JSON.stringify(payload);
    const delivery = deliveryId(event, index, body);
    const line = {
      event,
      action: payload.action ?? null,
      delivery,
      headers: {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/044aadd",
        "x-github-delivery": delivery,
        "x-github-event": event,
        "x-github-hook-id": "292430182",
        "x-github-hook-installation-target-id": "79929171",
        "x-github-hook-installation-target-type": "repository",
        "x-hub-signature-256": await webhooks.sign(body),
      },
      body_base64: Buffer.from(body).toString("base64"),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
