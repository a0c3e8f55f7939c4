#include "builder/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"
#include "builder/cached.h"

struct timespec cb_build_time(const struct cb_build *build)
{
	return build->epoch.set ? (struct timespec){ .tv_sec = build->epoch.seconds } : cb_time_now();
}

void cb_build_log(struct cb_build *build, const struct cb_vertex *vertex, int fd, const void *data, size_t len)
{
	struct cb_msg msg = { .kind = CB_MSG_LOG, .subject = (void *)vertex, .fd = fd, .len = len };

	msg.data = cb_xmalloc(len + 1);
	memcpy(msg.data, data, len);
	msg.data[len] = '\0';
	cb_queue_post(build->scheduler.queue, &msg);
}

void cb_build_status(
	struct cb_build *build, const struct cb_vertex *vertex, const char *what, uint64_t current, uint64_t total)
{
	struct cb_msg msg = { .kind = CB_MSG_STATUS, .subject = (void *)vertex, .current = current, .total = total };

	msg.data = cb_xstrdup(what);
	cb_queue_post(build->scheduler.queue, &msg);
}

void cb_build_note(struct cb_build *build, const struct cb_vertex *vertex, const char *text)
{
	struct cb_msg msg = { .kind = CB_MSG_NOTE, .subject = (void *)vertex };

	msg.data = cb_xstrdup(text);
	cb_queue_post(build->scheduler.queue, &msg);
}

int cb_build_fds(struct cb_build *build, const struct cb_chain *chain, int **ret, struct cb_err **err)
{
	cleanup_free const struct cb_chain **list = cb_chain_list(chain);
	size_t n = cb_chain_depth(chain);
	cleanup_free int *fds = cb_xcalloc(n + 1, sizeof(*fds));
	int code = cb_cached_fetch(build, chain, err);

	if (code < 0)
		return code;
	for (size_t i = 0; i < n; i++) {
		int r = cb_snapfds_get(build->snapfds, list[i], &fds[i], err);

		if (r != 0)
			return r < 0 ? r : cb_err_set(err, CB_ERR_CORRUPT, "layer %zu is not in the store", i);
	}
	*ret = CB_TAKE_PTR(fds);
	return 0;
}

enum cb_flavour cb_build_flavour(const struct cb_build *build)
{
	return cb_store_flavour(build->store) == CB_STORE_USER ? CB_FLAVOUR_USER : CB_FLAVOUR_TRUSTED;
}

int cb_build_tree(struct cb_build *build, const struct cb_chain *chain, struct cb_tree **ret, struct cb_err **err)
{
	cleanup_free int *fds = NULL;
	int r = cb_build_fds(build, chain, &fds, err);

	if (r < 0)
		return r;
	return cb_tree_new_lent(fds, cb_chain_depth(chain), cb_build_flavour(build), ret, err);
}

int cb_build_source_tree(
	struct cb_build *build, const struct cb_vertex *vertex, struct cb_tree **ret, struct cb_err **err)
{
	if (vertex && vertex->kind == CB_VERTEX_CONTEXT) {
		*ret = cb_tree_ref(((const struct cb_op_context *)vertex->op)->context->tree);
		return 0;
	}
	return cb_build_tree(build, vertex ? ((const struct cb_step_result *)vertex->result)->chain : NULL, ret, err);
}

struct count {
	struct cb_store *store;
	char id[CB_SNAPSHOT_ID_MAX];
};

static void count_main(void *arg)
{
	cleanup_free struct count *count = arg;

	/* Whoever wants to know later counts it then. */
	cb_snapshot_count(count->store, count->id, NULL);
}

void cb_build_count(struct cb_build *build, const char *id)
{
	struct count *count = cb_new0(struct count);

	count->store = build->store;
	snprintf(count->id, sizeof(count->id), "%s", id);
	atomic_store(&build->wrote, true);
	cb_pool_submit(build->scheduler.pools[CB_LANE_CPU], CB_PRIORITY_LOW, count_main, count);
}
