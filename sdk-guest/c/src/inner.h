/* What the SDK's own files share. */
#ifndef SLUICE_INNER_H
#define SLUICE_INNER_H

#include <stddef.h>

#include "sluice.h"

/* Zeroed room for `count` things of `bytes` each; the call ends where there is none. */
void *sl_room(size_t count, size_t bytes);

void sl_keep(void *room);

struct sl_change {
  bool gone;
  sl_str id, data;
  int64_t modified;
};

#endif
