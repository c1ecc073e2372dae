// Files of the connection: the host downloads them by the same road as every request and keeps them; the connector has a reference, to
// be put in a record. What was kept becomes durable with the call's outcome or not at all.

import { host } from "./host.js";
import { failure, toRequest, toResponse } from "./fetch.js";
import { ConfigError, TransientError, fromHttp, ok } from "./errors.js";

export const files = {
  /**
   * Downloads and keeps; gives the reference. `key`: the vendor's own id of the file; what is fetched again under it takes the place of
   * what was there. `owner`: the record it belongs to. A status other than 2xx throws what it means.
   */
  fetch(url, { key, name = key, owner = null, ...init }) {
    const request = toRequest(url, init);
    const into = { key, name, owner: owner && { streamName: owner.stream, id: String(owner.id) } };
    let fetched;
    try {
      fetched = host.files.fetch(request, into);
    } catch (thrown) {
      throw refusal(thrown, key);
    }
    if (fetched.tag === "file") return reference(fetched.val);
    const response = toResponse(fetched.val, request.url);
    ok(response);
    // 304 is no error, and no file either.
    throw new TransientError(`the vendor answered ${response.status}, which is no file`);
  },

  /** What is kept under the key, or undefined. */
  get(key) {
    const file = host.files.get(key);
    return file ? reference(file) : undefined;
  },

  /** Deleting what is not there succeeds. */
  delete(key) {
    try {
      host.files.delete(key);
    } catch (thrown) {
      throw refusal(thrown, key);
    }
  },
};

/** As the API tells of a file. */
function reference(file) {
  const { id, name, mediaType, size, sha256 } = file;
  return { id, name, media_type: mediaType, bytes: Number(size), sha256 };
}

function refusal(thrown, key) {
  const error = thrown?.payload ?? thrown;
  switch (error?.tag) {
    case "http":
      return fromHttp(error.val);
    case "too-large":
      return Number(error.val) === 0
        ? new ConfigError("not permitted: to keep files")
        : new ConfigError(`the file is larger than the ${error.val} bytes of the grant`);
    case "quota":
      return new ConfigError(`the files would be more than the ${error.val} bytes of the grant`);
    case "unavailable":
      return new TransientError(`the file is not kept: ${error.val}`);
    case "invalid-key":
      return new Error(`${JSON.stringify(key)} is no key of a file, or its owner is none`);
    default:
      return failure(thrown);
  }
}
