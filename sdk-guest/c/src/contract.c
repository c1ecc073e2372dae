/* Between the header's types and the contract's, for what more than one interface has. */

#include "contract.h"

#include <string.h>

connector_list_string_t sl_given_list(const sl_list *list) {
  connector_string_t *texts = sl_room(list->count, sizeof *texts);
  for (size_t at = 0; at < list->count; at++) texts[at] = given(list->items[at]);
  return (connector_list_string_t){texts, list->count};
}

sl_list sl_taken_list(const connector_list_string_t *list) {
  sl_list taken_list = {0};
  for (size_t at = 0; at < list->len; at++) sl_add(&taken_list, taken(list->ptr[at]));
  return taken_list;
}

sl_connection sl_connection_of(const sluice_connector_types_connection_t *from) {
  sl_connection connection = {.id = taken(from->id), .config = taken(from->config)};
  if (from->account.is_some) connection.account = taken(from->account.val);
  return connection;
}

sl_error sl_silent(void) {
  return (sl_error){.kind = SL_INTERNAL, .message = SL("the connector failed and did not say how"), .retry_after_ms = -1};
}

bool sl_tell(const sl_error *error, sluice_connector_types_error_t *out) {
  memset(out, 0, sizeof *out);
  out->tag = (uint8_t)error->kind;
  if (error->kind == SL_RATE_LIMITED) {
    out->val.rate_limited.message = given(error->message);
    out->val.rate_limited.retry_after_ms =
        (connector_option_u64_t){error->retry_after_ms >= 0, (uint64_t)error->retry_after_ms};
    return false;
  }
  /* All the others are a message and a pointer, and the cases are numbered alike. */
  out->val.config = (sluice_connector_types_detail_t){given(error->message), given_or_none(error->pointer)};
  return false;
}

bool sl_left_out(sluice_connector_types_error_t *out, const char *message) {
  sl_error error;
  sl_fail(&error, SL_UNSUPPORTED, NULL, "%s", message);
  return sl_tell(&error, out);
}
