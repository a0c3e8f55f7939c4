/* Work directories of overlays: taken, emptied, given back. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "layers/storedb.h"

int cb_store_work_take(struct cb_store *store, struct cb_store_work *ret, struct cb_err **err)
{
	cleanup_free char *unique = NULL, *name = NULL;

	pthread_mutex_lock(&store->work_lock);
	bool waits = store->n_works > 0;
	if (waits)
		*ret = store->works[--store->n_works];
	pthread_mutex_unlock(&store->work_lock);
	if (waits)
		return 0;
	unique = cb_store_unique_name(store);
	name = cb_xasprintf("work-%s", unique);
	if (mkdirat(store->tmpfd, name, 0700) < 0)
		return cb_err_errno(err, errno, "create a work directory in %s", store->path);
	ret->fd = openat(store->tmpfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->fd < 0)
		return cb_err_errno(err, errno, "open a work directory in %s", store->path);
	ret->name = CB_TAKE_PTR(name);
	return 0;
}

/* Overlay's own directories are moved out or deleted by who ran it; one that was used is not taken again by the kernel.
 */
static bool is_clean(int fd)
{
	static const char *const names[] = { "work", "index" };

	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
			return false;
	return true;
}

void cb_store_work_release(struct cb_store *store, struct cb_store_work *work)
{
	if (work->fd < 0)
		return;
	if (is_clean(work->fd)) {
		pthread_mutex_lock(&store->work_lock);
		if (store->n_works < CB_STORE_WORKS_MAX) {
			store->works[store->n_works++] = *work;
			*work = (struct cb_store_work){ .fd = -EBADF };
		}
		pthread_mutex_unlock(&store->work_lock);
	}
	if (work->fd < 0)
		return;
	cb_closep(&work->fd);
	work->fd = -EBADF;
	/* What cannot be removed now goes with the whole of this process's tmp. */
	(void)cb_path_remove_tree(store->tmpfd, work->name, NULL);
	free(work->name);
	work->name = NULL;
}
