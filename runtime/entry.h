/*
 * What cb_runtime_enter found out about this process. Private to runtime/.
 */
#ifndef CB_RUNTIME_ENTRY_H
#define CB_RUNTIME_ENTRY_H

#include "runtime/runtime.h"

struct cb_entry {
	bool entered;
	enum cb_isolation isolation; /* ROOT, RANGES or SINGLE: whose root we are now */
	int ranges_errnum;           /* why not RANGES */
	char ranges_reason[256];
};

const struct cb_entry *cb_entry_get(void);

#endif
