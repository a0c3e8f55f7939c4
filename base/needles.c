#include "base/needles.h"

#include <assert.h>
#include <string.h>

/* Bytes of a block of the skip table, and the bytes that every needle has. */
#define BLOCK 2
#define WINDOW CB_NEEDLE_MIN
/* What a stream collects before it is searched. */
#define SCAN_SIZE ((size_t)64 << 10)

struct needle {
	char *data;
	size_t len;
	unsigned int owner;
};

struct cb_needles {
	struct needle *v; /* sealed: sorted by their first WINDOW bytes, longer ones first */
	size_t n, cap;
	size_t longest;
	uint32_t *heads; /* hash of the first WINDOW bytes -> 1 + index of the first needle with them */
	size_t n_heads;  /* a power of two */
	uint8_t skip[1 << (8 * BLOCK)];
	uint32_t first[256 + 1]; /* byte -> index of the first needle that begins with it or a higher one */
};

struct cb_needles *cb_needles_new(void)
{
	return cb_new0(struct cb_needles);
}

struct cb_needles *cb_needles_free(struct cb_needles *needles)
{
	if (!needles)
		return NULL;
	for (size_t i = 0; i < needles->n; i++) {
		explicit_bzero(needles->v[i].data, needles->v[i].len);
		free(needles->v[i].data);
	}
	free(needles->v);
	free(needles->heads);
	explicit_bzero(needles->skip, sizeof(needles->skip));
	free(needles);
	return NULL;
}

size_t cb_needles_strip(const char *text, size_t len, char *out, size_t *map)
{
	const char *at = text, *end = text + len;
	size_t n = 0;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t part = (size_t)((stop ? stop : end) - at), keep = part;

		if (keep && at[keep - 1] == '\r')
			keep--;
		memcpy(out + n, at, keep);
		for (size_t i = 0; map && i < keep; i++)
			map[n + i] = (size_t)(at - text) + i;
		n += keep;
		at += part + (stop ? 1 : 0);
	}
	return n;
}

static void add_piece(struct cb_needles *needles, const char *data, size_t len, unsigned int owner)
{
	CB_GROW(needles->v, needles->cap, needles->n + 1);
	needles->v[needles->n++] = (struct needle){ cb_xmemdup(data, len), len, owner };
	needles->longest = CB_MAX(needles->longest, len);
}

bool cb_needles_add(struct cb_needles *needles, const void *data, size_t len, unsigned int owner)
{
	cleanup_free char *plain = cb_xmalloc(len + 1);
	size_t n = cb_needles_strip(data, len, plain, NULL);

	assert(!needles->heads);
	for (size_t at = 0; n - at >= CB_NEEDLE_MIN;) {
		size_t part = CB_MIN(n - at, (size_t)CB_NEEDLE_MAX);

		/* The last piece must not be too short to be looked for. */
		if (n - at > part && n - at - part < CB_NEEDLE_MIN)
			part -= CB_NEEDLE_MIN;
		add_piece(needles, plain + at, part, owner);
		at += part;
	}
	explicit_bzero(plain, len);
	return n >= CB_NEEDLE_MIN;
}

/* ---- tables --------------------------------------------------------------------------------------------------- */

static int by_window(const void *a, const void *b)
{
	const struct needle *x = a, *y = b;
	int order = memcmp(x->data, y->data, WINDOW);

	if (order)
		return order;
	if (x->len != y->len)
		return x->len < y->len ? 1 : -1;
	order = memcmp(x->data, y->data, x->len);
	return order ? order : (x->owner > y->owner) - (x->owner < y->owner);
}

static void drop_doubles(struct cb_needles *needles)
{
	size_t n = 0;

	for (size_t i = 0; i < needles->n; i++) {
		struct needle *last = n ? &needles->v[n - 1] : NULL, *at = &needles->v[i];

		if (last && last->len == at->len && memcmp(last->data, at->data, at->len) == 0) {
			explicit_bzero(at->data, at->len);
			free(at->data);
		} else {
			needles->v[n++] = *at;
		}
	}
	needles->n = n;
}

static size_t slot_of(const struct cb_needles *needles, const char *text)
{
	uint64_t window;

	memcpy(&window, text, WINDOW);
	return (size_t)((window * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (needles->n_heads - 1);
}

static unsigned int block_of(const char *at)
{
	return (unsigned int)(unsigned char)at[0] << 8 | (unsigned char)at[1];
}

static void make_heads(struct cb_needles *needles)
{
	needles->n_heads = 16;
	while (needles->n_heads < 2 * needles->n)
		needles->n_heads *= 2;
	needles->heads = cb_xcalloc(needles->n_heads, sizeof(*needles->heads));
	for (size_t i = 0; i < needles->n; i++) {
		size_t slot = slot_of(needles, needles->v[i].data);

		if (i && memcmp(needles->v[i].data, needles->v[i - 1].data, WINDOW) == 0)
			continue;
		while (needles->heads[slot])
			slot = (slot + 1) & (needles->n_heads - 1);
		needles->heads[slot] = (uint32_t)i + 1;
	}
}

static void make_skips(struct cb_needles *needles)
{
	memset(needles->skip, WINDOW - BLOCK + 1, sizeof(needles->skip));
	for (size_t i = 0; i < needles->n; i++)
		for (unsigned int at = 0; at <= WINDOW - BLOCK; at++) {
			uint8_t *skip = &needles->skip[block_of(needles->v[i].data + at)];

			*skip = (uint8_t)CB_MIN((unsigned int)*skip, WINDOW - BLOCK - at);
		}
}

/* Needles are sorted, so those that begin with one byte lie together. */
static void make_firsts(struct cb_needles *needles)
{
	size_t at = 0;

	for (unsigned int c = 0; c < 256; c++) {
		needles->first[c] = (uint32_t)at;
		while (at < needles->n && (unsigned char)needles->v[at].data[0] == c)
			at++;
	}
	needles->first[256] = (uint32_t)at;
}

void cb_needles_seal(struct cb_needles *needles)
{
	if (needles->n)
		qsort(needles->v, needles->n, sizeof(*needles->v), by_window);
	drop_doubles(needles);
	make_heads(needles);
	make_skips(needles);
	make_firsts(needles);
}

bool cb_needles_empty(const struct cb_needles *needles)
{
	return !needles || needles->n == 0;
}

/* ---- searching ------------------------------------------------------------------------------------------------ */

/* The longest needle that stands at @text. */
static const struct needle *stands_at(const struct cb_needles *needles, const char *text, size_t len)
{
	size_t slot = slot_of(needles, text);

	for (; needles->heads[slot]; slot = (slot + 1) & (needles->n_heads - 1)) {
		const struct needle *at = &needles->v[needles->heads[slot] - 1], *end = needles->v + needles->n;

		if (memcmp(at->data, text, WINDOW) != 0)
			continue;
		for (; at < end && memcmp(at->data, text, WINDOW) == 0; at++)
			if (at->len <= len && memcmp(at->data, text, at->len) == 0)
				return at;
		return NULL;
	}
	return NULL;
}

bool cb_needles_find(
	const struct cb_needles *needles, const char *text, size_t len, size_t from, struct cb_needle_match *ret)
{
	if (cb_needles_empty(needles))
		return false;
	for (size_t i = from; i + WINDOW <= len;) {
		const struct needle *needle;
		uint8_t skip = needles->skip[block_of(text + i + WINDOW - BLOCK)];

		if (skip) {
			i += skip;
			continue;
		}
		needle = stands_at(needles, text + i, len - i);
		if (needle) {
			*ret = (struct cb_needle_match){ i, needle->len, needle->owner };
			return true;
		}
		i++;
	}
	return false;
}

size_t cb_needles_open_end(const struct cb_needles *needles, const char *text, size_t len)
{
	size_t at = len < needles->longest ? 0 : len - needles->longest + 1;

	for (; at < len; at++) {
		unsigned char c = (unsigned char)text[at];

		for (uint32_t i = needles->first[c]; i < needles->first[c + 1]; i++)
			if (needles->v[i].len > len - at && memcmp(needles->v[i].data, text + at, len - at) == 0)
				return at;
	}
	return len;
}

/* ---- streams -------------------------------------------------------------------------------------------------- */

void cb_needle_scan_begin(struct cb_needle_scan *scan, const struct cb_needles *needles)
{
	scan->needles = needles;
	scan->len = 0;
	scan->found = false;
	if (!scan->buf)
		scan->buf = cb_xmalloc(SCAN_SIZE);
}

static bool search(struct cb_needle_scan *scan)
{
	size_t keep = CB_MIN(scan->len, scan->needles->longest - 1);

	scan->found = cb_needles_find(scan->needles, scan->buf, scan->len, 0, &scan->match);
	/* A needle may have begun here. */
	memmove(scan->buf, scan->buf + scan->len - keep, keep);
	scan->len = keep;
	return scan->found;
}

bool cb_needle_scan_add(struct cb_needle_scan *scan, const void *data, size_t len)
{
	const char *at = data;

	if (cb_needles_empty(scan->needles))
		return false;
	while (len > 0 && !scan->found) {
		size_t part = CB_MIN(len, SCAN_SIZE - scan->len);

		scan->len += cb_needles_strip(at, part, scan->buf + scan->len, NULL);
		at += part;
		len -= part;
		if (scan->len == SCAN_SIZE)
			search(scan);
	}
	return scan->found;
}

bool cb_needle_scan_end(struct cb_needle_scan *scan)
{
	if (!scan->found && !cb_needles_empty(scan->needles) && scan->len)
		search(scan);
	scan->len = 0;
	return scan->found;
}

void cb_needle_scan_done(struct cb_needle_scan *scan)
{
	if (scan->buf)
		explicit_bzero(scan->buf, SCAN_SIZE);
	free(scan->buf);
	*scan = (struct cb_needle_scan){ 0 };
}
