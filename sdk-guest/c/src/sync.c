/* The contract's `sync`: records out of the vendor and into it. */

#include <string.h>

#include "contract.h"

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

exports_sluice_connector_sync_change_t sl_change_of(const struct sl_change *from) {
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
  if (sluice_connector.read == NULL) return sl_left_out(err, "this connector has no streams");
  sl_connection connection = sl_connection_of(from);
  sl_read_request asked = {.stream = taken(request->stream_name), .page_hint = request->page_hint};
  if (request->partition.is_some) asked.partition = taken(request->partition.val);
  if (request->cursor.is_some) asked.cursor = taken(request->cursor.val);
  if (request->window.is_some) {
    asked.windowed = true;
    asked.start = (int64_t)(request->window.val.start & INT64_MAX);
    asked.end = (int64_t)(request->window.val.end & INT64_MAX);
  }
  sl_page page = {.total_hint = -1};
  sl_error error = sl_silent();
  if (!sluice_connector.read(&connection, &asked, &page, &error)) return sl_tell(&error, err);
  exports_sluice_connector_sync_change_t *changes = sl_room(page.count, sizeof *changes);
  for (size_t at = 0; at < page.count; at++) changes[at] = sl_change_of(&page.changes[at]);
  memset(ret, 0, sizeof *ret);
  ret->changes.ptr = changes;
  ret->changes.len = page.count;
  ret->cursor.is_some = page.cursor.len > 0;
  ret->cursor.val = given(page.cursor);
  ret->more = page.more;
  ret->total_hint = (connector_option_u64_t){page.total_hint >= 0, (uint64_t)page.total_hint};
  return true;
}

void sl_discovered(sl_streams *streams, const sl_stream *stream) {
  sl_more((void **)&streams->items, &streams->room, streams->count, sizeof *streams->items);
  streams->items[streams->count++] = *stream;
}

bool exports_sluice_connector_sync_discover(exports_sluice_connector_sync_connection_t *from,
                                            exports_sluice_connector_sync_list_stream_info_t *ret,
                                            exports_sluice_connector_sync_error_t *err) {
  sl_connection connection = sl_connection_of(from);
  sl_streams streams = {0};
  sl_error error = sl_silent();
  bool asked = sluice_connector.discover != NULL;
  if (asked && !sluice_connector.discover(&connection, &streams, &error)) return sl_tell(&error, err);
  ret->ptr = sl_room(streams.count, sizeof *ret->ptr);
  ret->len = streams.count;
  for (size_t at = 0; at < streams.count; at++) {
    const sl_stream *stream = &streams.items[at];
    sl_list key = stream->primary_key;
    if (key.count == 0) sl_add(&key, SL("id"));
    ret->ptr[at] = (exports_sluice_connector_sync_stream_info_t){
        given(stream->name), given(stream->schema), sl_given_list(&key), stream->cursor_version == 0 ? 1 : stream->cursor_version};
  }
  return true;
}

bool exports_sluice_connector_sync_partitions(exports_sluice_connector_sync_connection_t *from, connector_string_t *stream,
                                              connector_list_string_t *ret, exports_sluice_connector_sync_error_t *err) {
  sl_connection connection = sl_connection_of(from);
  sl_list partitions = {0};
  sl_error error = sl_silent();
  bool asked = sluice_connector.partitions != NULL;
  if (asked && !sluice_connector.partitions(&connection, taken(*stream), &partitions, &error)) return sl_tell(&error, err);
  *ret = sl_given_list(&partitions);
  return true;
}

bool exports_sluice_connector_sync_migrate_cursor(connector_string_t *stream, uint32_t from,
                                                  exports_sluice_connector_sync_json_t *cursor,
                                                  exports_sluice_connector_sync_option_json_t *ret,
                                                  exports_sluice_connector_sync_error_t *err) {
  sl_str migrated = {0};
  sl_error error = sl_silent();
  bool asked = sluice_connector.migrate_cursor != NULL;
  if (asked && !sluice_connector.migrate_cursor(taken(*stream), from, taken(*cursor), &migrated, &error)) {
    return sl_tell(&error, err);
  }
  *ret = (exports_sluice_connector_sync_option_json_t){migrated.len > 0, given(migrated)};
  return true;
}

static sl_write write_of(const exports_sluice_connector_sync_pending_write_t *from) {
  sl_write write = {.idempotency_key = taken(from->idempotency_key), .modified = -1};
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
      if (from->op.val.update.modified.is_some) write.modified = (int64_t)(from->op.val.update.modified.val & INT64_MAX);
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
  if (sluice_connector.write == NULL) return sl_left_out(err, "the stream is read-only");
  sl_connection connection = sl_connection_of(from);
  ret->ptr = sl_room(writes->len, sizeof *ret->ptr);
  ret->len = writes->len;
  sl_error error = sl_silent();
  bool broken = false;
  for (size_t at = 0; at < writes->len; at++) {
    exports_sluice_connector_sync_write_outcome_t *outcome = &ret->ptr[at];
    sl_write write = write_of(&writes->ptr[at]);
    sl_written written = {.modified = -1};
    if (!broken) {
      error = sl_silent();
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
      if (error.kind == SL_UNSUPPORTED && at == 0) return sl_tell(&error, err);
      /* A rate limit or a credential that ended would come again, so it is what became of all that follow. */
      broken = error.kind != SL_INVALID_DATA;
    }
    outcome->tag = EXPORTS_SLUICE_CONNECTOR_SYNC_WRITE_OUTCOME_FAILED;
    sl_tell(&error, &outcome->val.failed);
  }
  return true;
}
