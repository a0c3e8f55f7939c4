/* ADD of archives: what they are, what is around them, and unpacking through the owner of the destination. */
#include "layers/archive.h"

#include <archive.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/late.h"
#include "base/strv.h"
#include "layers/compress.h"
#include "layers/opendirs.h"
#include "layers/tarformat.h"
#include "layers/unpack.h"

#define INPUT_SIZE ((size_t)256 << 10)

/* What we call of libarchive, found when an archive needs it. */
static struct {
	struct archive *(*read_new)(void);
	int (*read_free)(struct archive *a);
	int (*support_bzip2)(struct archive *a);
	int (*support_xz)(struct archive *a);
	int (*support_raw)(struct archive *a);
	int (*open)(struct archive *a, void *arg, archive_open_callback *open, archive_read_callback *read,
		archive_close_callback *close);
	int (*next_header)(struct archive *a, struct archive_entry **ret);
	la_ssize_t (*read_data)(struct archive *a, void *buf, size_t len);
	const char *(*error_string)(struct archive *a);
	void (*set_error)(struct archive *a, int errnum, const char *fmt, ...);
	bool found;
} libarchive;

static void find_libarchive(void)
{
	static struct cb_late lib = CB_LATE_INIT("libarchive.so.13");
	const struct {
		const char *name;
		void *at;
	} list[] = {
		{ "archive_read_new", &libarchive.read_new },
		{ "archive_read_free", &libarchive.read_free },
		{ "archive_read_support_filter_bzip2", &libarchive.support_bzip2 },
		{ "archive_read_support_filter_xz", &libarchive.support_xz },
		{ "archive_read_support_format_raw", &libarchive.support_raw },
		{ "archive_read_open", &libarchive.open },
		{ "archive_read_next_header", &libarchive.next_header },
		{ "archive_read_data", &libarchive.read_data },
		{ "archive_error_string", &libarchive.error_string },
		{ "archive_set_error", &libarchive.set_error },
	};

	libarchive.found = true;
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		void *fn = cb_late_find(&lib, list[i].name);

		memcpy(list[i].at, &fn, sizeof(fn));
		libarchive.found = libarchive.found && fn;
	}
}

/** The file from offset 0, wherever its own offset is. */
struct file {
	int fd;
	off_t at;
};

static ssize_t file_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct file *file = arg;
	ssize_t n;

	do
		n = pread(file->fd, buf, len, file->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return cb_err_errno(err, errno, "read the archive");
	file->at += n;
	return n;
}

/** The tar inside a file: plain, gzip and zstd by layers/compress.h, bzip2 and xz by libarchive's filters. */
struct unwrapped {
	struct file file;
	struct cb_decompressor *decompressor;
	struct archive *filter; /* or NULL */
	char *buf;
	struct cb_err *failure; /* of reading below libarchive */
	uint64_t total_in, total_out;
};

static void unwrapped_done(struct unwrapped *u)
{
	cb_decompressor_free(u->decompressor);
	if (u->filter)
		libarchive.read_free(u->filter);
	cb_err_free(u->failure);
	free(u->buf);
}
#define cleanup_unwrapped __attribute__((cleanup(unwrapped_done)))

static la_ssize_t filter_input(struct archive *a, void *arg, const void **ret)
{
	struct unwrapped *u = arg;
	ssize_t n = file_read(&u->file, u->buf, INPUT_SIZE, &u->failure);

	if (n < 0) {
		libarchive.set_error(a, EIO, "%s", cb_err_msg(u->failure));
		return ARCHIVE_FATAL;
	}
	u->total_in += (uint64_t)n;
	*ret = u->buf;
	return n;
}

static int filter_failed(struct unwrapped *u, struct cb_err **err)
{
	const char *why = libarchive.error_string(u->filter);

	if (u->failure)
		return cb_err_move(err, CB_TAKE_PTR(u->failure));
	return cb_err_set(err, CB_ERR_CORRUPT, "archive: %s", why ? why : "invalid data");
}

static ssize_t filter_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct unwrapped *u = arg;
	la_ssize_t n = libarchive.read_data(u->filter, buf, len);

	if (n < 0)
		return filter_failed(u, err);
	u->total_out += (uint64_t)n;
	if (u->total_out > (UINT64_C(64) << 20) && u->total_out / CB_DECOMPRESS_RATIO_MAX > u->total_in)
		return cb_err_set(err, CB_ERR_LIMIT, "decompressed data exceeds %d times its compressed size",
			CB_DECOMPRESS_RATIO_MAX);
	return n;
}

static bool has_filter_magic(int fd)
{
	unsigned char magic[6] = { 0 };

	if (pread(fd, magic, sizeof(magic), 0) != sizeof(magic))
		return false;
	return memcmp(magic, "BZh", 3) == 0 || memcmp(magic,
						       "\xfd"
						       "7zXZ\0",
						       6) == 0;
}

static int unwrap(int fd, struct unwrapped *u, struct cb_source *ret, struct cb_err **err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct archive_entry *entry;
	int r;

	u->file = (struct file){ fd, 0 };
	if (!has_filter_magic(fd)) {
		r = cb_decompressor_open((struct cb_source){ file_read, &u->file }, NULL, &u->decompressor, err);
		if (r == 0)
			*ret = cb_decompressor_source(u->decompressor);
		return r;
	}

	u->buf = cb_xmalloc(INPUT_SIZE);
	pthread_once(&once, find_libarchive);
	if (!libarchive.found)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "archive: libarchive cannot be used");
	u->filter = libarchive.read_new();
	if (!u->filter)
		abort();
	libarchive.support_bzip2(u->filter);
	libarchive.support_xz(u->filter);
	libarchive.support_raw(u->filter);
	if (libarchive.open(u->filter, u, NULL, filter_input, NULL) != ARCHIVE_OK ||
		libarchive.next_header(u->filter, &entry) != ARCHIVE_OK)
		return filter_failed(u, err);
	*ret = (struct cb_source){ filter_read, u };
	return 0;
}

int cb_archive_is_tar(int fd, struct cb_err **err)
{
	cleanup_unwrapped struct unwrapped u = { 0 };
	cleanup_err struct cb_err *inner = NULL;
	struct cb_source src = { 0 };
	char block[CB_TAR_BLOCK];
	ssize_t n = 0;
	int r;

	r = unwrap(fd, &u, &src, &inner);
	if (r == 0)
		n = cb_source_read_full(src, block, sizeof(block), &inner);
	if (r < 0 || n < 0) {
		/* Broken data is just no archive; a disk that cannot be read is a failure. */
		if (inner && (inner->code == CB_ERR_CORRUPT || inner->code == CB_ERR_LIMIT))
			return 0;
		return cb_err_move(err, CB_TAKE_PTR(inner));
	}
	/* An archive of nothing but its end marker is copied as a file, as BuildKit does. */
	return (size_t)n == sizeof(block) && cb_tar_is_header(block) && !cb_tar_is_zero(block);
}

static int newest(struct cb_source src, const struct cb_cancel *cancel, int64_t *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *reader = cb_tarreader_new(src);
	const struct cb_tar_item *item;
	bool found = false;
	int r;

	while ((r = cb_tarreader_next(reader, &item, err)) == 0) {
		r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
		if (item->type != CB_TAR_FILE || (found && item->mtime.tv_sec <= *ret))
			continue;
		*ret = item->mtime.tv_sec;
		found = true;
	}
	return r < 0 ? r : !found;
}

int cb_archive_newest(int fd, const struct cb_cancel *cancel, int64_t *ret, struct cb_err **err)
{
	cleanup_unwrapped struct unwrapped u = { 0 };
	cleanup_err struct cb_err *inner = NULL;
	struct cb_source src = { 0 };
	int64_t time = 0;
	int r = cb_archive_is_tar(fd, err);

	if (r <= 0)
		return r < 0 ? r : 1;
	r = unwrap(fd, &u, &src, &inner);
	if (r == 0)
		r = newest(src, cancel, &time, &inner);
	/* Who unpacks it says what is wrong with it. */
	if (r == CB_ERR_CORRUPT || r == CB_ERR_LIMIT)
		return 1;
	if (r < 0)
		return cb_err_move(err, CB_TAKE_PTR(inner));
	if (r == 0)
		*ret = time;
	return r;
}

struct target {
	const struct cb_archive_dest *dest;
	struct cb_opendirs dirs; /* that the owner opened for us */
	char *changed;           /* the last directory that something was put into, or NULL */
};

static int target_open(void *arg, const char *path, bool make, int *ret_fd, struct cb_err **err)
{
	struct target *t = arg;
	size_t len = strlen(path);
	int fd = cb_opendirs_find(&t->dirs, path, len);

	/* The owner makes what is missing, whatever @make says. */
	if (fd < 0) {
		int r = t->dest->open_dir(t->dest->arg, path, &fd, err);

		if (r < 0)
			return r;
		cb_opendirs_keep(&t->dirs, path, len, fd);
	}
	/* Parents of entries are opened with @make. */
	if (make && t->dest->dir_changed && !cb_str_eq(t->changed, path)) {
		int r = t->dest->dir_changed(t->dest->arg, path, err);

		if (r < 0)
			return r;
		free(t->changed);
		t->changed = cb_xstrdup(path);
	}
	*ret_fd = fd;
	return 0;
}

static void target_forget(void *arg, const char *path)
{
	struct target *t = arg;

	cb_opendirs_forget(&t->dirs, path);
}

static int target_timed(void *arg, const char *path, const struct timespec times[2], struct cb_err **err)
{
	struct target *t = arg;

	return t->dest->dir_timed ? t->dest->dir_timed(t->dest->arg, path, times, err) : 0;
}

int cb_archive_extract(const struct cb_archive_spec *spec, struct cb_apply_stats *stats, struct cb_err **err)
{
	CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *reader = NULL;
	cleanup_unwrapped struct unwrapped unwrapped = { 0 };
	cleanup_unpack struct cb_unpack u = { 0 };
	struct target target = { .dest = &spec->dest };
	struct cb_source src = { 0 };
	int fd = -1, r;

	assert(spec);
	assert(spec->dest.open_dir);

	u.dirs = (struct cb_unpack_dirs){ target_open, target_forget, target_timed, &target };
	u.flavour = spec->flavour;
	u.no_devices = spec->no_devices;
	u.chown = spec->chown;
	u.uid = spec->uid;
	u.gid = spec->gid;
	u.limits = spec->limits;
	u.cancel = spec->cancel;
	cb_unpack_init(&u);

	r = unwrap(spec->fd, &unwrapped, &src, err);
	/* Even an empty archive makes the destination. */
	if (r == 0)
		r = target_open(&target, "", false, &fd, err);
	if (r == 0) {
		/* What follows the end marker is of no interest, as for every unpacker. */
		reader = cb_tarreader_new(src);
		r = cb_unpack_all(&u, reader, err);
	}
	cb_opendirs_done(&target.dirs);
	free(target.changed);
	if (r == 0 && stats)
		*stats = u.stats;
	return r;
}
