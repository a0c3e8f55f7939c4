#include "builder/explain_files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "layers/filelist.h"

/** Bytes of a digest that are shown. */
#define SHOWN 6

struct comparing {
	struct cb_differences *ret;
	bool ignore;
	size_t n, left_out; /* files that differ; those not told */
	size_t modes;       /* that differ in nothing but the rights of group and others */
	size_t wider;       /* of these, those that have more of them now */
	char first[300];    /* of these */
};

static void digest_text(const struct cb_content_file *file, char out[static 32])
{
	int len = snprintf(out, 32, "sha256:");

	for (int i = 0; i < SHOWN; i++)
		len += snprintf(out + len, 32 - (size_t)len, "%02x", file->data[i]);
}

static const char *type_text(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	default:
		return "special file";
	}
}

/* Directories end in "/", and the top is ".". */
static const char *name_of(const struct cb_content_file *file)
{
	return strcmp(file->path, "/") ? file->path : ".";
}

static void add(
	struct comparing *c, const struct cb_content_file *file, const char *aspect, const char *old, const char *now)
{
	cb_differences_add(c->ret, "file", name_of(file), old, now)->aspect = cb_xstrdup(aspect);
}

static void tell_changed(struct comparing *c, const struct cb_content_file *old, const struct cb_content_file *now)
{
	char a[64], b[64];

	if ((old->mode ^ now->mode) & S_IFMT) {
		add(c, now, "type", type_text(old->mode), type_text(now->mode));
		return;
	}
	if (old->size != now->size || memcmp(old->data, now->data, CB_FILELIST_DIGEST) != 0) {
		digest_text(old, a);
		digest_text(now, b);
		add(c, now, S_ISLNK(now->mode) ? "target" : "content", a, b);
	}
	if (old->mode != now->mode) {
		snprintf(a, sizeof(a), "%04o", old->mode & 07777);
		snprintf(b, sizeof(b), "%04o", now->mode & 07777);
		add(c, now, "mode", a, b);
	}
	if (old->uid != now->uid || old->gid != now->gid) {
		snprintf(a, sizeof(a), "%u:%u", old->uid, old->gid);
		snprintf(b, sizeof(b), "%u:%u", now->uid, now->gid);
		add(c, now, "owner", a, b);
	}
}

static bool only_mode(const struct cb_content_file *old, const struct cb_content_file *now)
{
	uint32_t bits = old->mode ^ now->mode;

	/* Rights are only given, or only taken. */
	if ((bits & now->mode) && (bits & old->mode))
		return false;
	return bits && !(bits & ~(uint32_t)077) && old->uid == now->uid && old->gid == now->gid &&
	       old->size == now->size && !memcmp(old->data, now->data, CB_FILELIST_DIGEST);
}

static void count(void *ctx, const struct cb_content_file *old, const struct cb_content_file *now)
{
	struct comparing *c = ctx;

	c->n++;
	if (!old || !now || !only_mode(old, now))
		return;
	c->wider += (now->mode & ~old->mode) != 0;
	if (!c->modes++)
		snprintf(c->first, sizeof(c->first), "%.200s %04o -> %04o", name_of(now), old->mode & 07777,
			now->mode & 07777);
}

static void tell(void *ctx, const struct cb_content_file *old, const struct cb_content_file *now)
{
	struct comparing *c = ctx;
	struct cb_difference *d;

	if (c->n++ >= CB_EXPLAIN_FILES_MAX) {
		c->left_out++;
		return;
	}
	if (old && now) {
		tell_changed(c, old, now);
		return;
	}
	d = cb_differences_add(c->ret, "file", name_of(old ? old : now), NULL, NULL);
	d->aspect = cb_xstrdup(old ? "removed" : "added");
	c->ret->weight++; /* a file that changed is nearer than another set of files */
	if (c->ignore)
		d->note = cb_xstrdup(".dockerignore has changed");
}

int cb_explain_files(const struct cb_buf *old, const struct cb_buf *now, bool ignore, struct cb_differences *ret,
	struct cb_err **err)
{
	cleanup_content_files struct cb_content_files a = { 0 }, b = { 0 };
	struct comparing c = { .ret = ret, .ignore = ignore };
	int r = cb_filelist_unpack(old->data, old->len, &a, err);

	if (r == 0)
		r = cb_filelist_unpack(now->data, now->len, &b, err);
	if (r < 0)
		return r;
	cb_filelist_compare(&a, &b, count, &c);
	/* A checkout under another umask changes all at once. */
	if (c.modes > 1 && c.modes == c.n && (c.wider == 0 || c.wider == c.n)) {
		cleanup_free char *name = cb_xasprintf("modes of %zu files", c.modes);
		struct cb_difference *d = cb_differences_add(ret, "file", name, NULL, NULL);

		d->aspect = cb_xasprintf("%s and so on", c.first);
		d->note = cb_xstrdup("made under another umask?");
		ret->weight += c.modes - 1;
		return 0;
	}
	c.n = 0;
	cb_filelist_compare(&a, &b, tell, &c);
	ret->weight += c.left_out + ignore;
	if (c.left_out) {
		cleanup_free char *name = cb_xasprintf("and %zu more", c.left_out);

		cb_differences_add(ret, "file", name, NULL, NULL);
	}
	if (!c.n) {
		struct cb_difference *d = cb_differences_add(ret, "file", "one that is not listed", NULL, NULL);

		d->note = cb_xstrdup(a.total > a.n || b.total > b.n ? "there are too many for a list"
								    : "a capability, a device number or a hard link");
	}
	return 0;
}
