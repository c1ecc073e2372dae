/* The contract's `webhook`: what the vendor tells on its own, and how it is asked to. */

#include <string.h>

#include "contract.h"

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

static sl_receipt receipt_of(const exports_sluice_connector_webhook_receipt_t *came) {
  return (sl_receipt){
      .id = taken(came->id),
      .webhook = taken(came->webhook),
      .received = (int64_t)(came->received & INT64_MAX),
      .method = taken(came->method),
      .query = headers_of(came->query.ptr, came->query.len),
      .query_count = came->query.len,
      .headers = headers_of(came->headers.ptr, came->headers.len),
      .header_count = came->headers.len,
      .body = {(const char *)came->body.ptr, came->body.len},
  };
}

bool exports_sluice_connector_webhook_handle(exports_sluice_connector_webhook_connection_t *from,
                                             exports_sluice_connector_webhook_receipt_t *came,
                                             exports_sluice_connector_webhook_handled_t *ret,
                                             exports_sluice_connector_webhook_error_t *err) {
  if (sluice_connector.handle == NULL) return sl_left_out(err, "this connector declares no webhooks");
  sl_connection connection = sl_connection_of(from);
  sl_receipt receipt = receipt_of(came);
  sl_handled handled = {0};
  sl_error error = sl_silent();
  if (!sluice_connector.handle(&connection, &receipt, &handled, &error)) return sl_tell(&error, err);
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
    ret->changes.ptr[at].f1 = sl_change_of(&handled.changes[at].change);
  }
  ret->resync.ptr = sl_room(handled.resync_count, sizeof *ret->resync.ptr);
  ret->resync.len = handled.resync_count;
  for (size_t at = 0; at < handled.resync_count; at++) ret->resync.ptr[at] = given(handled.resync[at]);
  ret->reply.is_some = handled.replies;
  ret->reply.val = (exports_sluice_connector_webhook_reply_t){
      (uint16_t)(handled.status == 0 ? 200 : handled.status),
      given(handled.content_type.len > 0 ? handled.content_type : SL("text/plain")), given_bytes(handled.reply)};
  return true;
}

bool exports_sluice_connector_webhook_route(exports_sluice_connector_webhook_receipt_t *came, connector_list_string_t *ret,
                                            exports_sluice_connector_webhook_error_t *err) {
  if (sluice_connector.route == NULL) return sl_left_out(err, "this connector's webhooks name their accounts themselves");
  sl_receipt receipt = receipt_of(came);
  sl_list accounts = {0};
  sl_error error = sl_silent();
  if (!sluice_connector.route(&receipt, &accounts, &error)) return sl_tell(&error, err);
  *ret = sl_given_list(&accounts);
  return true;
}

/* ---- setting it up at the vendor ---- */

static const char BY_HAND[] = "the webhook is set up by hand at this vendor";

static sl_registration known_of(const exports_sluice_connector_webhook_registration_t *from) {
  return (sl_registration){
      .id = taken(from->id),
      .expires = from->expires.is_some ? (int64_t)(from->expires.val & INT64_MAX) : -1,
      .state = taken(from->state),
  };
}

static exports_sluice_connector_webhook_registration_t registration_of(const sl_registration *from) {
  return (exports_sluice_connector_webhook_registration_t){
      given(from->id), {from->expires >= 0, (uint64_t)from->expires}, given_json(from->state)};
}

bool exports_sluice_connector_webhook_register(exports_sluice_connector_webhook_connection_t *from,
                                               connector_string_t *webhook, connector_string_t *url,
                                               connector_list_string_t *events,
                                               exports_sluice_connector_webhook_registration_t *ret,
                                               exports_sluice_connector_webhook_error_t *err) {
  if (sluice_connector.register_webhook == NULL) return sl_left_out(err, BY_HAND);
  sl_connection connection = sl_connection_of(from);
  sl_list wanted = sl_taken_list(events);
  sl_registration made = {.expires = -1};
  sl_error error = sl_silent();
  if (!sluice_connector.register_webhook(&connection, taken(*webhook), taken(*url), &wanted, &made, &error)) {
    return sl_tell(&error, err);
  }
  *ret = registration_of(&made);
  return true;
}

bool exports_sluice_connector_webhook_renew(exports_sluice_connector_webhook_connection_t *from,
                                            exports_sluice_connector_webhook_registration_t *registration,
                                            exports_sluice_connector_webhook_registration_t *ret,
                                            exports_sluice_connector_webhook_error_t *err) {
  if (sluice_connector.renew_webhook == NULL) return sl_left_out(err, BY_HAND);
  sl_connection connection = sl_connection_of(from);
  sl_registration known = known_of(registration), renewed = {.expires = -1};
  sl_error error = sl_silent();
  if (!sluice_connector.renew_webhook(&connection, &known, &renewed, &error)) return sl_tell(&error, err);
  *ret = registration_of(&renewed);
  return true;
}

bool exports_sluice_connector_webhook_unregister(exports_sluice_connector_webhook_connection_t *from,
                                                 exports_sluice_connector_webhook_registration_t *registration,
                                                 exports_sluice_connector_webhook_error_t *err) {
  if (sluice_connector.unregister_webhook == NULL) return sl_left_out(err, BY_HAND);
  sl_connection connection = sl_connection_of(from);
  sl_registration known = known_of(registration);
  sl_error error = sl_silent();
  return sluice_connector.unregister_webhook(&connection, &known, &error) || sl_tell(&error, err);
}
