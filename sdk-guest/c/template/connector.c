/* A connector to start from: one stream that is read page by page and from then on by what changed, written to, and told of by a
 * webhook. What you do not need, leave out here and in connector.toml. */

#include <sluice.h>

#define API "https://api.todo.example"

static bool get(sl_str url, sl_response *response, const char *blame, sl_error *error) {
  sl_request request = {.url = url};
  return sl_send(&request, response, error) && sl_ok(response, blame, error);
}

static bool check(const sl_connection *connection, sl_account *account, sl_error *error) {
  (void)connection;
  sl_response me;
  if (!get(SL(API "/me"), &me, NULL, error)) return false;
  account->id = sl_json_id(sl_member(me.body, "id"));
  if (sl_json_text(sl_member(me.body, "name"), &account->name)) return true;
  return sl_fail(error, SL_INVALID_DATA, NULL, "the vendor does not say who it is");
}

static bool tasks_of(const sl_connection *connection, sl_str *url, sl_error *error) {
  sl_str list;
  if (!sl_json_text(sl_member(connection->config, "list"), &list)) return SL_BUG(error, "the configuration has no list");
  *url = sl_format(API "/lists/%.*s/tasks", SL_ARG(sl_encode(list)));
  return true;
}

/* When the vendor says that it was changed; empty where it does not say. */
static sl_str changed_of(sl_str task) {
  sl_str changed = {0};
  sl_json_text(sl_member(task, "updated_at"), &changed);
  return changed;
}

/* As JSON: the newest change that was seen; and while there are more pages, the address of the next one. */
static sl_str cursor_of(sl_str since, sl_str next) {
  sl_buf cursor = {0};
  sl_put(&cursor, SL("{\"since\":"));
  if (since.len > 0) sl_put_json(&cursor, since);
  else sl_put(&cursor, SL("null"));
  if (next.len > 0) {
    sl_put(&cursor, SL(",\"next\":"));
    sl_put_json(&cursor, next);
  }
  sl_put(&cursor, SL("}"));
  return sl_text(&cursor);
}

static bool read_page(const sl_connection *connection, const sl_read_request *request, sl_page *page, sl_error *error) {
  if (!sl_eq(request->stream, SL("tasks"))) {
    return sl_fail(error, SL_UNSUPPORTED, NULL, "there is no stream `%.*s`", SL_ARG(request->stream));
  }
  sl_str url, since = {0};
  sl_json_text(sl_member(request->cursor, "since"), &since);
  if (!sl_json_text(sl_member(request->cursor, "next"), &url)) {
    if (!tasks_of(connection, &url, error)) return false;
    url = sl_format("%.*s?per_page=100", SL_ARG(url));
    if (since.len > 0) url = sl_format("%.*s&updated_since=%.*s", SL_ARG(url), SL_ARG(sl_encode(since)));
  }
  sl_response response;
  if (!get(url, &response, "/list", error)) return false;

  sl_walk tasks = sl_walk_of(response.body);
  while (sl_next(&tasks)) {
    sl_str changed = changed_of(tasks.value);
    /* The times of one vendor sort as texts. */
    if (sl_compare(changed, since) > 0) since = changed;
    /* The record is handed on as the vendor wrote it. */
    sl_upsert(page, sl_json_id(sl_member(tasks.value, "id")), tasks.value, sl_time(changed));
  }
  if (tasks.broken) return sl_fail(error, SL_INVALID_DATA, NULL, "the page is not a JSON array of tasks");

  sl_str next = sl_link(&response, "next");
  page->more = next.len > 0;
  page->cursor = cursor_of(since, next);
  return true;
}

static bool write_task(const sl_connection *connection, sl_str stream, const sl_write *write, sl_written *written, sl_error *error) {
  if (!sl_eq(stream, SL("tasks"))) {
    return sl_fail(error, SL_UNSUPPORTED, NULL, "the stream `%.*s` is not written to", SL_ARG(stream));
  }
  static const char *const METHODS[] = {[SL_CREATE] = "POST", [SL_UPDATE] = "PATCH", [SL_DELETE] = "DELETE"};
  const sl_header headers[] = {{SL("content-type"), SL("application/json")}};
  sl_request request = {.method = METHODS[write->op], .idempotency_key = sl_format("%.*s", SL_ARG(write->idempotency_key)).ptr};
  if (!tasks_of(connection, &request.url, error)) return false;
  if (write->op != SL_CREATE) request.url = sl_format("%.*s/%.*s", SL_ARG(request.url), SL_ARG(sl_encode(write->id)));
  if (write->op != SL_DELETE) {
    request.headers = headers;
    request.header_count = 1;
    request.body = write->data;
  }
  sl_response response;
  if (!sl_send(&request, &response, error)) return false;
  if (write->op == SL_DELETE && response.status == 404) return true; /* It is gone, as it was to be. */
  if (!sl_ok(&response, NULL, error)) return false;
  if (write->op == SL_DELETE) return true;
  written->id = sl_json_id(sl_member(response.body, "id"));
  written->data = response.body;
  written->modified = sl_time(changed_of(response.body));
  if (sl_json_valid(response.body) && written->id.len > 0) return true;
  return sl_fail(error, SL_INVALID_DATA, NULL, "the vendor does not say which task it wrote");
}

/* The host has verified, kept and answered it before this is called. */
static bool handle(const sl_connection *connection, const sl_receipt *receipt, sl_handled *handled, sl_error *error) {
  (void)connection;
  sl_str kind = sl_receipt_header(receipt, "x-todo-event");
  bool gone = sl_eq(kind, SL("task.removed"));
  bool known = gone || sl_eq(kind, SL("task.created")) || sl_eq(kind, SL("task.updated"));
  if (!known) return true; /* What nobody declared is passed over. */
  sl_str task = sl_member(receipt->body, "task"), id = sl_json_id(sl_member(task, "id"));
  if (!sl_json_valid(receipt->body) || id.len == 0) {
    return sl_fail(error, SL_INVALID_DATA, NULL, "the webhook does not say which task it is about");
  }
  int64_t changed = sl_time(changed_of(task));
  if (gone) sl_told_remove(handled, SL("tasks"), id);
  else sl_told_upsert(handled, SL("tasks"), id, task, changed);
  sl_event(handled, kind, sl_receipt_header(receipt, "x-todo-delivery"), task, changed);
  return true;
}

const sl_connector sluice_connector = {.check = check, .read = read_page, .write = write_task, .handle = handle};
