// GitHub's own library as the judge of signatures that we made (`Recipe::sign`, `sluice hook trigger`, the demo).
//
//   WEBHOOK_SECRET=… node verify.mjs < deliveries.ndjson
//
// Reads the lines that sign.mjs prints, or any with `headers` and `body_base64`; answers each with { delivery, verified } and
// ends with status 1 if one of them was refused.
import { createInterface } from "node:readline";
import { Webhooks } from "@octokit/webhooks";

const secret = process.env.WEBHOOK_SECRET;
if (!secret) {
  console.error("WEBHOOK_SECRET is not set: the signatures cannot be judged");
  process.exit(2);
}

const webhooks = new Webhooks({ secret });

for await (const line of createInterface({ input: process.stdin })) {
  const { headers, body_base64: body } = JSON.parse(line);
  const signature = headers["x-hub-signature-256"];
  const verified = Boolean(signature) && (await webhooks.verify(Buffer.from(body, "base64").toString("utf8"), signature));
  if (!verified) process.exitCode = 1;
  process.stdout.write(`${JSON.stringify({ delivery: headers["x-github-delivery"] ?? null, verified })}\n`);
}
