#include "layers/cachedoc.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

struct record {
	char *text;
	int64_t at;
	struct cb_descriptor *blobs;
	size_t n_blobs;
	size_t keys;  /* that lead to it */
	size_t index; /* in what is written */
};

struct cb_cachedoc {
	struct cb_map *keys;    /* hex -> struct record */
	struct cb_map *by_text; /* digest of text -> struct record, which it owns */
};

static void record_free(void *value)
{
	struct record *record = value;

	for (size_t i = 0; i < record->n_blobs; i++)
		cb_descriptor_done(&record->blobs[i]);
	free(record->blobs);
	free(record->text);
	free(record);
}

struct cb_cachedoc *cb_cachedoc_new(void)
{
	struct cb_cachedoc *doc = cb_new0(struct cb_cachedoc);

	doc->keys = cb_map_new(NULL);
	doc->by_text = cb_map_new(record_free);
	return doc;
}

struct cb_cachedoc *cb_cachedoc_free(struct cb_cachedoc *doc)
{
	if (!doc)
		return NULL;
	cb_map_free(doc->keys);
	cb_map_free(doc->by_text);
	free(doc);
	return NULL;
}

const char *cb_cachedoc_get(const struct cb_cachedoc *doc, const struct cb_digest *key)
{
	const struct record *record = cb_map_get(doc->keys, cb_digest_hex(key));

	return record ? record->text : NULL;
}

size_t cb_cachedoc_records(const struct cb_cachedoc *doc)
{
	size_t at = 0, n = 0;
	void *value;

	while (cb_map_next(doc->by_text, &at, NULL, &value))
		n += ((struct record *)value)->keys > 0;
	return n;
}

/* ---- adding --------------------------------------------------------------------------------------------------- */

/* The record of that text, which takes the newer of two times. */
static struct record *intern(
	struct cb_cachedoc *doc, const char *text, int64_t at, const struct cb_descriptor *blobs, size_t n)
{
	struct cb_digest digest;
	struct record *record;

	cb_digest_of(text, strlen(text), &digest);
	record = cb_map_get(doc->by_text, digest.text);
	if (!record) {
		record = cb_new0(struct record);
		record->text = cb_xstrdup(text);
		record->blobs = cb_xcalloc(n + 1, sizeof(*record->blobs));
		for (; record->n_blobs < n; record->n_blobs++)
			cb_descriptor_copy(&record->blobs[record->n_blobs], &blobs[record->n_blobs]);
		record->at = at;
		cb_map_set(doc->by_text, digest.text, record);
	}
	record->at = CB_MAX(record->at, at);
	return record;
}

static void lead(struct cb_cachedoc *doc, const char *hex, struct record *record)
{
	struct record *old = cb_map_get(doc->keys, hex);

	if (old)
		old->keys--;
	record->keys++;
	cb_map_set(doc->keys, hex, record);
}

int cb_cachedoc_put(struct cb_cachedoc *doc, const struct cb_digest *key, const char *record, size_t len, int64_t at,
	const struct cb_descriptor *blobs, size_t n, struct cb_err **err)
{
	cleanup_json json_t *parsed = NULL;
	cleanup_free char *text = NULL;
	int r = cb_json_parse(record, len, &parsed, err);

	if (r < 0)
		return r;
	if (!json_is_object(parsed))
		return cb_err_set(err, CB_ERR_CORRUPT, "a cache record is no object");
	text = cb_json_dump(parsed, true);
	lead(doc, cb_digest_hex(key), intern(doc, text, at, blobs, n));
	return 0;
}

/* ---- reading and writing -------------------------------------------------------------------------------------- */

struct parsing {
	struct cb_cachedoc *doc;
	struct record **v; /* by their index */
	size_t n;
};

static int parse_record(struct parsing *parsing, const json_t *item, struct cb_err **err)
{
	json_t *blobs = NULL, *record = NULL;
	struct cb_descriptor *list = NULL;
	cleanup_free char *text = NULL;
	int64_t at = 0;
	size_t n = 0;
	int r;

	if (!json_is_object(item))
		return cb_err_set(err, CB_ERR_CORRUPT, "a record is no object");
	r = cb_json_get_obj(item, "record", &record, err);
	if (r == 0)
		r = cb_json_get_i64(item, "at", &at, err);
	if (r == 0)
		r = cb_json_get_arr(item, "blobs", &blobs, err);
	if (r != 0)
		return r < 0 ? r : cb_err_set(err, CB_ERR_CORRUPT, "a record is not whole");
	list = cb_xcalloc(json_array_size(blobs) + 1, sizeof(*list));
	for (; r == 0 && n < json_array_size(blobs); n++)
		r = cb_descriptor_parse(json_array_get(blobs, n), &list[n], err);
	if (r == 0) {
		text = cb_json_dump(record, true);
		parsing->v[parsing->n++] = intern(parsing->doc, text, at, list, n);
	}
	for (size_t i = 0; i < n; i++)
		cb_descriptor_done(&list[i]);
	free(list);
	return r;
}

static int parse_keys(struct parsing *parsing, json_t *keys, struct cb_err **err)
{
	const char *hex;
	json_t *value;

	json_object_foreach(keys, hex, value)
	{
		cleanup_free char *text = cb_xasprintf("sha256:%s", hex);
		json_int_t at = json_integer_value(value);
		struct cb_digest key;

		if (!cb_digest_parse(text, &key) || !json_is_integer(value) || at < 0 || (size_t)at >= parsing->n)
			return cb_err_set(err, CB_ERR_CORRUPT, "a key leads nowhere");
		lead(parsing->doc, hex, parsing->v[at]);
	}
	return 0;
}

static int parse_doc(const json_t *json, struct cb_cachedoc *doc, struct cb_err **err)
{
	json_t *records = NULL, *keys = NULL;
	struct parsing parsing = { .doc = doc };
	int64_t version = 0;
	int r = json_is_object(json) ? cb_json_get_i64(json, "version", &version, err)
				     : cb_err_set(err, CB_ERR_CORRUPT, "it is no object");

	if (r < 0 || version != 2)
		return r < 0 ? r : 0;
	r = cb_json_get_arr(json, "records", &records, err);
	if (r == 0)
		r = cb_json_get_obj(json, "keys", &keys, err);
	if (r != 0)
		return r < 0 ? r : cb_err_set(err, CB_ERR_CORRUPT, "it has no records or no keys");
	if (json_array_size(records) > CB_CACHEDOC_RECORDS_MAX || json_object_size(keys) > CB_CACHEDOC_KEYS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "it has too many records");
	parsing.v = cb_xcalloc(json_array_size(records) + 1, sizeof(struct record *));
	for (size_t i = 0; i < json_array_size(records) && r == 0; i++)
		r = parse_record(&parsing, json_array_get(records, i), err);
	if (r == 0)
		r = parse_keys(&parsing, keys, err);
	free(parsing.v);
	return r;
}

int cb_cachedoc_parse(const char *data, size_t len, struct cb_cachedoc **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = cb_cachedoc_new();
	cleanup_json json_t *json = NULL;
	int r = len > CB_CACHEDOC_BYTES_MAX ? cb_err_set(err, CB_ERR_LIMIT, "it is too large")
					    : cb_json_parse(data, len, &json, err);

	if (r == 0)
		r = parse_doc(json, doc, err);
	if (r < 0)
		return cb_err_wrap(err, r, "records of a cache");
	*ret = CB_TAKE_PTR(doc);
	return 0;
}

static json_t *record_json(const struct record *record)
{
	json_t *blobs = json_array(), *parsed = NULL;

	for (size_t i = 0; i < record->n_blobs; i++)
		json_array_append_new(blobs, cb_descriptor_to_json(&record->blobs[i]));
	/* It was written by jansson. */
	cb_json_parse(record->text, strlen(record->text), &parsed, NULL);
	return json_pack("{s:I, s:o, s:o}", "at", (json_int_t)record->at, "blobs", blobs, "record", parsed);
}

char *cb_cachedoc_write(const struct cb_cachedoc *doc, size_t *ret_len)
{
	cleanup_json json_t *json = NULL;
	json_t *records = json_array(), *keys = json_object();
	const char *hex;
	size_t at = 0;
	void *value;
	char *text;

	while (cb_map_next(doc->by_text, &at, NULL, &value)) {
		struct record *record = value;

		if (!record->keys)
			continue;
		record->index = json_array_size(records);
		json_array_append_new(records, record_json(record));
	}
	at = 0;
	while (cb_map_next(doc->keys, &at, &hex, &value))
		json_object_set_new(keys, hex, json_integer((json_int_t)((struct record *)value)->index));
	json = json_pack("{s:i, s:o, s:o}", "version", 2, "records", records, "keys", keys);
	text = cb_json_dump(json, true);
	*ret_len = strlen(text);
	return text;
}

/* ---- merging -------------------------------------------------------------------------------------------------- */

static bool is_lead(void *userdata, const struct record *record)
{
	(void)userdata;
	return record->keys > 0;
}

/* A new document of the records of @doc that @keep says. */
static void filter(struct cb_cachedoc *doc, bool (*keep)(void *userdata, const struct record *record), void *userdata)
{
	struct cb_cachedoc *rest = cb_cachedoc_new(), swap;
	const char *hex;
	size_t at = 0;
	void *value;

	while (cb_map_next(doc->keys, &at, &hex, &value)) {
		const struct record *record = value;

		if (keep(userdata, record))
			lead(rest, hex, intern(rest, record->text, record->at, record->blobs, record->n_blobs));
	}
	swap = *doc;
	*doc = *rest;
	*rest = swap;
	cb_cachedoc_free(rest);
}

static int newest_first(const void *a, const void *b)
{
	const struct record *const *x = a, *const *y = b;

	return ((*x)->at < (*y)->at) - ((*x)->at > (*y)->at);
}

struct choosing {
	struct cb_map *kept; /* texts */
};

static bool is_kept(void *userdata, const struct record *record)
{
	const struct choosing *choosing = userdata;

	return cb_map_has(choosing->kept, record->text);
}

/* Blobs of @record that are not in @known. */
static size_t new_blobs(const struct record *record, const struct cb_map *known)
{
	size_t n = 0;

	for (size_t i = 0; i < record->n_blobs; i++)
		n += !cb_map_has(known, record->blobs[i].digest.text);
	return n;
}

static void limit(struct cb_cachedoc *doc, const struct cb_cachedoc_limits *limits)
{
	size_t n = cb_map_len(doc->by_text), at = 0, count = 0, bytes = 0;
	cleanup_free struct record **list = cb_xcalloc(n + 1, sizeof(*list));
	CB_CLEANUP(cb_map_free) struct cb_map *blobs = cb_map_new(NULL), *kept = cb_map_new(NULL);
	struct choosing choosing = { kept };
	void *value;

	n = 0;
	while (cb_map_next(doc->by_text, &at, NULL, &value))
		list[n++] = value;
	qsort(list, n, sizeof(struct record *), newest_first);
	for (size_t i = 0; i < n; i++) {
		size_t more = strlen(list[i]->text) + 200 * list[i]->n_blobs;

		if (list[i]->at < limits->not_before || (limits->records && count == limits->records))
			break;
		if (limits->bytes && bytes + more > limits->bytes)
			break;
		if (limits->blobs && cb_map_len(blobs) + new_blobs(list[i], blobs) > limits->blobs)
			break;
		count++;
		bytes += more;
		for (size_t k = 0; k < list[i]->n_blobs; k++)
			cb_map_set(blobs, list[i]->blobs[k].digest.text, list[i]);
		cb_map_set(kept, list[i]->text, list[i]);
	}
	filter(doc, is_kept, &choosing);
}

void cb_cachedoc_merge(
	struct cb_cachedoc *doc, const struct cb_cachedoc *other, const struct cb_cachedoc_limits *limits)
{
	const char *hex;
	size_t at = 0;
	void *value;

	while (cb_map_next(other->keys, &at, &hex, &value)) {
		const struct record *record = value;

		if (!cb_map_has(doc->keys, hex))
			lead(doc, hex, intern(doc, record->text, record->at, record->blobs, record->n_blobs));
	}
	filter(doc, is_lead, NULL);
	limit(doc, limits);
}

bool cb_cachedoc_covers(const struct cb_cachedoc *doc, const struct cb_cachedoc *other)
{
	const char *hex;
	size_t at = 0;
	void *value;

	while (cb_map_next(other->keys, &at, &hex, &value)) {
		const struct record *theirs = value, *mine = cb_map_get(doc->keys, hex);

		if (!mine || strcmp(mine->text, theirs->text) != 0)
			return false;
	}
	return true;
}

static bool lacks_none(void *userdata, const struct record *record)
{
	return new_blobs(record, userdata) == record->n_blobs;
}

void cb_cachedoc_drop_blobs(struct cb_cachedoc *doc, const struct cb_map *digests)
{
	filter(doc, lacks_none, (void *)digests);
}

struct cb_descriptor *cb_cachedoc_blobs(const struct cb_cachedoc *doc, size_t *ret_n)
{
	CB_CLEANUP(cb_map_free) struct cb_map *seen = cb_map_new(NULL);
	struct cb_descriptor *list = NULL;
	size_t at = 0, n = 0, cap = 0;
	void *value;

	while (cb_map_next(doc->by_text, &at, NULL, &value)) {
		struct record *record = value;

		for (size_t i = 0; record->keys && i < record->n_blobs; i++) {
			if (cb_map_has(seen, record->blobs[i].digest.text))
				continue;
			cb_map_set(seen, record->blobs[i].digest.text, record);
			CB_GROW(list, cap, n + 1);
			list[n++] = record->blobs[i];
		}
	}
	*ret_n = n;
	return list;
}
