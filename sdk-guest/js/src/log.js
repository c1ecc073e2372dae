// The connector's voice in the run's log, and `console` for those who are used to it.

import { host } from "./host.js";

function write(level, message, fields) {
  const text = fields === undefined || fields === null ? null : JSON.stringify(fields);
  host.log.write(level, String(message), text ?? null);
}

export const log = {
  debug: (message, fields) => write("debug", message, fields),
  info: (message, fields) => write("info", message, fields),
  warn: (message, fields) => write("warn", message, fields),
  error: (message, fields) => write("error", message, fields),
};

export const metrics = {
  count: (name, by = 1) => host.metrics.count(name, by),
  gauge: (name, value) => host.metrics.gauge(name, value),
};

const shown = (values) =>
  values
    .map((value) => {
      if (typeof value === "string") return value;
      if (value instanceof Error) return `${value.name}: ${value.message}`;
      return JSON.stringify(value) ?? String(value);
    })
    .join(" ");

export const console = {
  debug: (...values) => log.debug(shown(values)),
  trace: (...values) => log.debug(shown(values)),
  log: (...values) => log.info(shown(values)),
  info: (...values) => log.info(shown(values)),
  warn: (...values) => log.warn(shown(values)),
  error: (...values) => log.error(shown(values)),
};
