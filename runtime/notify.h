/*
 * Being asked about mknod of devices: notifications of seccomp, and how their listener answers them.
 *
 * The default filter asks about these calls when it is loaded with a listener (seccomp.c); beside a filter of the
 * user's, or none, there is one that does nothing else. Calls of 32-bit programs are asked about, too.
 */
#ifndef CB_RUNTIME_NOTIFY_H
#define CB_RUNTIME_NOTIFY_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/** A call that was asked about, as it was made. */
struct cb_notify_mknod {
	int dirfd;     /* AT_FDCWD of mknod */
	uint64_t path; /* an address of the asking process */
	mode_t mode;
	uint32_t dev; /* as the kernel takes it */
};

/** A notification, with room for what later kernels may add. */
union cb_notify {
	struct seccomp_notif notif;
	char room[512];
};

/** The call that @data is about; false when it is none of these. Pure. */
bool cb_notify_mknod(const struct seccomp_data *data, struct cb_notify_mknod *ret);

/** Instructions of the filter that does nothing else. */
#define CB_NOTIFY_PROGRAM_MAX 48
/** Writes them, and returns how many. Pure. */
size_t cb_notify_program(struct sock_filter code[static CB_NOTIFY_PROGRAM_MAX]);

/**
 * Loads a filter whose listener is returned; -1 with errno when this kernel, or who listens already, does not allow it.
 * Linux 5.19: once a call was seen, only death ends the wait for its answer, so none is done twice.
 */
int cb_notify_load(const struct sock_filter *code, size_t n);

/** The next notification. 0, or -1 with errno; ENOENT: who asked is gone. */
int cb_notify_receive(int listener, union cb_notify *ret);
/** True while who asked still waits, and so while its number is its own. */
bool cb_notify_valid(int listener, const union cb_notify *asked);
/** Answers with @error, a positive errno or 0. Whoever is gone does not hear it. */
void cb_notify_answer(int listener, const union cb_notify *asked, int error);
/** Lets the call happen as it is, with the rights of who made it. */
void cb_notify_go_on(int listener, const union cb_notify *asked);

/** Memory of another process. 0, or -1 with errno. */
int cb_notify_read(pid_t pid, uint64_t addr, void *data, size_t len);
int cb_notify_write(pid_t pid, uint64_t addr, const void *data, size_t len);
/** A string of at most @size bytes with its NUL; its length, or -1 with errno. */
ssize_t cb_notify_string(pid_t pid, uint64_t addr, char *out, size_t size);

#endif
