/*
 * Numbers and bytes of the binary documents of this folder: little-endian base-128 numbers in their shortest form, and
 * a cursor over bytes that are not trusted.
 */
#ifndef CB_LAYERS_VARINT_H
#define CB_LAYERS_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/** What is left to read; borrowed. */
struct cb_varint_in {
	const unsigned char *at, *end;
};

void cb_varint_put(struct cb_buf *out, uint64_t v);
/** A signed number: 0, -1, 1, -2, ... */
void cb_varint_put_signed(struct cb_buf *out, int64_t v);
/** Bytes after their number. */
void cb_varint_put_bytes(struct cb_buf *out, const void *data, size_t len);

/* False, with nothing promised of the cursor, when the bytes end too early or are not what was asked for. */

/** A number of at most @max; longer forms than needed are refused, so that equal documents are equal bytes. */
bool cb_varint_get(struct cb_varint_in *wire, uint64_t max, uint64_t *ret);
bool cb_varint_get_signed(struct cb_varint_in *wire, int64_t *ret);
/** @len bytes in place. */
bool cb_varint_take(struct cb_varint_in *wire, size_t len, const void **ret);
/** Bytes after their number, at most @max, in place. */
bool cb_varint_get_bytes(struct cb_varint_in *wire, size_t max, const void **ret, size_t *ret_len);

#endif
