#include "builder/remoteend.h"

#include <stdlib.h>

#include "builder/remoteopen.h"

/** Layers of its records that were not to be had after which a cache is left alone, too. */
#define BROKEN_MAX 3

int cb_remote_end_open(struct cb_build *build, const char *option, bool to, cb_remote_inline_fn inlined,
	struct cb_remote_end *end, struct cb_err **err)
{
	const struct cb_remote_opening opening = { .access = &build->settings->access,
		.registry = build->registry,
		.to = to,
		.option = option,
		.inlined = inlined };

	end->build = build;
	return cb_remote_cache_open(&end->spec, &opening, &end->ref, &end->cache, err);
}

void cb_remote_ends_free(struct cb_remote_end *ends, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cb_remote_cache_free(ends[i].cache);
		cb_ref_free(ends[i].ref);
		cb_remote_spec_done(&ends[i].spec);
	}
	free(ends);
}

bool cb_remote_end_alive(const struct cb_remote_end *end)
{
	return atomic_load(&end->failures) < CB_REMOTE_FAILURES_MAX && atomic_load(&end->broken) < BROKEN_MAX;
}

unsigned int cb_remote_end_count(struct cb_remote_end *end, int code)
{
	if (code >= 0)
		atomic_store(&end->failures, 0);
	if (code >= 0 || code == CB_ERR_CANCELED)
		return 0;
	return atomic_fetch_add(&end->failures, 1) + 1;
}

void cb_remote_end_warn(struct cb_remote_end *end, const struct cb_vertex *vertex, const char *what,
	unsigned int failures, const struct cb_err *why)
{
	cleanup_free char *note = cb_xasprintf("%s: %s%s%s%s", end->cache->shown, what ? what : "", what ? ": " : "",
		cb_err_msg(why), failures == CB_REMOTE_FAILURES_MAX ? "; it is left alone from now on" : "");

	cb_build_note(end->build, vertex, note);
}
