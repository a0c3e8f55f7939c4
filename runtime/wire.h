/*
 * The run spec as bytes: what a sandbox reads from a memfd. Writer and reader are one program, so the bytes are in
 * native order and only checked against their own length.
 */
#ifndef CB_RUNTIME_WIRE_H
#define CB_RUNTIME_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void cb_wire_put_u64(struct cb_buf *out, uint64_t v);
/** NULL is kept. */
void cb_wire_put_str(struct cb_buf *out, const char *s);
void cb_wire_put_bytes(struct cb_buf *out, const void *data, size_t len);
/** A NULL-terminated vector; NULL is an empty one. */
void cb_wire_put_strv(struct cb_buf *out, const char *const *v);

struct cb_wire {
	const char *p, *end;
	bool bad; /* read past the end: everything read after that is 0, NULL or empty */
};

uint64_t cb_wire_get_u64(struct cb_wire *in);
/** Borrowed from the bytes. */
const char *cb_wire_get_str(struct cb_wire *in);
const void *cb_wire_get_bytes(struct cb_wire *in, size_t *len);
/** A new NULL-terminated vector of borrowed strings, never NULL. */
char **cb_wire_get_strv(struct cb_wire *in);

#endif
