#include "layers/tarread.h"

#include <assert.h>
#include <string.h>

#include "base/num.h"
#include "layers/tarformat.h"
#include "layers/tarreader.h"

#define BUFFER_SIZE ((size_t)512 << 10)

struct cb_tarreader *cb_tarreader_new(struct cb_source in)
{
	struct cb_tarreader *r = cb_new0(struct cb_tarreader);

	assert(in.read);
	r->in = in;
	r->buf = cb_xmalloc(BUFFER_SIZE);
	return r;
}

static void forget_entry(struct cb_tarreader *r)
{
	cb_pax_done(&r->pax);
	free(r->long_name);
	free(r->long_link);
	free(r->path);
	free(r->link);
	r->long_name = r->long_link = r->path = r->link = NULL;
	r->n_regions = r->region = 0;
	r->region_done = 0;
}

struct cb_tarreader *cb_tarreader_free(struct cb_tarreader *r)
{
	if (!r)
		return NULL;
	forget_entry(r);
	cb_pax_done(&r->global);
	free(r->buf);
	free(r);
	return NULL;
}

int cb_tarreader_truncated(struct cb_err **err)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "tar: unexpected end of the archive");
}

/** Makes at least @want bytes available unless the stream ends before; the count that is, or a code. */
static ssize_t fill(struct cb_tarreader *r, size_t want, struct cb_err **err)
{
	while (r->end - r->pos < want && !r->eof) {
		ssize_t n;

		if (BUFFER_SIZE - r->pos < want || r->pos == r->end) {
			memmove(r->buf, r->buf + r->pos, r->end - r->pos);
			r->end -= r->pos;
			r->pos = 0;
		}
		n = r->in.read(r->in.arg, r->buf + r->end, BUFFER_SIZE - r->end, err);
		if (n < 0)
			return n;
		r->eof = n == 0;
		r->end += (size_t)n;
	}
	return (ssize_t)(r->end - r->pos);
}

int cb_tarreader_block(struct cb_tarreader *r, const void **ret, struct cb_err **err)
{
	ssize_t n = fill(r, CB_TAR_BLOCK, err);

	if (n < 0)
		return (int)n;
	if (n == 0)
		return 1;
	if (n < CB_TAR_BLOCK)
		return cb_tarreader_truncated(err);
	*ret = r->buf + r->pos;
	r->pos += CB_TAR_BLOCK;
	return 0;
}

/** Takes @len bytes, to @to unless that is NULL. */
static int take(struct cb_tarreader *r, uint64_t len, char *to, struct cb_err **err)
{
	while (len > 0) {
		ssize_t n = fill(r, 1, err);
		size_t step;

		if (n < 0)
			return (int)n;
		if (n == 0)
			return cb_tarreader_truncated(err);
		step = (size_t)CB_MIN((uint64_t)n, len);
		if (to)
			to = mempcpy(to, r->buf + r->pos, step);
		r->pos += step;
		len -= step;
	}
	return 0;
}

static int skip(struct cb_tarreader *r, uint64_t len, struct cb_err **err)
{
	return take(r, len, NULL, err);
}

/** Content of a special header as one string. */
static int take_special(struct cb_tarreader *r, const struct cb_tar_header *h, size_t max, char **ret, size_t *ret_len,
	struct cb_err **err)
{
	cleanup_free char *data = NULL;
	int64_t size;
	int code;

	if (!CB_TAR_NUMBER(h->size, &size) || size < 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "tar: invalid size in an extended header");
	if ((uint64_t)size > max)
		return cb_err_set(
			err, CB_ERR_LIMIT, "tar: extended header of %lld bytes exceeds %zu", (long long)size, max);

	/* @h lies in the buffer that is refilled from here on. */
	data = cb_xmalloc((size_t)size + 1);
	code = take(r, (uint64_t)size, data, err);
	if (code < 0)
		return code;
	data[size] = '\0';
	code = skip(r, -(uint64_t)size & (CB_TAR_BLOCK - 1), err);
	if (code < 0)
		return code;
	*ret_len = (size_t)size;
	*ret = CB_TAKE_PTR(data);
	return 0;
}

/** GNU 'L' and 'K': the name with a NUL at its end. */
static int take_long(struct cb_tarreader *r, const struct cb_tar_header *h, char **to, struct cb_err **err)
{
	cleanup_free char *data = NULL;
	size_t len;
	int code = take_special(r, h, CB_TAR_PATH_MAX + 1, &data, &len, err);

	if (code < 0)
		return code;
	while (len > 0 && data[len - 1] == '\0')
		len--;
	if (memchr(data, '\0', len))
		return cb_err_set(err, CB_ERR_CORRUPT, "tar: name with a NUL byte");
	free(*to);
	*to = CB_TAKE_PTR(data);
	return 0;
}

/** 'x' and 'g'. */
static int take_pax(struct cb_tarreader *r, const struct cb_tar_header *h, struct cb_pax *to, struct cb_err **err)
{
	cleanup_free char *data = NULL;
	size_t len;
	int code = take_special(r, h, CB_TAR_PAX_MAX, &data, &len, err);

	return code < 0 ? code : cb_pax_parse(to, data, len, err);
}

static bool is_ustar(const struct cb_tar_header *h)
{
	return memcmp(h->magic, "ustar\0", 6) == 0;
}

static char *header_name(const struct cb_tar_header *h)
{
	size_t len = strnlen(h->name, sizeof(h->name));
	size_t prefix = is_ustar(h) ? strnlen(h->prefix, sizeof(h->prefix)) : 0;

	if (prefix == 0)
		return cb_xstrndup(h->name, len);
	return cb_xasprintf("%.*s/%.*s", (int)prefix, h->prefix, (int)len, h->name);
}

int cb_tarreader_bad_field(struct cb_err **err, const char *field)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "tar: invalid %s in a header", field);
}

static int decide_type(struct cb_tarreader *r, char flag, struct cb_err **err)
{
	size_t len = strlen(r->path);

	switch (flag) {
	case '\0':
	case '0':
	case '7': /* contiguous file */
		r->item.type = len > 0 && r->path[len - 1] == '/' ? CB_TAR_DIR : CB_TAR_FILE;
		return 0;
	case 'S':
		r->item.type = CB_TAR_FILE;
		return 0;
	case 'D': /* GNU directory with a listing as its data */
		r->item.type = CB_TAR_DIR;
		return 0;
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
		r->item.type = (enum cb_tar_type)flag;
		return 0;
	default:
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "tar: entry of unknown type %d", (unsigned char)flag);
	}
}

/** Numbers of the header unless a record replaces them. */
static int fill_numbers(struct cb_tarreader *r, const struct cb_tar_header *h, uint64_t *ret_size, struct cb_err **err)
{
	const struct cb_pax *pax = &r->pax;
	struct cb_tar_item *item = &r->item;
	int64_t v = 0;

	if (!CB_TAR_NUMBER(h->mode, &v))
		return cb_tarreader_bad_field(err, "mode");
	item->mode = (uint32_t)v & 07777;
	if (pax->has_uid)
		item->uid = pax->uid;
	else if (!CB_TAR_NUMBER(h->uid, &v) || v < 0 || v > UINT32_MAX)
		return cb_tarreader_bad_field(err, "user id");
	else
		item->uid = (uint32_t)v;
	if (pax->has_gid)
		item->gid = pax->gid;
	else if (!CB_TAR_NUMBER(h->gid, &v) || v < 0 || v > UINT32_MAX)
		return cb_tarreader_bad_field(err, "group id");
	else
		item->gid = (uint32_t)v;
	if (item->uid == UINT32_MAX || item->gid == UINT32_MAX)
		return cb_tarreader_bad_field(err, "owner");
	if (pax->has_mtime)
		item->mtime = pax->mtime;
	else if (!CB_TAR_NUMBER(h->mtime, &v))
		return cb_tarreader_bad_field(err, "time");
	else
		item->mtime = (struct timespec){ v, 0 };
	if (pax->has_size)
		*ret_size = pax->size;
	else if (!CB_TAR_NUMBER(h->size, &v) || v < 0)
		return cb_tarreader_bad_field(err, "size");
	else
		*ret_size = (uint64_t)v;
	return 0;
}

static int fill_device(struct cb_tarreader *r, const struct cb_tar_header *h, struct cb_err **err)
{
	int64_t major = 0, minor = 0;

	r->item.major = r->item.minor = 0;
	if (r->item.type != CB_TAR_CHAR && r->item.type != CB_TAR_BLOCK_DEV)
		return 0;
	if (!CB_TAR_NUMBER(h->dev_major, &major) || !CB_TAR_NUMBER(h->dev_minor, &minor) || major < 0 || minor < 0 ||
		major > UINT32_MAX || minor > UINT32_MAX)
		return cb_tarreader_bad_field(err, "device number");
	r->item.major = (uint32_t)major;
	r->item.minor = (uint32_t)minor;
	return 0;
}

static int fill_data(struct cb_tarreader *r, uint64_t size, struct cb_err **err)
{
	int code = 0;

	r->item.size = 0;
	r->raw_left = 0;
	r->padding = 0;
	/* A size in a header that has no data is no data, except GNU's listing of a directory. */
	if (r->item.type != CB_TAR_FILE && r->item.type != CB_TAR_DIR)
		return 0;
	r->padding = (unsigned int)(-size & (CB_TAR_BLOCK - 1));
	if (r->item.type == CB_TAR_DIR) {
		r->raw_left = size;
		return 0;
	}

	r->raw_left = size;
	r->item.size = size;
	if (!r->pax.sparse) {
		r->whole = (struct cb_tar_region){ 0, size };
		r->regions = &r->whole;
		r->n_regions = size > 0;
		return 0;
	}
	if (r->pax.has_real_size)
		r->item.size = r->pax.real_size;
	if (r->item.size > INT64_MAX)
		return cb_tarreader_bad_field(err, "real size");
	if (r->pax.sparse_in_data)
		code = cb_tarsparse_in_data(r, err);
	return code < 0 ? code : cb_tarsparse_check(r, err);
}

/** Records beat GNU long headers, those beat the block. */
static int fill_names(struct cb_tarreader *r, const struct cb_tar_header *h, struct cb_err **err)
{
	const struct cb_pax *pax = &r->pax;

	r->path = pax->path ? cb_xstrdup(pax->path) : r->long_name ? CB_TAKE_PTR(r->long_name) : header_name(h);
	if (h->type == '1' || h->type == '2')
		r->link = pax->link      ? cb_xstrdup(pax->link)
			  : r->long_link ? CB_TAKE_PTR(r->long_link)
					 : cb_xstrndup(h->link, strnlen(h->link, sizeof(h->link)));
	else
		r->link = cb_xstrdup("");
	r->item.path = r->path;
	r->item.link = r->link;
	return decide_type(r, h->type, err);
}

static int fill_item(struct cb_tarreader *r, const struct cb_tar_header *h, struct cb_err **err)
{
	uint64_t size = 0;
	int code;

	r->item.xattrs = r->pax.xattrs;
	r->item.n_xattrs = r->pax.n_xattrs;
	code = fill_names(r, h, err);
	if (code == 0)
		code = fill_numbers(r, h, &size, err);
	if (code == 0)
		code = fill_device(r, h, err);
	/* The last to look at the block, which more reading may move. */
	if (code == 0 && h->type == 'S')
		code = cb_tarsparse_old(r, h, err);
	return code < 0 ? code : fill_data(r, size, err);
}

/** The next header block in place; 1 at the end marker or the end of the stream. */
static int take_header(struct cb_tarreader *r, const struct cb_tar_header **ret, struct cb_err **err)
{
	const void *block = NULL;
	int code = cb_tarreader_block(r, &block, err);

	if (code != 0)
		return code;
	if (cb_tar_is_zero(block)) {
		code = cb_tarreader_block(r, &block, err);
		if (code == 0 && !cb_tar_is_zero(block))
			return cb_err_set(err, CB_ERR_CORRUPT, "tar: a lone block of zeros");
		return code < 0 ? code : 1;
	}
	if (!cb_tar_is_header(block))
		return cb_err_set(err, CB_ERR_CORRUPT, "tar: header with a wrong checksum");
	*ret = block;
	return 0;
}

/** 0 when the header described the next entry, 1 when it is that entry's own. */
static int take_meta(struct cb_tarreader *r, const struct cb_tar_header *h, struct cb_err **err)
{
	switch (h->type) {
	case 'x':
	case 'X':
		return take_pax(r, h, &r->pax, err);
	case 'g': {
		int code = take_pax(r, h, &r->global, err);

		if (code < 0)
			return code;
		cb_pax_done(&r->pax);
		cb_pax_copy(&r->pax, &r->global);
		return 0;
	}
	case 'L':
		return take_long(r, h, &r->long_name, err);
	case 'K':
		return take_long(r, h, &r->long_link, err);
	case 'V': { /* volume label: nothing to unpack */
		char *label = NULL;
		size_t len;
		int code = take_special(r, h, CB_TAR_PAX_MAX, &label, &len, err);

		free(label);
		return code;
	}
	default:
		return 1;
	}
}

int cb_tarreader_next(struct cb_tarreader *r, const struct cb_tar_item **ret, struct cb_err **err)
{
	const struct cb_tar_header *h = NULL;
	bool pending = false; /* a header that describes an entry was read */
	int code;

	assert(r);
	assert(ret);

	if (r->ended)
		return 1;
	code = skip(r, r->raw_left + r->padding, err);
	if (code < 0)
		return code;
	r->raw_left = r->padding = 0;
	forget_entry(r);
	cb_pax_copy(&r->pax, &r->global);

	for (unsigned int meta = 0;; meta++) {
		if (meta > CB_TAR_META_MAX)
			return cb_err_set(
				err, CB_ERR_LIMIT, "tar: more than %d extended headers of one entry", CB_TAR_META_MAX);
		code = take_header(r, &h, err);
		if (code < 0)
			return code;
		if (code == 1) {
			if (pending)
				return cb_tarreader_truncated(err);
			r->ended = true;
			return 1;
		}
		pending = pending || (h->type != 'g' && h->type != 'V');
		code = take_meta(r, h, err);
		if (code < 0)
			return code;
		if (code == 1)
			break;
	}
	code = fill_item(r, h, err);
	if (code < 0)
		return code;
	*ret = &r->item;
	return 0;
}

ssize_t cb_tarreader_data(struct cb_tarreader *r, const void **ret, uint64_t *ret_at, struct cb_err **err)
{
	const struct cb_tar_region *region;
	ssize_t n;

	assert(r);
	assert(ret);
	assert(ret_at);

	while (r->region < r->n_regions && r->region_done == r->regions[r->region].len) {
		r->region++;
		r->region_done = 0;
	}
	if (r->region >= r->n_regions)
		return 0;
	region = &r->regions[r->region];
	n = fill(r, 1, err);
	if (n < 0)
		return n;
	if (n == 0)
		return cb_tarreader_truncated(err);
	n = (ssize_t)CB_MIN((uint64_t)n, region->len - r->region_done);
	*ret = r->buf + r->pos;
	*ret_at = region->at + r->region_done;
	r->pos += (size_t)n;
	r->region_done += (uint64_t)n;
	r->raw_left -= (uint64_t)n;
	return n;
}

int cb_tarreader_drain(struct cb_tarreader *r, struct cb_err **err)
{
	assert(r);

	for (;;) {
		ssize_t n = fill(r, 1, err);

		if (n <= 0)
			return (int)n;
		for (size_t i = r->pos; i < r->end; i++)
			if (r->buf[i] != '\0')
				return cb_err_set(err, CB_ERR_CORRUPT, "tar: data after the end of the archive");
		r->pos = r->end;
	}
}
