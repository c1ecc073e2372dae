/* A connector to start from: one stream, read page by page along `Link` headers. */

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

static bool read_page(const sl_connection *connection, const sl_read_request *request, sl_page *page, sl_error *error) {
  if (!sl_eq(request->stream, SL("tasks"))) {
    return sl_fail(error, SL_UNSUPPORTED, NULL, "there is no stream `%.*s`", SL_ARG(request->stream));
  }
  /* The cursor is the address of the next page, as JSON. */
  sl_str url, list;
  if (!sl_json_text(request->cursor, &url)) {
    if (!sl_json_text(sl_member(connection->config, "list"), &list)) return SL_BUG(error, "the configuration has no list");
    url = sl_format(API "/lists/%.*s/tasks?per_page=100", SL_ARG(sl_encode(list)));
  }
  sl_response response;
  if (!get(url, &response, "/list", error)) return false;

  sl_walk tasks = sl_walk_of(response.body);
  while (sl_next(&tasks)) {
    /* The record is handed on as the vendor wrote it. */
    sl_str changed = {0};
    sl_json_text(sl_member(tasks.value, "updated_at"), &changed);
    sl_upsert(page, sl_json_id(sl_member(tasks.value, "id")), tasks.value, sl_time(changed));
  }
  if (tasks.broken) return sl_fail(error, SL_INVALID_DATA, NULL, "the page is not a JSON array of tasks");

  sl_str next = sl_link(&response, "next");
  page->more = next.len > 0;
  if (page->more) {
    sl_buf cursor = {0};
    sl_put_json(&cursor, next);
    page->cursor = sl_text(&cursor);
  }
  return true;
}

const sl_connector sluice_connector = {.check = check, .read = read_page};
