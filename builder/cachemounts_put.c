/* Cache mounts in a build: exporting, while the results are written. */
#include "base/fd.h"
#include "builder/cachemounts_inner.h"
#include "builder/redact.h"
#include "layers/cachemount.h"

/** How long a mount may be kept by a step of another build that has it to itself. */
#define LOCKED_S 60

/* A mount that is about to be exported. */
struct holding {
	const struct cb_mounts_used *used;
	struct cb_lock *alone;
	int fd, lock;
	struct cb_mount_ages ages;
};

static void holding_done(struct holding *h)
{
	cb_lock_free(h->alone);
	cb_closep(&h->fd);
	cb_closep(&h->lock);
	cb_mount_ages_done(&h->ages);
}

/* 0, or 1 when there is nothing to export. Its warnings are about the mount, not about the cache. */
static int hold(struct cb_remote_end *end, struct holding *h, struct cb_err **err)
{
	struct cb_cachemounts *mounts = end->build->cachemounts;
	struct cb_store *store = mounts->build->store;
	int r = h->used->locked ? cb_cachemount_wait(store, h->used->name, LOCKED_S, mounts->cancel, &h->alone, err)
				: 0;

	if (r > 0)
		return cb_err_set(err, CB_ERR_TIMEOUT, "another build has had it to itself for %d seconds", LOCKED_S);
	if (r == 0)
		r = cb_cachemount_read(store, h->used->name, mounts->cancel, &h->fd, &h->lock, err);
	return r == 0 ? cb_mount_ages_add(&h->ages, h->fd, mounts->cancel, err) : r;
}

static void warn(struct cb_remote_end *end, const struct cb_mounts_used *used, const struct cb_err *err)
{
	cleanup_free char *text = cb_xasprintf("cache mount %s is not exported: %s", used->title, cb_err_msg(err));

	if (!err || err->code != CB_ERR_CANCELED)
		cb_build_note(end->build, NULL, text);
}

static void export_one(struct cb_remote_end *end, struct holding *h, struct cb_mount_cut *total)
{
	struct cb_cachemounts *mounts = end->build->cachemounts;
	const struct cb_settings *settings = end->build->settings;
	struct cb_mount_cut cut =
		cb_mount_ages_cut(&h->ages, end->spec.max_size ? end->spec.max_size : CB_MOUNT_SIZE_DEFAULT);
	size_t n = 0;
	cleanup_free struct cb_digest *keys = cb_cachemount_keys(&end->spec, mounts->platform, h->used->travel, &n);
	cleanup_free char *what = cb_xasprintf("cache mount %s", h->used->title);
	cleanup_buf struct cb_buf line = { 0 };
	const struct cb_mount_export spec = { .cache = end->cache,
		.keys = keys,
		.n_keys = n,
		.id = h->used->title,
		.dirfd = h->fd,
		.cuts = { &cut, total },
		.needles = settings->allow_secret_leak ? NULL : end->build->kept_needles,
		.cancel = mounts->cancel };
	struct cb_mount_export_result result = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *leak = NULL, *clean = NULL;
	int r = cb_mount_export(&spec, &result, &err);

	leak = result.leak;
	if (leak) {
		clean = cb_redact(end->build->shown_needles, leak);
		err = cb_err_free(err);
		cb_err_set(&err, CB_ERR_DENIED,
			"the value of secret %s is in %s (--allow-secret-leak exports it all the same)",
			settings->secrets[result.owner].id, clean ? clean : leak);
		warn(end, h->used, err);
		return;
	}
	cb_cachemounts_result(end, NULL, what, r, CB_TAKE_PTR(err));
	if (r < 0)
		return;
	cb_buf_addf(&line, "%s to %s: ", what, end->cache->shown);
	cb_cachemount_tell(&result, &line);
	cb_build_status(mounts->build, &mounts->line, cb_buf_str(&line), result.sent, result.sent);
}

/* All mounts at once are held, because what is too much depends on all of them. */
static void export_all(struct cb_remote_end *end)
{
	struct cb_cachemounts *mounts = end->build->cachemounts;
	cleanup_free struct holding *held = cb_newa0(struct holding, mounts->n_used + 1);
	struct cb_mount_ages all = { 0 };
	struct cb_mount_cut total = { INT64_MIN, UINT64_MAX };
	size_t n = 0;

	for (size_t i = 0; i < mounts->n_used; i++) {
		cleanup_err struct cb_err *err = NULL;
		struct holding *h = &held[n];

		if (!cb_cachemount_wanted(&end->spec, mounts->used[i].title))
			continue;
		*h = (struct holding){ .used = &mounts->used[i], .fd = -EBADF, .lock = -EBADF };
		if (hold(end, h, &err) == 0) {
			cb_mount_ages_join(&all, &h->ages);
			n++;
			continue;
		}
		if (err)
			warn(end, h->used, err);
		holding_done(h);
	}
	if (end->spec.max_total)
		total = cb_mount_ages_cut(&all, end->spec.max_total);
	for (size_t i = 0; i < n; i++) {
		if (cb_remote_end_alive(end) && !cb_cancel_raised(mounts->cancel))
			export_one(end, &held[i], end->spec.max_total ? &total : NULL);
		holding_done(&held[i]);
	}
	cb_mount_ages_done(&all);
}

static void export_main(void *arg)
{
	struct cb_remote_end *end = arg;
	struct cb_cachemounts *mounts = end->build->cachemounts;
	/* Wakes the coordinator, who looks at the counter. */
	const struct cb_msg msg = { .kind = CB_MSG_BEGIN, .subject = &mounts->line };

	export_all(end);
	atomic_fetch_sub(&mounts->running, 1);
	cb_queue_post(mounts->build->scheduler.queue, &msg);
}

void cb_cachemounts_start(struct cb_cachemounts *mounts, bool ok)
{
	struct cb_build *build = mounts ? mounts->build : NULL;

	if (!mounts || !mounts->n_to || !mounts->n_used || build->signal || build->timed_out)
		return;
	mounts->started = true;
	mounts->shown = cb_build_show(build, "exporting cache mounts");
	cb_build_stand_in(build, CB_STAND_IN_MOUNTS, &mounts->line, mounts->shown);
	cb_progress_started(build->progress, mounts->shown);
	for (size_t i = 0; i < mounts->n_to; i++) {
		if (!ok && mounts->to[i].spec.on_success)
			continue;
		atomic_fetch_add(&mounts->running, 1);
		cb_pool_submit(build->scheduler.pools[CB_LANE_NET], CB_PRIORITY_NORMAL, export_main, &mounts->to[i]);
	}
}

static bool idle(void *ctx)
{
	const struct cb_build *build = ctx;
	struct cb_cachemounts *mounts = build->cachemounts;

	/* The jobs are ended, and then waited for. */
	if (build->signal || build->timed_out)
		cb_cancel_raise(mounts->cancel);
	return atomic_load(&mounts->running) == 0;
}

void cb_cachemounts_finish(struct cb_cachemounts *mounts)
{
	struct cb_build *build = mounts ? mounts->build : NULL;
	struct cb_scheduler scheduler;

	if (!mounts || !mounts->started)
		return;
	/* Of a failed build the flag is raised already; this wait has none, because idle sees to the end. */
	scheduler = build->scheduler;
	scheduler.cancel = NULL;
	cb_scheduler_wait(&scheduler, idle, NULL);
	if (cb_cancel_raised(mounts->cancel))
		cb_progress_canceled(build->progress, mounts->shown);
	else
		cb_progress_done(build->progress, mounts->shown);
}
