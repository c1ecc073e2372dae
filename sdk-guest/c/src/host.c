/* The host's small interfaces: log, metrics, storage, secrets. */

#include <stdarg.h>
#include <stdio.h>

#include "contract.h"

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

void sl_log_with(sl_level level, sl_str message, sl_str fields) {
  connector_string_t line = given(message), more = given(fields);
  sluice_connector_log_write((sluice_connector_log_level_t)level, &line, fields.len > 0 ? &more : NULL);
}

void sl_count(const char *name, uint64_t by) {
  connector_string_t counter = given(sl_of(name));
  sluice_connector_metrics_count(&counter, by);
}

void sl_gauge(const char *name, double value) {
  connector_string_t gauge = given(sl_of(name));
  sluice_connector_metrics_gauge(&gauge, value);
}

/* ---- storage ---- */

bool sl_get_entry(const char *key, sl_entry *entry) {
  connector_string_t wanted = given(sl_of(key));
  sluice_connector_storage_entry_t found;
  if (!sluice_connector_storage_get(&wanted, &found)) return false;
  *entry = (sl_entry){{(const char *)found.value.ptr, found.value.len}, found.version};
  return true;
}

bool sl_get(const char *key, sl_str *value) {
  sl_entry entry;
  if (!sl_get_entry(key, &entry)) return false;
  *value = entry.value;
  return true;
}

static sl_stored outcome_of(const sluice_connector_storage_error_t *refused) {
  switch (refused->tag) {
    case SLUICE_CONNECTOR_STORAGE_ERROR_QUOTA:
      return SL_OVER_QUOTA;
    case SLUICE_CONNECTOR_STORAGE_ERROR_CONFLICT:
      return SL_CONFLICT;
    default:
      return SL_NO_KEY;
  }
}

static bool unstored(sl_stored outcome, const char *key, sl_error *error) {
  static const char *const WHY[] = {[SL_OVER_QUOTA] = "over the quota", [SL_CONFLICT] = "at another version", [SL_NO_KEY] = "not a key"};
  return outcome == SL_STORED || sl_fail(error, SL_INTERNAL, NULL, "could not store `%s`: %s", key, WHY[outcome]);
}

sl_stored sl_store(const char *key, sl_str value, int64_t expect) {
  connector_string_t wanted = given(sl_of(key));
  connector_list_u8_t bytes = given_bytes(value);
  uint64_t version = (uint64_t)expect;
  sluice_connector_storage_error_t refused;
  bool stored = sluice_connector_storage_set(&wanted, &bytes, expect >= 0 ? &version : NULL, &refused);
  return stored ? SL_STORED : outcome_of(&refused);
}

bool sl_set(const char *key, sl_str value, int64_t expect, sl_error *error) {
  return unstored(sl_store(key, value, expect), key, error);
}

bool sl_delete(const char *key, sl_error *error) {
  connector_string_t wanted = given(sl_of(key));
  sluice_connector_storage_error_t refused;
  return sluice_connector_storage_delete(&wanted, &refused) || unstored(outcome_of(&refused), key, error);
}

sl_list sl_keys(const char *prefix, const char *after, uint32_t limit) {
  connector_string_t begins = given(sl_of(prefix)), last = given(sl_of(after));
  connector_list_string_t found;
  sluice_connector_storage_list_keys(&begins, after == NULL ? NULL : &last, limit, &found);
  return sl_taken_list(&found);
}

/* ---- secrets ---- */

/* The header's numbers are the contract's. */
_Static_assert(SL_HMAC_SHA512 == SLUICE_CONNECTOR_SECRETS_ALGORITHM_HMAC_SHA512, "the algorithms are numbered alike");
_Static_assert(SL_BASE64URL == SLUICE_CONNECTOR_SECRETS_ENCODING_BASE64URL, "the encodings are numbered alike");

static sluice_connector_secrets_borrow_secret_t lent(sl_secret secret) {
  return sluice_connector_secrets_borrow_secret((sluice_connector_secrets_own_secret_t){secret.handle});
}

bool sl_secret_open(const char *name, sl_secret *secret) {
  connector_string_t wanted = given(sl_of(name));
  sluice_connector_secrets_own_secret_t found;
  if (!sluice_connector_secrets_open(&wanted, &found)) return false;
  secret->handle = found.__handle;
  return true;
}

sl_str sl_placeholder(sl_secret secret) {
  connector_string_t text;
  sluice_connector_secrets_method_secret_placeholder(lent(secret), &text);
  return taken(text);
}

sl_secret sl_hmac(sl_secret secret, sl_algorithm algorithm, sl_str message, sl_encoding encoding) {
  connector_list_u8_t bytes = given_bytes(message);
  return (sl_secret){sluice_connector_secrets_method_secret_hmac(lent(secret), (sluice_connector_secrets_algorithm_t)algorithm, &bytes,
                                                                 (sluice_connector_secrets_encoding_t)encoding)
                         .__handle};
}

bool sl_sign_jwt(sl_secret secret, sl_str header, sl_str claims, sl_secret *jws, sl_error *error) {
  connector_string_t head = given(header), body = given(claims), why;
  sluice_connector_secrets_own_secret_t made;
  if (!sluice_connector_secrets_method_secret_sign_jwt(lent(secret), &head, &body, &made, &why)) {
    return sl_fail(error, SL_INTERNAL, NULL, "%.*s", SL_ARG(taken(why)));
  }
  jws->handle = made.__handle;
  return true;
}

bool sl_verify_hmac(sl_secret secret, sl_algorithm algorithm, sl_str message, sl_str signature) {
  connector_list_u8_t bytes = given_bytes(message), claimed = given_bytes(signature);
  return sluice_connector_secrets_method_secret_verify_hmac(lent(secret), (sluice_connector_secrets_algorithm_t)algorithm, &bytes,
                                                            &claimed);
}

void sl_forget(sl_secret secret) {
  sluice_connector_secrets_secret_drop_own((sluice_connector_secrets_own_secret_t){secret.handle});
}

bool sl_presign(const sl_request *request, uint32_t expires_s, sl_secret *address, sl_error *error) {
  sluice_connector_http_presign_request_t wanted = {
      .method = given(sl_of(request->method == NULL ? "GET" : request->method)),
      .url = given(request->url),
      .expires_s = expires_s,
      .credential = {request->credential != NULL, given(sl_of(request->credential))},
  };
  sluice_connector_http_own_secret_t made;
  sluice_connector_http_error_t refused;
  if (!sluice_connector_http_presign(&wanted, &made, &refused)) return sl_refused(&refused, error);
  address->handle = made.__handle;
  return true;
}
