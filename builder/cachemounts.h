/*
 * Cache mounts of a build that travel: --cache-mount-from and --cache-mount-to.
 *
 * A mount is imported when a step that runs is about to use it and it is empty here: a build that finds all its steps
 * asks for nothing, and what is in a mount already stays. Mounts that steps used are exported when the steps are over,
 * while the results are written; after a failed build too (on=success: not), because what a compiler left behind is
 * what the next attempt needs, but not after one that was interrupted or took too long. Neither ever fails a build:
 * what goes wrong is a warning, and a cache that fails twice in a row is left alone.
 *
 * A mount keeps its name everywhere (cb_cachemount_name); one that begins with files of another stage (from=) is named
 * by the diff IDs of these, when they are known.
 */
#ifndef CB_BUILDER_CACHEMOUNTS_H
#define CB_BUILDER_CACHEMOUNTS_H

#include "builder/build.h"
#include "builder/remotespec.h"
#include "layers/mountremote.h"

struct cb_cachemounts;

/** Checks the value of @option (with dashes) before anything is opened: CB_ERR_USAGE. */
int cb_cachemounts_check_spec(const char *option, const char *text, bool to, struct cb_err **err);

/** Opens what the settings name; *ret is NULL when they name nothing. */
int cb_cachemounts_new(struct cb_build *build, struct cb_cachemounts **ret, struct cb_err **err);
/** No job of it may be running. */
struct cb_cachemounts *cb_cachemounts_free(struct cb_cachemounts *mounts);
CB_DEFINE_CLEANUP(struct cb_cachemounts *, cb_cachemounts_free)

/** A mount that a step is about to use. */
struct cb_cachemount_use {
	const char *name;   /* in the store */
	const char *travel; /* what other machines call it */
	const char *title;  /* the Buildfile's word for it */
	bool locked;        /* sharing=locked: the step has its lock, and so must whoever reads it */
};
/**
 * Any thread, before the step opens the mount: notes the use, and imports the mount when that is called for. @mounts
 * may be NULL. CB_ERR_CANCELED is the only failure.
 */
int cb_cachemounts_prepare(struct cb_cachemounts *mounts, const struct cb_vertex *vertex,
	const struct cb_cachemount_use *use, struct cb_err **err);

/* Coordinator; NULL for none. */

/** The steps are over, and failed unless @ok: begins to export in the background. */
void cb_cachemounts_start(struct cb_cachemounts *mounts, bool ok);
/** Waits until all is exported. */
void cb_cachemounts_finish(struct cb_cachemounts *mounts);

/* What the command cache-mount needs, too. */

/** Digests of the keys of a mount: of branch=, then of fallback=. Caller frees. */
struct cb_digest *cb_cachemount_keys(
	const struct cb_remote_spec *spec, const char *platform, const char *travel, size_t *ret_n);
/** The branch that is number @at of these, "" when it has no name; caller frees. */
char *cb_cachemount_branch(const struct cb_remote_spec *spec, size_t at);
/** Whether id= of @spec means the mount. */
bool cb_cachemount_wanted(const struct cb_remote_spec *spec, const char *title);
/** Waits at most @seconds for the lock of steps that have the mount to themselves: 1 when somebody keeps it. */
int cb_cachemount_wait(struct cb_store *store, const char *name, unsigned int seconds, struct cb_cancel *cancel,
	struct cb_lock **ret, struct cb_err **err);
/** "12 files, 3.4MB; 1.2kB sent", for people. */
void cb_cachemount_tell(const struct cb_mount_export_result *result, struct cb_buf *out);
/** The platform that steps of @settings run as. Caller frees. */
char *cb_cachemount_platform(const struct cb_settings *settings);

#endif
