#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"

static atomic_bool enabled;

void cb_log_enable(bool on)
{
	atomic_store(&enabled, on);
}

bool cb_log_enabled(void)
{
	return atomic_load_explicit(&enabled, memory_order_relaxed);
}

void cb_log_debug(const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (!cb_log_enabled())
		return;
	va_start(ap, fmt);
	text = cb_xvasprintf(fmt, ap);
	va_end(ap);
	fprintf(stderr, "cbuild: debug: %s\n", text);
	free(text);
}
