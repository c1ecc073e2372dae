// Key-value storage of the connection, values as JSON. Writes become durable with the call's outcome or not at all; a cursor
// belongs in the page, not here.

import { host } from "./host.js";
import { decodeUtf8, encodeUtf8 } from "./text.js";

/** Why something was not stored: `conflict` (another version is there), `quota` or `invalid-key`. */
export class StorageError extends Error {
  constructor(key, reason) {
    super(`could not store ${JSON.stringify(key)}: ${reason}`);
    this.name = "StorageError";
    this.reason = reason;
  }
}

function stored(key, run) {
  try {
    run();
  } catch (thrown) {
    const error = thrown?.payload ?? thrown;
    throw new StorageError(key, error?.tag ?? String(error));
  }
}

export const storage = {
  /** The value, or undefined. */
  get(key) {
    return storage.entry(key)?.value;
  },

  /** The value with its version, which counts the writes of the key; or undefined. */
  entry(key) {
    const entry = host.storage.get(key);
    return entry ? { value: JSON.parse(decodeUtf8(entry.value)), version: Number(entry.version) } : undefined;
  },

  /** `expect`: the version seen before (0: must not exist). */
  set(key, value, { expect } = {}) {
    stored(key, () => host.storage.set(key, encodeUtf8(JSON.stringify(value)), expect ?? null));
  },

  delete(key) {
    stored(key, () => host.storage.delete(key));
  },

  keys({ prefix = "", after, limit = 1000 } = {}) {
    return host.storage.listKeys(prefix, after ?? null, limit);
  },
};

/** The handle of a secret that the manifest names, or null; see the contract's `secrets`. */
export function secret(name) {
  return host.secrets.open(name);
}
