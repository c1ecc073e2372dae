// `jose` judges JWTs that we signed (service accounts, GitHub App, private_key_jwt).
//
//   { jwt, public_key | secret, algorithms?, issuer?, audience?, now? } → { verified, header, payload } or { verified: false, error }
//
// `public_key` is SPKI in PEM, `secret` is for HS256; `algorithms` are ["RS256"] unless given; `now` is in seconds. `exp` and `nbf` are
// judged whenever they are there.
import { importSPKI, jwtVerify } from "jose";
import { lines } from "./lines.mjs";

await lines(async ({ jwt, public_key: pem, secret, algorithms = ["RS256"], issuer, audience, now }) => {
  const key = pem ? await importSPKI(pem, algorithms[0]) : new TextEncoder().encode(secret);
  const currentDate = now === undefined ? undefined : new Date(now * 1000);
  const { payload, protectedHeader: header } = await jwtVerify(jwt, key, { algorithms, issuer, audience, currentDate });
  return { verified: true, header, payload };
});
