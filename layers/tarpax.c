#include "layers/tarpax.h"

#include <assert.h>
#include <string.h>

#include "base/num.h"
#include "base/span.h"
#include "base/strv.h"

#define XATTR_PREFIX "SCHILY.xattr."

void cb_pax_done(struct cb_pax *pax)
{
	free(pax->path);
	free(pax->link);
	for (size_t i = 0; i < pax->n_xattrs; i++) {
		free((void *)pax->xattrs[i].name);
		free((void *)pax->xattrs[i].value);
	}
	free(pax->xattrs);
	free(pax->regions);
	*pax = (struct cb_pax){ 0 };
}

/** NULL takes the attribute back. */
static void set_xattr(struct cb_pax *pax, const char *name, const void *value, size_t len)
{
	struct cb_tar_xattr *x = NULL;

	for (size_t i = 0; i < pax->n_xattrs && !x; i++)
		if (strcmp(pax->xattrs[i].name, name) == 0)
			x = &pax->xattrs[i];
	if (!x && !value)
		return;
	if (!x) {
		CB_GROW(pax->xattrs, pax->cap_xattrs, pax->n_xattrs + 1);
		x = &pax->xattrs[pax->n_xattrs++];
		*x = (struct cb_tar_xattr){ cb_xstrdup(name), NULL, 0 };
	}
	free((void *)x->value);
	if (!value) {
		free((void *)x->name);
		*x = pax->xattrs[--pax->n_xattrs];
		return;
	}
	x->value = cb_xmemdup(value, len);
	x->len = len;
}

void cb_pax_copy(struct cb_pax *to, const struct cb_pax *from)
{
	*to = *from;
	to->path = cb_xstrdup_null(from->path);
	to->link = cb_xstrdup_null(from->link);
	to->xattrs = NULL;
	to->n_xattrs = to->cap_xattrs = 0;
	for (size_t i = 0; i < from->n_xattrs; i++)
		set_xattr(to, from->xattrs[i].name, from->xattrs[i].value, from->xattrs[i].len);
	to->regions = NULL;
	to->n_regions = to->cap_regions = 0;
	for (size_t i = 0; i < from->n_regions; i++)
		cb_pax_add_region(to, from->regions[i].at, from->regions[i].len);
}

void cb_pax_add_region(struct cb_pax *pax, uint64_t at, uint64_t len)
{
	CB_GROW(pax->regions, pax->cap_regions, pax->n_regions + 1);
	pax->regions[pax->n_regions++] = (struct cb_tar_region){ at, len };
}

static int bad(struct cb_err **err, const char *key)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "tar: invalid extended header record \"%s\"", key);
}

/** The value as text; NUL inside is refused. */
static int text_value(char **to, const char *key, const char *value, size_t len, struct cb_err **err)
{
	if (memchr(value, '\0', len))
		return bad(err, key);
	if (len > CB_TAR_PATH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "tar: name longer than %d bytes", CB_TAR_PATH_MAX);
	free(*to);
	*to = len > 0 ? cb_xstrndup(value, len) : NULL;
	return 0;
}

/** "[-]SECONDS[.FRACTION]"; digits beyond nanoseconds are dropped. */
static bool parse_time(const char *text, struct timespec *ret)
{
	const char *dot = strchr(text, '.');
	cleanup_free char *whole = cb_xstrndup(text, dot ? (size_t)(dot - text) : strlen(text));
	long nsec = 0, unit = 100 * 1000 * 1000;
	int64_t sec;

	if (!cb_num_i64(whole, &sec))
		return false;
	for (const char *p = dot ? dot + 1 : ""; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		nsec += (*p - '0') * unit;
		unit /= 10;
	}
	if (text[0] == '-' && nsec > 0) {
		if (sec == INT64_MIN)
			return false;
		sec--;
		nsec = 1000 * 1000 * 1000 - nsec;
	}
	*ret = (struct timespec){ sec, nsec };
	return true;
}

/** "OFFSET,LENGTH,OFFSET,LENGTH…" of GNU sparse 0.1. */
static int parse_map(struct cb_pax *pax, const char *text, struct cb_err **err)
{
	cleanup_strv struct cb_strv parts = { 0 };

	if (strlen(text) > 0)
		cb_strv_split(&parts, text, ',');
	if (parts.n % 2 != 0)
		return bad(err, "GNU.sparse.map");
	if (parts.n / 2 > CB_TAR_SPARSE_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "tar: more than %d regions in a sparse file", CB_TAR_SPARSE_MAX);
	pax->n_regions = 0;
	for (size_t i = 0; i < parts.n; i += 2) {
		uint64_t at, len;

		if (!cb_num_u64(parts.v[i], &at) || !cb_num_u64(parts.v[i + 1], &len))
			return bad(err, "GNU.sparse.map");
		cb_pax_add_region(pax, at, len);
	}
	return 0;
}

static int sparse_record(struct cb_pax *pax, const char *key, const char *text, struct cb_err **err)
{
	const char *what = key + strlen("GNU.sparse.");
	uint64_t n = 0;

	pax->sparse = true;
	if (strcmp(what, "map") == 0)
		return parse_map(pax, text, err);
	if (strcmp(what, "name") == 0)
		return text_value(&pax->path, key, text, strlen(text), err);
	if (!cb_num_u64(text, &n))
		return bad(err, key);
	if (strcmp(what, "major") == 0) {
		pax->sparse_in_data = n == 1;
		if (n > 1)
			return cb_err_set(err, CB_ERR_UNSUPPORTED, "tar: unknown format of sparse file");
	} else if (strcmp(what, "size") == 0 || strcmp(what, "realsize") == 0) {
		pax->has_real_size = true;
		pax->real_size = n;
	} else if (strcmp(what, "offset") == 0) {
		if (pax->n_regions >= CB_TAR_SPARSE_MAX)
			return cb_err_set(
				err, CB_ERR_LIMIT, "tar: more than %d regions in a sparse file", CB_TAR_SPARSE_MAX);
		if (pax->region_open)
			return bad(err, key);
		pax->region_open = true;
		cb_pax_add_region(pax, n, 0);
	} else if (strcmp(what, "numbytes") == 0) {
		if (!pax->region_open)
			return bad(err, key);
		pax->region_open = false;
		pax->regions[pax->n_regions - 1].len = n;
	}
	return 0;
}

static int number_record(struct cb_pax *pax, const char *key, const char *text, struct cb_err **err)
{
	bool set = text[0] != '\0', ok = true;

	if (strcmp(key, "size") == 0) {
		pax->has_size = set;
		ok = !set || (cb_num_u64(text, &pax->size) && pax->size <= INT64_MAX);
	} else if (strcmp(key, "uid") == 0) {
		pax->has_uid = set;
		ok = !set || cb_num_u32(text, &pax->uid);
	} else if (strcmp(key, "gid") == 0) {
		pax->has_gid = set;
		ok = !set || cb_num_u32(text, &pax->gid);
	} else if (strcmp(key, "mtime") == 0) {
		pax->has_mtime = set;
		ok = !set || parse_time(text, &pax->mtime);
	}
	return ok ? 0 : bad(err, key);
}

static int record(struct cb_pax *pax, const char *key, const char *value, size_t len, struct cb_err **err)
{
	cleanup_free char *text = NULL;

	if (strcmp(key, "path") == 0) {
		/* The name of a sparse file is in its own record; "path" then is a stand-in. */
		return pax->sparse && pax->path ? 0 : text_value(&pax->path, key, value, len, err);
	}
	if (strcmp(key, "linkpath") == 0)
		return text_value(&pax->link, key, value, len, err);
	if (cb_str_starts(key, XATTR_PREFIX)) {
		if (len > CB_TAR_XATTR_MAX)
			return cb_err_set(
				err, CB_ERR_LIMIT, "tar: extended attribute longer than %d bytes", CB_TAR_XATTR_MAX);
		if (key[strlen(XATTR_PREFIX)] == '\0')
			return bad(err, key);
		if (pax->n_xattrs >= CB_TAR_XATTRS_MAX)
			return cb_err_set(err, CB_ERR_LIMIT, "tar: more than %d extended attributes of one entry",
				CB_TAR_XATTRS_MAX);
		set_xattr(pax, key + strlen(XATTR_PREFIX), len > 0 ? value : NULL, len);
		return 0;
	}

	if (memchr(value, '\0', len))
		return 0; /* none of the rest that we know is binary */
	text = cb_xstrndup(value, len);
	if (cb_str_starts(key, "GNU.sparse."))
		return sparse_record(pax, key, text, err);
	return number_record(pax, key, text, err);
}

/** Takes one "LEN KEY=VALUE\n" off @span. */
static int take_record(struct cb_pax *pax, struct cb_span *span, struct cb_err **err)
{
	size_t left = cb_span_len(*span), len = 0, digits = 0;
	cleanup_free char *key = NULL;
	const char *rest, *end, *eq;

	while (digits < left && digits < 8 && span->p[digits] >= '0' && span->p[digits] <= '9')
		len = len * 10 + (size_t)(span->p[digits++] - '0');
	if (digits == 0 || digits >= left || span->p[digits] != ' ' || len > left || len < digits + 4)
		return bad(err, "length");
	rest = span->p + digits + 1;
	end = span->p + len - 1;
	if (*end != '\n')
		return bad(err, "length");
	eq = memchr(rest, '=', (size_t)(end - rest));
	if (!eq || eq == rest || memchr(rest, '\0', (size_t)(eq - rest)))
		return bad(err, "key");

	key = cb_xstrndup(rest, (size_t)(eq - rest));
	span->p += len;
	return record(pax, key, eq + 1, (size_t)(end - eq - 1), err);
}

int cb_pax_parse(struct cb_pax *pax, const char *data, size_t len, struct cb_err **err)
{
	struct cb_span span = cb_span_of(data, len);

	while (!cb_span_empty(span)) {
		int r = take_record(pax, &span, err);

		if (r < 0)
			return r;
	}
	if (pax->region_open)
		return bad(err, "GNU.sparse.numbytes");
	return 0;
}
