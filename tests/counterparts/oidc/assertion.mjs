// The JWT bearer grant (RFC 7523 §2.1) as Google's token endpoint does it for service accounts: no client speaks, the assertion
// alone counts. `jose` judges it; the rules beside the signature are the vendor's.
import { importSPKI, jwtVerify } from "jose";
import { answer } from "../loopback/life.mjs";

export const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const LONGEST_S = 3600;

export async function assertion(provider, world, tokenUrl, params, response) {
  try {
    const issuer = JSON.parse(Buffer.from(params.assertion.split(".")[1], "base64url")).iss;
    const pem = world.serviceAccounts.get(issuer);
    if (!pem) throw new Error(`no service account ${issuer}`);
    const { payload } = await jwtVerify(params.assertion, await importSPKI(pem, "RS256"), {
      algorithms: ["RS256"],
      issuer,
      audience: tokenUrl,
      requiredClaims: ["iat", "exp"],
      maxTokenAge: LONGEST_S,
      clockTolerance: 5,
    });
    if (payload.exp - payload.iat > LONGEST_S) throw new Error("the assertion lives longer than an hour");
    const client = await provider.Client.find("sluice");
    const token = new provider.ClientCredentials({ client, scope: payload.scope ?? params.scope });
    const value = await token.save();
    world.issue("access_token", value);
    world.count("assertions");
    answer(response, 200, { access_token: value, token_type: "Bearer", expires_in: token.expiration }, { "cache-control": "no-store" });
  } catch (error) {
    world.count("invalid_grants");
    answer(response, 400, { error: "invalid_grant", error_description: error.message });
  }
}
