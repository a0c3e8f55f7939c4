#include "builder/difftree.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "builder/examine.h"

struct comparing {
	bool times, json;
	FILE *out;
	struct cb_buf line;
	struct cb_diff_counts counts;
};

static const char *type_name(char type)
{
	switch (type) {
	case 'd':
		return "directory";
	case 'l':
		return "symbolic link";
	case 'c':
		return "character device";
	case 'b':
		return "block device";
	case 'p':
		return "fifo";
	default:
		return "file";
	}
}

/* ---- what differs --------------------------------------------------------------------------------------------- */

enum {
	FIELD_TYPE = 1 << 0,
	FIELD_MODE = 1 << 1,
	FIELD_OWNER = 1 << 2,
	FIELD_SIZE = 1 << 3,
	FIELD_CONTENT = 1 << 4,
	FIELD_LINK = 1 << 5,
	FIELD_DEVICE = 1 << 6,
	FIELD_XATTRS = 1 << 7,
	FIELD_NAMES = 1 << 8,
	FIELD_TIME = 1 << 9,
};
static const char *const fields[] = { "type", "mode", "owner", "size", "content", "link", "device", "xattrs",
	"hardlink", "mtime" };

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static unsigned int differing(const struct cb_filetable_entry *a, const struct cb_filetable_entry *b, bool times)
{
	unsigned int found = 0;

	if (a->type != b->type)
		return FIELD_TYPE;
	/* The mode of a symbolic link means nothing, and tools disagree on it. */
	found |= a->type != 'l' && a->mode != b->mode ? FIELD_MODE : 0;
	found |= a->uid != b->uid || a->gid != b->gid ? FIELD_OWNER : 0;
	found |= a->size != b->size ? FIELD_SIZE : 0;
	found |= a->content && b->content && memcmp(a->content, b->content, CB_DIGEST_SIZE) != 0 ? FIELD_CONTENT : 0;
	found |= strcmp(a->link, b->link) != 0 ? FIELD_LINK : 0;
	found |= a->major != b->major || a->minor != b->minor ? FIELD_DEVICE : 0;
	found |= a->xattrs_len != b->xattrs_len || (a->xattrs_len && memcmp(a->xattrs, b->xattrs, a->xattrs_len) != 0)
			 ? FIELD_XATTRS
			 : 0;
	found |= !same_text(a->same_as, b->same_as) ? FIELD_NAMES : 0;
	found |= times && a->mtime.tv_sec != b->mtime.tv_sec ? FIELD_TIME : 0;
	return found;
}

/* ---- lines ---------------------------------------------------------------------------------------------------- */

static void add_entry(struct cb_buf *out, char sign, const struct cb_filetable_entry *entry)
{
	cb_buf_addf(out, "  %c ", sign);
	cb_examine_add(out, entry->path);
	cb_buf_addf(out, ": %s %04o %u:%u", type_name(entry->type), entry->mode, entry->uid, entry->gid);
	if (entry->type == '-')
		cb_buf_addf(out, " %llu bytes", (unsigned long long)entry->size);
	if (*entry->link) {
		cb_buf_adds(out, " -> ");
		cb_examine_add(out, entry->link);
	}
	cb_buf_addc(out, '\n');
}

static void add_times(struct cb_buf *out, const struct cb_filetable_entry *a, const struct cb_filetable_entry *b)
{
	cb_buf_addf(out, "; time %lld -> %lld", (long long)a->mtime.tv_sec, (long long)b->mtime.tv_sec);
}

static void add_links(struct cb_buf *out, const char *what, const char *a, const char *b)
{
	cb_buf_addf(out, "; %s ", what);
	cb_examine_add(out, a ? a : "none");
	cb_buf_adds(out, " -> ");
	cb_examine_add(out, b ? b : "none");
}

/* The first attribute that differs. */
static void add_xattr(struct cb_buf *out, const struct cb_filetable_entry *a, const struct cb_filetable_entry *b)
{
	size_t i = 0, k = 0, n, m;
	const char *x, *y;
	const void *v, *w;

	for (;;) {
		bool has_x = cb_filetable_xattr(a, &i, &x, &v, &n), has_y = cb_filetable_xattr(b, &k, &y, &w, &m);

		if (has_x && has_y && !strcmp(x, y) && n == m && !memcmp(v, w, n))
			continue;
		if (!has_x && !has_y)
			return;
		cb_buf_adds(out, "; attribute ");
		cb_examine_add(out, has_x && (!has_y || strcmp(x, y) <= 0) ? x : y);
		return;
	}
}

static void add_change(
	struct cb_buf *out, const struct cb_filetable_entry *a, const struct cb_filetable_entry *b, unsigned int found)
{
	size_t start;

	cb_buf_adds(out, "  ~ ");
	cb_examine_add(out, a->path);
	start = out->len;
	if (found & FIELD_TYPE)
		cb_buf_addf(out, "; %s -> %s", type_name(a->type), type_name(b->type));
	if (found & FIELD_MODE)
		cb_buf_addf(out, "; mode %04o -> %04o", a->mode, b->mode);
	if (found & FIELD_OWNER)
		cb_buf_addf(out, "; owner %u:%u -> %u:%u", a->uid, a->gid, b->uid, b->gid);
	if (found & FIELD_SIZE)
		cb_buf_addf(out, "; size %llu -> %llu", (unsigned long long)a->size, (unsigned long long)b->size);
	if (found & FIELD_CONTENT)
		cb_buf_adds(out, "; content");
	if (found & FIELD_LINK)
		add_links(out, "link to", a->link, b->link);
	if (found & FIELD_DEVICE)
		cb_buf_addf(out, "; device %u:%u -> %u:%u", a->major, a->minor, b->major, b->minor);
	if (found & FIELD_XATTRS)
		add_xattr(out, a, b);
	if (found & FIELD_NAMES)
		add_links(out, "the same file as", a->same_as, b->same_as);
	if (found & FIELD_TIME)
		add_times(out, a, b);
	out->data[start] = ':';
	cb_buf_addc(out, '\n');
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static json_t *describe(const struct cb_filetable_entry *entry)
{
	json_t *doc = json_object(), *names = json_array();
	struct cb_digest digest;
	const char *name;
	const void *value;
	size_t at = 0, len;

	json_object_set_new(doc, "type", json_string(type_name(entry->type)));
	json_object_set_new(doc, "mode", json_sprintf("%04o", entry->mode));
	json_object_set_new(doc, "uid", json_integer(entry->uid));
	json_object_set_new(doc, "gid", json_integer(entry->gid));
	json_object_set_new(doc, "mtime", json_integer((json_int_t)entry->mtime.tv_sec));
	if (entry->type == '-') {
		cb_digest_from_bytes(entry->content, &digest);
		json_object_set_new(doc, "size", json_integer((json_int_t)entry->size));
		json_object_set_new(doc, "content", json_string(digest.text));
	}
	if (*entry->link)
		json_object_set_new(doc, "link", cb_examine_text(entry->link));
	if (entry->type == 'c' || entry->type == 'b')
		json_object_set_new(doc, "device", json_sprintf("%u:%u", entry->major, entry->minor));
	if (entry->same_as)
		json_object_set_new(doc, "hardlink", cb_examine_text(entry->same_as));
	while (cb_filetable_xattr(entry, &at, &name, &value, &len))
		json_array_append_new(names, cb_examine_text(name));
	if (json_array_size(names))
		json_object_set(doc, "xattrs", names);
	json_decref(names);
	return doc;
}

static void add_json(struct comparing *c, const char *change, const struct cb_filetable_entry *a,
	const struct cb_filetable_entry *b, unsigned int found)
{
	cleanup_json json_t *doc = json_object();
	cleanup_free char *text = NULL;

	json_object_set_new(doc, "path", cb_examine_text(a ? a->path : b->path));
	json_object_set_new(doc, "change", json_string(change));
	if (found) {
		json_t *list = json_array();

		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			if (found & (1u << i))
				json_array_append_new(list, json_string(fields[i]));
		json_object_set_new(doc, "fields", list);
	}
	if (a)
		json_object_set_new(doc, "a", describe(a));
	if (b)
		json_object_set_new(doc, "b", describe(b));
	text = cb_json_dump(doc, false);
	cb_buf_addf(
		&c->line, "%s\n    %s", c->counts.added + c->counts.removed + c->counts.changed > 1 ? "," : "", text);
}

/* ---- walking -------------------------------------------------------------------------------------------------- */

static int meet(struct comparing *c, const struct cb_filetable_entry *a, const struct cb_filetable_entry *b,
	struct cb_err **err)
{
	unsigned int found = a && b ? differing(a, b, c->times) : 0;

	if (a && b && !found)
		return 0;
	/* Not every tool puts the top into a layer. */
	if ((!a || !b) && !strcmp((a ? a : b)->path, "/"))
		return 0;
	*(found ? &c->counts.changed : a ? &c->counts.removed : &c->counts.added) += 1;
	cb_buf_clear(&c->line);
	if (c->json)
		add_json(c, found ? "changed" : a ? "removed" : "added", a, b, found);
	else if (found)
		add_change(&c->line, a, b, found);
	else
		add_entry(&c->line, a ? '-' : '+', a ? a : b);
	if (fwrite(c->line.data, 1, c->line.len, c->out) != c->line.len)
		return cb_err_errno(err, errno, "write the differences");
	return 0;
}

static int walk(struct comparing *c, struct cb_filetable_walk *a, struct cb_filetable_walk *b, struct cb_err **err)
{
	struct cb_filetable_entry x, y;
	int has_x = cb_filetable_next(a, &x, err), has_y = has_x < 0 ? 0 : cb_filetable_next(b, &y, err), r = 0;

	while (r == 0 && has_x >= 0 && has_y >= 0 && (has_x || has_y)) {
		int order = !has_x ? 1 : !has_y ? -1 : cb_filetable_order(x.path, y.path);

		r = meet(c, order <= 0 ? &x : NULL, order >= 0 ? &y : NULL, err);
		if (r == 0 && order <= 0)
			has_x = cb_filetable_next(a, &x, err);
		if (r == 0 && has_x >= 0 && order >= 0)
			has_y = cb_filetable_next(b, &y, err);
	}
	return r < 0 ? r : CB_MIN(CB_MIN(has_x, has_y), 0);
}

int cb_diff_trees(struct cb_filetable *a, struct cb_filetable *b, bool times, bool json, FILE *out,
	struct cb_diff_counts *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_filetable_walk_free) struct cb_filetable_walk *first = NULL, *second = NULL;
	struct comparing c = { .times = times, .json = json, .out = out };
	int r = cb_filetable_walk_open(a, &first, err);

	if (r == 0)
		r = cb_filetable_walk_open(b, &second, err);
	if (r == 0)
		r = walk(&c, first, second, err);
	cb_buf_done(&c.line);
	if (r == 0)
		*ret = c.counts;
	return r;
}
