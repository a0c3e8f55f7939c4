/*
 * What one container run is made of: plain data, nothing owned.
 *
 * Every pointer and descriptor of a cb_run_spec is borrowed and is needed only until cb_runtime_start returned; the
 * exceptions are upper_fd and work_fd, which must stay open until cb_runtime_wait returned. Zero-initialise with
 * CB_RUN_SPEC_INIT: descriptors that are not used are -1.
 *
 * Directory descriptors must have been opened *after* cb_runtime_enter (O_PATH is enough): a mount can only be made
 * from a descriptor of our own mount namespace.
 */
#ifndef CB_RUNTIME_SPEC_H
#define CB_RUNTIME_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** Most layers below one root or mount, from the kernel's limit of 500 (one is ours). */
#define CB_RUN_LAYERS_MAX 499
/** Most mounts of one run. */
#define CB_RUN_MOUNTS_MAX 200
/** Most bytes of all file contents of one run. */
#define CB_RUN_FILES_MAX (16U << 20)

enum cb_run_network {
	CB_RUN_NETWORK_DEFAULT, /* one of all runs of this runtime, connected by pasta; without that the host's */
	CB_RUN_NETWORK_HOST,
	CB_RUN_NETWORK_NONE, /* a fresh namespace with nothing but lo */
};

enum cb_run_mount_kind {
	CB_RUN_MOUNT_BIND,  /* the directory or file @fd, or @sub below it */
	CB_RUN_MOUNT_CHAIN, /* the merged view of @layers, or @sub below it; writable only with @upper_fd and @work_fd
			     */
	CB_RUN_MOUNT_TMPFS, /* fresh and empty, gone after the run; at most @size bytes when not 0 */
	CB_RUN_MOUNT_FILE,  /* a file with the bytes @data in memory that is never written to a disk: secrets */
};

/**
 * One RUN --mount. @target is absolute and cleaned; it is resolved inside the container's root and created, without
 * a trace in the layer, when it is missing. Mounts are made in the order of their targets, parents first; of several
 * with one target the last counts. For bind mounts whose writes are thrown away, use a chain of one layer with a
 * throw-away upper.
 */
struct cb_run_mount {
	enum cb_run_mount_kind kind;
	const char *target;
	bool readonly;
	int fd;
	const char *sub;   /* resolved without leaving the source; NULL or "" : all of it */
	const int *layers; /* bottom first */
	size_t n_layers;
	int upper_fd, work_fd;
	uint64_t size;
	const void *data;
	size_t len;
	uid_t uid; /* owner and mode of a FILE or of the root of a TMPFS */
	gid_t gid;
	mode_t mode; /* 0: 0400 for a FILE, 01777 for a TMPFS */
};

#define CB_RUN_MOUNT_INIT                                                                                              \
	{                                                                                                              \
		.fd = -1, .upper_fd = -1, .work_fd = -1                                                                \
	}

/** An address for /etc/hosts. */
struct cb_extra_host {
	const char *name, *address;
};

/** @resource is an RLIMIT_ constant, @name what to call it; UINT64_MAX means unlimited. */
struct cb_ulimit {
	char name[12];
	int resource;
	uint64_t soft, hard;
};

/**
 * What every run may use, kept by control groups. Zero is no limit, unless said. The sizes are in bytes, as in docker's
 * options of these names.
 */
struct cb_limits {
	uint64_t memory;
	int64_t memory_swap;                   /* memory and swap together; -1: any amount; 0: as much swap as memory */
	uint64_t cpu_shares;                   /* weight, 2..262144 */
	uint64_t cpu_period;                   /* microseconds; 0: 100000 */
	int64_t cpu_quota;                     /* microseconds of processor time in each period */
	const char *cpuset_cpus, *cpuset_mems; /* "0-3,7" */
	int64_t pids;              /* processes and threads; 0: CB_LIMITS_PIDS where it can be had; -1: any number */
	const char *cgroup_parent; /* below the root of every hierarchy; NULL: the group of cbuild */
};

/** Processes and threads of a run that nobody said a limit for. */
#define CB_LIMITS_PIDS 4096

/** The host name of a run that nobody said one for. Where a filter around us forbids names, the one there is stays. */
#define CB_RUN_HOSTNAME "buildkitsandbox"

struct cb_run_spec {
	const int *layers; /* directories in overlay format, bottom first */
	size_t n_layers;   /* 0 is fine: an empty root */
	int upper_fd;      /* takes the writes; -1: the root is read-only */
	int work_fd;       /* empty directory on the file system of upper_fd */
	bool plain; /* upper_fd is the whole root already, as a plain directory: layers and work_fd mean nothing */

	const char *const *argv; /* NULL-terminated, at least one; argv[0] is looked up on the PATH of @env */
	const char *const *env;  /* NULL-terminated "K=V" list, complete; may be NULL */
	const char *cwd;         /* absolute; NULL: "/"; created when missing (0755, owned by uid:gid) */
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* all supplementary groups, the primary one too if wanted */
	size_t n_groups;

	const char *hostname; /* NULL: CB_RUN_HOSTNAME */
	enum cb_run_network network;
	const void *filter; /* a program of struct sock_filter in place of the default filter, or NULL */
	size_t filter_len;  /* in bytes */
	bool unfiltered;    /* no filter; the caller checked the entitlement, as for the next */
	bool no_new_privs;  /* nothing is gained by execve */
	bool insecure; /* all capabilities, no seccomp filter, nothing masked; the caller checked the entitlement */

	const struct cb_run_mount *mounts;
	size_t n_mounts;
	const struct cb_extra_host *extra_hosts;
	size_t n_extra_hosts;
	const char *const *dns; /* replace what the host's resolv.conf says; NULL-terminated or NULL, as the next two */
	const char *const *dns_search;
	const char *const *dns_options;

	uint64_t shm_size; /* 0: 64 MiB */
	const struct cb_ulimit *ulimits;
	size_t n_ulimits;

	uint64_t deadline_ns; /* on the monotonic clock, or 0: when the run is ended */

	int stdin_fd; /* -1: /dev/null */
	int stdout_fd, stderr_fd;
};

#define CB_RUN_SPEC_INIT                                                                                               \
	{                                                                                                              \
		.upper_fd = -1, .work_fd = -1, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1                        \
	}

#endif
