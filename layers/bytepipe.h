/*
 * A bounded pipe between two threads of one process: one pushes bytes, the other reads them as a cb_source.
 *
 * It joins what calls us with data (a download) to what asks us for data (unpacking), so that both run at once.
 */
#ifndef CB_LAYERS_BYTEPIPE_H
#define CB_LAYERS_BYTEPIPE_H

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "layers/stream.h"

struct cb_bytepipe;

struct cb_bytepipe *cb_bytepipe_new(size_t capacity);
/** Both sides must be done with it. */
struct cb_bytepipe *cb_bytepipe_free(struct cb_bytepipe *pipe);
CB_DEFINE_CLEANUP(struct cb_bytepipe *, cb_bytepipe_free)

/** Writer: waits for room. CB_ERR_CANCELED once the reader has closed. */
int cb_bytepipe_write(struct cb_bytepipe *pipe, const void *data, size_t len, struct cb_err **err);
/** Writer, once: the end, or with @why (copied) the failure that the reader gets after the bytes before it. */
void cb_bytepipe_finish(struct cb_bytepipe *pipe, const struct cb_err *why);

/** Reader. */
struct cb_source cb_bytepipe_source(struct cb_bytepipe *pipe);
/** Reader: wants no more; the writer's next call fails. */
void cb_bytepipe_close(struct cb_bytepipe *pipe);

#endif
