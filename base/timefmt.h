/*
 * Time as RFC 3339 text in UTC, as image configs carry it.
 */
#ifndef CB_BASE_TIMEFMT_H
#define CB_BASE_TIMEFMT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/** Go's RFC3339Nano: trailing zeros of the fraction dropped. @out holds at least 40 bytes. */
#define CB_TIME_TEXT_MAX 40
void cb_time_format(struct timespec t, char out[static CB_TIME_TEXT_MAX]);
bool cb_time_parse(const char *text, struct timespec *ret);
/** CLOCK_REALTIME. */
struct timespec cb_time_now(void);
/** CLOCK_MONOTONIC in nanoseconds. */
uint64_t cb_time_mono(void);
/** Milliseconds until @deadline of that clock for poll(2), rounded up; -1 (for ever) when it is 0. */
int cb_time_left_ms(uint64_t deadline);

#endif
