/*
 * Runs one process in a container of our own: namespaces, overlay root, capabilities, seccomp.
 *
 *   main:    cb_runtime_enter()   first thing, single-threaded; only for commands that build or run
 *            cb_runtime_open()    before the first thread is started
 *   threads: cb_runtime_start() ... cb_runtime_wait() (or cb_runtime_kill() from another thread); in between, if there
 *            is something to do, cb_runtime_watch()
 *   end:     cb_runtime_close()
 *
 * cb_runtime_open forks a small single-threaded helper, the *zygote*: first process of a pid namespace, with a mount
 * namespace of a handful of mounts. It clones *sandboxes*: all namespaces made, /proc /dev /sys mounted and masked,
 * waiting for a spec. One waits ahead for every kind in use, so a start costs an overlay mount, a message and an
 * exec. Nothing is ever mounted where the host can see it, and everything dies with the process that called
 * cb_runtime_open, however it dies: when the zygote goes, the kernel kills its pid namespace.
 *
 * Threads: start, wait, kill and the queries may be called from any thread; a run is waited for by one thread.
 */
#ifndef CB_RUNTIME_RUNTIME_H
#define CB_RUNTIME_RUNTIME_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/strv.h"
#include "runtime/spec.h"

struct cb_runtime;
struct cb_run;

/** How well steps are separated from the host, best first. */
enum cb_isolation {
	CB_ISOLATION_AUTO,        /* the first that works */
	CB_ISOLATION_ROOT_USERNS, /* real root outside, a user namespace inside; owners on disk unaffected (idmap) */
	CB_ISOLATION_ROOT,        /* real root, or root of the user namespace that we were started in */
	CB_ISOLATION_RANGES,      /* ordinary user with the id ranges of /etc/subuid and /etc/subgid */
	CB_ISOLATION_SINGLE,      /* ordinary user with one id: owners are recorded */
	CB_ISOLATION_SHARED,      /* as one of those, but without a pid namespace: /proc is the one there is */
	CB_ISOLATION_CHROOT,      /* root of a container that allows no namespaces and no mounts */
};
#define CB_ISOLATION_LAST CB_ISOLATION_CHROOT

/** "root+userns", "root", "ranges", "single", "auto". */
const char *cb_isolation_name(enum cb_isolation isolation);
/** The isolation of that name: true with *ret, or false. */
bool cb_isolation_find(const char *name, enum cb_isolation *ret);
/** One line on what it gives, for people. */
const char *cb_isolation_gives(enum cb_isolation isolation);

/**
 * Gets the privileges that building needs. Root with CAP_SYS_ADMIN gets a private mount namespace and goes on. Anybody
 * else goes on *inside* a user namespace, as its root, in a forked child: the original process stays behind to pass on
 * signals and the exit status, and never returns from here. The process must have one thread, and descriptors that
 * were opened before are of no use for mounts. A second call does nothing.
 *
 * @want restricts how: CB_ISOLATION_RANGES refuses to go on with one id, CB_ISOLATION_SINGLE does not ask for ranges
 * (both make a user namespace even for root), the others are as AUTO. CB_ERR_UNSUPPORTED with a hint when the host
 * allows none.
 */
int cb_runtime_enter(enum cb_isolation want, struct cb_err **err);

/**
 * True when overlay marks of this process are trusted.overlay.* (it is root of the initial user namespace), false
 * when they are user.overlay.*. Ask after cb_runtime_enter.
 */
bool cb_runtime_trusted_xattrs(void);

/** How overlay mounts are made; for tests, AUTO is the best that the kernel has. */
enum cb_overlay_api {
	CB_OVERLAY_AUTO,
	CB_OVERLAY_FDS,     /* fsconfig with descriptors, Linux 6.13 */
	CB_OVERLAY_STRINGS, /* fsconfig lowerdir+ with /proc/self/fd names, Linux 6.7 */
	CB_OVERLAY_MOUNT,   /* mount(2), one page of options */
	CB_OVERLAY_NONE,    /* not at all: CB_STORAGE_COPY */
};

/** How the layers below a step become its root. */
enum cb_storage {
	CB_STORAGE_OVERLAY, /* mounted by the runtime */
	CB_STORAGE_COPY,    /* the caller copies them into one directory (spec.plain) and finds out what changed */
};

struct cb_runtime_options {
	enum cb_isolation isolation; /* refused, not degraded, when it is not AUTO and not possible */
	enum cb_overlay_api overlay_api;
	struct cb_limits limits; /* of every run; its texts are borrowed for the call */
	int scratch_fd;  /* directory on the store's file system, for trials and throw-away names; borrowed for life */
	int store_fd;    /* the directory above scratch_fd and most layers, or 0: saves time; borrowed for life */
	bool no_prepare; /* no sandbox ahead; for tests and measurements */
	/*
	 * Nothing is tried until cb_runtime_ready: for who may have nothing to run. The texts of @limits are then
	 * borrowed until that.
	 */
	bool lazy;
};

/** One rung of the ladder as it was found. */
struct cb_runtime_rung {
	enum cb_isolation isolation;
	bool works, chosen, tried;
	int errnum;   /* of the trial that failed, or 0 */
	char *reason; /* "" when it works */
};

#define CB_RUNTIME_RUNGS ((size_t)CB_ISOLATION_LAST)

struct cb_runtime_info {
	enum cb_isolation isolation;
	enum cb_overlay_api overlay_api;
	enum cb_storage storage;
	bool trusted_xattrs;
	struct cb_runtime_rung rungs[CB_RUNTIME_RUNGS]; /* in the order of the enum */
	struct cb_strv warnings;                        /* one sentence each, for the user, once per build */
};

/**
 * Chooses the isolation by trying and forks the zygote. Before any thread is started. CB_ERR_UNSUPPORTED when limits
 * were asked for that cannot be had.
 */
int cb_runtime_open(const struct cb_runtime_options *options, struct cb_runtime **ret, struct cb_err **err);
/**
 * Any thread, any number of times; needed with lazy only, before all that follows. 0 when it was ready, 1 when it is
 * now (the warnings are new), or the failure that cb_runtime_open would have been.
 */
int cb_runtime_ready(struct cb_runtime *runtime, struct cb_err **err);
/** Kills what is running. Takes NULL. */
struct cb_runtime *cb_runtime_close(struct cb_runtime *rt);
CB_DEFINE_CLEANUP(struct cb_runtime *, cb_runtime_close)
/**
 * Begins to connect the network of CB_RUN_NETWORK_DEFAULT, which takes about a tenth of a second in the background: for
 * callers that know early that a run will want it. Any thread, any number of times.
 */
void cb_runtime_prepare_network(struct cb_runtime *runtime);
/** Borrowed until close. */
const struct cb_runtime_info *cb_runtime_info(const struct cb_runtime *runtime);

/** How a run ended. */
struct cb_run_result {
	int status;            /* 0..255; 128 + signal when one ended it; 127: no such command, 126: not executable */
	int signal;            /* 0 when it exited */
	bool oom;              /* a memory limit (the run's, or one around cbuild) ended processes of it */
	uint64_t oom_limit;    /* the run's own limit that did, or 0 */
	uint64_t peak_memory;  /* bytes that the run used, or 0 when nobody counted */
	uint64_t pids_refused; /* processes that its limit refused */
	bool killed;           /* cb_runtime_kill ended it */
	bool timed_out;        /* its deadline ended it */
	bool devices_refused;  /* it wanted to make a device node, which this isolation cannot */
	uint64_t duration_ns;  /* from start to the end of every process */
	uint64_t user_ns, system_ns;
	uint64_t max_rss;        /* bytes, largest process */
	struct cb_strv warnings; /* limits that had to be lowered and the like; cb_run_result_done */
};

void cb_run_result_done(struct cb_run_result *result);

/**
 * Starts a container. *ret must be given to cb_runtime_wait, at once or after a while in which cb_runtime_watch is
 * heeded.
 */
int cb_runtime_start(
	struct cb_runtime *runtime, const struct cb_run_spec *spec, struct cb_run **ret, struct cb_err **err);

/** How many descriptors of a run want to be watched. */
#define CB_RUN_FDS 2
/**
 * Whoever does anything before cb_runtime_wait, as reading the output to its end, polls these too, and gives back what
 * poll said: the run may have a question (about device nodes) that it waits for an answer to. The same thread.
 */
void cb_runtime_watch(const struct cb_run *run, struct pollfd fds[static CB_RUN_FDS]);
void cb_runtime_attend(struct cb_run *run, const struct pollfd fds[static CB_RUN_FDS]);

/**
 * Waits until every process of the run is gone, and frees it. The overlay is unmounted then and upper is complete: it
 * can be a layer at once; work_fd is empty, its content is deleted by cb_runtime_close (below scratch_fd until then). A
 * command that cannot be executed is a result (127 or 126, its message went to stderr), a container that could not be
 * built is an error. When @cancel is raised the run is killed with @grace_ms, and the result says so.
 */
int cb_runtime_wait(struct cb_run *run, const struct cb_cancel *cancel, int grace_ms, struct cb_run_result *ret,
	struct cb_err **err);

/**
 * Ends a run: SIGTERM when the command listens to it, after @grace_ms SIGKILL to all its processes. Returns at once
 * when grace_ms is 0, else when it is gone or the grace is over. Not after cb_runtime_wait returned.
 */
void cb_runtime_kill(struct cb_run *run, int grace_ms);

/** The same for a run whose deadline is over, which cb_runtime_wait does itself while it waits. */
void cb_runtime_expire(struct cb_run *run, int grace_ms);

#endif
