/* Requests through the broker, and what their answers mean. */

#include <stdlib.h>
#include <string.h>

#include "contract.h"

/* A vendor's own words in a message are cut here, in bytes. */
enum { WORDS = 300 };

bool sl_refused(const sluice_connector_http_error_t *from, sl_error *error) {
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

/* The header's numbers are the contract's. */
_Static_assert(SL_INTO_SECRET == SLUICE_CONNECTOR_HTTP_CAPTURE_INTO_SECRET && SL_INTO_ACCOUNT == SLUICE_CONNECTOR_HTTP_CAPTURE_INTO_ACCOUNT,
               "what is captured is numbered alike");

sluice_connector_http_request_t sl_asked(const sl_request *request) {
  sluice_connector_http_capture_t *captures = sl_room(request->capture_count, sizeof *captures);
  for (size_t at = 0; at < request->capture_count; at++) {
    const sl_capture *capture = &request->captures[at];
    captures[at].pointer = given(sl_of(capture->pointer));
    captures[at].into.tag = (uint8_t)capture->into;
    if (capture->into == SL_INTO_SECRET) captures[at].into.val.secret = given(sl_of(capture->secret));
  }
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
      .captures = {captures, request->capture_count},
      .timeout_ms = {request->timeout_ms > 0, request->timeout_ms},
  };
}

static const sl_header *fields_of(const sluice_connector_http_headers_t *from) {
  sl_header *fields = sl_room(from->len, sizeof *fields);
  for (size_t at = 0; at < from->len; at++) fields[at] = (sl_header){taken(from->ptr[at].f0), taken(from->ptr[at].f1)};
  return fields;
}

sl_response sl_answered(const sluice_connector_http_response_t *answer) {
  return (sl_response){
      .status = answer->status,
      .headers = fields_of(&answer->headers),
      .header_count = answer->headers.len,
      .body = {(const char *)answer->body.ptr, answer->body.len},
  };
}

bool sl_send(const sl_request *request, sl_response *response, sl_error *error) {
  sluice_connector_http_request_t sent = sl_asked(request);
  sluice_connector_http_response_t answer;
  sluice_connector_http_error_t failure;
  if (!sluice_connector_http_send(&sent, &answer, &failure)) return sl_refused(&failure, error);
  *response = sl_answered(&answer);
  return true;
}

void sl_send_all(const sl_request *requests, size_t count, sl_answer *answers) {
  sluice_connector_http_request_t *sent = sl_room(count, sizeof *sent);
  for (size_t at = 0; at < count; at++) sent[at] = sl_asked(&requests[at]);
  sluice_connector_http_list_request_t all = {sent, count};
  sluice_connector_http_list_result_response_error_t came;
  sluice_connector_http_send_all(&all, &came);
  for (size_t at = 0; at < count; at++) {
    answers[at] = (sl_answer){.ok = !came.ptr[at].is_err};
    if (answers[at].ok) answers[at].response = sl_answered(&came.ptr[at].val.ok);
    else sl_refused(&came.ptr[at].val.err, &answers[at].error);
  }
}

static sluice_connector_http_borrow_incoming_t lent(const sl_incoming *incoming) {
  return sluice_connector_http_borrow_incoming((sluice_connector_http_own_incoming_t){incoming->handle});
}

bool sl_open(const sl_request *request, sl_incoming *incoming, sl_error *error) {
  sluice_connector_http_request_t sent = sl_asked(request);
  sluice_connector_http_own_incoming_t opened;
  sluice_connector_http_error_t failure;
  if (!sluice_connector_http_open(&sent, &opened, &failure)) return sl_refused(&failure, error);
  *incoming = (sl_incoming){.handle = opened.__handle};
  incoming->status = sluice_connector_http_method_incoming_status(lent(incoming));
  sluice_connector_http_headers_t headers;
  sluice_connector_http_method_incoming_headers(lent(incoming), &headers);
  incoming->headers = fields_of(&headers);
  incoming->header_count = headers.len;
  return true;
}

bool sl_read(sl_incoming *incoming, uint32_t max, sl_str *piece, sl_error *error) {
  /* The one thing that is freed: otherwise the whole body would be held after all. */
  free(incoming->piece);
  incoming->piece = NULL;
  *piece = (sl_str){0};
  connector_option_list_u8_t came;
  sluice_connector_http_error_t failure;
  if (!sluice_connector_http_method_incoming_read(lent(incoming), max, &came, &failure)) return sl_refused(&failure, error);
  if (!came.is_some) return true;
  incoming->piece = came.val.ptr;
  *piece = (sl_str){(const char *)came.val.ptr, came.val.len};
  return true;
}

void sl_close(sl_incoming *incoming) {
  free(incoming->piece);
  incoming->piece = NULL;
  sluice_connector_http_incoming_drop_own((sluice_connector_http_own_incoming_t){incoming->handle});
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
