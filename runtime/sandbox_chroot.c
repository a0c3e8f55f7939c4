/*
 * Without any namespace: the root is a directory that chroot leads into. /dev is made of nodes, generated files and
 * secrets are written into the directory, and both are put back when all processes are gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "runtime/keeper.h"
#include "runtime/kernel.h"
#include "runtime/sandbox.h"
#include "runtime/zygote_mounts.h"

/* What has to be put back. */
struct loan {
	int path; /* O_PATH, of a file that got other content: nobody can execute what is open for writing */
	struct cb_buf old;
	struct stat st;
};

struct loans {
	struct loan *files;
	size_t n_files;
	int proc;
	int dev; /* the directory */
	struct stat dev_st;
	bool made[8]; /* of cb_devices */
	bool made_links[CB_DEVICE_LINKS];
	bool made_shm;
};

static struct timespec *times_of(const struct stat *st, struct timespec out[static 2])
{
	out[0] = st->st_atim;
	out[1] = st->st_mtim;
	return out;
}

/* For reading and writing. By the /proc of the host: the image has none, and we may be in it already. */
static int open_loan(const struct loans *loans, const struct loan *loan)
{
	char name[32];

	snprintf(name, sizeof(name), "self/fd/%d", loan->path);
	return openat(loans->proc, name, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static void put_back(void *arg)
{
	struct loans *loans = arg;
	struct timespec times[2];

	for (size_t i = loans->n_files; i-- > 0;) {
		struct loan *loan = &loans->files[i];
		cleanup_close int fd = open_loan(loans, loan);
		if (fd < 0 || ftruncate(fd, 0) < 0 || cb_fd_write_all(fd, loan->old.data, loan->old.len) < 0)
			continue;
		(void)!cb_owner_fchown(fd, loan->st.st_uid, loan->st.st_gid);
		(void)!fchmod(fd, loan->st.st_mode & 07777);
		(void)!futimens(fd, times_of(&loan->st, times));
	}
	if (loans->dev < 0)
		return;
	for (size_t i = 0; i < cb_n_devices; i++)
		if (loans->made[i])
			(void)unlinkat(loans->dev, cb_devices[i].name, 0);
	for (size_t i = 0; i < CB_DEVICE_LINKS; i++)
		if (loans->made_links[i])
			(void)unlinkat(loans->dev, cb_device_links[i].name, 0);
	if (loans->made_shm)
		(void)cb_path_remove_tree(loans->dev, "shm", NULL);
	(void)!futimens(loans->dev, times_of(&loans->dev_st, times));
}

/* Nodes where the image has none; without the right to make them, what is there has to do. */
static void lend_devices(const struct cb_sandbox *sb, int root, struct loans *loans)
{
	loans->dev = cb_path_open_beneath(root, "dev", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (loans->dev < 0 || fstat(loans->dev, &loans->dev_st) < 0)
		cb_sandbox_fail(sb, errno, "open /dev of the image");
	for (size_t i = 0; i < cb_n_devices; i++) {
		const struct cb_device *d = &cb_devices[i];
		int r = mknodat(loans->dev, d->name, S_IFCHR | 0666, makedev(d->major, d->minor));
		loans->made[i] = r == 0;
		if (r < 0 && errno != EEXIST)
			cb_sandbox_report(sb, CB_REPORT_WARNING, 0, "no /dev/%s: %s", d->name, strerror(errno));
	}
	/* Without /proc they lead nowhere: what is written to them fails, where it would else become a file of the
	 * image.
	 */
	for (size_t i = 0; i < CB_DEVICE_LINKS; i++)
		loans->made_links[i] = symlinkat(cb_device_links[i].target, loans->dev, cb_device_links[i].name) == 0;
	loans->made_shm = mkdirat(loans->dev, "shm", 0700) == 0 && fchmodat(loans->dev, "shm", 01777, 0) == 0;
}

static void lend_file(const struct cb_sandbox *sb, int root, const struct cb_sandbox_mount *m, struct loans *loans)
{
	struct loan *loan = &loans->files[loans->n_files];

	*loan = (struct loan){ .path = cb_sandbox_target(sb, root, m, false) };
	cleanup_close int fd = open_loan(loans, loan);
	if (fd < 0 || cb_owner_fstat(fd, &loan->st) < 0)
		cb_sandbox_fail(sb, errno, "open %s", m->target);
	if (!S_ISREG(loan->st.st_mode))
		cb_sandbox_fail(sb, EINVAL, "%s of the image is no file", m->target);
	if (cb_fd_read_all(fd, CB_RUN_FILES_MAX, m->target, &loan->old, NULL) < 0 || ftruncate(fd, 0) < 0 ||
		lseek(fd, 0, SEEK_SET) < 0 || cb_fd_write_all(fd, m->data, m->len) < 0 ||
		cb_owner_fchown(fd, m->uid, m->gid) < 0 || fchmod(fd, m->mode) < 0)
		cb_sandbox_fail(sb, errno, "write %s", m->target);
	loans->n_files++;
}

static char *real_path(const struct cb_sandbox *sb, int root)
{
	char link[32], path[PATH_MAX];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		cb_sandbox_fail(sb, errno, "name of the root");
	path[n] = '\0';
	return cb_xstrdup(path);
}

void cb_sandbox_assemble_chroot(struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	struct loans *loans = cb_new0(struct loans);
	cleanup_close int root = openat(spec->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	loans->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		cb_sandbox_fail(sb, errno, "open the root");
	sb->root = real_path(sb, root);
	loans->files = cb_newa0(struct loan, spec->n_mounts + 1);
	for (size_t i = 0; i < spec->n_mounts; i++)
		lend_file(sb, root, &spec->mounts[i], loans);
	lend_devices(sb, root, loans);
	if (fchdir(root) < 0 || chroot(".") < 0 || chdir("/") < 0)
		cb_sandbox_fail(sb, errno, "change root");
	cb_keeper_split(sb, loans->proc, put_back, loans);
}

void cb_sandbox_stage_chroot(const struct cb_sandbox *sb)
{
	/* Harmless, and possible only where the real one will be. */
	if (chroot("/") < 0)
		cb_sandbox_fail(sb, errno, "change root");
}
