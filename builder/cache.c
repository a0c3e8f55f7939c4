#include "builder/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
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
	if (cb_chain_read(build->plan->chains, &layers, &chain) != 0)
		return 1;
	/* Base layers can be unpacked again; what a step made must be there. */
	for (const struct cb_chain *at = chain; at; at = at->below) {
		int fd;

		if (!at->base && cb_snapfds_get(build->snapfds, at, &fd, NULL) != 0)
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

int cb_cache_put(struct cb_build *build, const struct cb_vertex *vertex, const struct cb_digest *keys, size_t n,
	const char *snapshot, const struct cb_step_result *result, uint64_t duration_ns, json_t *fields,
	struct cb_err **err)
{
	cleanup_json json_t *facts = json_object();
	cleanup_json json_t *inputs = fields;
	cleanup_strv struct cb_strv layers = { 0 };
	cleanup_free char *facts_text = NULL, *inputs_text = NULL, *snapshot_id = cb_xstrdup(snapshot);
	cleanup_free char *place = cb_xstrdup_null(vertex->name);
	struct cb_record record = { 0 };

	cb_chain_write(result->chain, &layers);
	json_object_set_new(facts, "chain", cb_json_from_strv(&layers));
	facts_text = cb_json_dump(facts, false);
	inputs_text = inputs ? cb_json_dump(inputs, false) : NULL;
	record.snapshot = snapshot_id;
	record.facts = facts_text;
	record.inputs = inputs_text;
	record.place = place;
	record.duration_ns = (int64_t)duration_ns;
	return cb_record_put(build->store, keys, n, &record, NULL, err);
}
