#include "layers/filelist.h"

#include <stdlib.h>
#include <string.h>

#include "layers/compress.h"

#define MAGIC "cbfiles1"

static int by_path(const void *a, const void *b)
{
	const struct cb_content_file *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void put_number(struct cb_buf *out, uint64_t v)
{
	do {
		cb_buf_addc(out, (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
		v >>= 7;
	} while (v);
}

static void put_file(struct cb_buf *out, const struct cb_content_file *file)
{
	put_number(out, file->mode);
	put_number(out, file->uid);
	put_number(out, file->gid);
	put_number(out, file->size);
	cb_buf_add(out, file->data, CB_FILELIST_DIGEST);
	cb_buf_add(out, file->path, strlen(file->path) + 1);
}

int cb_filelist_pack(struct cb_content_files *files, struct cb_buf *out, struct cb_err **err)
{
	const struct cb_compress_spec spec = { CB_CODEC_ZSTD, CB_LEVEL_DEFAULT };
	CB_CLEANUP(cb_compressor_free) struct cb_compressor *compressor = NULL;
	cleanup_buf struct cb_buf plain = { 0 };
	int r;

	if (files->n)
		qsort(files->v, files->n, sizeof(*files->v), by_path);
	cb_buf_adds(&plain, MAGIC);
	put_number(&plain, files->total);
	for (size_t i = 0; i < files->n && i < CB_FILELIST_MAX && plain.len < CB_FILELIST_PLAIN_MAX - (64 << 10); i++)
		put_file(&plain, &files->v[i]);
	r = cb_compressor_open(&spec, NULL, cb_sink_buf(out), &compressor, err);
	if (r == 0)
		r = cb_compressor_write(compressor, plain.data, plain.len, err);
	return r < 0 ? r : cb_compressor_finish(compressor, err);
}

struct cursor {
	const unsigned char *at, *end;
};

static bool get_number(struct cursor *c, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 63; shift += 7) {
		if (c->at == c->end)
			return false;
		v |= (uint64_t)(*c->at & 0x7f) << shift;
		if (!(*c->at++ & 0x80)) {
			*ret = v;
			return v <= max;
		}
	}
	return false;
}

static bool get_file(struct cursor *c, struct cb_content_file *ret)
{
	uint64_t mode, uid, gid;
	size_t len;

	if (!get_number(c, UINT32_MAX, &mode) || !get_number(c, UINT32_MAX, &uid) || !get_number(c, UINT32_MAX, &gid) ||
		!get_number(c, UINT64_MAX, &ret->size) || (size_t)(c->end - c->at) < CB_FILELIST_DIGEST)
		return false;
	ret->mode = (uint32_t)mode;
	ret->uid = (uint32_t)uid;
	ret->gid = (uint32_t)gid;
	memcpy(ret->data, c->at, CB_FILELIST_DIGEST);
	c->at += CB_FILELIST_DIGEST;
	len = strnlen((const char *)c->at, (size_t)(c->end - c->at));
	if (c->at + len == c->end)
		return false;
	ret->path = cb_xstrdup((const char *)c->at);
	c->at += len + 1;
	return true;
}

static int parse(const struct cb_buf *plain, struct cb_content_files *ret, struct cb_err **err)
{
	struct cursor c = { (const unsigned char *)plain->data, (const unsigned char *)plain->data + plain->len };
	const size_t magic = sizeof(MAGIC) - 1;

	if (plain->len < magic || memcmp(plain->data, MAGIC, magic) != 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "not a list of files");
	c.at += magic;
	if (!get_number(&c, UINT64_MAX, &ret->total))
		return cb_err_set(err, CB_ERR_CORRUPT, "a list of files is cut off");
	while (c.at < c.end) {
		struct cb_content_file file = { 0 };

		if (ret->n >= CB_FILELIST_MAX || !get_file(&c, &file))
			return cb_err_set(err, CB_ERR_CORRUPT, "a list of files is damaged");
		CB_GROW(ret->v, ret->cap, ret->n + 1);
		ret->v[ret->n++] = file;
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_path);
	return 0;
}

int cb_filelist_unpack(const void *data, size_t len, struct cb_content_files *ret, struct cb_err **err)
{
	const struct cb_decompress_limits limits = { .max_bytes = CB_FILELIST_PLAIN_MAX };
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *d = NULL;
	struct cb_source_mem mem = { .data = data, .len = len };
	cleanup_buf struct cb_buf plain = { 0 };
	ssize_t n = 1;
	int r = cb_decompressor_open(cb_source_mem(&mem), &limits, &d, err);

	if (r < 0)
		return r;
	while (n > 0) {
		cb_buf_reserve(&plain, 64 << 10);
		n = cb_decompressor_read(d, plain.data + plain.len, 64 << 10, err);
		if (n < 0)
			return (int)n;
		plain.len += (size_t)n;
	}
	r = parse(&plain, ret, err);
	if (r < 0)
		cb_content_files_done(ret);
	return r;
}

static bool same(const struct cb_content_file *a, const struct cb_content_file *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->size == b->size &&
	       !memcmp(a->data, b->data, CB_FILELIST_DIGEST);
}

void cb_filelist_compare(const struct cb_content_files *old, const struct cb_content_files *now,
	void (*fn)(void *ctx, const struct cb_content_file *old, const struct cb_content_file *now), void *ctx)
{
	size_t i = 0, k = 0;

	while (i < old->n || k < now->n) {
		int order = i == old->n ? 1 : k == now->n ? -1 : strcmp(old->v[i].path, now->v[k].path);

		if (order < 0)
			fn(ctx, &old->v[i++], NULL);
		else if (order > 0)
			fn(ctx, NULL, &now->v[k++]);
		else {
			if (!same(&old->v[i], &now->v[k]))
				fn(ctx, &old->v[i], &now->v[k]);
			i++;
			k++;
		}
	}
}
