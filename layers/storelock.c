/* Named locks: flock on locks/<digest of the name>, the file removed by its last holder. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/storedb.h"

#define POLL_FIRST_MS 1
#define POLL_MAX_MS 50

struct cb_lock {
	struct cb_store *store;
	char name[33];
	int fd;
};

/* Still the file of that name: a holder that released it meanwhile has removed it. */
static bool is_named(struct cb_store *store, const char *name, int fd)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(store->locks, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* 0 locked, 1 held by someone else. */
static int attempt(struct cb_store *store, const char *name, int *ret_fd, struct cb_err **err)
{
	for (;;) {
		cleanup_close int fd = openat(store->locks, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return cb_err_errno(err, errno, "open a lock of the store %s", store->path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno == EWOULDBLOCK)
				return 1;
			if (errno != EINTR)
				return cb_err_errno(err, errno, "lock in the store %s", store->path);
		} else if (is_named(store, name, fd)) {
			*ret_fd = CB_TAKE_FD(fd);
			return 0;
		}
	}
}

static int take(struct cb_store *store, const char *key,
	int (*wait)(const struct cb_cancel *cancel, int *ms, struct cb_err **err), const struct cb_cancel *cancel,
	struct cb_lock **ret, struct cb_err **err)
{
	struct cb_digest digest;
	struct cb_lock *lock;
	char name[33];
	int fd = -EBADF, ms = POLL_FIRST_MS, r;

	cb_digest_of(key, strlen(key), &digest);
	snprintf(name, sizeof(name), "%.32s", cb_digest_hex(&digest));
	while ((r = attempt(store, name, &fd, err)) > 0) {
		if (!wait)
			return 1;
		r = wait(cancel, &ms, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;

	lock = cb_new0(struct cb_lock);
	lock->store = store;
	lock->fd = fd;
	memcpy(lock->name, name, sizeof(name));
	*ret = lock;
	return 0;
}

/* A blocking flock could not be cancelled; a short, growing pause costs nothing beside the work that is waited for. */
static int pause_or_cancel(const struct cb_cancel *cancel, int *ms, struct cb_err **err)
{
	struct pollfd pfd = { .fd = cb_cancel_fd(cancel), .events = POLLIN };

	poll(&pfd, 1, *ms);
	*ms = CB_MIN(*ms * 2, POLL_MAX_MS);
	return cb_cancel_check(cancel, err);
}

int cb_lock_wait(struct cb_store *store, const char *key, const struct cb_cancel *cancel, struct cb_lock **ret,
	struct cb_err **err)
{
	return take(store, key, pause_or_cancel, cancel, ret, err);
}

int cb_lock_try(struct cb_store *store, const char *key, struct cb_lock **ret, struct cb_err **err)
{
	return take(store, key, NULL, NULL, ret, err);
}

struct cb_lock *cb_lock_free(struct cb_lock *lock)
{
	if (lock) {
		/* Removed while held: whoever opened it before finds that it lost its name. */
		unlinkat(lock->store->locks, lock->name, 0);
		close(lock->fd);
		free(lock);
	}
	return NULL;
}
