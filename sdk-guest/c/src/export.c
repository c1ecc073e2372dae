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
  sl_more((void **)&page->changes, &page->room, page->count, sizeof *page->changes);
  page->changes[page->count++] = (struct sl_change){.id = id, .data = data, .modified = modified};
}

void sl_remove(sl_page *page, sl_str id) {
  sl_upsert(page, id, (sl_str){0}, -1);
  page->changes[page->count - 1].gone = true;
}

static exports_sluice_connector_sync_item_t item_of(sl_str id, sl_str data, int64_t modified) {
  return (exports_sluice_connector_sync_item_t){given(id), given(data), {modified >= 0, (uint64_t)modified}};
}

static exports_sluice_connector_sync_change_t change_of(const struct sl_change *from) {
  exports_sluice_connector_sync_change_t change;
  memset(&change, 0, sizeof change);
  if (from->gone) {
    change.tag = EXPORTS_SLUICE_CONNECTOR_SYNC_CHANGE_DELETE;
    change.val.delete_ = given(from->id);
    return change;
  }
  change.tag = EXPORTS_SLUICE_CONNECTOR_SYNC_CHANGE_UPSERT;
  change.val.upsert = item_of(from->id, from->data, from->modified);
  return change;
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
  for (size_t at = 0; at < page.count; at++) changes[at] = change_of(&page.changes[at]);
  memset(ret, 0, sizeof *ret);
  ret->changes.ptr = changes;
  ret->changes.len = page.count;
  ret->cursor.is_some = page.cursor.len > 0;
  ret->cursor.val = given(page.cursor);
  ret->more = page.more;
  return true;
}

static sl_write write_of(const exports_sluice_connector_sync_pending_write_t *from) {
  sl_write write = {.idempotency_key = taken(from->idempotency_key)};
  if (from->expect_revision.is_some) write.revision = taken(from->expect_revision.val);
  switch (from->op.tag) {
    case EXPORTS_SLUICE_CONNECTOR_SYNC_WRITE_OP_CREATE:
      write.op = SL_CREATE;
      write.data = taken(from->op.val.create);
      break;
    case EXPORTS_SLUICE_CONNECTOR_SYNC_WRITE_OP_UPDATE:
      write.op = SL_UPDATE;
      write.id = taken(from->op.val.update.id);
      write.data = taken(from->op.val.update.data);
      break;
    default:
      write.op = SL_DELETE;
      write.id = taken(from->op.val.delete_);
  }
  return write;
}

bool exports_sluice_connector_sync_write(exports_sluice_connector_sync_connection_t *from, connector_string_t *stream,
                                         exports_sluice_connector_sync_list_pending_write_t *writes,
                                         exports_sluice_connector_sync_list_write_outcome_t *ret,
                                         exports_sluice_connector_sync_error_t *err) {
  if (sluice_connector.write == NULL) return unsupported(err, "the stream is read-only");
  sl_connection connection = connection_of(from);
  ret->ptr = sl_room(writes->len, sizeof *ret->ptr);
  ret->len = writes->len;
  sl_error error = silent();
  bool broken = false;
  for (size_t at = 0; at < writes->len; at++) {
    exports_sluice_connector_sync_write_outcome_t *outcome = &ret->ptr[at];
    sl_write write = write_of(&writes->ptr[at]);
    sl_written written = {.modified = -1};
    if (!broken) {
      error = silent();
      if (sluice_connector.write(&connection, taken(*stream), &write, &written, &error)) {
        sl_str data = written.data.len > 0 ? written.data : SL("{}");
        if (!written.conflict) {
          outcome->tag = EXPORTS_SLUICE_CONNECTOR_SYNC_WRITE_OUTCOME_DONE;
          outcome->val.done = item_of(written.id.len > 0 ? written.id : write.id, data, written.modified);
          continue;
        }
        outcome->tag = EXPORTS_SLUICE_CONNECTOR_SYNC_WRITE_OUTCOME_CONFLICT;
        outcome->val.conflict.is_some = written.data.len > 0;
        outcome->val.conflict.val = item_of(written.id.len > 0 ? written.id : write.id, data, written.modified);
        continue;
      }
      if (error.kind == SL_UNSUPPORTED && at == 0) {
        tell(&error, err);
        return false;
      }
      /* A rate limit or a credential that ended would come again, so it is what became of all that follow. */
      broken = error.kind != SL_INVALID_DATA;
    }
    outcome->tag = EXPORTS_SLUICE_CONNECTOR_SYNC_WRITE_OUTCOME_FAILED;
    tell(&error, &outcome->val.failed);
  }
  return true;
}

static const sl_header *headers_of(const connector_tuple2_string_string_t *from, size_t count) {
  sl_header *headers = sl_room(count, sizeof *headers);
  for (size_t at = 0; at < count; at++) headers[at] = (sl_header){taken(from[at].f0), taken(from[at].f1)};
  return headers;
}

sl_str sl_receipt_header(const sl_receipt *receipt, const char *name) {
  for (size_t at = 0; at < receipt->header_count; at++) {
    if (sl_same_name(receipt->headers[at].name, sl_of(name))) return receipt->headers[at].value;
  }
  return (sl_str){0};
}

void sl_event(sl_handled *handled, sl_str kind, sl_str id, sl_str data, int64_t occurred) {
  sl_more((void **)&handled->events, &handled->event_room, handled->event_count, sizeof *handled->events);
  handled->events[handled->event_count++] = (struct sl_happening){kind, id, data, occurred};
}

static void tell_change(sl_handled *handled, sl_str stream, struct sl_change change) {
  sl_more((void **)&handled->changes, &handled->change_room, handled->change_count, sizeof *handled->changes);
  handled->changes[handled->change_count++] = (struct sl_told){stream, change};
}

void sl_told_upsert(sl_handled *handled, sl_str stream, sl_str id, sl_str data, int64_t modified) {
  tell_change(handled, stream, (struct sl_change){.id = id, .data = data, .modified = modified});
}

void sl_told_remove(sl_handled *handled, sl_str stream, sl_str id) {
  tell_change(handled, stream, (struct sl_change){.gone = true, .id = id, .modified = -1});
}

void sl_resync(sl_handled *handled, sl_str stream) {
  sl_more((void **)&handled->resync, &handled->resync_room, handled->resync_count, sizeof *handled->resync);
  handled->resync[handled->resync_count++] = stream;
}

bool exports_sluice_connector_webhook_handle(exports_sluice_connector_webhook_connection_t *from,
                                             exports_sluice_connector_webhook_receipt_t *came,
                                             exports_sluice_connector_webhook_handled_t *ret,
                                             exports_sluice_connector_webhook_error_t *err) {
  if (sluice_connector.handle == NULL) return unsupported(err, "this connector declares no webhooks");
  sl_connection connection = connection_of(from);
  sl_receipt receipt = {
      .id = taken(came->id),
      .received = (int64_t)(came->received & INT64_MAX),
      .method = taken(came->method),
      .query = headers_of(came->query.ptr, came->query.len),
      .query_count = came->query.len,
      .headers = headers_of(came->headers.ptr, came->headers.len),
      .header_count = came->headers.len,
      .body = {(const char *)came->body.ptr, came->body.len},
  };
  sl_handled handled = {0};
  sl_error error = silent();
  if (!sluice_connector.handle(&connection, &receipt, &handled, &error)) {
    tell(&error, err);
    return false;
  }
  memset(ret, 0, sizeof *ret);
  ret->events.ptr = sl_room(handled.event_count, sizeof *ret->events.ptr);
  ret->events.len = handled.event_count;
  for (size_t at = 0; at < handled.event_count; at++) {
    const struct sl_happening *event = &handled.events[at];
    ret->events.ptr[at] = (exports_sluice_connector_webhook_event_t){
        given(event->kind), given(event->id), {event->occurred >= 0, (uint64_t)event->occurred}, given(event->data)};
  }
  ret->changes.ptr = sl_room(handled.change_count, sizeof *ret->changes.ptr);
  ret->changes.len = handled.change_count;
  for (size_t at = 0; at < handled.change_count; at++) {
    ret->changes.ptr[at].f0 = given(handled.changes[at].stream);
    ret->changes.ptr[at].f1 = change_of(&handled.changes[at].change);
  }
  ret->resync.ptr = sl_room(handled.resync_count, sizeof *ret->resync.ptr);
  ret->resync.len = handled.resync_count;
  for (size_t at = 0; at < handled.resync_count; at++) ret->resync.ptr[at] = given(handled.resync[at]);
  ret->reply.is_some = handled.replies;
  ret->reply.val = (exports_sluice_connector_webhook_reply_t){
      (uint16_t)handled.status, given(handled.content_type), {(uint8_t *)handled.reply.ptr, handled.reply.len}};
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

bool exports_sluice_connector_actions_list(exports_sluice_connector_actions_connection_t *connection,
                                           exports_sluice_connector_actions_list_action_info_t *ret,
                                           exports_sluice_connector_actions_error_t *err) {
  (void)connection, (void)err;
  memset(ret, 0, sizeof *ret);
  return true;
}
