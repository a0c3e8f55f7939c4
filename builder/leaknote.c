#include "builder/leaknote.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "layers/record.h"

void cb_leak_done(struct cb_leak *leak)
{
	free(leak->secret);
	free(leak->where);
	*leak = (struct cb_leak){ 0 };
}

static void key_of(const char *snapshot, struct cb_digest *ret)
{
	cleanup_free char *text = cb_xasprintf("leak of %s\n", snapshot);

	cb_digest_of(text, strlen(text), ret);
}

int cb_leaknote_put(struct cb_store *store, const char *snapshot, const struct cb_leak *leak, struct cb_err **err)
{
	cleanup_json json_t *facts = json_pack("{s:s,s:s}", "secret", leak->secret, "where", leak->where);
	/* A name that is not UTF-8 cannot be in it; the note matters more. */
	cleanup_free char *text = facts ? cb_json_dump(facts, false) : cb_xstrdup("{}");
	struct cb_record record = { .snapshot = (char *)snapshot, .facts = text };
	struct cb_digest key;

	key_of(snapshot, &key);
	return cb_record_put(store, &key, 1, &record, NULL, err);
}

int cb_leaknote_find(struct cb_store *store, const char *snapshot, struct cb_leak *ret, struct cb_err **err)
{
	cleanup_record struct cb_record record = { 0 };
	cleanup_json json_t *facts = NULL;
	const char *secret = NULL, *where = NULL;
	struct cb_digest key;
	int r;

	key_of(snapshot, &key);
	r = cb_record_find(store, &key, &record, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (record.facts && cb_json_parse(record.facts, strlen(record.facts), &facts, NULL) == 0) {
		secret = json_string_value(json_object_get(facts, "secret"));
		where = json_string_value(json_object_get(facts, "where"));
	}
	/* The note counts, whatever its text has become. */
	ret->secret = cb_xstrdup(secret ? secret : "(unknown)");
	ret->where = cb_xstrdup(where ? where : "a file");
	ret->earlier = true;
	return 1;
}
