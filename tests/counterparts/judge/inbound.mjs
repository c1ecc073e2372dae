// The vendors' own libraries sign the webhooks that we verify. Where a library only verifies, Node's crypto signs as the vendor's
// documentation says, and nothing is handed out that the library does not accept.
//
//   { vendors: true }               → { vendors: [{ vendor, system, secret, url_signed }] }   secrets are of this process
//   { vendor, url, now }            → { method, url, headers, body_base64 }                   `now` in seconds
import { createHmac, createSign, generateKeyPairSync, randomBytes, sign as signWith } from "node:crypto";
import { createRequire } from "node:module";
import { Webhooks } from "@octokit/webhooks";
import { EventWebhook } from "@sendgrid/eventwebhook";
import bolt from "@slack/bolt";
import { verifyKey } from "discord-interactions";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import twilio from "twilio";
import { lines } from "./lines.mjs";

// These three are CommonJS with names that Node does not find by itself.
const require = createRequire(import.meta.url);
const hubspot = require("@hubspot/api-client");
const braintree = require("braintree");
const jwt = require("atlassian-jwt");

const text = randomBytes(24).toString("hex");
const whsec = `whsec_${randomBytes(32).toString("base64")}`;
const ed = generateKeyPairSync("ed25519");
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const raw = ed.publicKey.export({ format: "jwk" }).x;
const spki = ec.publicKey.export({ format: "der", type: "spki" }).toString("base64");
const gateway = new braintree.BraintreeGateway({
  environment: braintree.Environment.Development,
  merchantId: "merchant",
  publicKey: "public_key",
  privateKey: text,
});

const json = (more) => ({ "content-type": "application/json", ...more });
const must = (verified) => {
  if (!verified) throw new Error("the vendor's library does not accept what was signed");
};

/** vendor → its recipe's name in docs/webhooks/vendors.md, the hook's secret, and what signs. */
const vendors = {
  stripe: ["Stripe", text, (_, now, body) => {
    const { webhooks } = new Stripe("sk_test_none");
    const signature = webhooks.generateTestHeaderString({ payload: body, secret: text, timestamp: now });
    return { headers: json({ "stripe-signature": signature }) };
  }],
  github: ["GitHub", text, async (_, __, body) => {
    return { headers: json({ "x-hub-signature-256": await new Webhooks({ secret: text }).sign(body) }) };
  }],
  svix: ["Resend", whsec, (_, now, body) => {
    const signature = new SvixWebhook(whsec).sign("msg_1", new Date(now * 1000), body);
    return { headers: json({ "svix-id": "msg_1", "svix-timestamp": `${now}`, "svix-signature": signature }) };
  }],
  standardwebhooks: ["Standard Webhooks", whsec, (_, now, body) => {
    const signature = new StandardWebhook(whsec).sign("msg_1", new Date(now * 1000), body);
    return { headers: json({ "webhook-id": "msg_1", "webhook-timestamp": `${now}`, "webhook-signature": signature }) };
  }],
  slack: ["Slack", text, (_, now, body) => {
    const signature = `v0=${createHmac("sha256", text).update(`v0:${now}:${body}`).digest("hex")}`;
    const headers = json({ "x-slack-signature": signature, "x-slack-request-timestamp": `${now}` });
    bolt.verifySlackRequest({ signingSecret: text, body, headers, nowMilliseconds: now * 1000 });
    return { headers };
  }],
  "twilio form": ["Twilio", text, (url) => {
    const params = { From: "+15005550006", To: "+15005550001", Body: "a & b = ç", NumMedia: "0", A: "" };
    const signature = twilio.getExpectedTwilioSignature(text, url, params);
    const headers = { "content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature };
    return { headers, body: new URLSearchParams(params).toString() };
  }],
  "twilio json": ["Twilio", text, (url, _, body) => {
    const signed = `${url}?bodySHA256=${twilio.getExpectedBodyHash(body)}`;
    return { url: signed, headers: json({ "x-twilio-signature": twilio.getExpectedTwilioSignature(text, signed, {}) }) };
  }],
  "hubspot 3": ["HubSpot", text, (url, now, body) => {
    const timestamp = now * 1000;
    const asked = { clientSecret: text, requestBody: body, url, timestamp };
    const signature = hubspot.Signature.getSignature("POST", "v3", asked);
    must(hubspot.Signature.isValid({ ...asked, method: "POST", signatureVersion: "v3", signature }));
    return { headers: json({ "x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": `${timestamp}` }) };
  }],
  "hubspot 2": ["HubSpot (version 2)", text, (url, _, body) => {
    const signature = hubspot.Signature.getSignature("POST", "v2", { clientSecret: text, requestBody: body, url });
    return { headers: json({ "x-hubspot-signature": signature }) };
  }],
  "hubspot 1": ["HubSpot (version 1)", text, (_, __, body) => {
    const signature = hubspot.Signature.getSignature("POST", "v1", { clientSecret: text, requestBody: body });
    return { headers: json({ "x-hubspot-signature": signature }) };
  }],
  discord: ["Discord", Buffer.from(raw, "base64url").toString("hex"), async (_, now, body) => {
    const signature = signWith(null, Buffer.from(`${now}${body}`), ed.privateKey).toString("hex");
    must(await verifyKey(body, signature, `${now}`, Buffer.from(raw, "base64url").toString("hex")));
    return { headers: json({ "x-signature-ed25519": signature, "x-signature-timestamp": `${now}` }) };
  }],
  sendgrid: ["SendGrid", spki, (_, now, body) => {
    const signature = createSign("sha256").update(`${now}${body}`).sign(ec.privateKey, "base64");
    const library = new EventWebhook();
    must(library.verifySignature(library.convertPublicKeyToECDSA(spki), body, signature, `${now}`));
    const name = "x-twilio-email-event-webhook";
    return { headers: json({ [`${name}-signature`]: signature, [`${name}-timestamp`]: `${now}` }) };
  }],
  braintree: ["Braintree", `public_key:${text}`, async () => {
    const kind = braintree.WebhookNotification.Kind.SubscriptionWentPastDue;
    const sample = await gateway.webhookTesting.sampleNotification(kind, "sub_1");
    const { bt_signature, bt_payload } = sample;
    const parsed = await gateway.webhookNotification.parse(bt_signature, bt_payload);
    must(parsed.kind === kind);
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return { headers, body: new URLSearchParams({ bt_signature, bt_payload }).toString() };
  }],
  "atlassian connect": ["Jira (Connect)", `client-key:${text}`, (url, now) => {
    const signed = `${url}?user_id=a%20b&expand=z,y&expand=a`;
    const asked = jwt.fromMethodAndUrl("POST", new URL(signed).pathname + new URL(signed).search);
    const qsh = jwt.createQueryStringHash(asked, false);
    const claims = { iss: "client-key", iat: now, exp: now + 180, qsh };
    return { url: signed, headers: json({ authorization: `JWT ${jwt.encodeSymmetric(claims, text)}` }) };
  }],
};

await lines(async (asked) => {
  if (asked.vendors) {
    return { vendors: Object.entries(vendors).map(([vendor, [system, secret]]) => ({ vendor, system, secret })) };
  }
  const body = JSON.stringify({ id: `evt_${asked.vendor}`, text: "ü — </script> \u2028", number: 1.5 });
  const made = await vendors[asked.vendor][2](asked.url, asked.now, body);
  return {
    method: "POST",
    url: made.url ?? asked.url,
    headers: Object.entries(made.headers),
    body_base64: Buffer.from(made.body ?? body).toString("base64"),
  };
});
