/*
 * Numbers from text, strictly: the whole string, no sign or space unless said, overflow refused.
 */
#ifndef CB_BASE_NUM_H
#define CB_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

struct cb_buf;

/** Decimal digits only. False leaves *ret alone. */
bool cb_num_u64(const char *s, uint64_t *ret);
bool cb_num_u32(const char *s, uint32_t *ret);
bool cb_num_i64(const char *s, int64_t *ret);
/** Octal digits only, at most @max. */
bool cb_num_octal(const char *s, uint32_t max, uint32_t *ret);
/** Docker's sizes: "10", "10b", "64k", "1.5m", "2g", "2GiB", "2gb" (all powers of 1024), in bytes. */
bool cb_num_size(const char *s, uint64_t *ret);
/** A Go duration ("1h2m3.5s", "100ms", "0"), in nanoseconds. */
bool cb_num_duration(const char *s, int64_t *ret);
/** "1h2m3s" as Go's Duration.String prints it. */
void cb_num_format_duration(struct cb_buf *out, int64_t ns);
/** "1.23MB" with decimal units as docker prints sizes. */
void cb_num_format_size(struct cb_buf *out, uint64_t bytes);

#endif
