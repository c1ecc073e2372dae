// From a place in the bundle to the author's file and line. The build leaves its source map (version 3) at the end of the bundle;
// it is read only when something was thrown.

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Frames shown of a stack. */
const FRAMES = 12;

/** The first place of a stack that is the author's, and the whole stack with the author's files and lines. */
export function place(stack) {
  const map = globalThis.__sluice_map;
  const lines = [];
  let first = null;
  for (const frame of String(stack ?? "").split("\n")) {
    const found = /^\s*at (?:(.*?) \()?(.*?):(\d+):(\d+)\)?$/.exec(frame);
    if (!found) continue;
    const [, name, file, line, column] = found;
    const at = map ? original(map, Number(line) - 1, Number(column) - 1) : { file, line: Number(line) };
    if (!at) continue;
    const text = `${at.file}:${at.line}`;
    if (!first && !at.ours) first = name && name !== "<anonymous>" ? `${text} in ${name}` : text;
    if (lines.length < FRAMES && !at.ours) lines.push(`  at ${name || "<anonymous>"} (${text})`);
  }
  return { first, lines };
}

/** Where line and column of the bundle (both from 0) come from. */
function original(map, line, column) {
  map.decoded ??= decode(map.mappings);
  const segments = map.decoded[line];
  if (!segments) return null;
  // The last segment that begins at or before the column.
  let found = segments[0];
  for (const segment of segments) {
    if (segment[0] > column) break;
    found = segment;
  }
  if (!found) return null;
  return { file: map.sources[found[1]], line: found[2] + 1, ours: map.ours.includes(found[1]) };
}

/** Base64 VLQ, as the source map format has it: by line, segments of [column, source, source's line]. */
export function decode(mappings) {
  let [source, line] = [0, 0];
  return mappings.split(";").map((text) => {
    let column = 0;
    const segments = [];
    for (const segment of text.split(",")) {
      const numbers = vlq(segment);
      if (numbers.length === 0) continue;
      column += numbers[0];
      if (numbers.length < 4) continue;
      source += numbers[1];
      line += numbers[2];
      segments.push([column, source, line]);
    }
    return segments;
  });
}

function vlq(text) {
  const numbers = [];
  let [value, shift] = [0, 0];
  for (const digit of text) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return numbers;
}
