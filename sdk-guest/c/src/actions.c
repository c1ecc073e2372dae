/* The contract's `actions`: named operations. */

#include "contract.h"

void sl_offer(sl_actions *actions, const sl_action *action) {
  sl_more((void **)&actions->items, &actions->room, actions->count, sizeof *actions->items);
  actions->items[actions->count++] = *action;
}

bool exports_sluice_connector_actions_list(exports_sluice_connector_actions_connection_t *from,
                                           exports_sluice_connector_actions_list_action_info_t *ret,
                                           exports_sluice_connector_actions_error_t *err) {
  sl_connection connection = sl_connection_of(from);
  sl_actions actions = {0};
  sl_error error = sl_silent();
  bool asked = sluice_connector.list_actions != NULL;
  if (asked && !sluice_connector.list_actions(&connection, &actions, &error)) return sl_tell(&error, err);
  ret->ptr = sl_room(actions.count, sizeof *ret->ptr);
  ret->len = actions.count;
  for (size_t at = 0; at < actions.count; at++) {
    const sl_action *action = &actions.items[at];
    ret->ptr[at] = (exports_sluice_connector_actions_action_info_t){
        given(action->name), given(action->title.len > 0 ? action->title : action->name), given(action->input), given(action->output)};
  }
  return true;
}

bool exports_sluice_connector_actions_run(exports_sluice_connector_actions_connection_t *from, connector_string_t *name,
                                          exports_sluice_connector_actions_json_t *input, connector_string_t *key,
                                          exports_sluice_connector_actions_json_t *ret,
                                          exports_sluice_connector_actions_error_t *err) {
  if (sluice_connector.run_action == NULL) return sl_left_out(err, "this connector has no actions");
  sl_connection connection = sl_connection_of(from);
  sl_str output = {0};
  sl_error error = sl_silent();
  if (!sluice_connector.run_action(&connection, taken(*name), taken(*input), taken(*key), &output, &error)) {
    return sl_tell(&error, err);
  }
  *ret = given(output);
  return true;
}
