#include "layers/mountlist.h"

#include <stdlib.h>
#include <string.h>

#include "layers/varint.h"

#define MODE_MAX 07777
#define ID_MAX (UINT32_MAX - 1)
#define SIZE_MAX_FILE ((uint64_t)1 << 40)
/* A file's chunks and what else a record holds. */
#define RECORD_MAX (CB_MOUNT_CHUNKS_MAX * CB_DIGEST_SIZE + CB_MOUNT_XATTRS_MAX * (CB_MOUNT_XATTR_MAX + 512) + 8192)
#define TIME_RECORD_MAX (32 + CB_MOUNT_SMALL_MAX)
#define BLOCK ((size_t)64 << 10)

/* ---- writing -------------------------------------------------------------------------------------------------- */

static void put_owner(const struct cb_mount_entry *e, bool mode, struct cb_buf *out)
{
	if (mode)
		cb_varint_put(out, e->mode);
	cb_varint_put(out, e->uid);
	cb_varint_put(out, e->gid);
}

static void put_xattrs(const struct cb_mount_entry *e, struct cb_buf *out)
{
	cb_varint_put(out, e->n_xattrs);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		cb_varint_put_bytes(out, e->xattrs[i].name, e->xattrs[i].name_len);
		cb_varint_put_bytes(out, e->xattrs[i].value, e->xattrs[i].len);
	}
}

static void put_record(const struct cb_mount_entry *e, struct cb_buf *out)
{
	cb_buf_addc(out, (char)e->kind);
	if (e->kind == CB_MOUNT_UP)
		return;
	cb_varint_put_bytes(out, e->name, strlen(e->name));
	switch (e->kind) {
	case CB_MOUNT_DIR:
		put_owner(e, true, out);
		put_xattrs(e, out);
		return;
	case CB_MOUNT_FILE:
		put_owner(e, true, out);
		put_xattrs(e, out);
		cb_varint_put(out, e->size);
		cb_varint_put(out, e->linked);
		cb_varint_put(out, e->n_chunks);
		cb_buf_add(out, e->chunks, e->n_chunks * CB_DIGEST_SIZE);
		return;
	case CB_MOUNT_SMALL:
		put_owner(e, true, out);
		put_xattrs(e, out);
		cb_varint_put(out, e->linked);
		return;
	case CB_MOUNT_LINK:
		cb_varint_put(out, e->number);
		return;
	case CB_MOUNT_SYMLINK:
		put_owner(e, false, out);
		cb_varint_put_bytes(out, e->target, strlen(e->target));
		return;
	default: /* CB_MOUNT_FIFO */
		put_owner(e, true, out);
		return;
	}
}

static bool has_time(enum cb_mount_kind kind)
{
	return kind != CB_MOUNT_UP && kind != CB_MOUNT_LINK;
}

void cb_mountlist_put(const struct cb_mount_entry *entry, struct cb_buf *tree, struct cb_buf *times, int64_t *last_time)
{
	cleanup_buf struct cb_buf record = { 0 };

	put_record(entry, &record);
	cb_varint_put_bytes(tree, record.data, record.len);
	if (!has_time(entry->kind))
		return;
	cb_varint_put_signed(times, (int64_t)((uint64_t)entry->mtime - (uint64_t)*last_time));
	cb_varint_put(times, entry->mtime_ns);
	cb_varint_put(times, entry->used > entry->mtime ? (uint64_t)entry->used - (uint64_t)entry->mtime : 0);
	*last_time = entry->mtime;
	if (entry->kind == CB_MOUNT_SMALL)
		cb_varint_put_bytes(times, entry->content, (size_t)entry->size);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* A stream with what was read ahead of it. */
struct input {
	struct cb_source source;
	struct cb_buf buf;
	size_t at;
	bool ended;
};

struct cb_mountlist {
	struct input tree, times;
	struct cb_mount_entry entry;
	struct cb_buf names[CB_MOUNT_DEPTH_MAX]; /* the last name in each open directory */
	size_t depth;
	bool ended;
	struct cb_buf strings;
	uint64_t entries, files;
	int64_t last_time;
};

struct cb_mountlist *cb_mountlist_new(struct cb_source tree, struct cb_source times)
{
	struct cb_mountlist *list = cb_new0(struct cb_mountlist);

	list->tree.source = tree;
	list->times.source = times;
	return list;
}

struct cb_mountlist *cb_mountlist_free(struct cb_mountlist *list)
{
	if (!list)
		return NULL;
	cb_buf_done(&list->tree.buf);
	cb_buf_done(&list->times.buf);
	cb_buf_done(&list->strings);
	for (size_t i = 0; i < CB_MOUNT_DEPTH_MAX; i++)
		cb_buf_done(&list->names[i]);
	free(list);
	return NULL;
}

static int corrupt(struct cb_err **err, const char *what)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "list of a cache mount: %s", what);
}

/* Makes at least @need bytes ready where there are so many. What was consumed goes. */
static int fill(struct input *in, size_t need, struct cb_err **err)
{
	if (in->buf.len - in->at >= need || in->ended)
		return 0;
	if (in->at) {
		memmove(in->buf.data, in->buf.data + in->at, in->buf.len - in->at);
		cb_buf_truncate(&in->buf, in->buf.len - in->at);
		in->at = 0;
	}
	while (in->buf.len < need && !in->ended) {
		ssize_t n;

		cb_buf_reserve(&in->buf, BLOCK);
		n = in->source.read(in->source.arg, in->buf.data + in->buf.len, BLOCK, err);
		if (n < 0)
			return (int)n;
		in->ended = n == 0;
		in->buf.len += (size_t)n;
	}
	return 0;
}

static struct cb_varint_in wire_of(const struct input *in)
{
	const unsigned char *data = (const unsigned char *)in->buf.data;

	return in->buf.data ? (struct cb_varint_in){ data + in->at, data + in->buf.len } : (struct cb_varint_in){ 0 };
}

/* The next record, whole. */
static int next_record(struct input *in, struct cb_varint_in *ret, struct cb_err **err)
{
	int r = fill(in, 16, err);
	struct cb_varint_in wire = wire_of(in);
	const unsigned char *start = wire.at;
	const void *data;
	uint64_t len;

	if (r < 0)
		return r;
	if (!cb_varint_get(&wire, RECORD_MAX, &len) || !len)
		return corrupt(err, "a record is cut off or too long");
	in->at += (size_t)(wire.at - start);
	r = fill(in, (size_t)len, err);
	if (r < 0)
		return r;
	wire = wire_of(in);
	if (!cb_varint_take(&wire, (size_t)len, &data))
		return corrupt(err, "it is cut off");
	in->at += (size_t)len;
	*ret = (struct cb_varint_in){ data, (const unsigned char *)data + len };
	return 0;
}

/* A string of the record with a NUL that it does not have itself; its place in list->strings. */
static bool get_string(struct cb_mountlist *list, struct cb_varint_in *wire, size_t max, size_t *ret)
{
	const void *data;
	size_t len;

	if (!cb_varint_get_bytes(wire, max, &data, &len) || memchr(data, 0, len))
		return false;
	*ret = list->strings.len;
	cb_buf_add(&list->strings, data, len);
	cb_buf_addc(&list->strings, '\0');
	return true;
}

static bool get_owner(struct cb_mount_entry *e, struct cb_varint_in *wire, bool mode)
{
	uint64_t m = 0, uid, gid;

	if ((mode && !cb_varint_get(wire, MODE_MAX, &m)) || !cb_varint_get(wire, ID_MAX, &uid) ||
		!cb_varint_get(wire, ID_MAX, &gid))
		return false;
	e->mode = (uint32_t)m;
	e->uid = (uint32_t)uid;
	e->gid = (uint32_t)gid;
	return true;
}

static bool get_xattrs(struct cb_mount_entry *e, struct cb_varint_in *wire)
{
	uint64_t n;

	if (!cb_varint_get(wire, CB_MOUNT_XATTRS_MAX, &n))
		return false;
	e->n_xattrs = (size_t)n;
	for (size_t i = 0; i < e->n_xattrs; i++) {
		struct cb_mount_xattr *x = &e->xattrs[i];
		const void *name;

		if (!cb_varint_get_bytes(wire, 255, &name, &x->name_len) || memchr(name, 0, x->name_len) ||
			!cb_varint_get_bytes(wire, CB_MOUNT_XATTR_MAX, &x->value, &x->len))
			return false;
		x->name = name;
		if (x->name_len <= 5 || memcmp(name, "user.", 5) != 0)
			return false;
	}
	return true;
}

static bool get_content(struct cb_mountlist *list, struct cb_mount_entry *e, struct cb_varint_in *wire)
{
	uint64_t linked, n;
	const void *chunks;

	if (!cb_varint_get(wire, SIZE_MAX_FILE, &e->size) || !cb_varint_get(wire, 1, &linked) ||
		!cb_varint_get(wire, CB_MOUNT_CHUNKS_MAX, &n) ||
		!cb_varint_take(wire, (size_t)n * CB_DIGEST_SIZE, &chunks) || (e->size == 0) != (n == 0) || n > e->size)
		return false;
	e->linked = linked;
	e->n_chunks = (size_t)n;
	e->chunks = chunks;
	e->number = list->files++;
	return true;
}

static bool get_body(struct cb_mountlist *list, struct cb_varint_in *wire, size_t *ret_target)
{
	struct cb_mount_entry *e = &list->entry;
	uint64_t linked;

	switch (e->kind) {
	case CB_MOUNT_DIR:
		return get_owner(e, wire, true) && get_xattrs(e, wire);
	case CB_MOUNT_FILE:
		return get_owner(e, wire, true) && get_xattrs(e, wire) && get_content(list, e, wire);
	case CB_MOUNT_SMALL:
		if (!get_owner(e, wire, true) || !get_xattrs(e, wire) || !cb_varint_get(wire, 1, &linked))
			return false;
		e->linked = linked;
		e->number = list->files++;
		return true;
	case CB_MOUNT_LINK:
		return cb_varint_get(wire, UINT64_MAX, &e->number) && e->number < list->files;
	case CB_MOUNT_SYMLINK:
		return get_owner(e, wire, false) && get_string(list, wire, CB_MOUNT_TARGET_MAX, ret_target) &&
		       list->strings.data[*ret_target];
	case CB_MOUNT_FIFO:
		return get_owner(e, wire, true);
	default:
		return false;
	}
}

static int check_name(struct cb_mountlist *list, const char *name, struct cb_err **err)
{
	struct cb_buf *last;

	if (!list->depth)
		return list->entry.kind == CB_MOUNT_DIR && !*name ? 0 : corrupt(err, "it does not begin with the root");
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return corrupt(err, "a name is no file name");
	last = &list->names[list->depth - 1];
	if (last->len && strcmp(name, last->data) <= 0)
		return corrupt(err, "names are not in order");
	cb_buf_clear(last);
	cb_buf_adds(last, name);
	return 0;
}

static int enter(struct cb_mountlist *list, struct cb_err **err)
{
	if (list->depth == CB_MOUNT_DEPTH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "list of a cache mount: too many directories below each other");
	cb_buf_clear(&list->names[list->depth++]);
	return 0;
}

static int read_entry(struct cb_mountlist *list, struct cb_varint_in *wire, struct cb_err **err)
{
	struct cb_mount_entry *e = &list->entry;
	size_t name = 0, target = 0;
	int r;

	cb_buf_clear(&list->strings);
	*e = (struct cb_mount_entry){ .kind = (enum cb_mount_kind) * wire->at++ };
	if (e->kind == CB_MOUNT_UP) {
		if (wire->at != wire->end || !list->depth)
			return corrupt(err, "a record is wrong");
		list->ended = --list->depth == 0;
		return 0;
	}
	if (!get_string(list, wire, CB_MOUNT_NAME_MAX, &name) || !get_body(list, wire, &target) ||
		wire->at != wire->end)
		return corrupt(err, "a record is wrong");
	e->name = list->strings.data + name;
	e->target = list->strings.data + target;
	r = check_name(list, e->name, err);
	return r == 0 && e->kind == CB_MOUNT_DIR ? enter(list, err) : r;
}

static int read_time(struct cb_mountlist *list, struct cb_err **err)
{
	struct cb_mount_entry *e = &list->entry;
	int r = fill(&list->times, TIME_RECORD_MAX, err);
	struct cb_varint_in wire = wire_of(&list->times);
	const unsigned char *start = wire.at;
	uint64_t ns, later;
	int64_t delta;
	size_t len = 0;

	if (r < 0)
		return r;
	if (!cb_varint_get_signed(&wire, &delta) || !cb_varint_get(&wire, 999999999, &ns) ||
		!cb_varint_get(&wire, INT32_MAX, &later) || __builtin_add_overflow(list->last_time, delta, &e->mtime) ||
		__builtin_add_overflow(e->mtime, (int64_t)later, &e->used))
		return corrupt(err, "a time is wrong");
	if (e->kind == CB_MOUNT_SMALL && !cb_varint_get_bytes(&wire, CB_MOUNT_SMALL_MAX, &e->content, &len))
		return corrupt(err, "a small file is wrong");
	e->size += len;
	list->times.at += (size_t)(wire.at - start);
	list->last_time = e->mtime;
	e->mtime_ns = (uint32_t)ns;
	return 0;
}

static int at_end(struct cb_mountlist *list, struct cb_err **err)
{
	int r = fill(&list->tree, 1, err);

	if (r == 0)
		r = fill(&list->times, 1, err);
	if (r < 0)
		return r;
	if (list->tree.at < list->tree.buf.len || list->times.at < list->times.buf.len)
		return corrupt(err, "something follows its end");
	return 1;
}

int cb_mountlist_next(struct cb_mountlist *list, const struct cb_mount_entry **ret, struct cb_err **err)
{
	struct cb_varint_in wire;
	int r;

	if (list->ended)
		return at_end(list, err);
	if (++list->entries > 2 * CB_MOUNT_ENTRIES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "list of a cache mount: too many entries");
	r = next_record(&list->tree, &wire, err);
	if (r == 0)
		r = read_entry(list, &wire, err);
	if (r == 0 && has_time(list->entry.kind))
		r = read_time(list, err);
	if (r < 0)
		return r;
	*ret = &list->entry;
	return 0;
}
