/* The contract's `auth`: whose connection it is, and flows of the connector's own. */

#include "contract.h"

static const char FLOW[] = "this connector has no auth flow of its own";

bool exports_sluice_connector_auth_check(exports_sluice_connector_auth_connection_t *from,
                                         exports_sluice_connector_auth_account_t *ret,
                                         exports_sluice_connector_auth_error_t *err) {
  if (sluice_connector.check == NULL) return sl_left_out(err, "this connector has no `check`");
  sl_connection connection = sl_connection_of(from);
  sl_account account = {0};
  sl_error error = sl_silent();
  if (!sluice_connector.check(&connection, &account, &error)) return sl_tell(&error, err);
  *ret = (exports_sluice_connector_auth_account_t){given(account.id), given(account.name), sl_given_list(&account.scopes)};
  return true;
}

bool exports_sluice_connector_auth_begin(exports_sluice_connector_auth_connection_t *from, connector_string_t *url,
                                         exports_sluice_connector_auth_redirect_t *ret,
                                         exports_sluice_connector_auth_error_t *err) {
  if (sluice_connector.begin_auth == NULL) return sl_left_out(err, FLOW);
  sl_connection connection = sl_connection_of(from);
  sl_redirect redirect = {0};
  sl_error error = sl_silent();
  if (!sluice_connector.begin_auth(&connection, taken(*url), &redirect, &error)) return sl_tell(&error, err);
  *ret = (exports_sluice_connector_auth_redirect_t){given(redirect.url), given_json(redirect.state)};
  return true;
}

bool exports_sluice_connector_auth_complete(exports_sluice_connector_auth_connection_t *from,
                                            exports_sluice_connector_auth_json_t *state,
                                            connector_list_tuple2_string_string_t *query,
                                            exports_sluice_connector_auth_error_t *err) {
  if (sluice_connector.complete_auth == NULL) return sl_left_out(err, FLOW);
  sl_connection connection = sl_connection_of(from);
  sl_header *came = sl_room(query->len, sizeof *came);
  for (size_t at = 0; at < query->len; at++) came[at] = (sl_header){taken(query->ptr[at].f0), taken(query->ptr[at].f1)};
  sl_error error = sl_silent();
  return sluice_connector.complete_auth(&connection, taken(*state), came, query->len, &error) || sl_tell(&error, err);
}

bool exports_sluice_connector_auth_refresh(exports_sluice_connector_auth_connection_t *from,
                                           exports_sluice_connector_auth_error_t *err) {
  if (sluice_connector.refresh_auth == NULL) return sl_left_out(err, FLOW);
  sl_connection connection = sl_connection_of(from);
  sl_error error = sl_silent();
  return sluice_connector.refresh_auth(&connection, &error) || sl_tell(&error, err);
}

bool exports_sluice_connector_auth_revoke(exports_sluice_connector_auth_connection_t *from,
                                          exports_sluice_connector_auth_error_t *err) {
  if (sluice_connector.revoke_auth == NULL) return sl_left_out(err, FLOW);
  sl_connection connection = sl_connection_of(from);
  sl_error error = sl_silent();
  return sluice_connector.revoke_auth(&connection, &error) || sl_tell(&error, err);
}
