// A person in a real browser: opens a page, signs in at the provider, says yes or no, and comes back.
//
//   node browser/consent.mjs URL (--allow | --deny) --user NAME [--without SCOPE]… [--code USER_CODE] [--ca FILE]
//                            [--map HOST=127.0.0.1:PORT]… [--cookie NAME=VALUE] [--header NAME=VALUE] [--click SELECTOR]
//                            [--timeout-s 60] [--screenshot FILE]
//
// Prints one line: { finalUrl, title, text, status, visited }. `--ca` names the authority of a counterpart: chains that hold its
// key are taken for good, all others are judged as ever. `--map` is where a name is to be found, as [[broker.connect]] has it for
// the server. Ends with status 3 and what to install when there is no Chromium, with 1 when the journey does not end.
import { X509Certificate, createHash } from "node:crypto";
import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    allow: { type: "boolean", default: false },
    deny: { type: "boolean", default: false },
    user: { type: "string" },
    without: { type: "string", multiple: true, default: [] },
    code: { type: "string" },
    ca: { type: "string", multiple: true, default: [] },
    map: { type: "string", multiple: true, default: [] },
    cookie: { type: "string", multiple: true, default: [] },
    header: { type: "string", multiple: true, default: [] },
    click: { type: "string" },
    "timeout-s": { type: "string", default: "60" },
    screenshot: { type: "string" },
  },
});
const [url] = positionals;
if (!url || options.allow === options.deny || (options.allow && !options.user)) {
  console.error("usage: consent.mjs URL (--allow | --deny) --user NAME");
  process.exit(2);
}

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const executablePath = process.env.CHROMIUM || onPath(NAMES);
if (!executablePath) {
  console.error("no Chromium is installed and this test needs one: `apt-get install chromium`, or set CHROMIUM to its path");
  process.exit(3);
}

function onPath(names) {
  for (const name of names) {
    for (const directory of (process.env.PATH ?? "").split(delimiter)) {
      const path = join(directory, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // not here
      }
    }
  }
  return undefined;
}

/** The digest of a certificate's public key, as Chromium's flag wants it. */
function pin(file) {
  const spki = new X509Certificate(readFileSync(file)).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("base64");
}

const pairs = (list) => list.map((pair) => pair.split(/=(.*)/s, 2));
const patience = Number(options["timeout-s"]) * 1000;
const args = ["--disable-background-networking", "--disable-component-update", "--no-proxy-server"];
if (options.ca.length) args.push(`--ignore-certificate-errors-spki-list=${options.ca.map(pin).join(",")}`);
if (options.map.length) args.push(`--host-resolver-rules=${pairs(options.map).map(([host, at]) => `MAP ${host} ${at}`).join(",")}`);

const browser = await chromium.launch({
  executablePath,
  args,
  headless: true,
  chromiumSandbox: process.getuid?.() !== 0, // it refuses to run as root
  timeout: patience,
});
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => browser.close().finally(() => process.exit(1)));

const visited = [];
let page;
try {
  const context = await browser.newContext({ extraHTTPHeaders: Object.fromEntries(pairs(options.header)) });
  context.setDefaultTimeout(patience);
  await context.addCookies(pairs(options.cookie).map(([name, value]) => ({ name, value, url })));
  page = await context.newPage();
  let status = null;
  page.on("response", (response) => {
    if (response.request().isNavigationRequest() && response.frame() === page.mainFrame()) status = response.status();
  });
  page.on("framenavigated", (frame) => {
    if (frame === page.mainFrame()) visited.push(withoutQuery(frame.url()));
  });
  await page.goto(url, { waitUntil: "load" });
  if (options.click) await leave(page, options.click);
  await journey(page);
  if (options.screenshot) await page.screenshot({ path: options.screenshot, fullPage: true });
  const text = await page.locator("body").innerText();
  process.stdout.write(`${JSON.stringify({ finalUrl: page.url(), title: await page.title(), text, status, visited })}\n`);
} catch (error) {
  console.error(`the journey ended at ${page?.url()} after ${visited.join(" → ")}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}

/** Through the provider's pages until one of somebody else; each of them is met at most a few times. */
async function journey(page) {
  for (let steps = 0; steps < 12; steps += 1) {
    switch (await pageName(page)) {
      case "login":
        if (!options.user) await leave(page, "#cancel");
        else {
          await page.fill("input[name=user]", options.user);
          await leave(page, "#login");
        }
        break;
      case "consent":
        for (const scope of options.without) await page.locator(`input[name=scope][value="${scope}"]`).uncheck();
        await leave(page, options.allow ? "#allow" : "#deny");
        break;
      case "device-code":
        // After a refusal the provider shows this page again: then the journey is over.
        if (!options.code || visited.filter((at) => at === withoutQuery(page.url())).length > 1) return;
        await page.fill("input[name=user_code]", options.code);
        await leave(page, "#continue");
        break;
      case "device-confirm":
        await leave(page, options.allow ? "#continue" : "#abort");
        if (options.deny) return;
        break;
      case "submitting":
        await page.waitForFunction(() => document.title !== "Submitting Callback");
        await page.waitForLoadState("load");
        break;
      default:
        return;
    }
  }
  throw new Error("the provider's pages do not end");
}

/** What the counterpart says the page is; `submitting` is a form that posts itself (response_mode=form_post). */
function pageName(page) {
  return page.evaluate(() =>
    document.title === "Submitting Callback" ? "submitting" : (document.body?.dataset.page ?? null),
  );
}

/** Clicks, and waits until the next page is there. */
async function leave(page, selector) {
  await Promise.all([page.waitForEvent("framenavigated", (frame) => frame === page.mainFrame()), page.click(selector)]);
  await page.waitForLoadState("load");
}

function withoutQuery(address) {
  const { origin, pathname } = new URL(address);
  return origin === "null" ? address : `${origin}${pathname}`;
}
