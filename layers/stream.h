/*
 * Byte streams between modules: where bytes come from and where they go, as plain callbacks.
 *
 * A stream struct is borrowed by whoever is given it; `arg` must outlive the user. Neither is used from two threads at
 * once unless a function says so.
 */
#ifndef CB_LAYERS_STREAM_H
#define CB_LAYERS_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/** Takes bytes: all of them, or fails. */
struct cb_sink {
	int (*write)(void *arg, const void *data, size_t len, struct cb_err **err);
	void *arg;
};

/** Gives bytes: a count above 0 (short counts are fine), 0 at the end, or a negative code. */
struct cb_source {
	ssize_t (*read)(void *arg, void *buf, size_t len, struct cb_err **err);
	void *arg;
};

/** A sink that writes to the descriptor *@fd and a source that reads from it; @fd points to a live int. */
struct cb_sink cb_sink_fd(int *fd);
struct cb_source cb_source_fd(int *fd);

/** Bytes in memory as a source; embed it, zero `at`. */
struct cb_source_mem {
	const void *data;
	size_t len, at;
};
struct cb_source cb_source_mem(struct cb_source_mem *mem);

/** A sink that appends to a struct cb_buf. */
struct cb_buf;
struct cb_sink cb_sink_buf(struct cb_buf *buf);

/** Reads until @len bytes or the end; the count, or a negative code. */
ssize_t cb_source_read_full(struct cb_source src, void *buf, size_t len, struct cb_err **err);

/*
 * Read-ahead: a source that is drained by a thread of its own into a bounded ring, so that two stages of a pipeline
 * (download and unpack, reading and compressing) run at the same time. @src is used only by that thread until
 * cb_readahead_free returns; free before its end stops the thread after the read that it is in.
 */
struct cb_readahead;
/** Buffers up to @blocks blocks of @block bytes. */
struct cb_readahead *cb_readahead_new(struct cb_source src, size_t block, size_t blocks);
struct cb_readahead *cb_readahead_free(struct cb_readahead *ra);
CB_DEFINE_CLEANUP(struct cb_readahead *, cb_readahead_free)
struct cb_source cb_readahead_source(struct cb_readahead *ra);

#endif
