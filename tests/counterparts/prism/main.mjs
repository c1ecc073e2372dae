// Stoplight's Prism, which plays a vendor by its OpenAPI document: refuses what the document does not have, and requests without the
// credential that it names. In one process, so that it ends with whoever started it.
//
//   node prism/main.mjs DOCUMENT [--keep]
//
// Prints one line when it is ready; ends on SIGTERM or, unless --keep, when stdin does.
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { endWithCaller } from "../loopback/life.mjs";

// The parts that `prism mock` is made of, as its own package has them.
const cli = createRequire(createRequire(import.meta.url).resolve("@stoplight/prism-cli/package.json"));
const { createLogger } = cli("@stoplight/prism-core");
const { getHttpOperationsFromSpec } = cli("@stoplight/prism-http");
const { createServer } = cli("@stoplight/prism-http-server");

const { values: options, positionals } = parseArgs({
  options: { keep: { type: "boolean", default: false } },
  allowPositionals: true,
});
endWithCaller(options.keep);

const server = createServer(await getHttpOperationsFromSpec(positionals[0]), {
  cors: false,
  config: {
    isProxy: false,
    checkSecurity: true,
    errors: false,
    validateRequest: true,
    validateResponse: true,
    mock: { dynamic: false, ignoreExamples: false },
  },
  components: { logger: createLogger("prism", { enabled: false }) },
});
const port = Number(new URL(await server.listen(0, "127.0.0.1")).port);
// It has no control calls: what asks it is what it answers.
process.stdout.write(`${JSON.stringify({ ready: true, port, control_port: port })}\n`);
