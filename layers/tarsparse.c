/* Files with holes: the three places where GNU tar writes the map of their data. */
#include <string.h>

#include "layers/tarreader.h"

#define IN_HEADER 4
#define IN_BLOCK 21

struct gnu_region {
	char at[12], len[12];
};

struct gnu_sparse_header {
	char unused[386];
	struct gnu_region regions[IN_HEADER];
	char more;
	char real_size[12];
	char rest[17];
};
_Static_assert(sizeof(struct gnu_sparse_header) == CB_TAR_BLOCK, "one block");

struct gnu_sparse_block {
	struct gnu_region regions[IN_BLOCK];
	char more;
	char rest[7];
};
_Static_assert(sizeof(struct gnu_sparse_block) == CB_TAR_BLOCK, "one block");

static int add_gnu_regions(
	struct cb_tarreader *r, const struct gnu_region *regions, size_t n, bool *ret_more, struct cb_err **err)
{
	for (size_t i = 0; i < n; i++) {
		int64_t at = 0, len = 0;

		if (regions[i].len[0] == '\0') {
			*ret_more = false;
			return 0;
		}
		if (!CB_TAR_NUMBER(regions[i].at, &at) || !CB_TAR_NUMBER(regions[i].len, &len) || at < 0 || len < 0)
			return cb_tarreader_bad_field(err, "sparse map");
		if (r->pax.n_regions >= CB_TAR_SPARSE_MAX)
			return cb_err_set(
				err, CB_ERR_LIMIT, "tar: more than %d regions in a sparse file", CB_TAR_SPARSE_MAX);
		cb_pax_add_region(&r->pax, (uint64_t)at, (uint64_t)len);
	}
	return 0;
}

int cb_tarsparse_old(struct cb_tarreader *r, const struct cb_tar_header *h, struct cb_err **err)
{
	const struct gnu_sparse_header *s = (const void *)h;
	bool more = s->more != '\0', go_on = true;
	int64_t real = 0;
	int code;

	if (!CB_TAR_NUMBER(s->real_size, &real) || real < 0)
		return cb_tarreader_bad_field(err, "real size");
	r->pax.sparse = true;
	r->pax.has_real_size = true;
	r->pax.real_size = (uint64_t)real;
	code = add_gnu_regions(r, s->regions, IN_HEADER, &go_on, err);
	while (code == 0 && more) {
		const struct gnu_sparse_block *block = NULL;

		code = cb_tarreader_block(r, (const void **)&block, err);
		if (code == 1)
			return cb_tarreader_truncated(err);
		if (code == 0) {
			more = block->more != '\0';
			code = add_gnu_regions(r, block->regions, IN_BLOCK, &go_on, err);
		}
	}
	return code;
}

/** Numbers at the start of the data of a pax 1.0 sparse file, a line each. */
struct map_text {
	const char *block;
	size_t at; /* in block */
};

static int map_number(struct cb_tarreader *r, struct map_text *map, uint64_t *ret, struct cb_err **err)
{
	uint64_t v = 0;

	for (unsigned int digits = 0;; digits++) {
		char c;

		if (!map->block || map->at == CB_TAR_BLOCK) {
			const void *block;
			int code;

			if (r->raw_left < CB_TAR_BLOCK)
				return cb_tarreader_bad_field(err, "sparse map");
			code = cb_tarreader_block(r, &block, err);
			if (code != 0)
				return code < 0 ? code : cb_tarreader_truncated(err);
			r->raw_left -= CB_TAR_BLOCK;
			*map = (struct map_text){ block, 0 };
		}
		c = map->block[map->at++];
		if (c == '\n' && digits > 0)
			break;
		if (c < '0' || c > '9' || digits >= 18)
			return cb_tarreader_bad_field(err, "sparse map");
		v = v * 10 + (uint64_t)(c - '0');
	}
	*ret = v;
	return 0;
}

int cb_tarsparse_in_data(struct cb_tarreader *r, struct cb_err **err)
{
	struct map_text map = { 0 };
	uint64_t n = 0, at = 0, len = 0;
	int code = map_number(r, &map, &n, err);

	if (code < 0)
		return code;
	if (n > CB_TAR_SPARSE_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "tar: more than %d regions in a sparse file", CB_TAR_SPARSE_MAX);
	r->pax.n_regions = 0;
	for (uint64_t i = 0; i < n; i++) {
		code = map_number(r, &map, &at, err);
		if (code == 0)
			code = map_number(r, &map, &len, err);
		if (code < 0)
			return code;
		cb_pax_add_region(&r->pax, at, len);
	}
	return 0;
}

int cb_tarsparse_check(struct cb_tarreader *r, struct cb_err **err)
{
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < r->pax.n_regions; i++) {
		const struct cb_tar_region *region = &r->pax.regions[i];

		if (region->at < end || region->at > r->item.size || region->len > r->item.size - region->at)
			return cb_tarreader_bad_field(err, "sparse map");
		end = region->at + region->len;
		sum += region->len;
	}
	if (sum != r->raw_left)
		return cb_tarreader_bad_field(err, "sparse map");
	r->regions = r->pax.regions;
	r->n_regions = r->pax.n_regions;
	return 0;
}
