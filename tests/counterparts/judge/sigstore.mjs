// A sigstore of this process's own, by its maintainers' libraries: `@sigstore/mock` is the certificate authority, the certificate
// transparency log and the transparency log, `@sigstore/sign` is who signs, as in CI. No network: `nock` refuses whatever is not theirs.
//
//   { root: true } → { root }: the trusted root of this process, as sigstore writes it
//   { file, issuer, subject, logged?, age_s? } → { bundle }: the file, signed by that identity; without an entry of the log where
//   `logged` is false, and with a certificate that was issued `age_s` seconds before the entry
import { createHash, generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { bundleToJSON, toMessageSignatureBundle } from "@sigstore/bundle";
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from "@sigstore/mock";
import { FulcioSigner, MessageSignatureBundleBuilder, RekorWitness } from "@sigstore/sign";
import nock from "nock";
import { lines } from "./lines.mjs";

const REKOR = "https://rekor.acme.example";
const key = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const spki = ({ publicKey }) => publicKey.export({ format: "der", type: "spki" });
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const [authorityKey, certificatesKey, entriesKey] = [key(), key(), key()];
const authority = async (clock) => initializeCA(authorityKey, await initializeCTLog(certificatesKey, clock), clock);
const log = await initializeTLog(REKOR, entriesKey);

nock.disableNetConnect();
const play = (base, { path, fn }) =>
  nock(base).persist().post(path).reply(async (_, body) => {
    const { statusCode, response, contentType } = await fn(typeof body === "string" ? body : JSON.stringify(body));
    return [statusCode, response, { "content-type": contentType ?? "text/plain" }];
  });
play(REKOR, rekorHandler(log));

const since = { start: "2020-01-01T00:00:00Z" };
const ofLog = (pair, baseUrl) => ({
  baseUrl,
  hashAlgorithm: "SHA2_256",
  publicKey: { rawBytes: base64(spki(pair)), keyDetails: "PKIX_ECDSA_P256_SHA_256", validFor: since },
  logId: { keyId: createHash("sha256").update(spki(pair)).digest("base64") },
});
const root = {
  mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
  tlogs: [ofLog(entriesKey, REKOR)],
  certificateAuthorities: [
    {
      subject: { organization: "sigstore.mock", commonName: "sigstore" },
      uri: "https://fulcio.acme.example",
      certChain: { certificates: [{ rawBytes: base64((await authority()).rootCertificate) }] },
      validFor: since,
    },
  ],
  ctlogs: [ofLog(certificatesKey, "https://ctfe.acme.example")],
  timestampAuthorities: [],
};

// The authority believes any token; what it says is what the certificate says.
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const token = (iss, sub) => `${part({ alg: "none" })}.${part({ iss, sub, aud: "sigstore" })}.${part("")}`;

let authorities = 0;
await lines(async ({ root: wanted, file, issuer, subject, logged = true, age_s: age = 0 }) => {
  if (wanted) return { root };
  authorities += 1;
  const fulcioBaseURL = `https://fulcio-${authorities}.acme.example`;
  play(fulcioBaseURL, fulcioHandler(await authority(new Date(Date.now() - age * 1000))));
  const identityProvider = { getToken: async () => token(issuer, subject) };
  const signer = new FulcioSigner({ fulcioBaseURL, identityProvider });
  const witnesses = logged ? [new RekorWitness({ rekorBaseURL: REKOR })] : [];
  const builder = new MessageSignatureBundleBuilder({ signer, witnesses });
  const made = await builder.create({ data: await readFile(file) });
  // The builder makes version 0.2, with a chain of one certificate; cosign makes 0.3, with the certificate alone.
  const { messageDigest, signature } = made.content.messageSignature;
  const certificate = made.verificationMaterial.content.x509CertificateChain.certificates[0].rawBytes;
  const bundle = toMessageSignatureBundle({ digest: messageDigest.digest, signature, certificate, certificateChain: false });
  bundle.verificationMaterial.tlogEntries = made.verificationMaterial.tlogEntries;
  return { bundle: bundleToJSON(bundle) };
});
