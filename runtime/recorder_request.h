/*
 * Inside of the recorder: one notification and what its handlers need. Private to recorder*.c.
 */
#ifndef CB_RUNTIME_RECORDER_REQUEST_H
#define CB_RUNTIME_RECORDER_REQUEST_H

#include <limits.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/map.h"
#include "base/owner.h"
#include "runtime/recorder.h"

/** The ids of a process, as it was told. */
struct cb_recorder_ids {
	uid_t ruid, euid, suid, fsuid;
	gid_t rgid, egid, sgid, fsgid;
	unsigned int n_groups;
	gid_t groups[CB_RECORDER_GROUPS_MAX];
};

struct cb_recorder {
	int listener, proc, root;
	bool no_new_privs;
	bool roots_vary;    /* somebody called chroot */
	struct cb_map *odd; /* "DEV:INO" -> struct cb_owner_record, where attributes cannot be stored */
	struct cb_recorder_ids *ids;
	size_t n_ids, cap_ids;
};

struct cb_request {
	struct cb_recorder *rec;
	const struct seccomp_notif *notif;
	pid_t pid;
	const __u64 *args;
	bool answered; /* the kernel has had its answer already (a descriptor was given) */
	bool go_on;    /* the system call is to be done as it is */
	int error;     /* positive errno, or 0 */
	int64_t value;
};

typedef void (*cb_recorder_fn)(struct cb_request *req);

/** Loads the filter into this process; the listener, or -1 with errno. */
int cb_recorder_filter(void);
/** The handler of a system call, or NULL. */
cb_recorder_fn cb_recorder_handler(int nr);

/** Lets the system call happen. */
static inline void cb_request_go_on(struct cb_request *req)
{
	req->go_on = true;
}
static inline void cb_request_fail(struct cb_request *req, int errnum)
{
	req->error = errnum;
}
static inline void cb_request_return(struct cb_request *req, int64_t value)
{
	req->value = value;
}

/** Memory of the asking process. 0, or -1 with errno. */
int cb_request_read(const struct cb_request *req, uint64_t addr, void *data, size_t len);
int cb_request_write(const struct cb_request *req, uint64_t addr, const void *data, size_t len);
/** A string of at most @size bytes with its NUL; its length, or -1 with errno. */
ssize_t cb_request_string(const struct cb_request *req, uint64_t addr, char *out, size_t size);

/** A name that means for us what (dirfd, path) means for the asking process. */
struct cb_request_name {
	char text[PATH_MAX + 64];
	bool is_fd; /* the descriptor itself: follow the link that its name is */
};
/** 0, or -1: then the system call should go on and fail, or not, by itself. @flags are AT_ flags. */
int cb_request_name(struct cb_request *req, int dirfd, uint64_t path, int flags, struct cb_request_name *ret);
/** As above for a path that was read already. */
int cb_request_name_of(struct cb_request *req, int dirfd, const char *path, struct cb_request_name *ret);
/** The directory that holds the entry @name. */
void cb_request_parent(const struct cb_request_name *name, struct cb_request_name *ret);

/** The record of the inode; false when there is none. */
bool cb_recorder_get(
	struct cb_recorder *rec, const struct cb_request_name *name, bool follow, struct cb_owner_record *ret);
/** Records; 0:0 of no device removes. @st is the inode as it is. 0, or -1 with errno. */
int cb_recorder_set(struct cb_recorder *rec, const struct cb_request_name *name, bool follow, const struct stat *st,
	const struct cb_owner_record *record);
/** lstat or stat by name. */
int cb_request_stat(const struct cb_request_name *name, bool follow, struct stat *ret);

/** The ids of the asking process; valid until the next call of a function of recorder_ids.c. */
const struct cb_recorder_ids *cb_recorder_ids_of(const struct cb_request *req);
/** The first ids, of the command. */
void cb_recorder_ids_init(struct cb_recorder *rec, const struct cb_recorder_hello *hello);

/* Handlers. */
void cb_record_chown(struct cb_request *req);
void cb_record_fchown(struct cb_request *req);
void cb_record_lchown(struct cb_request *req);
void cb_record_fchownat(struct cb_request *req);
void cb_record_stat(struct cb_request *req);
void cb_record_lstat(struct cb_request *req);
void cb_record_fstat(struct cb_request *req);
void cb_record_newfstatat(struct cb_request *req);
void cb_record_statx(struct cb_request *req);
void cb_record_listxattr(struct cb_request *req);
void cb_record_llistxattr(struct cb_request *req);
void cb_record_flistxattr(struct cb_request *req);
void cb_record_open(struct cb_request *req);
void cb_record_creat(struct cb_request *req);
void cb_record_openat(struct cb_request *req);
void cb_record_openat2(struct cb_request *req);
void cb_record_mkdir(struct cb_request *req);
void cb_record_mkdirat(struct cb_request *req);
void cb_record_symlink(struct cb_request *req);
void cb_record_symlinkat(struct cb_request *req);
void cb_record_mknod(struct cb_request *req);
void cb_record_mknodat(struct cb_request *req);
void cb_record_chroot(struct cb_request *req);
void cb_record_setuid(struct cb_request *req);
void cb_record_setgid(struct cb_request *req);
void cb_record_setreuid(struct cb_request *req);
void cb_record_setregid(struct cb_request *req);
void cb_record_setresuid(struct cb_request *req);
void cb_record_setresgid(struct cb_request *req);
void cb_record_setfsuid(struct cb_request *req);
void cb_record_setfsgid(struct cb_request *req);
void cb_record_setgroups(struct cb_request *req);
void cb_record_getuid(struct cb_request *req);
void cb_record_geteuid(struct cb_request *req);
void cb_record_getgid(struct cb_request *req);
void cb_record_getegid(struct cb_request *req);
void cb_record_getresuid(struct cb_request *req);
void cb_record_getresgid(struct cb_request *req);
void cb_record_getgroups(struct cb_request *req);
void cb_record_execve(struct cb_request *req);
void cb_record_execveat(struct cb_request *req);

#endif
