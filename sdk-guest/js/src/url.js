// URL and URLSearchParams, as much of them as talking to an API takes: absolute http and https addresses.

const encode = (text) =>
  encodeURIComponent(String(text).toWellFormed())
    .replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%20/g, "+");

const decode = (text) => {
  const spaced = text.replace(/\+/g, " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
};

export class URLSearchParams {
  constructor(init = "") {
    this._pairs = [];
    this._changed = null;
    if (typeof init === "string") {
      for (const part of init.replace(/^\?/, "").split("&")) {
        if (part === "") continue;
        const at = part.indexOf("=");
        this._pairs.push(at < 0 ? [decode(part), ""] : [decode(part.slice(0, at)), decode(part.slice(at + 1))]);
      }
    } else {
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const [name, value] of pairs) this._pairs.push([String(name), String(value)]);
    }
  }

  get size() {
    return this._pairs.length;
  }

  append(name, value) {
    this._pairs.push([String(name), String(value)]);
    this._changed?.();
  }

  delete(name) {
    this._pairs = this._pairs.filter(([known]) => known !== name);
    this._changed?.();
  }

  get(name) {
    return this._pairs.find(([known]) => known === name)?.[1] ?? null;
  }

  getAll(name) {
    return this._pairs.filter(([known]) => known === name).map(([, value]) => value);
  }

  has(name) {
    return this._pairs.some(([known]) => known === name);
  }

  set(name, value) {
    const first = this._pairs.findIndex(([known]) => known === name);
    if (first < 0) {
      this.append(name, value);
      return;
    }
    this._pairs = this._pairs.filter(([known], at) => at <= first || known !== name);
    this._pairs[first] = [String(name), String(value)];
    this._changed?.();
  }

  sort() {
    this._pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this._changed?.();
  }

  forEach(callback) {
    for (const [name, value] of this._pairs) callback(value, name, this);
  }

  keys() {
    return this._pairs.map(([name]) => name)[Symbol.iterator]();
  }

  values() {
    return this._pairs.map(([, value]) => value)[Symbol.iterator]();
  }

  entries() {
    return this._pairs.map(([name, value]) => [name, value])[Symbol.iterator]();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toString() {
    return this._pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
  }
}

export class URL {
  constructor(text, base) {
    const found = parse(String(text)) ?? (base === undefined ? null : resolve(String(text), new URL(base)));
    if (!found) throw new TypeError(`not an absolute http or https URL: ${text}`);
    Object.assign(this, found);
    this.searchParams = new URLSearchParams(this._search);
    this.searchParams._changed = () => {
      this._search = this.searchParams.toString();
    };
  }

  static canParse(text, base) {
    try {
      return Boolean(new URL(text, base));
    } catch {
      return false;
    }
  }

  get host() {
    return this.port === "" ? this.hostname : `${this.hostname}:${this.port}`;
  }

  get origin() {
    return `${this.protocol}//${this.host}`;
  }

  get search() {
    return this._search === "" ? "" : `?${this._search}`;
  }

  set search(text) {
    this._search = String(text).replace(/^\?/, "");
    this.searchParams._pairs = new URLSearchParams(this._search)._pairs;
  }

  get href() {
    return `${this.origin}${this.pathname}${this.search}${this.hash}`;
  }

  toString() {
    return this.href;
  }

  toJSON() {
    return this.href;
  }
}

function parse(text) {
  const found = /^\s*(https?):\/\/([^/?#\s@]+?)(?::(\d{1,5}))?(\/[^?#]*)?(?:\?([^#]*))?(#.*)?\s*$/i.exec(text);
  if (!found) return null;
  const [, scheme, hostname, port = "", path = "/", search = "", hash = ""] = found;
  const protocol = `${scheme.toLowerCase()}:`;
  const usual = protocol === "https:" ? "443" : "80";
  return {
    protocol,
    hostname: hostname.toLowerCase(),
    port: port === usual ? "" : port,
    pathname: clean(path),
    _search: escaped(search),
    hash: hash === "#" ? "" : escaped(hash),
  };
}

function resolve(text, base) {
  if (text.startsWith("//")) return parse(base.protocol + text);
  if (text.startsWith("/")) return parse(base.origin + text);
  if (text.startsWith("?")) return parse(base.origin + base.pathname + text);
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return null;
  return parse(base.origin + base.pathname.replace(/[^/]*$/, "") + text);
}

/** Without `.` and `..` (RFC 3986 §5.2.4). */
function clean(path) {
  const parts = [];
  const all = escaped(path).split("/").slice(1);
  all.forEach((part, at) => {
    const last = at === all.length - 1;
    if (part === "..") {
      parts.pop();
      if (last) parts.push("");
    } else if (part === ".") {
      if (last) parts.push("");
    } else {
      parts.push(part);
    }
  });
  return `/${parts.join("/")}`;
}

const escaped = (text) => text.replace(/[^\x21-\x7e]|["<>`{}]/gu, (c) => encodeURIComponent(c));
