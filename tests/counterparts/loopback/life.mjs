// How a counterpart lives: it listens on 127.0.0.1 alone, says once that it is ready, and ends when whoever started it does.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Listens on loopback; gives the port. */
export function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server.address().port));
  });
}

/** Prints the one line on stdout that tests wait for. `ca_pem` is put into a file too; its path is `ca_file`. */
export function ready(line) {
  const directory = mkdtempSync(join(tmpdir(), "sluice-counterpart-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  const caFile = join(directory, "ca.pem");
  writeFileSync(caFile, line.ca_pem);
  process.stdout.write(`${JSON.stringify({ ready: true, ...line, ca_file: caFile })}\n`);
}

/** Ends the process on SIGTERM and SIGINT and, unless `keep`, when stdin does: a test that dies leaves nothing behind. */
export function endWithCaller(keep) {
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
  if (keep) return;
  process.stdin.on("end", () => process.exit(0)).on("error", () => process.exit(0));
  process.stdin.resume();
}

/** A request's body as a Buffer, at most `cap` bytes of it. */
export async function bodyOf(request, cap = 1 << 20) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > cap) throw new Error(`a body of more than ${cap} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Answers with JSON. */
export function answer(response, status, value, headers = {}) {
  const body = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...headers });
  response.end(body);
}
