/* From the author's functions to the contract's four interfaces, and the host's small ones. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "connector.h"
#include "inner.h"

static connector_string_t given(sl_str text) { return (connector_string_t){(uint8_t *)text.ptr, text.len}; }

static sl_str taken(connector_string_t text) { return (sl_str){(const char *)text.ptr, text.len}; }

static connector_option_string_t given_or_none(sl_str text) {
  return (connector_option_string_t){text.len > 0, given(text)};
}

static void tell(const sl_error *error, sluice_connector_types_error_t *out) {
  memset(out, 0, sizeof *out);
  out->tag = (uint8_t)error->kind;
  if (error->kind == SL_RATE_LIMITED) {
    out->val.rate_limited.message = given(error->message);
    out->val.rate_limited.retry_after_ms =
        (connector_option_u64_t){error->retry_after_ms >= 0, (uint64_t)error->retry_after_ms};
    return;
  }
  /* All the others are a message and a pointer, and the cases are numbered alike. */
  out->val.config = (sluice_connector_types_detail_t){given(error->message), given_or_none(error->pointer)};
}

static bool unsupported(sluice_connector_types_error_t *out, const char *message) {
  sl_error error;
  sl_fail(&error, SL_UNSUPPORTED, NULL, "%s", message);
  tell(&error, out);
  return false;
}

/* A function that fails without saying how is a bug too. */
static sl_error silent(void) {
  return (sl_error){.kind = SL_INTERNAL, .message = SL("the connector failed and did not say how"), .retry_after_ms = -1};
}

static sl_connection connection_of(const sluice_connector_types_connection_t *from) {
  sl_connection connection = {.id = taken(from->id), .config = taken(from->config)};
  if (from->account.is_some) connection.account = taken(from->account.val);
  return connection;
}

bool exports_sluice_connector_auth_check(exports_sluice_connector_auth_connection_t *from,
                                         exports_sluice_connector_auth_account_t *ret,
                                         exports_sluice_connector_auth_error_t *err) {
  if (sluice_connector.check == NULL) return unsupported(err, "this connector has no `check`");
  sl_connection connection = connection_of(from);
  sl_account account = {0};
  sl_error error = silent();
  if (!sluice_connector.check(&connection, &account, &error)) {
    tell(&error, err);
    return false;
  }
  connector_string_t *scopes = sl_room(account.scope_count, sizeof *scopes);
  for (size_t at = 0; at < account.scope_count; at++) scopes[at] = given(account.scopes[at]);
  *ret = (exports_sluice_connector_auth_account_t){given(account.id), given(account.name), {scopes, account.scope_count}};
  return true;
}

void sl_upsert(sl_page *page, sl_str id, sl_str data, int64_t modified) {
  if (page->count == page->room) {
    size_t room = page->room == 0 ? 128 : page->room * 2;
    struct sl_change *larger = sl_room(room, sizeof *larger);
    if (page->count > 0) memcpy(larger, page->changes, page->count * sizeof *larger);
    page->changes = larger;
    page->room = room;
  }
  page->changes[page->count++] = (struct sl_change){.id = id, .data = data, .modified = modified};
}

void sl_remove(sl_page *page, sl_str id) {
  sl_upsert(page, id, (sl_str){0}, -1);
  page->changes[page->count - 1].gone = true;
}

bool exports_sluice_connector_sync_read(exports_sluice_connector_sync_connection_t *from,
                                        exports_sluice_connector_sync_read_request_t *request,
                                        exports_sluice_connector_sync_page_t *ret,
                                        exports_sluice_connector_sync_error_t *err) {
  if (sluice_connector.read == NULL) return unsupported(err, "this connector has no streams");
  sl_connection connection = connection_of(from);
  sl_read_request asked = {.stream = taken(request->stream_name), .page_hint = request->page_hint};
  if (request->partition.is_some) asked.partition = taken(request->partition.val);
  if (request->cursor.is_some) asked.cursor = taken(request->cursor.val);
  if (request->window.is_some) {
    asked.windowed = true;
    asked.start = (int64_t)(request->window.val.start & INT64_MAX);
    asked.end = (int64_t)(request->window.val.end & INT64_MAX);
  }
  sl_page page = {0};
  sl_error error = silent();
  if (!sluice_connector.read(&connection, &asked, &page, &error)) {
    tell(&error, err);
    return false;
  }
  exports_sluice_connector_sync_change_t *changes = sl_room(page.count, sizeof *changes);
  for (size_t at = 0; at < page.count; at++) {
    const struct sl_change *change = &page.changes[at];
    if (change->gone) {
      changes[at].tag = EXPORTS_SLUICE_CONNECTOR_SYNC_CHANGE_DELETE;
      changes[at].val.delete_ = given(change->id);
      continue;
    }
    changes[at].tag = EXPORTS_SLUICE_CONNECTOR_SYNC_CHANGE_UPSERT;
    changes[at].val.upsert = (exports_sluice_connector_sync_item_t){
        given(change->id), given(change->data), {change->modified >= 0, (uint64_t)change->modified}};
  }
  memset(ret, 0, sizeof *ret);
  ret->changes.ptr = changes;
  ret->changes.len = page.count;
  ret->cursor.is_some = page.cursor.len > 0;
  ret->cursor.val = given(page.cursor);
  ret->more = page.more;
  return true;
}

bool exports_sluice_connector_actions_run(exports_sluice_connector_actions_connection_t *from, connector_string_t *name,
                                          exports_sluice_connector_actions_json_t *input, connector_string_t *key,
                                          exports_sluice_connector_actions_json_t *ret,
                                          exports_sluice_connector_actions_error_t *err) {
  if (sluice_connector.run_action == NULL) return unsupported(err, "this connector has no actions");
  sl_connection connection = connection_of(from);
  sl_str output = {0};
  sl_error error = silent();
  if (!sluice_connector.run_action(&connection, taken(*name), taken(*input), taken(*key), &output, &error)) {
    tell(&error, err);
    return false;
  }
  *ret = given(output);
  return true;
}

void sl_log(sl_level level, const char *format, ...) {
  va_list values, again;
  va_start(values, format);
  va_copy(again, values);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  char *line = sl_room(length < 0 ? 1 : (size_t)length + 1, 1);
  if (length > 0) vsnprintf(line, (size_t)length + 1, format, values);
  va_end(values);
  connector_string_t message = given(sl_of(line));
  sluice_connector_log_write((sluice_connector_log_level_t)level, &message, NULL);
}

void sl_count(const char *name, uint64_t by) {
  connector_string_t counter = given(sl_of(name));
  sluice_connector_metrics_count(&counter, by);
}

bool sl_get(const char *key, sl_str *value) {
  connector_string_t wanted = given(sl_of(key));
  sluice_connector_storage_entry_t entry;
  if (!sluice_connector_storage_get(&wanted, &entry)) return false;
  *value = (sl_str){(const char *)entry.value.ptr, entry.value.len};
  return true;
}

bool sl_set(const char *key, sl_str value, int64_t expect, sl_error *error) {
  connector_string_t wanted = given(sl_of(key));
  connector_list_u8_t bytes = {(uint8_t *)value.ptr, value.len};
  uint64_t version = (uint64_t)expect;
  sluice_connector_storage_error_t refused;
  if (sluice_connector_storage_set(&wanted, &bytes, expect >= 0 ? &version : NULL, &refused)) return true;
  static const char *const WHY[] = {"over the quota", "at another version", "not a key"};
  return sl_fail(error, SL_INTERNAL, NULL, "could not store `%s`: %s", key, WHY[refused.tag < 3 ? refused.tag : 2]);
}

/* ---- what the manifest cannot declare of a connector in C yet ---- */

static const char FLOW[] = "this connector has no auth flow of its own";
static const char BY_HAND[] = "the webhook is set up by hand at this vendor";

bool exports_sluice_connector_auth_begin(exports_sluice_connector_auth_connection_t *connection, connector_string_t *url,
                                         exports_sluice_connector_auth_redirect_t *ret,
                                         exports_sluice_connector_auth_error_t *err) {
  (void)connection, (void)url, (void)ret;
  return unsupported(err, FLOW);
}

bool exports_sluice_connector_auth_complete(exports_sluice_connector_auth_connection_t *connection,
                                            exports_sluice_connector_auth_json_t *state,
                                            connector_list_tuple2_string_string_t *query,
                                            exports_sluice_connector_auth_error_t *err) {
  (void)connection, (void)state, (void)query;
  return unsupported(err, FLOW);
}

bool exports_sluice_connector_auth_refresh(exports_sluice_connector_auth_connection_t *connection,
                                           exports_sluice_connector_auth_error_t *err) {
  (void)connection;
  return unsupported(err, FLOW);
}

bool exports_sluice_connector_auth_revoke(exports_sluice_connector_auth_connection_t *connection,
                                          exports_sluice_connector_auth_error_t *err) {
  (void)connection;
  return unsupported(err, FLOW);
}

bool exports_sluice_connector_sync_discover(exports_sluice_connector_sync_connection_t *connection,
                                            exports_sluice_connector_sync_list_stream_info_t *ret,
                                            exports_sluice_connector_sync_error_t *err) {
  (void)connection, (void)err;
  memset(ret, 0, sizeof *ret);
  return true;
}

bool exports_sluice_connector_sync_partitions(exports_sluice_connector_sync_connection_t *connection, connector_string_t *stream,
                                              connector_list_string_t *ret, exports_sluice_connector_sync_error_t *err) {
  (void)connection, (void)stream, (void)err;
  memset(ret, 0, sizeof *ret);
  return true;
}

bool exports_sluice_connector_sync_write(exports_sluice_connector_sync_connection_t *connection, connector_string_t *stream,
                                         exports_sluice_connector_sync_list_pending_write_t *writes,
                                         exports_sluice_connector_sync_list_write_outcome_t *ret,
                                         exports_sluice_connector_sync_error_t *err) {
  (void)connection, (void)stream, (void)writes, (void)ret;
  return unsupported(err, "the stream is read-only");
}

bool exports_sluice_connector_sync_migrate_cursor(connector_string_t *stream, uint32_t from,
                                                  exports_sluice_connector_sync_json_t *cursor,
                                                  exports_sluice_connector_sync_option_json_t *ret,
                                                  exports_sluice_connector_sync_error_t *err) {
  (void)stream, (void)from, (void)cursor, (void)err;
  memset(ret, 0, sizeof *ret);
  return true;
}

bool exports_sluice_connector_webhook_register(exports_sluice_connector_webhook_connection_t *connection, connector_string_t *url,
                                               connector_list_string_t *events,
                                               exports_sluice_connector_webhook_registration_t *ret,
                                               exports_sluice_connector_webhook_error_t *err) {
  (void)connection, (void)url, (void)events, (void)ret;
  return unsupported(err, BY_HAND);
}

bool exports_sluice_connector_webhook_renew(exports_sluice_connector_webhook_connection_t *connection,
                                            exports_sluice_connector_webhook_registration_t *registration,
                                            exports_sluice_connector_webhook_registration_t *ret,
                                            exports_sluice_connector_webhook_error_t *err) {
  (void)connection, (void)registration, (void)ret;
  return unsupported(err, BY_HAND);
}

bool exports_sluice_connector_webhook_unregister(exports_sluice_connector_webhook_connection_t *connection,
                                                 exports_sluice_connector_webhook_registration_t *registration,
                                                 exports_sluice_connector_webhook_error_t *err) {
  (void)connection, (void)registration;
  return unsupported(err, BY_HAND);
}

bool exports_sluice_connector_webhook_verify(exports_sluice_connector_webhook_receipt_t *receipt, bool *ret,
                                             exports_sluice_connector_webhook_error_t *err) {
  (void)receipt, (void)ret;
  return unsupported(err, "this connector's webhooks are verified by the manifest's recipe");
}

bool exports_sluice_connector_webhook_route(exports_sluice_connector_webhook_receipt_t *receipt, connector_list_string_t *ret,
                                            exports_sluice_connector_webhook_error_t *err) {
  (void)receipt, (void)err;
  memset(ret, 0, sizeof *ret);
  return true;
}

bool exports_sluice_connector_webhook_handle(exports_sluice_connector_webhook_connection_t *connection,
                                             exports_sluice_connector_webhook_receipt_t *receipt,
                                             exports_sluice_connector_webhook_handled_t *ret,
                                             exports_sluice_connector_webhook_error_t *err) {
  (void)connection, (void)receipt, (void)ret;
  return unsupported(err, "this connector declares no webhooks");
}

bool exports_sluice_connector_actions_list(exports_sluice_connector_actions_connection_t *connection,
                                           exports_sluice_connector_actions_list_action_info_t *ret,
                                           exports_sluice_connector_actions_error_t *err) {
  (void)connection, (void)err;
  memset(ret, 0, sizeof *ret);
  return true;
}
