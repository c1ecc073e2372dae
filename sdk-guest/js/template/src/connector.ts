// A connector to start from: one stream, read page by page along `Link` headers.

import { UnsupportedError, defineConnector, each, ok, upsert } from "sluice-sdk";

const API = "https://api.todo.example";

/** The user's configuration; it has passed the schema in connector.toml. */
interface Config {
  list: string;
}

export default defineConnector<Config>({
  async check() {
    const me = await ok(await fetch(`${API}/me`)).json();
    return { id: me.id, name: me.name };
  },

  async read({ config }, request) {
    if (request.stream !== "tasks") throw new UnsupportedError(`there is no stream \`${request.stream}\``);
    // The cursor is the address of the next page.
    const url = (request.cursor as string | null) ?? `${API}/lists/${config.list}/tasks?per_page=100`;
    const response = ok(await fetch(url), "/list");
    // `text` is the record as the vendor wrote it; `value` is parsed.
    const tasks = each<{ id: number; updated_at?: string }>(await response.text());
    const next = response.link("next");
    return {
      changes: tasks.map(({ value, text }) => upsert(value.id, text, value.updated_at)),
      cursor: next,
      more: next !== null,
    };
  },
});
