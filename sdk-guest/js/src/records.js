// Records: from a vendor's page to changes, with the vendor's own text of each record kept as it is. JSON.parse would round
// numbers above 2^53 and write 1.10 as 1.1; what is handed on is not parsed and written again.

import { InvalidDataError } from "./errors.js";

/** A record that is to be there: `data` is a value, or the text of a JSON object as it came. */
export function upsert(id, data, modified = null) {
  return { upsert: { id: idOf(id), data, modified: toTimestamp(modified) } };
}

/** A record that is gone at the vendor. */
export function remove(id) {
  return { delete: idOf(id) };
}

/** A number or a text; anything else is the empty id, and the host sets the record aside with the reason. */
function idOf(id) {
  return typeof id === "string" || typeof id === "bigint" || Number.isSafeInteger(id) ? String(id) : "";
}

/** Milliseconds since 1970 of a Date, an RFC 3339 text or a number of milliseconds; null for anything else. */
export function toTimestamp(time) {
  const ms = time instanceof Date ? time.getTime() : typeof time === "string" ? Date.parse(time) : time;
  return typeof ms === "number" && Number.isFinite(ms) && ms >= 0 ? Math.floor(ms) : null;
}

/** What in JSON matters for finding where a value ends. */
const MARK = /"(?:[^"\\]|\\.)*"|[[\]{},]/gs;

/**
 * The elements of a JSON array, each as `{ value, text }`: parsed, and as the vendor wrote it.
 *
 * @param {string} array
 */
export function each(array) {
  const found = [];
  MARK.lastIndex = 0;
  const open = MARK.exec(array);
  if (open?.[0] !== "[" || array.slice(0, open.index).trim() !== "") throw notAPage(array);
  let [depth, start] = [1, MARK.lastIndex];
  for (;;) {
    const mark = MARK.exec(array);
    if (!mark) throw notAPage(array);
    const symbol = mark[0];
    if (symbol === "[" || symbol === "{") depth += 1;
    else if (symbol === "]" || symbol === "}") depth -= 1;
    const ends = depth === 0 || (depth === 1 && symbol === ",");
    if (!ends) continue;
    const text = array.slice(start, mark.index).trim();
    start = MARK.lastIndex;
    if (text !== "" || depth > 0 || found.length > 0) found.push({ value: parsed(text), text });
    if (depth === 0) {
      if (symbol !== "]" || array.slice(start).trim() !== "") throw notAPage(array);
      return found;
    }
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidDataError(`the page is not a JSON array of records: ${error.message}`);
  }
}

function notAPage(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    return new InvalidDataError(`the page is not a JSON array of records: ${error.message}`);
  }
  return new InvalidDataError("the page is not a JSON array of records");
}
