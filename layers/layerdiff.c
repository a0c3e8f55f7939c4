#include "layers/layerdiff.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/unicode.h"
#include "layers/tarread.h"

#define BLOCK ((size_t)64 << 10)
/* Of a differing line, how much is shown before and behind the difference. */
#define SHOWN_BEFORE 40
#define SHOWN_BEHIND 40

/** One of the two tars. */
struct side {
	struct cb_tarreader *reader;
	const struct cb_tar_item *item; /* NULL at the end */
	/* data of the current file, holes as zeros */
	const char *piece;
	size_t left;
	uint64_t piece_at, at;
	bool drained;
	char *block;
};

struct comparison {
	struct side sides[2];
	const struct cb_cancel *cancel;
	struct cb_strv *ret;
	size_t max;
	int n;
};

static int next_item(struct side *side, struct cb_err **err)
{
	int r = cb_tarreader_next(side->reader, &side->item, err);

	side->left = 0;
	side->piece_at = side->at = 0;
	side->drained = false;
	if (r > 0)
		side->item = NULL;
	return CB_MIN(r, 0);
}

/* ---- reports -------------------------------------------------------------------------------------------------- */

static void add_clean(struct cb_buf *out, const char *data, size_t len)
{
	const char *end = data + len;

	while (data < end) {
		uint32_t rune;

		data += cb_utf8_decode(data, end, &rune);
		cb_utf8_add(out, rune < ' ' || (rune >= 0x7f && rune < 0xa0) ? '?' : rune);
	}
}

static void report(struct comparison *c, const char *path, const char *what)
{
	cleanup_buf struct cb_buf line = { 0 };

	if (c->n < INT_MAX)
		c->n++;
	if ((size_t)c->n > c->max)
		return;
	add_clean(&line, path, strlen(path));
	cb_buf_addf(&line, ": %s", what);
	cb_strv_add(c->ret, cb_buf_str(&line));
}

/* ---- content -------------------------------------------------------------------------------------------------- */

/* Up to @len bytes of the current file; 0 at its end. */
static ssize_t read_data(struct side *side, char *buf, size_t len, struct cb_err **err)
{
	size_t n;

	if (!side->left && !side->drained) {
		const void *data;
		ssize_t got = cb_tarreader_data(side->reader, &data, &side->piece_at, err);

		if (got < 0)
			return got;
		side->piece = data;
		side->left = (size_t)got;
		side->drained = got == 0;
	}
	if (side->drained || side->at < side->piece_at) {
		uint64_t end = side->drained ? side->item->size : side->piece_at;

		n = (size_t)CB_MIN((uint64_t)len, end > side->at ? end - side->at : 0);
		memset(buf, 0, n);
	} else {
		n = CB_MIN(len, side->left);
		memcpy(buf, side->piece, n);
		side->piece += n;
		side->left -= n;
	}
	side->at += n;
	return (ssize_t)n;
}

static ssize_t read_block(struct side *side, struct cb_err **err)
{
	size_t len = 0;

	while (len < BLOCK) {
		ssize_t n = read_data(side, side->block + len, BLOCK - len, err);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* The line around byte @at of @block, shortened. */
static void add_line(struct cb_buf *out, const char *block, size_t len, size_t at)
{
	size_t from = at, to = at;

	while (from > 0 && at - from < SHOWN_BEFORE && block[from - 1] != '\n')
		from--;
	while (to < len && to - at < SHOWN_BEHIND && block[to] != '\n')
		to++;
	cb_buf_addc(out, '"');
	add_clean(out, block + from, to - from);
	cb_buf_addc(out, '"');
}

static int compare_content(struct comparison *c, const char *path, struct cb_err **err)
{
	struct side *a = &c->sides[0], *b = &c->sides[1];
	uint64_t done = 0;

	for (;;) {
		ssize_t n, m;
		size_t same = 0;
		int r = cb_cancel_check(c->cancel, err);

		if (r < 0)
			return r;
		n = read_block(a, err);
		m = n < 0 ? 0 : read_block(b, err);
		if (n < 0 || m < 0)
			return (int)(n < 0 ? n : m);
		while (same < (size_t)CB_MIN(n, m) && a->block[same] == b->block[same])
			same++;
		if (same < (size_t)n || same < (size_t)m) {
			cleanup_buf struct cb_buf what = { 0 };

			done += same;
			cb_buf_addf(&what, "content from byte %llu: ", (unsigned long long)done);
			add_line(&what, a->block, (size_t)n, same);
			cb_buf_adds(&what, " and ");
			add_line(&what, b->block, (size_t)m, same);
			report(c, path, cb_buf_str(&what));
			return 0;
		}
		if (n == 0)
			return 0;
		done += (uint64_t)n;
	}
}

/* ---- entries -------------------------------------------------------------------------------------------------- */

static const char *type_name(enum cb_tar_type type)
{
	switch (type) {
	case CB_TAR_FILE:
		return "file";
	case CB_TAR_HARDLINK:
		return "hard link";
	case CB_TAR_SYMLINK:
		return "symbolic link";
	case CB_TAR_CHAR:
	case CB_TAR_BLOCK_DEV:
		return "device";
	case CB_TAR_DIR:
		return "directory";
	case CB_TAR_FIFO:
		return "fifo";
	}
	return "entry";
}

static bool same_xattrs(const struct cb_tar_item *a, const struct cb_tar_item *b)
{
	if (a->n_xattrs != b->n_xattrs)
		return false;
	for (size_t i = 0; i < a->n_xattrs; i++) {
		const struct cb_tar_xattr *x = &a->xattrs[i], *y = &b->xattrs[i];

		if (strcmp(x->name, y->name) != 0 || x->len != y->len || memcmp(x->value, y->value, x->len) != 0)
			return false;
	}
	return true;
}

/* What the headers say, or NULL when they agree. Caller frees. */
static char *compare_headers(const struct cb_tar_item *a, const struct cb_tar_item *b)
{
	if (a->type != b->type)
		return cb_xasprintf("a %s and a %s", type_name(a->type), type_name(b->type));
	if (strcmp(a->link, b->link) != 0) {
		cleanup_buf struct cb_buf what = { 0 };

		cb_buf_adds(&what, "link to \"");
		add_clean(&what, a->link, strlen(a->link));
		cb_buf_adds(&what, "\" and \"");
		add_clean(&what, b->link, strlen(b->link));
		cb_buf_adds(&what, "\"");
		return cb_buf_take(&what);
	}
	if (a->mode != b->mode)
		return cb_xasprintf("mode %04o and %04o", a->mode, b->mode);
	if (a->uid != b->uid || a->gid != b->gid)
		return cb_xasprintf("owner %u:%u and %u:%u", a->uid, a->gid, b->uid, b->gid);
	if (a->major != b->major || a->minor != b->minor)
		return cb_xasprintf("device %u:%u and %u:%u", a->major, a->minor, b->major, b->minor);
	if (!same_xattrs(a, b))
		return cb_xstrdup("extended attributes");
	if (a->mtime.tv_sec != b->mtime.tv_sec)
		return cb_xasprintf("time %lld and %lld", (long long)a->mtime.tv_sec, (long long)b->mtime.tv_sec);
	return NULL;
}

static int compare_entry(struct comparison *c, struct cb_err **err)
{
	const struct cb_tar_item *a = c->sides[0].item, *b = c->sides[1].item;
	cleanup_free char *what = compare_headers(a, b);
	int n = c->n, r;

	/* Of a file that differs in both, the content says more. */
	if (a->type == CB_TAR_FILE && b->type == CB_TAR_FILE) {
		r = compare_content(c, a->path, err);
		if (r < 0 || c->n > n)
			return r;
	}
	if (what)
		report(c, a->path, what);
	return 0;
}

/* Which of two paths a walk comes to first: "/" parts names, so it sorts before every other byte. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	/* A directory's name ends with one, too. */
	a += *a == '/' && !a[1];
	b += *b == '/' && !b[1];
	if (!*a || !*b)
		return (unsigned char)*a - (unsigned char)*b;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a - (unsigned char)*b;
}

static int compare(struct comparison *c, struct cb_err **err)
{
	struct side *a = &c->sides[0], *b = &c->sides[1];
	int r = next_item(a, err);

	if (r == 0)
		r = next_item(b, err);
	while (r == 0 && (a->item || b->item)) {
		int order = !a->item ? 1 : !b->item ? -1 : compare_paths(a->item->path, b->item->path);

		if (order == 0)
			r = compare_entry(c, err);
		else
			report(c, (order < 0 ? a : b)->item->path,
				order < 0 ? "only in the first" : "only in the second");
		if (r == 0 && order <= 0)
			r = next_item(a, err);
		if (r == 0 && order >= 0)
			r = next_item(b, err);
	}
	return r;
}

int cb_layer_compare(struct cb_source first, struct cb_source second, size_t max, const struct cb_cancel *cancel,
	struct cb_strv *ret, struct cb_err **err)
{
	struct comparison c = { .cancel = cancel, .ret = ret, .max = max };
	int r;

	c.sides[0] = (struct side){ .reader = cb_tarreader_new(first), .block = cb_xmalloc(BLOCK) };
	c.sides[1] = (struct side){ .reader = cb_tarreader_new(second), .block = cb_xmalloc(BLOCK) };
	r = compare(&c, err);
	for (size_t i = 0; i < ARRAY_SIZE(c.sides); i++) {
		cb_tarreader_free(c.sides[i].reader);
		free(c.sides[i].block);
	}
	return r < 0 ? r : c.n;
}
