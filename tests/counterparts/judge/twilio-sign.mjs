// Twilio's own library signs webhooks and judges signatures (`X-Twilio-Signature`), of forms and of JSON bodies.
//
//   { auth_token, url, params }                 → { signature, url }  a form: `params` are its fields
//   { auth_token, url, body_base64 }            → { signature, url }  JSON: the url comes back with `bodySHA256`
//   { …, signature }                            → { verified }        judged; for JSON with the url as it was called
import twilio from "twilio";
import { bodyOf, lines } from "./lines.mjs";

await lines((asked) => {
  const { auth_token: token, params = {}, signature } = asked;
  const form = asked.body_base64 === undefined;
  if (signature) {
    const verified = form
      ? twilio.validateRequest(token, signature, asked.url, params)
      : twilio.validateRequestWithBody(token, signature, asked.url, bodyOf(asked).toString("utf8"));
    return { verified };
  }
  const url = new URL(asked.url);
  if (!form) url.searchParams.set("bodySHA256", twilio.getExpectedBodyHash(bodyOf(asked).toString("utf8")));
  const signed = form ? asked.url : url.href;
  return { signature: twilio.getExpectedTwilioSignature(token, signed, params), url: signed };
});
