#!/usr/bin/env node
// Makes a connector: bundles the entry with the SDK, makes the component and puts connector.toml into it.
//
//   sluice-build [DIRECTORY] [--out FILE] [--no-manifest]
//
// DIRECTORY (by default the current one) holds connector.toml and src/connector.ts or src/connector.js. Without `--out` the
// component is written to DIRECTORY/dist/<id>.wasm.

import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { place } from "./src/place.js";

const SDK = path.dirname(fileURLToPath(import.meta.url));
const HOST = "sluice:connector/";
const CONTRACT = "0.1";
const IMPORTS = ["http", "files", "storage", "secrets", "log", "metrics"];

const tools = await load();
const given = parse(process.argv.slice(2));
await build(given).catch((error) => stop(error.message));

/** The two packages that do the work; without them the one thing to do is named. */
async function load() {
  try {
    const [{ rolldown }, { componentize }] = await Promise.all([import("rolldown"), import("componentize-qjs")]);
    return { rolldown, componentize };
  } catch (error) {
    stop(`${error.message.split("\n")[0]}\nthe SDK's packages are not installed: npm ci --prefix ${path.relative("", SDK) || "."}`);
  }
}

function parse(words) {
  const options = { directory: ".", out: null, manifest: true };
  while (words.length > 0) {
    const word = words.shift();
    if (word === "--out") options.out = words.shift() ?? stop("`--out` wants a file after it");
    else if (word === "--no-manifest") options.manifest = false;
    else if (word.startsWith("-")) stop(`\`${word}\` is not known here; usage: sluice-build [DIRECTORY] [--out FILE] [--no-manifest]`);
    else options.directory = word;
  }
  return options;
}

async function build({ directory, out, manifest: embedded }) {
  const root = path.resolve(directory);
  const manifestFile = path.join(root, "connector.toml");
  if (!fs.existsSync(manifestFile)) stop(`${manifestFile} is missing: it says what the connector offers and asks for`);
  const manifest = fs.readFileSync(manifestFile);
  const id = /^id\s*=\s*"([^"]+)"/m.exec(manifest.toString().split(/^\[/m)[0])?.[1];
  if (!id) stop(`${manifestFile} has no \`id\` before its first table`);
  const names = ["src/connector.ts", "src/connector.js"];
  const entry = names.map((name) => path.join(root, name)).find((file) => fs.existsSync(file));
  if (!entry) stop(`${root} holds neither of ${names.join(" and ")}`);

  const { source, map } = await bundle(root, entry);
  const options = { witPath: contract(), jsSource: source, world: "connector", sync: true };
  const { component } = await tools.componentize(options).catch((error) => {
    // Modules are run once while building: what they throw is the author's, with the author's line.
    globalThis.__sluice_map = map;
    const { first, lines } = place(error.message);
    const said = error.message.split("\n")[0].replace(/^.*module evaluation: /, "");
    stop([first ? `${said} at ${first}, while the module was loaded` : said, ...lines].join("\n"));
  });
  const bytes = embedded ? embed(component, manifest) : component;
  const file = path.resolve(out ?? path.join(root, "dist", `${id}.wasm`));
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.partial`, bytes);
  fs.renameSync(`${file}.partial`, file);
  console.log(`${path.relative("", file)} (${Math.round(bytes.length / 1024)} KiB)`);
}

/** One module with everything in it but the host, and its source map for whoever reads a stack. */
async function bundle(root, entry) {
  const virtual = "\0sluice:entry";
  const asynchronous = path.join(SDK, "src/promise.js");
  const made = await tools.rolldown({
    input: virtual,
    cwd: root,
    treeshake: true,
    // Nothing is waited for inside: `async` functions become generators that the SDK runs to their end.
    transform: { target: "es2016" },
    plugins: [
      {
        name: "sluice",
        resolveId(name) {
          if (name === virtual) return virtual;
          if (name.startsWith(HOST)) return { id: name, external: true };
          if (name === "sluice-sdk") return path.join(SDK, "src/index.js");
          if (name === "sluice-sdk/expose") return path.join(SDK, "src/expose.js");
          return null;
        },
        // The bundler's own helper goes one frame deeper with every await.
        transform(code, name) {
          if (!/[\\/]helpers[\\/](esm[\\/])?asyncToGenerator\.js$/.test(name)) return null;
          return `export { default } from ${JSON.stringify(asynchronous)};`;
        },
        load(name) {
          if (name !== virtual) return null;
          const imports = IMPORTS.map((one) => `import ${one} from "${HOST}${one}@${CONTRACT}.0";`);
          return [
            'import { expose } from "sluice-sdk/expose";',
            ...imports,
            `import connector from ${JSON.stringify(entry)};`,
            `export const { auth, sync, webhook, actions } = expose(connector, { ${IMPORTS.join(", ")} });`,
          ].join("\n");
        },
      },
    ],
    onLog(level, log, otherwise) {
      if (level === "warn" && log.code === "UNRESOLVED_IMPORT") stop(log.message);
      otherwise(level, log);
    },
  });
  const { output } = await made.generate({ format: "esm", sourcemap: true, minify: false, codeSplitting: false });
  await made.close();
  const [{ code, map }] = output;
  const bundled = code.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");
  // As the author names them: from the connector's directory, without this machine's paths. What the author did not write is marked.
  const real = map.sources.map((file) => path.resolve(root, "dist", file));
  const sources = real.map((file) => path.relative(root, file).split(path.sep).join("/"));
  const authors = (file) => !file.includes("\0") && !file.startsWith(path.join(SDK, "src") + path.sep);
  const ours = real.flatMap((file, number) => (authors(file) ? [] : [number]));
  const found = { sources, ours, mappings: map.mappings };
  return { source: `${bundled}globalThis.__sluice_map = ${JSON.stringify(found)};\n`, map: found };
}

/** The contract: beside the SDK in a project of its own, in the checkout otherwise. */
function contract() {
  const found = ["wit", "../../wit"].map((room) => path.join(SDK, room, CONTRACT)).find((room) => fs.existsSync(room));
  return found ?? stop(`the contract (wit/${CONTRACT}) is not beside the SDK`);
}

/** `manifest` as the component's last section: the exact bytes, under the name that the host looks for. */
function embed(component, manifest) {
  const name = Buffer.from("sluice:manifest");
  const content = Buffer.concat([leb128(name.length), name, manifest]);
  return Buffer.concat([component, Buffer.from([0]), leb128(content.length), content]);
}

function leb128(number) {
  const bytes = [];
  let rest = number;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return Buffer.from([...bytes, rest]);
}

function stop(message) {
  console.error(`sluice-build: ${message}`);
  process.exit(1);
}
