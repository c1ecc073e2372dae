/* What the SDK's own files share. */
#ifndef SLUICE_INNER_H
#define SLUICE_INNER_H

#include <stddef.h>

#include "sluice.h"

/* Zeroed room for `count` things of `bytes` each; the call ends where there is none. */
void *sl_room(size_t count, size_t bytes);

void sl_keep(void *room);

/* Makes room for one more in an array that grows: `sl_more(&array, &room, count, sizeof *array)`. */
void sl_more(void **array, size_t *room, size_t count, size_t bytes);

/* What a header's names are compared by: ASCII without case. */
bool sl_same_name(sl_str a, sl_str b);

struct sl_change {
  bool gone;
  sl_str id, data;
  int64_t modified;
};

struct sl_happening {
  sl_str kind, id, data;
  int64_t occurred;
};

struct sl_told {
  sl_str stream;
  struct sl_change change;
};

#endif
