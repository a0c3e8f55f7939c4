#include "layers/squash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "layers/bytepipe.h"
#include "layers/filetable.h"
#include "layers/layertable.h"
#include "layers/tarwrite.h"
#include "layers/whiteout.h"

#define BLOCK ((size_t)256 << 10)

/* ---- reading -------------------------------------------------------------------------------------------------- */

static int add_layer(struct cb_store *store, const struct cb_descriptor *blob, struct cb_filetable *table,
	const struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *plain = NULL;
	struct cb_filetable_sums sums;
	cleanup_close int fd = -EBADF;
	int r = cb_blob_open(store, &blob->digest, &fd, NULL, err);

	if (r == 0)
		r = cb_decompressor_open(cb_source_fd(&fd), NULL, &plain, err);
	if (r == 0)
		r = cb_filetable_add_tar(table, cb_decompressor_source(plain), cancel, &sums, err);
	return r < 0 ? cb_err_wrap(err, r, "layer %s", blob->digest.text) : 0;
}

/* What is below, and what is there in the end. */
struct squash {
	struct cb_filetable *below, *all;
	unsigned int n_below;
	int spool;
	const struct cb_cancel *cancel;
	struct cb_tarwriter *tar;
	char *block;
	/* directories above the entry that the walk has come to, which are written when something in them is */
	struct parent *parents;
	size_t n_parents, cap_parents;
	char *gone; /* what is below this was taken away with it; or NULL */
};

struct parent {
	char *path;
	struct cb_filetable_entry entry; /* without strings and content */
	struct cb_buf xattrs;
	bool written;
};

/* ---- writing -------------------------------------------------------------------------------------------------- */

static int put_content(struct squash *s, const struct cb_filetable_entry *entry, struct cb_err **err)
{
	uint64_t done = 0;

	if (entry->spot < 0 && entry->size)
		return cb_err_set(err, CB_ERR_INTERNAL, "%s: its content was not kept", entry->path);
	while (done < entry->size) {
		size_t len = (size_t)CB_MIN(entry->size - done, (uint64_t)BLOCK);
		ssize_t n = pread(s->spool, s->block, len, (off_t)((uint64_t)entry->spot + done));
		int r;

		if (n < 0)
			return cb_err_errno(err, errno, "read the content of files");
		/* A hole at the end of all was never written. */
		memset(s->block + n, 0, len - (size_t)n);
		r = cb_tarwriter_data(s->tar, s->block, len, err);
		if (r == 0)
			r = cb_cancel_check(s->cancel, err);
		if (r < 0)
			return r;
		done += len;
	}
	return 0;
}

static enum cb_tar_type type_of(char type)
{
	switch (type) {
	case 'd':
		return CB_TAR_DIR;
	case 'l':
		return CB_TAR_SYMLINK;
	case 'c':
		return CB_TAR_CHAR;
	case 'b':
		return CB_TAR_BLOCK_DEV;
	case 'p':
		return CB_TAR_FIFO;
	default:
		return CB_TAR_FILE;
	}
}

static int put_entry(struct squash *s, const char *path, const struct cb_filetable_entry *entry, struct cb_err **err)
{
	struct cb_tar_xattr xattrs[CB_TAR_XATTRS_MAX];
	struct cb_tar_entry out = { .path = path + 1,
		.type = type_of(entry->type),
		.mode = entry->mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.mtime = entry->mtime.tv_sec,
		.link = entry->type == 'l' ? entry->link : NULL,
		.major = entry->major,
		.minor = entry->minor,
		.xattrs = xattrs };
	size_t at = 0;
	int r;

	/* A walk comes to the first of several names first. */
	if (entry->same_as && strcmp(entry->same_as, path) != 0) {
		out.type = CB_TAR_HARDLINK;
		out.link = entry->same_as + 1;
	} else if (entry->type == '-') {
		out.size = entry->size;
	}
	while (out.n_xattrs < CB_TAR_XATTRS_MAX && cb_filetable_xattr(entry, &at, &xattrs[out.n_xattrs].name,
							   &xattrs[out.n_xattrs].value, &xattrs[out.n_xattrs].len))
		out.n_xattrs++;
	r = cb_tarwriter_entry(s->tar, &out, err);
	return r == 0 && out.size ? put_content(s, entry, err) : r;
}

static int put_parents(struct squash *s, struct cb_err **err)
{
	for (size_t i = 0; i < s->n_parents; i++) {
		struct parent *parent = &s->parents[i];
		int r;

		if (parent->written)
			continue;
		parent->entry.xattrs = parent->xattrs.data;
		parent->entry.xattrs_len = parent->xattrs.len;
		r = put_entry(s, parent->path, &parent->entry, err);
		if (r < 0)
			return r;
		parent->written = true;
	}
	return 0;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && path[len] == '/';
}

static void leave(struct squash *s, const char *path)
{
	while (s->n_parents && !is_below(path, s->parents[s->n_parents - 1].path)) {
		s->n_parents--;
		free(s->parents[s->n_parents].path);
		cb_buf_done(&s->parents[s->n_parents].xattrs);
	}
}

static void enter(struct squash *s, const struct cb_filetable_entry *dir, bool written)
{
	struct parent *parent;

	CB_GROW(s->parents, s->cap_parents, s->n_parents + 1);
	parent = &s->parents[s->n_parents++];
	*parent = (struct parent){ .path = cb_xstrdup(dir->path), .entry = *dir, .written = written };
	cb_buf_add(&parent->xattrs, dir->xattrs, dir->xattrs_len);
	parent->entry.link = "";
	parent->entry.path = parent->entry.same_as = NULL;
	parent->entry.content = NULL;
}

static bool same(const struct cb_filetable_entry *a, const struct cb_filetable_entry *b)
{
	return a->type == b->type && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && !strcmp(a->link, b->link) && a->major == b->major &&
	       a->minor == b->minor && !a->content == !b->content &&
	       (!a->content || !memcmp(a->content, b->content, CB_DIGEST_SIZE)) && a->xattrs_len == b->xattrs_len &&
	       (!a->xattrs_len || !memcmp(a->xattrs, b->xattrs, a->xattrs_len));
}

/* @old is what is below at the same path, or NULL. */
static int take_entry(struct squash *s, const struct cb_filetable_entry *entry, const struct cb_filetable_entry *old,
	struct cb_err **err)
{
	/* All names of a file are listed where one is, so that they stay one. */
	bool changed = entry->layer >= s->n_below && (!old || entry->same_as || !same(entry, old));
	int r = 0;

	leave(s, entry->path);
	if (changed)
		r = put_parents(s, err);
	if (r == 0 && changed)
		r = put_entry(s, entry->path, entry, err);
	if (r == 0 && entry->type == 'd')
		enter(s, entry, changed);
	if (r == 0 && old && old->type == 'd' && entry->type != 'd') {
		free(s->gone);
		s->gone = cb_xstrdup(entry->path);
	}
	return r;
}

static int take_gone(struct squash *s, const struct cb_filetable_entry *old, struct cb_err **err)
{
	cleanup_free char *dir = cb_path_dir(old->path), *path = NULL;
	struct cb_tar_entry out = { .type = CB_TAR_FILE };
	int r;

	if (s->gone && is_below(old->path, s->gone))
		return 0;
	free(s->gone);
	s->gone = cb_xstrdup(old->path);
	leave(s, old->path);
	r = put_parents(s, err);
	path = cb_xasprintf("%s/" CB_WHITEOUT_PREFIX "%s", strcmp(dir, "/") ? dir : "", cb_path_base(old->path));
	out.path = path + 1;
	return r < 0 ? r : cb_tarwriter_entry(s->tar, &out, err);
}

static bool is_top(const struct cb_filetable_entry *entry)
{
	return !strcmp(entry->path, "/");
}

static int walk(struct squash *s, struct cb_filetable_walk *below, struct cb_filetable_walk *all, struct cb_err **err)
{
	struct cb_filetable_entry x, y;
	int has_x = cb_filetable_next(below, &x, err), has_y = has_x < 0 ? 0 : cb_filetable_next(all, &y, err), r = 0;

	while (r == 0 && has_x >= 0 && has_y >= 0 && (has_x || has_y)) {
		int order = !has_x ? 1 : !has_y ? -1 : cb_filetable_order(x.path, y.path);

		/* The top itself is never listed. */
		if (order < 0 && !is_top(&x))
			r = take_gone(s, &x, err);
		else if (order >= 0 && !is_top(&y))
			r = take_entry(s, &y, order == 0 ? &x : NULL, err);
		if (r == 0 && order <= 0)
			has_x = cb_filetable_next(below, &x, err);
		if (r == 0 && has_x >= 0 && order >= 0)
			has_y = cb_filetable_next(all, &y, err);
	}
	return r < 0 ? r : CB_MIN(CB_MIN(has_x, has_y), 0);
}

static int write_tar(void *arg, struct cb_sink out, struct cb_err **err)
{
	CB_CLEANUP(cb_filetable_walk_free) struct cb_filetable_walk *below = NULL, *all = NULL;
	struct squash *s = arg;
	int r = cb_filetable_walk_open(s->below, &below, err);

	if (r == 0)
		r = cb_filetable_walk_open(s->all, &all, err);
	if (r < 0)
		return r;
	s->tar = cb_tarwriter_new(out);
	s->block = cb_xmalloc(BLOCK);
	r = walk(s, below, all, err);
	if (r == 0)
		r = cb_tarwriter_finish(s->tar, err);
	leave(s, "");
	free(s->parents);
	free(s->gone);
	free(s->block);
	cb_tarwriter_free(s->tar);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

int cb_layers_squash(struct cb_store *store, const struct cb_descriptor *blobs, size_t n, size_t n_below,
	const struct cb_compress_spec *compression, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_layer *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_filetable_free) struct cb_filetable *below = NULL, *all = NULL;
	cleanup_close int spool = -EBADF;
	struct squash s = { .n_below = (unsigned int)n_below, .cancel = cancel };
	int r = cb_filetable_new(&all, err);

	assert(n_below <= n);
	for (size_t i = 0; r == 0 && i < n_below; i++)
		r = add_layer(store, &blobs[i], all, cancel, err);
	if (r == 0)
		r = cb_filetable_copy(all, &below, err);
	if (r < 0)
		return r;
	spool = openat(cb_store_tmpfd(store), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (spool < 0)
		return cb_err_errno(err, errno, "temporary file in the store");
	cb_filetable_spool(all, spool);
	for (size_t i = n_below; r == 0 && i < n; i++)
		r = add_layer(store, &blobs[i], all, cancel, err);
	if (r < 0)
		return r;
	s.below = below;
	s.all = all;
	s.spool = spool;
	r = cb_layer_commit_with(store, write_tar, &s, compression, pool, cancel, ret, err);
	return r == 0 ? cb_layer_put(store, &ret->diff_id, ret->size, &ret->blob, err) : r;
}
