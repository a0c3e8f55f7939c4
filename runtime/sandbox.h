/*
 * Inside a sandbox: the code that becomes a container's first process. Runs in a forked, single-threaded child of the
 * zygote, which is root of its (user) namespace; ends in exec or in a report.
 *
 * Order: cb_sandbox_main -> stage everything that does not depend on the command -> wait for the spec -> assemble the
 * root -> pivot -> drop privileges -> exec. Nothing is mounted through the image's own names but by descriptors that
 * were resolved inside its root, and no code of the image runs before exec.
 */
#ifndef CB_RUNTIME_SANDBOX_H
#define CB_RUNTIME_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"
#include "runtime/spec.h"
#include "runtime/wire.h"

/** Reports to the owner: one byte of kind, an int32 errno, text. */
enum cb_report {
	CB_REPORT_READY = 'R',
	CB_REPORT_ERROR = 'E',   /* the container could not be made */
	CB_REPORT_WARNING = 'W', /* for the user */
	CB_REPORT_CREATED = 'C', /* a mount target was missing even in the stub layer: remove it afterwards */
	CB_REPORT_ASKING = 'A',  /* with the listener of its filter: notify.h */
};
#define CB_REPORT_MAX 4600

struct cb_report_head {
	int32_t kind, errnum;
};

/** A spec is one message of this, its descriptors, the first of which is a memfd with wire_len bytes. */
struct cb_spec_head {
	uint64_t wire_len;
};

/* Where the zygote's root has what; see zygote_mounts.c. */
#define CB_STAGE_ROOT "/s/root"
#define CB_STAGE_PROC "/s/proc"
#define CB_STAGE_SYS "/s/sys"
#define CB_STAGE_DEV "/s/dev"
#define CB_STAGE_FILES "/s/files"
#define CB_STAGE_CHAIN "/s/chain"
#define CB_STAGE_EMPTY "/s/empty"

struct cb_sandbox {
	int sock;
	int recorder; /* to recorder.h, with CB_SANDBOX_RECORDED; or -1 */
	unsigned int kind;
	bool own_group;   /* it is in a group of cgroup v2 of its own */
	const char *root; /* the path of the root that is being put together */
};

/** Statuses of a command that could not be executed, as shells use them. */
#define CB_STATUS_NOT_EXECUTABLE 126
#define CB_STATUS_NOT_FOUND 127
/** Of a sandbox that reported an error. */
#define CB_STATUS_BROKEN 125

struct cb_sandbox_setup;

/** @recorder is -1 without CB_SANDBOX_RECORDED. */
CB_NORETURN void cb_sandbox_main(int sock, int recorder, const struct cb_sandbox_setup *setup);

void cb_sandbox_report(const struct cb_sandbox *sb, enum cb_report kind, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/** Reports an error and exits. */
CB_NORETURN void cb_sandbox_fail(const struct cb_sandbox *sb, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Mounts /proc, /sys and /dev on the stage, masked. */
void cb_sandbox_stage(const struct cb_sandbox *sb);

/** Part of it: a tmpfs for files that the run is given, which exists only in memory and in this mount namespace. */
void cb_sandbox_stage_files(const struct cb_sandbox *sb);

/** A received spec, decoded; borrows from the mapped bytes. */
struct cb_sandbox_mount {
	enum cb_run_mount_kind kind;
	const char *target, *sub;
	bool readonly;
	bool generated; /* /etc/hosts and /etc/resolv.conf of our own */
	int fd;         /* a detached mount, or -1 */
	uint64_t size;
	const void *data;
	size_t len;
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

struct cb_sandbox_spec {
	int root_fd, stdin_fd, stdout_fd, stderr_fd;
	char **argv, **env;
	const char *cwd, *hostname;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t n_groups;
	bool insecure, readonly;
	const void *filter; /* or NULL: the default */
	size_t filter_len;
	bool unfiltered, no_new_privs;
	uint64_t shm_size;
	struct cb_sandbox_mount *mounts;
	size_t n_mounts;
	struct cb_ulimit *ulimits;
	size_t n_ulimits;
};

/** Links in /dev of every container. */
#define CB_DEVICE_LINKS 6
struct cb_device_link {
	const char *name, *target;
};
extern const struct cb_device_link cb_device_links[CB_DEVICE_LINKS];

/** The target of @mount below @root, made when it is missing: an O_PATH descriptor, or -1 when it can be left out. */
int cb_sandbox_target(const struct cb_sandbox *sb, int root, const struct cb_sandbox_mount *mount, bool dir);
/** As cb_sandbox_stage and cb_sandbox_assemble, without mounts: root_fd is a plain directory. Forks, see keeper.h. */
void cb_sandbox_stage_chroot(const struct cb_sandbox *sb);
void cb_sandbox_assemble_chroot(struct cb_sandbox *sb, const struct cb_sandbox_spec *spec);
/** Puts the root together and makes it "/". */
void cb_sandbox_assemble(struct cb_sandbox *sb, const struct cb_sandbox_spec *spec);
/** Ids, limits, capabilities, filter, exec. */
CB_NORETURN void cb_sandbox_exec(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec);

/** Docker's default capabilities. */
#define CB_CAPS_DEFAULT 0xa80425fbULL
/** Without CAP_SYS_CHROOT, for steps that only chroot(2) holds: a second one would lead out. */
#define CB_CAPS_CHROOT (CB_CAPS_DEFAULT & ~(1ULL << 18))
/** What a sandbox keeps of them. */
uint64_t cb_caps_kept(unsigned int kind, bool insecure);

/** Empties ambient and inheritable sets and keeps only @caps in the bounding set. Needs CAP_SETPCAP. */
int cb_caps_bound(uint64_t caps);
/** Permitted and effective become what is permitted of @caps; inheritable becomes empty. */
int cb_caps_set(uint64_t caps);
/** All capabilities, known to this kernel or not. */
uint64_t cb_caps_all(void);
/**
 * Loads a filter of @len bytes, or with NULL the default one. Needs CAP_SYS_ADMIN where no_new_privs is off. 0 or -1
 * with errno.
 */
int cb_seccomp_load(const void *filter, size_t len);
/** Loads the default filter so that it asks about mknod of devices; the listener, or -1 with errno. */
int cb_seccomp_load_asking(void);

#endif
