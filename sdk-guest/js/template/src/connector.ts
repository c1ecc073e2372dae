// A connector to start from: one stream that is read page by page and from then on by what changed, written to, and told of by a
// webhook. What you do not need, leave out here and in connector.toml.

import { InvalidDataError, UnsupportedError, defineConnector, each, ok, remove, upsert } from "sluice-sdk";
import type { PendingWrite, WriteOutcome } from "sluice-sdk";

const API = "https://api.todo.example";

/** The user's configuration; it has passed the schema in connector.toml. */
interface Config {
  list: string;
}

/** The members of a task that matter here; the rest is handed on as it came. */
interface Task {
  id: number;
  updated_at?: string;
}

/** The newest change that was seen; and while there are more pages, the address of the next one. */
interface Cursor {
  since: string | null;
  next?: string;
}

export default defineConnector<Config>({
  async check() {
    const me = await ok(await fetch(`${API}/me`)).json();
    return { id: me.id, name: me.name };
  },

  async read({ config }, request) {
    if (request.stream !== "tasks") throw new UnsupportedError(`there is no stream \`${request.stream}\``);
    const cursor: Cursor = request.cursor ?? { since: null };
    const changed = cursor.since === null ? "" : `&updated_since=${encodeURIComponent(cursor.since)}`;
    const response = ok(await fetch(cursor.next ?? `${tasksOf(config)}?per_page=100${changed}`), "/list");
    // `text` is the record as the vendor wrote it; `value` is parsed.
    const tasks = each<Task>(await response.text());
    const times = tasks.map(({ value }) => value.updated_at ?? "").concat(cursor.since ?? "");
    // The times of one vendor sort as texts.
    const since = times.sort().at(-1) || null;
    const next = response.link("next");
    return {
      changes: tasks.map(({ value, text }) => upsert(value.id, text, value.updated_at)),
      cursor: next === null ? { since } : { since, next },
      more: next !== null,
    };
  },

  async write({ config }, stream, writes) {
    if (stream !== "tasks") throw new UnsupportedError(`the stream \`${stream}\` is not written to`);
    const outcomes: WriteOutcome[] = [];
    for (const write of writes) {
      // One that the vendor refuses does not take the others with it.
      outcomes.push(await written(tasksOf(config), write).catch((failed) => ({ failed })));
    }
    return outcomes;
  },

  // The host has verified, kept and answered it before this is called.
  handleWebhook(_, receipt) {
    const kind = receipt.headers.get("x-todo-event") ?? "";
    // What nobody declared is passed over.
    if (!["task.created", "task.updated", "task.removed"].includes(kind)) return {};
    const task: Task | undefined = receipt.json()?.task;
    if (!task?.id) throw new InvalidDataError("the webhook does not say which task it is about");
    const change = kind === "task.removed" ? remove(task.id) : upsert(task.id, task, task.updated_at);
    const id = receipt.headers.get("x-todo-delivery") ?? receipt.id;
    return { changes: [["tasks", change]], events: [{ kind, id, data: task, occurred: task.updated_at }] };
  },
});

function tasksOf({ list }: Config): string {
  return `${API}/lists/${encodeURIComponent(list)}/tasks`;
}

async function written(tasks: string, { create, update, delete: gone, idempotencyKey }: PendingWrite): Promise<WriteOutcome> {
  if (gone !== undefined) {
    const response = await fetch(`${tasks}/${encodeURIComponent(gone)}`, { method: "DELETE", idempotencyKey });
    // Gone already is gone, as it was to be.
    if (response.status !== 404) ok(response);
    return { done: { id: gone, data: {} } };
  }
  const response = await fetch(update ? `${tasks}/${encodeURIComponent(update.id)}` : tasks, {
    method: update ? "PATCH" : "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(update?.data ?? create),
    idempotencyKey,
  });
  const task: Task | null = await ok(response).json();
  if (!task?.id) throw new InvalidDataError("the vendor does not say which task it wrote");
  return { done: { id: task.id, data: task, modified: task.updated_at } };
}
