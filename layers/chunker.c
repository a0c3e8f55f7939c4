#include "layers/chunker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* "cbuildcm": the table is what splitmix64 (Steele, Lea, Flood 2014) gives from here. */
#define SEED UINT64_C(0x636275696c64636d)

const struct cb_chunk_sizes cb_chunk_data = { (size_t)16 << 10, (size_t)64 << 10, CB_CHUNK_MAX };
const struct cb_chunk_sizes cb_chunk_lists = { (size_t)2 << 10, (size_t)8 << 10, (size_t)32 << 10 };

static uint64_t gear[256];
static pthread_once_t gear_once = PTHREAD_ONCE_INIT;

static void make_gear(void)
{
	uint64_t state = SEED;

	for (size_t i = 0; i < ARRAY_SIZE(gear); i++) {
		uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		gear[i] = z ^ z >> 31;
	}
}

/* Where the upper @bits of the hash are zero, from @at on; @end when nowhere. */
static size_t scan(const unsigned char *p, size_t at, size_t end, unsigned int bits, uint64_t *hash)
{
	uint64_t h = *hash;

	for (; at < end; at++) {
		h = (h << 1) + gear[p[at]];
		if (h >> (64 - bits) == 0)
			return at + 1;
	}
	*hash = h;
	return 0;
}

size_t cb_chunk_cut(const struct cb_chunk_sizes *sizes, const void *data, size_t len)
{
	const unsigned char *p = data;
	unsigned int bits = (unsigned int)__builtin_ctzll(sizes->avg);
	uint64_t hash = 0;
	size_t cut;

	pthread_once(&gear_once, make_gear);
	if (len <= sizes->min)
		return len;
	len = CB_MIN(len, sizes->max);
	/* A byte is gone from the hash after 64 others: the state at the minimum needs no more than those before it. */
	cut = scan(p, sizes->min - 64, CB_MIN(len, sizes->avg), bits + 2, &hash);
	if (!cut && len > sizes->avg)
		cut = scan(p, sizes->avg, len, bits - 2, &hash);
	return cut ? CB_MAX(cut, sizes->min) : len;
}

static int emit(struct cb_chunker *c, bool last, struct cb_err **err)
{
	size_t at = 0;
	int r = 0;

	while (r >= 0 && c->len - at >= (last ? 1 : c->sizes->max)) {
		size_t n = cb_chunk_cut(c->sizes, c->buf + at, c->len - at);

		r = c->take(c->arg, c->buf + at, n, err);
		at += n;
	}
	memmove(c->buf, c->buf + at, c->len - at);
	c->len -= at;
	return r < 0 ? r : 0;
}

int cb_chunker_add(struct cb_chunker *c, const void *data, size_t len, struct cb_err **err)
{
	const unsigned char *p = data;

	if (!c->buf)
		c->buf = cb_xmalloc(2 * c->sizes->max);
	while (len) {
		size_t n = CB_MIN(len, 2 * c->sizes->max - c->len);
		int r;

		memcpy(c->buf + c->len, p, n);
		c->len += n;
		p += n;
		len -= n;
		r = emit(c, false, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cb_chunker_end(struct cb_chunker *c, struct cb_err **err)
{
	return c->len ? emit(c, true, err) : 0;
}

void cb_chunker_done(struct cb_chunker *c)
{
	free(c->buf);
	c->buf = NULL;
	c->len = 0;
}
