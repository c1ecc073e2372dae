// How a judge is asked: one JSON object a line on stdin, one answer a line on stdout, in order, until stdin ends.
import { createInterface } from "node:readline";

/** `judge` may throw: then the answer is { verified: false, error }. */
export async function lines(judge) {
  process.stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 1));
  for await (const line of createInterface({ input: process.stdin })) {
    if (!line.trim()) continue;
    let verdict;
    try {
      verdict = await judge(JSON.parse(line));
    } catch (error) {
      verdict = { verified: false, error: error.message };
    }
    process.stdout.write(`${JSON.stringify(verdict)}\n`);
  }
}

/** The exact bytes that were or are to be signed. */
export const bodyOf = ({ body_base64: body }) => Buffer.from(body ?? "", "base64");
