/* From a directory to chunks: what is in it, as lists and contents. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/needles.h"
#include "base/owner.h"
#include "base/strv.h"
#include "layers/flavour.h"
#include "layers/mountexport.h"
#include "layers/mountlist.h"
#include "layers/mountwalk.h"
#include "layers/whiteout.h"

/** Readings of a file that changes meanwhile. */
#define TRIES 3
#define BLOCK ((size_t)512 << 10)

static void export_done(struct cb_mount_exporting *x)
{
	cb_packwriter_free(x->writer);
	for (size_t i = 0; i < x->n_pending; i++)
		cb_closep(&x->pending[i].fd);
	cb_packset_done(&x->set);
	cb_mountdoc_done(&x->base);
	cb_mountdoc_done(&x->doc);
	cb_hasher_free(x->hasher);
	cb_chunker_done(&x->content);
	cb_chunker_done(&x->tree);
	cb_chunker_done(&x->times);
	cb_buf_done(&x->chunks);
	cb_buf_done(&x->tree_bytes);
	cb_buf_done(&x->time_bytes);
	cb_map_free(x->linked);
	free(x->block);
	cb_needle_scan_done(&x->scan);
}

/* ---- chunks --------------------------------------------------------------------------------------------------- */

static int add_chunk(
	struct cb_mount_exporting *x, const void *data, size_t len, struct cb_buf *digests, struct cb_err **err)
{
	const struct cb_pack_chunk *known;
	uint8_t digest[CB_DIGEST_SIZE];
	size_t pack;

	cb_hasher_add(x->hasher, data, len);
	cb_hasher_finish_bytes(x->hasher, digest);
	cb_buf_add(digests, digest, sizeof(digest));
	known = cb_packset_find(&x->set, digest, &pack);
	if (known) {
		cb_packset_count(x->set.packs[pack], known);
		return 0;
	}
	x->stats->fresh += len;
	return cb_packwriter_add(x->writer, digest, data, len, err);
}

static int content_chunk(void *arg, const void *data, size_t len, struct cb_err **err)
{
	struct cb_mount_exporting *x = arg;

	return add_chunk(x, data, len, &x->chunks, err);
}

static int tree_chunk(void *arg, const void *data, size_t len, struct cb_err **err)
{
	struct cb_mount_exporting *x = arg;

	return add_chunk(x, data, len, &x->doc.tree.digests, err);
}

static int times_chunk(void *arg, const void *data, size_t len, struct cb_err **err)
{
	struct cb_mount_exporting *x = arg;

	return add_chunk(x, data, len, &x->doc.times.digests, err);
}

/* ---- what must not get out ------------------------------------------------------------------------------------ */

static int leaked(struct cb_mount_exporting *x, const char *name, struct cb_err **err)
{
	x->stats->owner = x->scan.match.owner;
	x->stats->leak = cb_xstrdup(name ? name : "a file");
	return cb_err_set(err, CB_ERR_DENIED, "a secret is in %s", x->stats->leak);
}

static bool holds(struct cb_mount_exporting *x, const struct cb_buf *bytes)
{
	if (cb_needles_empty(x->spec->needles))
		return false;
	cb_needle_scan_begin(&x->scan, x->spec->needles);
	return cb_needle_scan_add(&x->scan, bytes->data, bytes->len) || cb_needle_scan_end(&x->scan);
}

/* ---- the walk ------------------------------------------------------------------------------------------------- */

static int put(struct cb_mount_exporting *x, struct cb_mount_entry *e, const struct stat *st, struct cb_err **err)
{
	int r;

	if (st) {
		e->mode = st->st_mode & (S_ISDIR(st->st_mode) ? 03777 : 01777);
		e->uid = st->st_uid;
		e->gid = st->st_gid;
		e->mtime = st->st_mtim.tv_sec;
		e->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
		/* Of directories the walk itself is a use. */
		e->used = S_ISDIR(st->st_mode) ? e->mtime : CB_MIN(st->st_atim.tv_sec, e->mtime + INT32_MAX);
	}
	cb_mountlist_put(e, &x->tree_bytes, &x->time_bytes, &x->last_time);
	/* Names, targets, attributes and small contents. */
	if (holds(x, &x->tree_bytes) || holds(x, &x->time_bytes))
		return leaked(x, e->name, err);
	r = cb_chunker_add(&x->tree, x->tree_bytes.data, x->tree_bytes.len, err);
	if (r == 0 && x->time_bytes.len)
		r = cb_chunker_add(&x->times, x->time_bytes.data, x->time_bytes.len, err);
	cb_buf_clear(&x->tree_bytes);
	cb_buf_clear(&x->time_bytes);
	return r;
}

/* Attributes of an open file, their bytes in @bytes. What cannot be read, or is too much, is left out. */
static void read_xattrs(int fd, struct cb_mount_entry *e, struct cb_buf *bytes)
{
	cleanup_strv struct cb_strv names = { 0 };
	char list[4096];
	ssize_t n = flistxattr(fd, list, sizeof(list));
	size_t at[CB_MOUNT_XATTRS_MAX];

	e->n_xattrs = 0;
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		if (cb_str_starts(list + i, "user.") && list[i + 5] && strcmp(list + i, CB_OWNER_XATTR) != 0 &&
			!cb_overlay_xattr(list + i, CB_FLAVOUR_USER))
			cb_strv_add(&names, list + i);
	cb_strv_sort(&names);
	for (size_t i = 0; i < names.n && e->n_xattrs < CB_MOUNT_XATTRS_MAX; i++) {
		struct cb_mount_xattr *x = &e->xattrs[e->n_xattrs];
		ssize_t len;

		cb_buf_reserve(bytes, 256 + CB_MOUNT_XATTR_MAX);
		at[e->n_xattrs] = bytes->len;
		x->name_len = strlen(names.v[i]);
		len = fgetxattr(fd, names.v[i], bytes->data + bytes->len + x->name_len, CB_MOUNT_XATTR_MAX);
		if (len < 0)
			continue;
		memcpy(bytes->data + bytes->len, names.v[i], x->name_len);
		bytes->len += x->name_len + (size_t)len;
		x->len = (size_t)len;
		e->n_xattrs++;
	}
	for (size_t i = 0; i < e->n_xattrs; i++) {
		e->xattrs[i].name = bytes->data + at[i];
		e->xattrs[i].value = bytes->data + at[i] + e->xattrs[i].name_len;
	}
}

static int on_enter(void *arg, const char *name, int fd, const struct stat *st, struct cb_err **err)
{
	struct cb_mount_entry e = { .kind = CB_MOUNT_DIR, .name = name };
	cleanup_buf struct cb_buf bytes = { 0 };

	read_xattrs(fd, &e, &bytes);
	return put(arg, &e, st, err);
}

static int on_leave(void *arg, struct cb_err **err)
{
	struct cb_mount_entry e = { .kind = CB_MOUNT_UP };

	return put(arg, &e, NULL, err);
}

static void on_skipped(void *arg, const char *name)
{
	struct cb_mount_exporting *x = arg;

	(void)name;
	x->stats->left_out++;
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Reads to the end, into chunks or, when it is @small, into the block. 0, or 1 when that is not possible. */
static int read_once(
	struct cb_mount_exporting *x, int fd, const char *name, bool small, uint64_t *ret_size, struct cb_err **err)
{
	bool looks = !cb_needles_empty(x->spec->needles);
	ssize_t n;
	int r;

	*ret_size = 0;
	cb_buf_clear(&x->chunks);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return 1;
	if (small) {
		n = cb_fd_read_full(fd, x->block, CB_MOUNT_SMALL_MAX + 1);
		*ret_size = n > 0 ? (uint64_t)n : 0;
		return n < 0;
	}
	if (looks)
		cb_needle_scan_begin(&x->scan, x->spec->needles);
	while ((n = read(fd, x->block, BLOCK)) > 0) {
		*ret_size += (uint64_t)n;
		if (looks && cb_needle_scan_add(&x->scan, x->block, (size_t)n))
			return leaked(x, name, err);
		r = cb_chunker_add(&x->content, x->block, (size_t)n, err);
		if (r == 0)
			r = cb_cancel_check(x->spec->cancel, err);
		if (r < 0)
			return r;
	}
	if (looks && cb_needle_scan_end(&x->scan))
		return leaked(x, name, err);
	r = cb_chunker_end(&x->content, err);
	return r < 0 ? r : n < 0;
}

/* 0 with the content and the state it is of, 1 when the file does not hold still or cannot be read. */
static int read_content(struct cb_mount_exporting *x, int fd, const char *name, struct stat *ret, uint64_t *ret_size,
	struct cb_err **err)
{
	for (unsigned int i = 0; i < TRIES; i++) {
		struct stat before, after;
		uint64_t size;
		int r;

		if (cb_owner_fstat(fd, &before) < 0)
			return 1;
		r = read_once(x, fd, name, (uint64_t)before.st_size <= CB_MOUNT_SMALL_MAX, &size, err);
		if (r < 0)
			return r;
		if (r == 0 && cb_owner_fstat(fd, &after) == 0 && same(&before, &after) &&
			size == (uint64_t)after.st_size) {
			*ret = before;
			*ret_size = size;
			return 0;
		}
	}
	return 1;
}

static bool too_much(struct cb_mount_exporting *x, const struct stat *st)
{
	bool keeps = true;

	for (size_t i = 0; i < ARRAY_SIZE(x->spec->cuts) && keeps; i++)
		keeps = !x->spec->cuts[i] || cb_mount_cut_keeps(x->spec->cuts[i], st);
	return !keeps;
}

/* True when it was listed before under another name. */
static bool find_link(struct cb_mount_exporting *x, const struct stat *st, char key[static 48], uint64_t *ret)
{
	uint64_t *number;

	snprintf(key, 48, "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	number = st->st_nlink > 1 ? cb_map_get(x->linked, key) : NULL;
	if (number)
		*ret = *number;
	return number;
}

static int put_file(
	struct cb_mount_exporting *x, int parent, const char *name, const struct stat *st, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	cleanup_buf struct cb_buf bytes = { 0 };
	struct cb_mount_entry e = { .kind = CB_MOUNT_LINK, .name = name };
	struct stat now;
	char key[48];
	int r;

	if (find_link(x, st, key, &e.number))
		return put(x, &e, NULL, err);
	if (too_much(x, st)) {
		x->stats->dropped++;
		return 0;
	}
	fd = cb_mountwalk_open(parent, name);
	r = fd < 0 ? 1 : read_content(x, fd, name, &now, &e.size, err);
	if (r > 0 || (r == 0 && x->chunks.len / CB_DIGEST_SIZE > CB_MOUNT_CHUNKS_MAX)) {
		x->stats->left_out += fd >= 0 || errno != ENOENT;
		return 0;
	}
	if (r < 0)
		return r;
	e.kind = e.size <= CB_MOUNT_SMALL_MAX ? CB_MOUNT_SMALL : CB_MOUNT_FILE;
	e.content = x->block;
	read_xattrs(fd, &e, &bytes);
	e.linked = now.st_nlink > 1;
	e.chunks = (const uint8_t *)x->chunks.data;
	e.n_chunks = x->chunks.len / CB_DIGEST_SIZE;
	if (e.linked) {
		uint64_t *number = cb_new0(uint64_t);

		*number = x->numbers;
		find_link(x, &now, key, &e.number);
		cb_map_set(x->linked, key, number);
	}
	x->numbers++;
	x->stats->files++;
	x->stats->bytes += e.size;
	return put(x, &e, &now, err);
}

static int on_entry(void *arg, int parent, const char *name, const struct stat *st, struct cb_err **err)
{
	struct cb_mount_exporting *x = arg;
	struct cb_mount_entry e = { .name = name };
	char target[CB_MOUNT_TARGET_MAX + 1];
	ssize_t n;

	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return put_file(x, parent, name, st, err);
	case S_IFLNK:
		n = readlinkat(parent, name, target, sizeof(target));
		if (n <= 0 || n >= (ssize_t)sizeof(target))
			return 0;
		target[n] = '\0';
		e.kind = CB_MOUNT_SYMLINK;
		e.target = target;
		return put(x, &e, st, err);
	case S_IFIFO:
		e.kind = CB_MOUNT_FIFO;
		return put(x, &e, st, err);
	default:
		x->stats->left_out++;
		return 0;
	}
}

int cb_mount_export(const struct cb_mount_export *spec, struct cb_mount_export_result *ret, struct cb_err **err)
{
	static const struct cb_mountwalk_ops ops = { on_enter, on_leave, on_entry, on_skipped };
	struct cb_mount_export_result stats = { 0 };
	__attribute__((cleanup(export_done))) struct cb_mount_exporting x = { .spec = spec, .stats = &stats };
	int r;

	x.hasher = cb_hasher_new();
	x.linked = cb_map_new(free);
	x.block = cb_xmalloc(BLOCK);
	x.content = (struct cb_chunker){ .sizes = &cb_chunk_data, .take = content_chunk, .arg = &x };
	x.tree = (struct cb_chunker){ .sizes = &cb_chunk_lists, .take = tree_chunk, .arg = &x };
	x.times = (struct cb_chunker){ .sizes = &cb_chunk_lists, .take = times_chunk, .arg = &x };
	x.writer = cb_packwriter_new(&x.set, cb_mount_export_pack, &x);
	r = cb_mount_export_base(&x, err);
	if (r == 0)
		r = cb_mountwalk(spec->dirfd, &ops, &x, spec->cancel, err);
	if (r == 0)
		r = cb_mount_export_finish(&x, err);
	*ret = stats;
	return r;
}
