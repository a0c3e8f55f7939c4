#include "layers/tarwrite.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/strv.h"
#include "layers/tarformat.h"

#define NAME_SIZE sizeof(((struct cb_tar_header *)NULL)->name)
#define PREFIX_SIZE sizeof(((struct cb_tar_header *)NULL)->prefix)
#define RECORDS_MAX (8 + CB_TAR_XATTRS_MAX)

struct record {
	const char *key;
	char *value;
	size_t len;
};

struct cb_tarwriter {
	struct cb_sink out;
	const struct cb_tar_watch *watch; /* or NULL */
	uint64_t bytes;
	uint64_t data_left; /* of the current entry */
	unsigned int padding;
	struct record records[RECORDS_MAX]; /* of the entry being written, sorted by key */
	size_t n_records;
	struct cb_strv keys; /* those of the records that are made for the entry */
};

struct cb_tarwriter *cb_tarwriter_new(struct cb_sink out)
{
	struct cb_tarwriter *w = cb_new0(struct cb_tarwriter);

	assert(out.write);
	w->out = out;
	return w;
}

void cb_tarwriter_watch(struct cb_tarwriter *w, const struct cb_tar_watch *watch)
{
	w->watch = watch;
}

static void clear_records(struct cb_tarwriter *w)
{
	for (size_t i = 0; i < w->n_records; i++)
		free(w->records[i].value);
	w->n_records = 0;
	cb_strv_done(&w->keys);
}

struct cb_tarwriter *cb_tarwriter_free(struct cb_tarwriter *w)
{
	if (!w)
		return NULL;
	clear_records(w);
	free(w);
	return NULL;
}

static int put(struct cb_tarwriter *w, const void *data, size_t len, struct cb_err **err)
{
	w->bytes += len;
	return w->out.write(w->out.arg, data, len, err);
}

static int put_padding(struct cb_tarwriter *w, size_t len, struct cb_err **err)
{
	static const char zeros[CB_TAR_BLOCK];

	return len > 0 ? put(w, zeros, len, err) : 0;
}

static unsigned int padding_of(uint64_t size)
{
	return (unsigned int)(-size & (CB_TAR_BLOCK - 1));
}

static void add_record(struct cb_tarwriter *w, const char *key, const void *value, size_t len)
{
	size_t at = w->n_records;

	assert(w->n_records < RECORDS_MAX);
	while (at > 0 && strcmp(w->records[at - 1].key, key) > 0) {
		w->records[at] = w->records[at - 1];
		at--;
	}
	w->records[at] = (struct record){ key, cb_xmemdup(value, len), len };
	w->n_records++;
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/** Length of the UTF-8 sequence at @s, 1 for a byte that begins none. */
static size_t rune_len(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t want = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;

	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 1;
	return want;
}

/** The fallback name of a header whose real one is in a record: non-ASCII characters are dropped. */
static char *ascii_only(const char *s)
{
	cleanup_buf struct cb_buf out = { 0 };

	for (; *s; s += rune_len(s))
		if ((unsigned char)*s < 0x80)
			cb_buf_addc(&out, *s);
	return cb_buf_take(&out);
}

/** Cuts to @size; a name cut right after a slash must not look like a directory. */
static void put_string(char *field, size_t size, const char *s)
{
	size_t len = strlen(s), n = CB_MIN(len, size);

	memcpy(field, s, n);
	if (len > size && field[size - 1] == '/') {
		while (n > 0 && field[n - 1] == '/')
			n--;
		if (n < size)
			field[n] = '\0';
	}
}

static bool fits_octal(size_t size, int64_t value)
{
	return value >= 0 && (uint64_t)value < UINT64_C(1) << (3 * (size - 1));
}

/** Leading zeros, NUL at the end; zero when the value is in a record. */
static void put_octal(char *field, size_t size, int64_t value)
{
	uint64_t v = fits_octal(size, value) ? (uint64_t)value : 0;

	field[size - 1] = '\0';
	for (size_t i = size - 1; i > 0; i--, v >>= 3)
		field[i - 1] = (char)('0' + (v & 7));
}

#define PUT_STRING(field, s) put_string((field), sizeof(field), (s))
#define PUT_OCTAL(field, v) put_octal((field), sizeof(field), (v))

/** @split, when above 0, is where ustar's prefix ends in @name. */
static void fill_header(struct cb_tar_header *h, const char *name, size_t split)
{
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	if (split > 0) {
		memcpy(h->prefix, name, split);
		name += split + 1;
	}
	PUT_STRING(h->name, name);
}

static void put_checksum(struct cb_tar_header *h)
{
	put_octal(h->checksum, sizeof(h->checksum) - 1, cb_tar_checksum(h));
	h->checksum[7] = ' ';
}

/** Adds "LEN KEY=VALUE\n", where LEN counts itself. */
static void format_record(struct cb_buf *out, const struct record *r)
{
	size_t rest = strlen(r->key) + r->len + 3;
	size_t len = rest + 1;

	for (;;) {
		char digits[24];
		size_t again = rest + (size_t)snprintf(digits, sizeof(digits), "%zu", len);

		if (again == len)
			break;
		len = again;
	}
	cb_buf_addf(out, "%zu %s=", len, r->key);
	cb_buf_add(out, r->value, r->len);
	cb_buf_addc(out, '\n');
}

/** Writes the extended header of @path: its records as the content of a file "DIR/PaxHeaders.0/NAME". */
static int put_records(struct cb_tarwriter *w, const char *path, struct cb_err **err)
{
	struct cb_tar_header h = { 0 };
	cleanup_buf struct cb_buf data = { 0 };
	cleanup_buf struct cb_buf name = { 0 };
	const char *slash = strrchr(path, '/');
	cleanup_free char *fallback = NULL;
	size_t len;
	int r;

	if (slash)
		cb_buf_add(&name, path, (size_t)(slash - path) + 1);
	cb_buf_adds(&name, "PaxHeaders.0");
	if (!slash || slash[1] != '\0')
		cb_buf_addf(&name, "/%s", slash ? slash + 1 : path);
	fallback = ascii_only(cb_buf_str(&name));
	len = CB_MIN(strlen(fallback), NAME_SIZE);
	while (len > 0 && fallback[len - 1] == '/')
		len--;
	fallback[len] = '\0';

	for (size_t i = 0; i < w->n_records; i++)
		format_record(&data, &w->records[i]);

	fill_header(&h, fallback, 0);
	PUT_OCTAL(h.mode, 0);
	PUT_OCTAL(h.uid, 0);
	PUT_OCTAL(h.gid, 0);
	PUT_OCTAL(h.size, (int64_t)data.len);
	PUT_OCTAL(h.mtime, 0);
	h.type = 'x';
	put_checksum(&h);

	r = put(w, &h, sizeof(h), err);
	if (r == 0)
		r = put(w, data.data, data.len, err);
	return r < 0 ? r : put_padding(w, padding_of(data.len), err);
}

/** Where ustar may cut a long name in two, or 0. */
static size_t split_point(const char *name)
{
	size_t len = strlen(name), limit = len, at;

	if (len <= NAME_SIZE || !is_ascii(name))
		return 0;
	if (limit > PREFIX_SIZE + 1)
		limit = PREFIX_SIZE + 1;
	else if (name[limit - 1] == '/')
		limit--;
	for (at = limit; at > 0 && name[at - 1] != '/'; at--)
		;
	/* The slash is at at - 1. */
	if (at < 2 || len - at > NAME_SIZE || len == at || at - 1 > PREFIX_SIZE)
		return 0;
	return at - 1;
}

static void add_number(struct cb_tarwriter *w, const char *key, size_t size, int64_t value)
{
	char text[24];

	if (fits_octal(size, value))
		return;
	snprintf(text, sizeof(text), "%lld", (long long)value);
	add_record(w, key, text, strlen(text));
}

/** Where the header cuts the name: only when no record is needed otherwise, for then the path has one too. */
static size_t collect_records(struct cb_tarwriter *w, const struct cb_tar_entry *e, const char *name)
{
	struct cb_tar_header *h = NULL;
	size_t split = split_point(name);

	if (e->link && (strlen(e->link) > sizeof(h->link) || !is_ascii(e->link)))
		add_record(w, "linkpath", e->link, strlen(e->link));
	add_number(w, "uid", sizeof(h->uid), e->uid);
	add_number(w, "gid", sizeof(h->gid), e->gid);
	add_number(w, "size", sizeof(h->size), (int64_t)e->size);
	add_number(w, "mtime", sizeof(h->mtime), e->mtime);
	if (e->capability_len > 0)
		add_record(w, "SCHILY.xattr.security.capability", e->capability, e->capability_len);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		cb_strv_addf(&w->keys, "SCHILY.xattr.%s", e->xattrs[i].name);
		add_record(w, w->keys.v[w->keys.n - 1], e->xattrs[i].value, e->xattrs[i].len);
	}
	if (split > 0 && w->n_records == 0)
		return split;
	if (strlen(name) > NAME_SIZE || !is_ascii(name))
		add_record(w, "path", name, strlen(name));
	return 0;
}

int cb_tarwriter_entry(struct cb_tarwriter *w, const struct cb_tar_entry *e, struct cb_err **err)
{
	struct cb_tar_header h = { 0 };
	cleanup_free char *name = NULL, *plain = NULL, *link = NULL;
	size_t split;
	int r = 0;

	assert(w);
	assert(e);
	assert(e->path && e->path[0] != '\0' && e->path[0] != '/');
	assert(e->type == CB_TAR_FILE || e->size == 0);

	if (w->data_left > 0)
		return cb_err_set(err, CB_ERR_INTERNAL, "tar entry before \"%s\" is short of %llu bytes", e->path,
			(unsigned long long)w->data_left);
	if (w->watch)
		r = w->watch->entry(w->watch->arg, e, err);
	if (r < 0)
		return r;

	name = e->type == CB_TAR_DIR && e->path[strlen(e->path) - 1] != '/' ? cb_xasprintf("%s/", e->path)
									    : cb_xstrdup(e->path);
	split = collect_records(w, e, name);
	if (w->n_records > 0)
		r = put_records(w, name, err);
	clear_records(w);
	if (r < 0)
		return r;

	plain = ascii_only(name);
	link = ascii_only(e->link ? e->link : "");
	fill_header(&h, plain, split);
	PUT_OCTAL(h.mode, e->mode & 07777);
	PUT_OCTAL(h.uid, e->uid);
	PUT_OCTAL(h.gid, e->gid);
	PUT_OCTAL(h.size, (int64_t)e->size);
	PUT_OCTAL(h.mtime, e->mtime);
	h.type = (char)e->type;
	PUT_STRING(h.link, link);
	PUT_OCTAL(h.dev_major, e->major);
	PUT_OCTAL(h.dev_minor, e->minor);
	put_checksum(&h);

	w->data_left = e->size;
	w->padding = padding_of(e->size);
	return put(w, &h, sizeof(h), err);
}

int cb_tarwriter_data(struct cb_tarwriter *w, const void *data, size_t len, struct cb_err **err)
{
	int r;

	assert(w);

	if (len > w->data_left)
		return cb_err_set(err, CB_ERR_INTERNAL, "more data than the size of the tar entry");
	if (len == 0)
		return 0;
	r = w->watch ? w->watch->data(w->watch->arg, data, len, err) : 0;
	if (r == 0)
		r = put(w, data, len, err);
	if (r < 0)
		return r;
	w->data_left -= len;
	return w->data_left == 0 ? put_padding(w, w->padding, err) : 0;
}

int cb_tarwriter_file(struct cb_tarwriter *w, const char *path, uint32_t mode, int64_t mtime, const void *data,
	size_t len, struct cb_err **err)
{
	struct cb_tar_entry entry = { .path = path, .type = CB_TAR_FILE, .mode = mode, .size = len, .mtime = mtime };
	int r = cb_tarwriter_entry(w, &entry, err);

	return r < 0 ? r : cb_tarwriter_data(w, data, len, err);
}

int cb_tarwriter_dir(struct cb_tarwriter *w, const char *path, int64_t mtime, struct cb_err **err)
{
	struct cb_tar_entry entry = { .path = path, .type = CB_TAR_DIR, .mode = 0755, .mtime = mtime };

	return cb_tarwriter_entry(w, &entry, err);
}

int cb_tarwriter_finish(struct cb_tarwriter *w, struct cb_err **err)
{
	int r;

	assert(w);

	if (w->data_left > 0)
		return cb_err_set(err, CB_ERR_INTERNAL, "last tar entry is short of %llu bytes",
			(unsigned long long)w->data_left);
	r = w->watch ? w->watch->entry(w->watch->arg, NULL, err) : 0;
	if (r == 0)
		r = put_padding(w, CB_TAR_BLOCK, err);
	return r < 0 ? r : put_padding(w, CB_TAR_BLOCK, err);
}

uint64_t cb_tarwriter_bytes(const struct cb_tarwriter *w)
{
	assert(w);
	return w->bytes;
}
