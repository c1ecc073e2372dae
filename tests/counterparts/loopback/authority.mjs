// An authority of its own for every start: a CA that signs one server certificate, both gone with the process.
//
// P-256 keys made by Node; @peculiar/x509 writes the certificates. The chain that is served ends in the CA itself, so that a
// browser can be told to trust exactly this key (see browser/consent.mjs).
import "reflect-metadata"; // what @peculiar/x509 is built on
import { isIP } from "node:net";
import { KeyObject, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

x509.cryptoProvider.set(webcrypto);

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** `{ caPem, certPem, keyPem }` for a server that answers for `hosts`, names and addresses. */
export async function authority(hosts) {
  const notBefore = new Date(Date.now() - 24 * 3600 * 1000);
  const notAfter = new Date(Date.now() + 7 * 24 * 3600 * 1000);
  const span = { notBefore, notAfter, signingAlgorithm: ALGORITHM };
  const keys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const [caKeys, serverKeys] = [await keys(), await keys()];

  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...span,
    serialNumber: "01",
    name: "CN=Sluice counterpart authority",
    keys: caKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  const server = await x509.X509CertificateGenerator.create({
    ...span,
    serialNumber: "02",
    subject: "CN=Sluice counterpart",
    issuer: ca.subject,
    publicKey: serverKeys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        [...new Set(hosts)].map((value) => ({ type: isIP(value) ? "ip" : "dns", value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });

  const caPem = `${ca.toString("pem")}\n`;
  const keyPem = KeyObject.from(serverKeys.privateKey).export({ type: "pkcs8", format: "pem" });
  return { caPem, certPem: `${server.toString("pem")}\n${caPem}`, keyPem };
}
