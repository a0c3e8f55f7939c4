#include "builder/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "builder/chain.h"
#include "layers/record.h"
#include "layers/samesnap.h"

/** Earlier results on the same file system that are looked at. */
#define SIBLINGS_MAX 8

/* One earlier result. */
struct sibling {
	struct cb_record *record;
	json_t *facts;
	const struct cb_chain *chain;
	int fd;
};

static int print(struct cb_build *build, int fd, int64_t began, int64_t ended, bool content, struct cb_digest *ret,
	struct cb_err **err)
{
	struct cb_print_spec spec = { .fs_fd = fd,
		.flavour = cb_build_flavour(build),
		.began = began,
		.ended = ended,
		.content = content,
		.cancel = build->scheduler.cancel };

	return cb_snapshot_print(&spec, ret, err);
}

/* The shape or the print of an earlier result, made now when nobody asked before. 1: not known. */
static int print_of(struct cb_build *build, struct sibling *s, bool content, struct cb_digest *ret, struct cb_err **err)
{
	const char *key = content ? CB_CACHE_PRINT : CB_CACHE_SHAPE,
		   *known = json_string_value(json_object_get(s->facts, key));
	const json_t *began = json_object_get(s->facts, "began"), *ended = json_object_get(s->facts, "ended");
	cleanup_free char *text = NULL;
	int r;

	if (known && cb_digest_parse(known, ret))
		return 0;
	if (!json_is_integer(began) || !json_is_integer(ended))
		return 1;
	r = print(build, s->fd, json_integer_value(began), json_integer_value(ended), content, ret, err);
	if (r != 0)
		return r;
	json_object_set_new(s->facts, key, json_string(ret->text));
	text = cb_json_dump(s->facts, false);
	return cb_record_set_facts(build->store, s->record->id, text, err);
}

static bool open_sibling(
	struct cb_build *build, struct cb_record *record, const struct cb_chain *below, struct sibling *ret)
{
	cleanup_strv struct cb_strv layers = { 0 };

	*ret = (struct sibling){ .record = record };
	if (!record->snapshot || !record->facts ||
		cb_json_parse(record->facts, strlen(record->facts), &ret->facts, NULL) < 0)
		return false;
	return cb_json_get_strv(ret->facts, "chain", &layers, NULL) == 0 &&
	       cb_chain_read(build->plan->chains, &layers, NULL, NULL, &ret->chain) == 0 && ret->chain &&
	       ret->chain->below == below && !strcmp(ret->chain->snapshot, record->snapshot) &&
	       cb_snapfds_get(build->snapfds, ret->chain, &ret->fd, NULL) == 0;
}

/* The prints of what was made just now; content is read only when a shape fits. */
struct fresh {
	int fd;
	int64_t began, ended;
	struct cb_digest shape, print;
};

/* 1 when @s is the same as @fresh, 0 when not. */
static int same(struct cb_build *build, struct sibling *s, struct fresh *fresh, struct cb_err **err)
{
	struct cb_digest theirs;
	int r = 0;

	if (!cb_digest_is_set(&fresh->shape))
		r = print(build, fresh->fd, fresh->began, fresh->ended, false, &fresh->shape, err);
	if (r == 0)
		r = print_of(build, s, false, &theirs, err);
	if (r != 0 || !cb_digest_equal(&theirs, &fresh->shape))
		return r < 0 ? r : 0;
	if (!cb_digest_is_set(&fresh->print))
		r = print(build, fresh->fd, fresh->began, fresh->ended, true, &fresh->print, err);
	if (r == 0)
		r = print_of(build, s, true, &theirs, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return cb_digest_equal(&theirs, &fresh->print);
}

int cb_adopt_find(struct cb_build *build, const struct cb_vertex *vertex, const struct cb_chain *below, int fs_fd,
	struct cb_cache_entry *entry, char **ret_snapshot, struct cb_err **err)
{
	const char *parent = !below ? NULL : *below->snapshot ? below->snapshot : below->diff_id.text;
	struct fresh fresh = { .fd = fs_fd, .began = entry->began, .ended = entry->ended };
	struct cb_record records[SIBLINGS_MAX];
	int n, r = 0;

	n = cb_record_siblings(build->store, parent, cb_vertex_kind_name(vertex->kind), records, SIBLINGS_MAX, err);
	for (int i = 0; i < n; i++) {
		struct sibling s = { 0 };

		if (r == 0 && open_sibling(build, &records[i], below, &s)) {
			r = same(build, &s, &fresh, err);
			if (r > 0) {
				entry->chain = s.chain;
				entry->began = json_integer_value(json_object_get(s.facts, "began"));
				entry->ended = json_integer_value(json_object_get(s.facts, "ended"));
				*ret_snapshot = cb_xstrdup(records[i].snapshot);
			}
		}
		json_decref(s.facts);
		cb_record_done(&records[i]);
	}
	/* The next one that asks need not walk this one again. */
	if (r == 0)
		entry->shape = fresh.shape;
	return n < 0 ? n : r;
}
