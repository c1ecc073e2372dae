/* Between the header's types and those that wit-bindgen made of the contract: the same bytes, never a copy of a text. */
#ifndef SLUICE_CONTRACT_H
#define SLUICE_CONTRACT_H

#include "connector.h"
#include "inner.h"

static inline connector_string_t given(sl_str text) { return (connector_string_t){(uint8_t *)text.ptr, text.len}; }

static inline connector_list_u8_t given_bytes(sl_str text) { return (connector_list_u8_t){(uint8_t *)text.ptr, text.len}; }

static inline sl_str taken(connector_string_t text) { return (sl_str){(const char *)text.ptr, text.len}; }

static inline connector_option_string_t given_or_none(sl_str text) {
  return (connector_option_string_t){text.len > 0, given(text)};
}

/* JSON that an author may leave out where null is meant. */
static inline connector_string_t given_json(sl_str text) { return given(text.len > 0 ? text : SL("null")); }

connector_list_string_t sl_given_list(const sl_list *list);
sl_list sl_taken_list(const connector_list_string_t *list);
sl_connection sl_connection_of(const sluice_connector_types_connection_t *from);

/* What a function begins with: one that fails without saying how is a bug too. */
sl_error sl_silent(void);
/* Writes the error as the contract has it, and is false. */
bool sl_tell(const sl_error *error, sluice_connector_types_error_t *out);
/* The same for what the author left out. */
bool sl_left_out(sluice_connector_types_error_t *out, const char *message);

sluice_connector_http_request_t sl_asked(const sl_request *request);
sl_response sl_answered(const sluice_connector_http_response_t *answer);
/* Why there is no answer, as who has to act; it is false. */
bool sl_refused(const sluice_connector_http_error_t *from, sl_error *error);
exports_sluice_connector_sync_change_t sl_change_of(const struct sl_change *from);

#endif
