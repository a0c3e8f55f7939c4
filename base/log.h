/*
 * Debug log for developers: off unless switched on; the only thing outside builder/ that may write to stderr.
 */
#ifndef CB_BASE_LOG_H
#define CB_BASE_LOG_H

#include <stdbool.h>

void cb_log_enable(bool on);
bool cb_log_enabled(void);
/** One line "cbuild: debug: ..." to stderr when on. Thread-safe. */
void cb_log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
