// The JWT that GitHub's own library makes for a GitHub App, to hold ours against: the same header, claims of the same names and kinds.
//
//   { app_id, private_key } → { jwt, header, payload }     `private_key` in PEM (PKCS #8)
import { createAppAuth } from "@octokit/auth-app";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { lines } from "./lines.mjs";

await lines(async ({ app_id: appId, private_key: privateKey }) => {
  const { token } = await createAppAuth({ appId, privateKey })({ type: "app" });
  return { jwt: token, header: decodeProtectedHeader(token), payload: decodeJwt(token) };
});
