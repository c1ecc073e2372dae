// The host's functions, as the sandbox imports them. The build's entry puts them here; outside the sandbox `testing.js` does.

/** @type {Record<string, any>} */
export const host = {};

/** @param {Record<string, any>} imports */
export function use(imports) {
  Object.assign(host, imports);
}
