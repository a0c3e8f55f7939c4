/*
 * What this host allows: every rung of the isolation ladder tried for real, and the facts that explain the outcome.
 */
#ifndef CB_BUILDER_DOCTOR_H
#define CB_BUILDER_DOCTOR_H

#include "base/err.h"
#include "base/json.h"
#include "runtime/runtime.h"

/** What a trial of one isolation gave. Strings are owned. */
struct cb_doctor_rung {
	enum cb_isolation isolation; /* CB_ISOLATION_AUTO: what a build takes by itself */
	enum cb_isolation got;       /* with AUTO: the chosen one */
	bool works;
	int errnum;        /* of the call that failed, or 0 */
	char *overlay;     /* how layers are put together, when it works */
	char *reason;      /* why it does not work; "" */
	char *remedy;      /* one line to do about it; "" */
	char *warnings;    /* what a build would say, one a line; "" */
	json_t *platforms; /* of AUTO, when it works: which programs run, objects of "name", "how", "detail", "remedy"
			    */
};

void cb_doctor_rung_done(struct cb_doctor_rung *rung);

/**
 * Tries one in a process of its own: enters it, starts the helper, mounts an overlay on the file system of the store
 * @root (nothing is left there, and the store need not exist) and prepares a container. An isolation that does not work
 * is a result. Must be called before cb_runtime_enter, without threads.
 */
int cb_doctor_try(enum cb_isolation isolation, const char *root, struct cb_doctor_rung *ret, struct cb_err **err);

/**
 * Tries limits as a build sets them, in our own control group; false when those of memory or processes cannot be. @text
 * and @remedy are the caller's. Without threads.
 */
bool cb_doctor_limits(char **text, char **remedy);

/**
 * A list of {"name", "value", "ok", "remedy"} objects about the host: kernel, user, store, programs. "ok" is false
 * where something that cbuild could use is missing, and "remedy" then says how to get it.
 */
json_t *cb_doctor_host(const char *root);

#endif
