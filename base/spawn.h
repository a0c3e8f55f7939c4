/*
 * Helper programs of the host (git, newuidmap, pasta ...): argv without a shell, bounded output, a time limit.
 */
#ifndef CB_BASE_SPAWN_H
#define CB_BASE_SPAWN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"

struct cb_spawn {
	const char *const *argv; /* argv[0] is looked up on PATH */
	const char *const *env;  /* NULL: inherited */
	const char *dir;         /* working directory, or NULL */
	const void *input;       /* for stdin; NULL with input_len 0: /dev/null */
	size_t input_len;
	size_t max_output;              /* per stream; more is dropped; 0: 1 MiB */
	int timeout_ms;                 /* 0: none; then SIGKILL to its process group and CB_ERR_LIMIT */
	const struct cb_cancel *cancel; /* the same when it is raised, with CB_ERR_CANCELED; or NULL */
	uint64_t max_file;              /* largest file it may write (RLIMIT_FSIZE); 0: any */
	/** Asked every CB_SPAWN_WATCH_MS while it runs: a negative code ends it as a time limit does. Or NULL. */
	int (*watch)(void *arg, struct cb_err **err);
	void *watch_arg;
};

#define CB_SPAWN_WATCH_MS 250

/**
 * Runs to the end. Returns the exit status 0..255 (128 + signal when killed), or a negative code when it could not be
 * started. @out and @errout get the output and may be NULL.
 */
int cb_spawn_run(const struct cb_spawn *spec, struct cb_buf *out, struct cb_buf *errout, struct cb_err **err);
/** True when @program is found on PATH and executable. */
bool cb_spawn_have(const char *program);

#endif
