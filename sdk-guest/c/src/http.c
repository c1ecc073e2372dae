/* Requests through the broker, what their answers mean, and answers that are kept as files. */

#include <string.h>

#include "connector.h"
#include "inner.h"

/* A vendor's own words in a message are cut here, in bytes. */
enum { WORDS = 300 };

static connector_string_t given(sl_str text) { return (connector_string_t){(uint8_t *)text.ptr, text.len}; }

static sl_str taken(connector_string_t text) { return (sl_str){(const char *)text.ptr, text.len}; }

static bool refused(const sluice_connector_http_error_t *from, sl_error *error) {
  switch (from->tag) {
    case SLUICE_CONNECTOR_HTTP_ERROR_DENIED:
      return sl_fail(error, SL_CONFIG, NULL, "not permitted: %.*s", SL_ARG(taken(from->val.denied)));
    case SLUICE_CONNECTOR_HTTP_ERROR_RATE_LIMITED:
      sl_fail(error, SL_RATE_LIMITED, NULL, "the rate limit is used up");
      if (from->val.rate_limited.is_some) error->retry_after_ms = (int64_t)(from->val.rate_limited.val & INT64_MAX);
      return false;
    case SLUICE_CONNECTOR_HTTP_ERROR_CIRCUIT_OPEN:
      return sl_fail(error, SL_TRANSIENT, NULL, "the vendor failed repeatedly and is left alone for a while");
    case SLUICE_CONNECTOR_HTTP_ERROR_TIMEOUT:
      return sl_fail(error, SL_TRANSIENT, NULL, "the vendor did not answer in time");
    case SLUICE_CONNECTOR_HTTP_ERROR_UNREACHABLE:
      return sl_fail(error, SL_TRANSIENT, NULL, "the vendor could not be reached: %.*s", SL_ARG(taken(from->val.unreachable)));
    case SLUICE_CONNECTOR_HTTP_ERROR_TLS:
      return sl_fail(error, SL_TRANSIENT, NULL, "no acceptable TLS with the vendor: %.*s", SL_ARG(taken(from->val.tls)));
    case SLUICE_CONNECTOR_HTTP_ERROR_PROTOCOL:
      return sl_fail(error, SL_TRANSIENT, NULL, "the vendor broke the HTTP protocol: %.*s", SL_ARG(taken(from->val.protocol)));
    case SLUICE_CONNECTOR_HTTP_ERROR_TOO_LARGE:
      return sl_fail(error, SL_INVALID_DATA, NULL, "the vendor's response is larger than %llu bytes",
                     (unsigned long long)from->val.too_large);
    default:
      return sl_fail(error, SL_INTERNAL, NULL, "the call's budget is used up: %.*s", SL_ARG(taken(from->val.budget)));
  }
}

/* As the contract has it. */
static sluice_connector_http_request_t asked(const sl_request *request) {
  connector_tuple2_string_string_t *headers = sl_room(request->header_count, sizeof *headers);
  for (size_t at = 0; at < request->header_count; at++) {
    headers[at] = (connector_tuple2_string_string_t){given(request->headers[at].name), given(request->headers[at].value)};
  }
  return (sluice_connector_http_request_t){
      .method = given(sl_of(request->method == NULL ? "GET" : request->method)),
      .url = given(request->url),
      .headers = {headers, request->header_count},
      .body = {request->body.ptr != NULL, {(uint8_t *)request->body.ptr, request->body.len}},
      .credential = {request->credential != NULL, given(sl_of(request->credential))},
      .idempotency_key = {request->idempotency_key != NULL, given(sl_of(request->idempotency_key))},
      .timeout_ms = {request->timeout_ms > 0, request->timeout_ms},
  };
}

static sl_response answered(const sluice_connector_http_response_t *answer) {
  sl_header *fields = sl_room(answer->headers.len, sizeof *fields);
  for (size_t at = 0; at < answer->headers.len; at++) {
    fields[at] = (sl_header){taken(answer->headers.ptr[at].f0), taken(answer->headers.ptr[at].f1)};
  }
  return (sl_response){
      .status = answer->status,
      .headers = fields,
      .header_count = answer->headers.len,
      .body = {(const char *)answer->body.ptr, answer->body.len},
  };
}

bool sl_send(const sl_request *request, sl_response *response, sl_error *error) {
  sluice_connector_http_request_t sent = asked(request);
  sluice_connector_http_response_t answer;
  sluice_connector_http_error_t failure;
  if (!sluice_connector_http_send(&sent, &answer, &failure)) return refused(&failure, error);
  *response = answered(&answer);
  return true;
}

sl_str sl_header_of(const sl_response *response, const char *name) {
  for (size_t at = 0; at < response->header_count; at++) {
    if (sl_same_name(response->headers[at].name, sl_of(name))) return response->headers[at].value;
  }
  return (sl_str){0};
}

/* What the vendor says in a JSON body's usual members; never HTML. */
static sl_str words(const sl_response *response) {
  static const char *const NAMES[] = {"message", "error_description", "error", "detail", "title"};
  if (!sl_json_valid(response->body)) return (sl_str){0};
  for (size_t at = 0; at < sizeof NAMES / sizeof *NAMES; at++) {
    sl_str value = sl_member(response->body, NAMES[at]), text;
    if (!sl_json_text(value, &text) && !sl_json_text(sl_member(value, "message"), &text)) continue;
    sl_buf shown = {0};
    for (size_t c = 0; c < text.len && (shown.len < WORDS || (text.ptr[c] & 0xc0) == 0x80); c++) {
      if ((unsigned char)text.ptr[c] >= 0x20 && text.ptr[c] != 0x7f) sl_put(&shown, (sl_str){text.ptr + c, 1});
    }
    return sl_text(&shown);
  }
  return (sl_str){0};
}

bool sl_ok(const sl_response *response, const char *pointer, sl_error *error) {
  int status = response->status;
  if ((status >= 200 && status < 300) || status == 304) return true;
  sl_str said = words(response), after = sl_header_of(response, "retry-after");
  bool throttled = after.ptr != NULL || sl_eq(sl_header_of(response, "x-ratelimit-remaining"), SL("0"));
  sl_case kind = SL_INVALID_DATA;
  if (status == 429 || (status == 403 && throttled) || (status == 503 && after.ptr != NULL)) kind = SL_RATE_LIMITED;
  else if (status == 401 || status == 403) kind = SL_AUTH;
  else if (status == 408 || status == 425 || status >= 500 || status < 400) kind = SL_TRANSIENT;
  else if (pointer != NULL) kind = SL_CONFIG;
  const char *at = kind == SL_CONFIG ? pointer : NULL;
  if (said.len > 0) sl_fail(error, kind, at, "the vendor answered %d: %.*s", status, SL_ARG(said));
  else sl_fail(error, kind, at, "the vendor answered %d", status);
  uint64_t seconds;
  if (kind == SL_RATE_LIMITED && sl_json_u64(after, &seconds) && seconds < INT64_MAX / 1000) {
    error->retry_after_ms = (int64_t)seconds * 1000;
  }
  return false;
}

static void blank(const char **at, const char *end) {
  while (*at < end && (**at == ' ' || **at == '\t')) (*at)++;
}

static bool has_relation(sl_str relations, sl_str wanted) {
  while (relations.len > 0) {
    sl_str one;
    sl_cut(relations, ' ', &one, &relations);
    if (one.len > 0 && sl_same_name(one, wanted)) return true;
  }
  return false;
}

/* The first link of one header with the relation. What is malformed ends the search: a broken tail never invents a link. */
static sl_str link_of(sl_str header, sl_str wanted) {
  const char *at = header.ptr, *end = header.ptr + header.len;
  for (;;) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == ',')) at++;
    if (at == end || *at != '<') return (sl_str){0};
    const char *close = memchr(at, '>', (size_t)(end - at));
    if (close == NULL) return (sl_str){0};
    sl_str target = {at + 1, (size_t)(close - at) - 1};
    bool related = false, first = true;
    at = close + 1;
    for (;;) {
      blank(&at, end);
      if (at == end || *at != ';') break;
      at++;
      blank(&at, end);
      sl_str name = {at, 0}, value = {0};
      while (at < end && memchr(" \t=;,", *at, 5) == NULL) at++, name.len++;
      blank(&at, end);
      if (at < end && *at == '=') {
        at++;
        blank(&at, end);
        if (at < end && *at == '"') {
          value.ptr = ++at;
          while (at < end && *at != '"') at += *at == '\\' && at + 1 < end ? 2 : 1;
          if (at == end) return (sl_str){0};
          value.len = (size_t)(at++ - value.ptr);
        } else {
          value.ptr = at;
          while (at < end && memchr(" \t;,", *at, 4) == NULL) at++;
          value.len = (size_t)(at - value.ptr);
        }
      }
      if (first && sl_same_name(name, SL("rel"))) {
        related = has_relation(value, wanted);
        first = false;
      }
    }
    if (at < end && *at != ',') return (sl_str){0};
    if (related) return target;
  }
}

sl_str sl_link(const sl_response *response, const char *relation) {
  for (size_t at = 0; at < response->header_count; at++) {
    if (!sl_same_name(response->headers[at].name, SL("link"))) continue;
    sl_str target = link_of(response->headers[at].value, sl_of(relation));
    if (target.ptr != NULL) return target;
  }
  return (sl_str){0};
}

/* ---- files ---- */

static bool unkept(const sluice_connector_files_error_t *from, sl_str key, sl_error *error) {
  switch (from->tag) {
    case SLUICE_CONNECTOR_FILES_ERROR_HTTP:
      return refused(&from->val.http, error);
    case SLUICE_CONNECTOR_FILES_ERROR_TOO_LARGE:
      if (from->val.too_large == 0) return sl_fail(error, SL_CONFIG, NULL, "not permitted: to keep files");
      return sl_fail(error, SL_CONFIG, NULL, "the file is larger than the %llu bytes of the grant",
                     (unsigned long long)from->val.too_large);
    case SLUICE_CONNECTOR_FILES_ERROR_QUOTA:
      return sl_fail(error, SL_CONFIG, NULL, "the files would be more than the %llu bytes of the grant",
                     (unsigned long long)from->val.quota);
    case SLUICE_CONNECTOR_FILES_ERROR_UNAVAILABLE:
      return sl_fail(error, SL_TRANSIENT, NULL, "the file is not kept: %.*s", SL_ARG(taken(from->val.unavailable)));
    default:
      return sl_fail(error, SL_INTERNAL, NULL, "`%.*s` is no key of a file, or its owner is none", SL_ARG(key));
  }
}

static sl_file reference(const sluice_connector_files_file_t *from) {
  return (sl_file){
      .id = taken(from->id),
      .name = taken(from->name),
      .media_type = taken(from->media_type),
      .sha256 = taken(from->sha256),
      .bytes = from->size,
  };
}

bool sl_file_fetch(const sl_request *request, const sl_save *into, sl_file *file, sl_error *error) {
  sluice_connector_http_request_t sent = asked(request);
  sluice_connector_files_save_t save = {
      .key = given(into->key),
      .name = given(into->name.len > 0 ? into->name : into->key),
      .owner = {into->owner_id.len > 0, {given(into->owner_stream), given(into->owner_id)}},
  };
  sluice_connector_files_fetched_t fetched;
  sluice_connector_files_error_t failure;
  if (!sluice_connector_files_fetch(&sent, &save, &fetched, &failure)) return unkept(&failure, into->key, error);
  if (fetched.tag == SLUICE_CONNECTOR_FILES_FETCHED_FILE) {
    *file = reference(&fetched.val.file);
    return true;
  }
  sl_response response = answered(&fetched.val.response);
  if (!sl_ok(&response, NULL, error)) return false;
  /* 304 is no error, and no file either. */
  return sl_fail(error, SL_TRANSIENT, NULL, "the vendor answered %d, which is no file", response.status);
}

bool sl_file_get(sl_str key, sl_file *file) {
  connector_string_t wanted = given(key);
  sluice_connector_files_file_t found;
  if (!sluice_connector_files_get(&wanted, &found)) return false;
  *file = reference(&found);
  return true;
}

bool sl_file_delete(sl_str key, sl_error *error) {
  connector_string_t wanted = given(key);
  sluice_connector_files_error_t failure;
  return sluice_connector_files_delete(&wanted, &failure) || unkept(&failure, key, error);
}

void sl_put_file(sl_buf *buf, const sl_file *file) {
  const struct {
    const char *name;
    sl_str value;
  } texts[] = {{"{\"id\":", file->id}, {",\"name\":", file->name}, {",\"media_type\":", file->media_type},
               {",\"sha256\":", file->sha256}};
  for (size_t at = 0; at < sizeof texts / sizeof *texts; at++) {
    sl_put(buf, sl_of(texts[at].name));
    sl_put_json(buf, texts[at].value);
  }
  sl_printf(buf, ",\"bytes\":%llu}", (unsigned long long)file->bytes);
}
