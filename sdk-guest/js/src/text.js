// UTF-8, which the engine does not bring. Native pieces do most of the work: a page of records has half a million bytes.

const CHUNK = 8192;

export function encodeUtf8(text) {
  const wide = unescape(encodeURIComponent(String(text).toWellFormed()));
  const bytes = new Uint8Array(wide.length);
  for (let at = 0; at < wide.length; at += 1) bytes[at] = wide.charCodeAt(at);
  return bytes;
}

/** Malformed parts become U+FFFD, or throw if `fatal`. */
export function decodeUtf8(bytes, fatal = false) {
  let wide = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    wide += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK));
  }
  return wide.replace(/[\x80-\xff]+/g, (run) => {
    try {
      return decodeURIComponent(escape(run));
    } catch (error) {
      if (fatal) throw new TypeError("not UTF-8");
      return repaired(run);
    }
  });
}

/** Sequence by sequence. */
function repaired(run) {
  let text = "";
  let at = 0;
  while (at < run.length) {
    const lead = run.charCodeAt(at);
    const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
    try {
      text += decodeURIComponent(escape(run.slice(at, at + length)));
      at += length;
    } catch {
      text += "\ufffd";
      at += 1;
    }
  }
  return text;
}

export class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(text = "") {
    return encodeUtf8(text);
  }
}

export class TextDecoder {
  constructor(label = "utf-8", options = {}) {
    if (!/^\s*utf-?8\s*$/i.test(label)) throw new RangeError(`only UTF-8 is decoded here, not ${label}`);
    this.fatal = options.fatal === true;
  }

  get encoding() {
    return "utf-8";
  }

  decode(source = new Uint8Array()) {
    const bytes = source instanceof Uint8Array ? source : new Uint8Array(source.buffer ?? source);
    return decodeUtf8(bytes, this.fatal).replace(/^\ufeff/, "");
  }
}
