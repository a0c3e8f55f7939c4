/*
 * One build: everything that is open while it runs, and the steps as the scheduler sees them.
 *
 * The coordinator makes and ends it. Jobs read what does not change (store, runtime, settings, graph) and use the
 * thread-safe parts: queue, chains, snapshots.
 */
#ifndef CB_BUILDER_BUILD_H
#define CB_BUILDER_BUILD_H

#include <stdatomic.h>

#include "base/cancel.h"
#include "base/map.h"
#include "base/pool.h"
#include "builder/output.h"
#include "builder/plan.h"
#include "builder/progress.h"
#include "builder/scheduler.h"
#include "builder/snapfds.h"
#include "layers/gc.h"
#include "layers/pull.h"
#include "layers/store.h"
#include "parser/check.h"
#include "runtime/runtime.h"

struct cb_cached_set;
struct cb_cachemounts;
struct cb_commits;
struct cb_remotes;
struct cb_includes;
struct cb_turns;

/** Times of the files in layers that the build makes. */
enum cb_layer_times {
	CB_TIMES_KEPT,
	CB_TIMES_CLAMPED, /* not after the time of the image */
	CB_TIMES_LEVEL,   /* the time of the image, all of them */
};

struct cb_build {
	const struct cb_settings *settings;
	struct cb_store *store;
	struct cb_runtime *runtime;
	struct cb_registry *registry;
	struct cb_http *http; /* of remote contexts */
	struct cb_puller *puller;
	struct cb_contexts *contexts;
	struct cb_context_file file;
	struct cb_includes *includes; /* files that the Buildfile includes */
	struct cb_buildfile *parsed;
	struct cb_plan *plan;
	size_t platforms;            /* that are built for */
	struct cb_findings findings; /* of the checks */
	struct cb_snapfds *snapfds;
	struct cb_gc_policy policy; /* of the store */
	struct cb_commits *commits;
	struct cb_cached_set *cached;       /* layers of remote caches */
	struct cb_remotes *remotes;         /* or NULL */
	struct cb_cachemounts *cachemounts; /* that travel; or NULL */
	struct cb_turns *turns;             /* of steps, where they see each other's processes */
	struct cb_scheduler scheduler;
	struct cb_progress *progress;
	struct cb_needles *shown_needles, *kept_needles; /* of secrets: must not be shown, must not be in an image */
	uint32_t *shown;                                 /* progress ids by vertex id; UINT32_MAX: not shown */
	struct cb_vertex *failed;                        /* whose error ended the build */
	char salt[40];                                   /* unique to this build */
	struct cb_epoch epoch;                           /* SOURCE_DATE_EPOCH of the plan, for steps */
	struct cb_epoch made;                            /* the time of the image and of exported files */
	uint64_t deadline;                               /* of the build on the monotonic clock, or 0 */
	struct cb_buf trust;                             /* certificates of --ca-cert for steps; empty: none */
	struct cb_buf filter;                            /* of --security-opt seccomp for steps; empty: the default */
	struct cb_strv security_warnings;
	char *warned;     /* warnings that were shown */
	uint32_t n_shown; /* progress ids given out */
	int signal;       /* that was received, or 0 */
	enum cb_layer_times layer_times;
	bool offline;       /* registries are not asked for base images */
	bool timed_out;     /* the deadline has passed */
	bool wants_network; /* some RUN step is on the network that has to be connected first */
	atomic_bool wrote;  /* something new is in the store */
};

/** Time stamps of what a step makes from nothing: SOURCE_DATE_EPOCH or now. */
struct timespec cb_build_time(const struct cb_build *build);

/** Opens what every build needs. cb_runtime_enter was called. On failure everything is closed again. */
int cb_build_open(const struct cb_settings *settings, struct cb_build **ret, struct cb_err **err);
/** The same for what only reads: contexts, the Buildfile, configs of base images. It shows nothing and runs nothing. */
int cb_build_open_reading(const struct cb_settings *settings, struct cb_build **ret, struct cb_err **err);
struct cb_build *cb_build_close(struct cb_build *build);
CB_DEFINE_CLEANUP(struct cb_build *, cb_build_close)

/** Reads and parses; cb_build_plan does it itself. */
int cb_build_read(struct cb_build *build, struct cb_err **err);
/** Reads, parses and plans. */
int cb_build_plan(struct cb_build *build, struct cb_err **err);
/** Runs the steps that the targets need for @needs (enum cb_output_need). */
int cb_build_run(struct cb_build *build, unsigned int needs, struct cb_err **err);
/**
 * After something that the result needs could not be had: 1 when that was layers of caches, and the steps that made
 * them have run instead; 0 when it was not.
 */
int cb_build_repair(struct cb_build *build, struct cb_err **err);
/** The chain of target @at of the plan, once cb_build_run succeeded; NULL: empty. */
const struct cb_chain *cb_build_chain(const struct cb_build *build, size_t at);
/** The finished image of target @at, with layers compressed as @compression. */
int cb_build_result(struct cb_build *build, size_t at, unsigned int needs, const struct cb_compress_spec *compression,
	struct cb_result **ret, struct cb_err **err);

/** What the scheduler asks and tells of the vertices of a build, which is its context. build_watch.c */
extern const struct cb_scheduler_ops cb_build_ops;

/** After the outputs, whether the build failed or not: removes what the store's policy says is too much. */
void cb_build_collect(struct cb_build *build);
/** The isolation that --isolation names. */
enum cb_isolation cb_build_isolation(const struct cb_settings *settings);
/** Lines of the progress that are no vertex, and yet get messages from jobs. */
enum cb_stand_in { CB_STAND_IN_OUTPUT, CB_STAND_IN_MOUNTS, CB_STAND_INS };
/** Makes messages about @vertex, which is in no graph, go to the progress line @id. After cb_build_run. */
void cb_build_stand_in(struct cb_build *build, enum cb_stand_in which, struct cb_vertex *vertex, uint32_t id);

/** A progress line that is no vertex of the graph. */
uint32_t cb_build_show(struct cb_build *build, const char *name);

/* For jobs, from any thread. */

/** Posts @len bytes that the step wrote to its descriptor @fd. */
void cb_build_log(struct cb_build *build, const struct cb_vertex *vertex, int fd, const void *data, size_t len);
void cb_build_status(
	struct cb_build *build, const struct cb_vertex *vertex, const char *what, uint64_t current, uint64_t total);
/** A warning. @vertex NULL: of the whole build. */
void cb_build_note(struct cb_build *build, const struct cb_vertex *vertex, const char *text);
/** Before a container is made: chooses the isolation, when that has waited, and tells what it lacks. */
int cb_build_ready(struct cb_build *build, struct cb_err **err);
/** Notes that the snapshot @id is new, and counts it in the background while its names are still in memory. */
void cb_build_count(struct cb_build *build, const char *id);
/** The merged view of @chain; an empty tree for NULL. All its images are unpacked. */
int cb_build_tree(struct cb_build *build, const struct cb_chain *chain, struct cb_tree **ret, struct cb_err **err);
/** The file tree behind a vertex: a context's, or that of its chain. */
int cb_build_source_tree(
	struct cb_build *build, const struct cb_vertex *vertex, struct cb_tree **ret, struct cb_err **err);
/** How the store marks opaque directories. */
enum cb_flavour cb_build_flavour(const struct cb_build *build);
/** A chain's snapshot directories, bottom first; borrowed descriptors, caller frees the array. */
int cb_build_fds(struct cb_build *build, const struct cb_chain *chain, int **ret, struct cb_err **err);

/* The steps: each fills the fresh snapshot @fs, or result. step_*.c */

int cb_step_execute(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err);
int cb_step_probe(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err);
int cb_step_ready(struct cb_build *build, struct cb_vertex *vertex);
bool cb_step_lost(struct cb_build *build, struct cb_vertex *vertex, bool inputs);
int cb_step_image(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err);
/** Fetches and opens a remote context; @vertex (may be NULL) shows how far it is. 1 when nothing had to be fetched. */
int cb_step_fetch(
	struct cb_build *build, const struct cb_vertex *vertex, struct cb_context *context, struct cb_err **err);
int cb_step_select(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err);
struct cb_content_files;
/** Adds the files that the finished SELECT @select stands for. */
int cb_step_list_files(
	struct cb_build *build, const struct cb_vertex *select, struct cb_content_files *files, struct cb_err **err);
int cb_step_copy(struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot, struct cb_err **err);
/** Copies the content of directory @path of @source (NULL: empty) into the empty directory @dirfd. */
int cb_step_copy_dir(
	struct cb_build *build, const struct cb_vertex *source, const char *path, int dirfd, struct cb_err **err);
int cb_step_workdir(
	struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot, struct cb_err **err);
int cb_step_run(struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot, struct cb_err **err);
/** Fetches the configs of base images: struct cb_plan_options.resolve; @ctx is the build. */
int cb_step_resolve(void *ctx, struct cb_base **bases, size_t n, struct cb_err **err);

#endif
