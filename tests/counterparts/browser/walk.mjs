// A person without a browser, for the many tests that are about what comes after: walks through the provider's pages with plain
// requests, and stops before the first address that is somebody else's. `consent.mjs` is the same person in a real browser.
//
//   node browser/walk.mjs --at HOST=127.0.0.1:PORT --ca FILE
//
// A line on stdin: { url, user, allow, without?: [SCOPE], code? }; the answer: { location } as the browser would be sent to it, or
// { page, text } where the journey ends on a page of the provider, or { error }. Each line is a person of their own.
import https from "node:https";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { lines } from "../judge/lines.mjs";

const { values: options } = parseArgs({ options: { at: { type: "string" }, ca: { type: "string" } } });
const [host, port] = options.at.split("=")[1].split(":");
const provider = options.at.split("=")[0];
const agent = new https.Agent({ ca: readFileSync(options.ca), keepAlive: false });

/** One request at the provider, with the person's cookies. */
function ask(cookies, url, form) {
  const body = form && new URLSearchParams(form).toString();
  const headers = { host: provider, cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") };
  if (body) Object.assign(headers, { "content-type": "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(body) });
  return new Promise((resolve, reject) => {
    const options = { agent, host, port, servername: provider, path: `${url.pathname}${url.search}`, headers };
    const request = https.request({ ...options, method: body === undefined ? "GET" : "POST" }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk)).on("error", reject);
      response.on("end", () => {
        for (const cookie of response.headers["set-cookie"] ?? []) keep(cookies, cookie);
        resolve({ status: response.statusCode, location: response.headers.location, text: Buffer.concat(chunks).toString() });
      });
    });
    request.on("error", reject).end(body);
  });
}

function keep(cookies, cookie) {
  const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
  if (value) cookies.set(name, value);
  else cookies.delete(name);
}

const attribute = (tag, name) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];

/** The form that holds, or is named by, the button with this id; its hidden fields are filled as they are. */
function formOf(text, button) {
  const forms = [...text.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/g)].map(([all]) => all);
  const tag = new RegExp(`<button\\b[^>]*id="${button}"[^>]*>`).exec(text)?.[0];
  const named = tag && attribute(tag, "form");
  const form = forms.find((all) => (named ? attribute(all, "id") === named : tag && all.includes(tag)));
  if (!form) throw new Error(`no button ${button} on the page: ${text}`);
  const fields = [...form.matchAll(/<input\b[^>]*type="hidden"[^>]*>/g)].map(([input]) => [attribute(input, "name"), attribute(input, "value") ?? ""]);
  if (named && attribute(tag, "name")) fields.push([attribute(tag, "name"), attribute(tag, "value")]);
  return { action: attribute(form, "action"), fields };
}

/** What the person does on a page: a button, and what is typed. */
function decision(name, text, wish) {
  switch (name) {
    case "login":
      return ["login", [["user", wish.user]]];
    case "consent": {
      const asked = [...text.matchAll(/name="scope" value="([^"]*)"/g)].map(([, scope]) => scope);
      const given = asked.filter((scope) => !(wish.without ?? []).includes(scope));
      return wish.allow ? ["allow", given.map((scope) => ["scope", scope])] : ["deny", []];
    }
    case "device-code":
      return ["continue", [["user_code", wish.code ?? ""]]];
    case "device-confirm":
      return [wish.allow ? "continue" : "abort", []];
    default:
      return undefined;
  }
}

await lines(async (wish) => {
  const cookies = new Map();
  let url = new URL(wish.url);
  let answer = await ask(cookies, url);
  for (let steps = 0; steps < 30; steps += 1) {
    if (answer.location) {
      const next = new URL(answer.location, url);
      if (next.hostname !== provider) return { location: next.href };
      url = next;
      answer = await ask(cookies, url);
      continue;
    }
    const name = /data-page="([^"]*)"/.exec(answer.text)?.[1];
    const decided = decision(name, answer.text, wish);
    const seen = steps > 0 && name === "device-code" && wish.typed;
    if (!decided || seen) return { page: name ?? null, status: answer.status, text: answer.text };
    wish.typed = name === "device-code";
    const { action, fields } = formOf(answer.text, decided[0]);
    url = new URL(action, url);
    answer = await ask(cookies, url, [...fields, ...decided[1]]);
  }
  throw new Error("the provider's pages do not end");
});
