/*
 * The process that answers for owners where there is one user id only.
 *
 * In a user namespace with a single id chown, setuid and mknod of devices fail, and stat says that all is root's. With
 * a *recorder* a sandbox loads one more seccomp filter, whose notifications this process answers: what chown, mknod,
 * mkdir, open (O_CREAT), symlink and the set*id calls would do is recorded (base/owner.h for files; the ids of a
 * process in recorder_ids.c), and stat, get*id and listxattr give back what was recorded. Everything else runs at full
 * speed.
 *
 *   recorder.c         the loop, reading and writing the memory of those who ask, names
 *   recorder_filter.c  which calls are asked about
 *   recorder_files.c   chown, stat, listxattr
 *   recorder_create.c  new files
 *   recorder_ids.c     ids of processes, execve of set-id programs
 *
 * It is a child of the zygote, outside of the sandbox's pid namespace but with its root: a path that is changed while
 * it is looked at can only lead to where the asking process may go itself. Whether an id is allowed to do something is
 * not checked beyond the rules of set*id and chown: the real id owns every file.
 */
#ifndef CB_RUNTIME_RECORDER_H
#define CB_RUNTIME_RECORDER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/mem.h"

#define CB_RECORDER_GROUPS_MAX 64

/** First message of a sandbox, with the listener and the root directory as descriptors. */
struct cb_recorder_hello {
	uid_t uid;
	gid_t gid;
	bool no_new_privs; /* set-id bits of programs mean nothing */
	unsigned int n_groups;
	gid_t groups[CB_RECORDER_GROUPS_MAX];
};

/** In a fork of the zygote: serves the sandbox at the other end of @sock until all its processes are gone. */
CB_NORETURN void cb_recorder_main(int sock);

/**
 * In the sandbox, before exec, with the ids of the command: loads the filter and gives its listener to the recorder
 * behind @sock. Needs CAP_SYS_ADMIN. 0, or -1 with errno.
 */
struct cb_sandbox_spec;
int cb_recorder_attach(int sock, const struct cb_sandbox_spec *spec);

#endif
