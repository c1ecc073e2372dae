/** The sandbox played by Node. Import it before the connector. */

import type { Connection, ReadRequest } from "./index.js";

export interface Sent {
  method: string;
  url: string;
  headers: [string, string][];
  body: Uint8Array | null;
}
export interface Answer {
  status: number;
  headers: [string, string][];
  body: Uint8Array;
}

/** The requests since `serve`, in order. */
export const requests: Sent[];
/** The log lines since `serve`. */
export const lines: { level: string; message: string; fields: string | null }[];
/** Lets `vendor` answer requests from now on. */
export function serve(vendor: (request: Sent) => Answer): void;
/** An answer for `serve`; a body that is no text is written as JSON. */
export function answer(status: number, body?: unknown, headers?: { [name: string]: string }): Answer;
/** A connection with this configuration. */
export function connection<Config = any>(config?: Config): Connection<Config>;
/** A request for the first page of a stream, or for the one after `cursor`. */
export function readRequest(stream: string, cursor?: unknown): ReadRequest;
