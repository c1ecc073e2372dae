// The SDK's door. `index.d.ts` says what everything is.

export {
  AuthError,
  ConfigError,
  ConnectorError,
  InvalidDataError,
  RateLimitedError,
  TransientError,
  UnsupportedError,
  ok,
} from "./errors.js";
export { fetchAll, open, presign } from "./fetch.js";
export { files } from "./files.js";
export { host } from "./host.js";
export { log, metrics } from "./log.js";
export { each, remove, upsert } from "./records.js";
export { StorageError, secret, storage } from "./storage.js";

/** Says what a connector is to the type checker; it changes nothing. */
export function defineConnector(connector) {
  return connector;
}
