#include "builder/cache.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "builder/cached.h"
#include "builder/inputs.h"
#include "layers/record.h"

/* The chain in the facts of a record: 0, or 1 when it is of no use (any more). */
static int read_chain(struct cb_build *build, const char *facts, const struct cb_chain **ret)
{
	cleanup_json json_t *doc = NULL;
	cleanup_strv struct cb_strv layers = { 0 };
	const struct cb_chain *chain = NULL;

	if (!facts || cb_json_parse(facts, strlen(facts), &doc, NULL) < 0)
		return 1;
	if (cb_json_get_strv(doc, "chain", &layers, NULL) != 0)
		return 1;
	if (cb_chain_read(build->plan->chains, &layers, cb_cached_local, build, &chain) != 0)
		return 1;
	/* Base layers can be unpacked again; what a step made must be there. */
	for (const struct cb_chain *at = chain; at; at = at->below) {
		int fd;

		if (*at->snapshot && cb_snapfds_get(build->snapfds, at, &fd, NULL) != 0)
			return 1;
	}
	*ret = chain;
	return 0;
}

int cb_cache_find(struct cb_build *build, const struct cb_digest *key, struct cb_step_result **ret, struct cb_err **err)
{
	cleanup_record struct cb_record record = { 0 };
	struct cb_step_result *result;
	const struct cb_chain *chain;
	int r = cb_record_find(build->store, key, &record, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (read_chain(build, record.facts, &chain) != 0)
		return 0;
	result = cb_new0(struct cb_step_result);
	result->chain = chain;
	result->record = record.id;
	*ret = result;
	return 1;
}

int64_t cb_cache_clock(bool fine)
{
	struct timespec t;

	clock_gettime(fine ? CLOCK_REALTIME : CLOCK_REALTIME_COARSE, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int cb_cache_put(struct cb_build *build, const struct cb_cache_entry *entry, const struct cb_digest *keys, size_t n,
	int64_t *ret_id, struct cb_err **err)
{
	cleanup_json json_t *facts = json_object();
	cleanup_strv struct cb_strv layers = { 0 };
	cleanup_free char *snapshot_id = cb_xstrdup_null(entry->snapshot);
	cleanup_record struct cb_record record = { 0 };

	cb_chain_write(entry->chain, &layers);
	json_object_set_new(facts, "chain", cb_json_from_strv(&layers));
	json_object_set_new(facts, "began", json_integer(entry->began));
	json_object_set_new(facts, "ended", json_integer(entry->ended));
	if (cb_digest_is_set(&entry->shape))
		json_object_set_new(facts, CB_CACHE_SHAPE, json_string(entry->shape.text));
	record.facts = cb_json_dump(facts, false);
	if (entry->note->inputs) {
		record.inputs = cb_json_dump(entry->note->inputs, false);
		record.place = cb_inputs_place(entry->note->inputs);
		record.slot = cb_inputs_slot(entry->note->inputs);
	}
	record.snapshot = CB_TAKE_PTR(snapshot_id);
	record.duration_ns = (int64_t)entry->duration_ns;
	if (entry->note->files.len) {
		record.files = entry->note->files.data;
		record.files_len = entry->note->files.len;
	}
	return cb_record_put(build->store, keys, n, &record, ret_id, err);
}
