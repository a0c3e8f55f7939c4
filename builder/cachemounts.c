/* Cache mounts in a build: opening the caches, noting what is used, importing. */
#include "builder/cachemounts.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/strv.h"
#include "builder/cachemounts_inner.h"
#include "layers/cachemount.h"

#define WAIT_STEP_MS 100

/* ---- names ---------------------------------------------------------------------------------------------------- */

int cb_cachemounts_check_spec(const char *option, const char *text, bool to, struct cb_err **err)
{
	__attribute__((cleanup(cb_remote_spec_done))) struct cb_remote_spec spec = { 0 };

	return cb_remote_spec_parse_mounts(text, to, option, &spec, err);
}

char *cb_cachemount_branch(const struct cb_remote_spec *spec, size_t at)
{
	const char *own = cb_remote_spec_get(spec, "branch"), *others = cb_remote_spec_get(spec, "fallback");
	cleanup_strv struct cb_strv names = { 0 };

	if (!at || !others)
		return cb_xstrdup(own ? own : "");
	/* A colon is in no name of a branch. */
	cb_strv_split(&names, others, ':');
	return cb_xstrdup(at <= names.n ? names.v[at - 1] : "");
}

struct cb_digest *cb_cachemount_keys(
	const struct cb_remote_spec *spec, const char *platform, const char *travel, size_t *ret_n)
{
	const char *scope = cb_remote_spec_get(spec, "scope"), *others = cb_remote_spec_get(spec, "fallback");
	size_t n = 1;
	struct cb_digest *keys;

	for (const char *p = others; p; p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL)
		n++;
	keys = cb_newa0(struct cb_digest, n);
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *branch = cb_cachemount_branch(spec, i);

		cb_mount_key(platform, scope ? scope : "", branch, travel, &keys[i]);
	}
	*ret_n = n;
	return keys;
}

bool cb_cachemount_wanted(const struct cb_remote_spec *spec, const char *title)
{
	for (size_t i = 0; i < spec->ids.n; i++)
		if (fnmatch(spec->ids.v[i], title, 0) == 0)
			return true;
	return spec->ids.n == 0;
}

char *cb_cachemount_platform(const struct cb_settings *settings)
{
	struct cb_platform platform;
	char text[CB_PLATFORM_TEXT_MAX];

	cb_platform_host(&platform);
	if (settings->platforms.n)
		(void)cb_platform_parse(settings->platforms.v[0], &platform, NULL);
	cb_platform_format(&platform, text);
	return cb_xstrdup(text);
}

int cb_cachemount_wait(struct cb_store *store, const char *name, unsigned int seconds, struct cb_cancel *cancel,
	struct cb_lock **ret, struct cb_err **err)
{
	cleanup_free char *key = cb_cachemount_lock_key(name);

	for (unsigned int i = 0; i <= seconds * 1000 / WAIT_STEP_MS; i++) {
		int r = cb_lock_try(store, key, ret, err);

		if (r <= 0)
			return r;
		r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
		usleep(WAIT_STEP_MS * 1000);
	}
	return 1;
}

void cb_cachemount_tell(const struct cb_mount_export_result *result, struct cb_buf *out)
{
	cb_buf_addf(out, "%llu files, ", (unsigned long long)result->files);
	cb_num_format_size(out, result->bytes);
	cb_buf_adds(out, result->unchanged ? ", unchanged; " : "; ");
	cb_num_format_size(out, result->sent);
	cb_buf_adds(out, " sent");
	if (result->dropped)
		cb_buf_addf(out, "; %llu files were too much", (unsigned long long)result->dropped);
	if (result->left_out)
		cb_buf_addf(out, "; %llu cannot be kept", (unsigned long long)result->left_out);
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

static int open_end(
	struct cb_cachemounts *mounts, struct cb_remote_end *end, const char *text, bool to, struct cb_err **err)
{
	const char *option = to ? "--cache-mount-to" : "--cache-mount-from";
	int r = cb_remote_spec_parse_mounts(text, to, option, &end->spec, err);

	return r < 0 ? r : cb_remote_end_open(mounts->build, option, to, NULL, end, err);
}

int cb_cachemounts_new(struct cb_build *build, struct cb_cachemounts **ret, struct cb_err **err)
{
	const struct cb_strv *from = &build->settings->cache_mount_from, *to = &build->settings->cache_mount_to;
	CB_CLEANUP(cb_cachemounts_free) struct cb_cachemounts *mounts = NULL;
	int r = 0;

	*ret = NULL;
	if (!from->n && !to->n)
		return 0;
	mounts = cb_new0(struct cb_cachemounts);
	mounts->build = build;
	mounts->platform = cb_cachemount_platform(build->settings);
	mounts->cancel = cb_cancel_new();
	pthread_mutex_init(&mounts->mutex, NULL);
	mounts->from = cb_newa0(struct cb_remote_end, from->n + 1);
	mounts->to = cb_newa0(struct cb_remote_end, to->n + 1);
	for (size_t i = 0; i < from->n && r == 0; i++)
		r = open_end(mounts, &mounts->from[mounts->n_from++], from->v[i], false, err);
	for (size_t i = 0; i < to->n && r == 0; i++)
		r = open_end(mounts, &mounts->to[mounts->n_to++], to->v[i], true, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(mounts);
	return 0;
}

struct cb_cachemounts *cb_cachemounts_free(struct cb_cachemounts *mounts)
{
	if (!mounts)
		return NULL;
	cb_remote_ends_free(mounts->from, mounts->n_from);
	cb_remote_ends_free(mounts->to, mounts->n_to);
	for (size_t i = 0; i < mounts->n_used; i++) {
		free(mounts->used[i].name);
		free(mounts->used[i].travel);
		free(mounts->used[i].title);
	}
	free(mounts->used);
	free(mounts->platform);
	cb_cancel_free(mounts->cancel);
	pthread_mutex_destroy(&mounts->mutex);
	free(mounts);
	return NULL;
}

void cb_cachemounts_result(
	struct cb_remote_end *end, const struct cb_vertex *vertex, const char *what, int code, struct cb_err *err)
{
	cleanup_err struct cb_err *why = err;
	unsigned int failures = cb_remote_end_count(end, code);

	if (failures)
		cb_remote_end_warn(end, vertex, what, failures, why);
}

/* ---- importing ------------------------------------------------------------------------------------------------ */

/* Notes the use; true when it is the first of the build. */
static bool note_use(struct cb_cachemounts *mounts, const struct cb_cachemount_use *use)
{
	bool first = true;

	pthread_mutex_lock(&mounts->mutex);
	for (size_t i = 0; i < mounts->n_used && first; i++) {
		first = strcmp(mounts->used[i].name, use->name) != 0;
		mounts->used[i].locked |= !first && use->locked;
	}
	if (first) {
		CB_GROW(mounts->used, mounts->cap_used, mounts->n_used + 1);
		mounts->used[mounts->n_used++] = (struct cb_mounts_used){ cb_xstrdup(use->name),
			cb_xstrdup(use->travel), cb_xstrdup(use->title), use->locked };
	}
	pthread_mutex_unlock(&mounts->mutex);
	return first;
}

struct showing {
	struct cb_build *build;
	const struct cb_vertex *vertex;
	char *what;
};

static void show(void *arg, uint64_t bytes, uint64_t total)
{
	const struct showing *showing = arg;

	cb_build_status(showing->build, showing->vertex, showing->what, bytes, total);
}

/* 0 when the mount need not be looked for any longer. */
static int import_from(struct cb_remote_end *end, const struct cb_vertex *vertex, const struct cb_cachemount_use *use)
{
	struct cb_build *build = end->build;
	size_t n = 0;
	cleanup_free struct cb_digest *keys =
		cb_cachemount_keys(&end->spec, build->cachemounts->platform, use->travel, &n);
	cleanup_free char *what = cb_xasprintf("cache mount %s", use->title);
	struct showing showing = { build, vertex, what };
	const struct cb_mount_import spec = {
		.store = build->store,
		.cache = end->cache,
		.keys = keys,
		.n_keys = n,
		.name = use->name,
		.title = use->title,
		.max_bytes = end->spec.max_size ? end->spec.max_size : CB_MOUNT_SIZE_DEFAULT,
		.progress = show,
		.arg = &showing,
		.cancel = build->scheduler.cancel,
	};
	struct cb_mount_import_result result = { 0 };
	struct cb_err *err = NULL;
	int r = cb_mount_import(&spec, &result, &err);

	cb_cachemounts_result(end, vertex, what, r, err);
	if (r == CB_MOUNT_IMPORTED) {
		cleanup_free char *branch = cb_cachemount_branch(&end->spec, result.key);
		cleanup_free char *text = cb_xasprintf("%s from %s%s%s: %llu files", what, end->cache->shown,
			*branch ? " branch " : "", branch, (unsigned long long)result.files);

		cb_build_status(build, vertex, text, result.received, result.received);
		atomic_store(&build->wrote, true);
	}
	return r == CB_MOUNT_IMPORTED || r == CB_MOUNT_KEPT ? 0 : 1;
}

int cb_cachemounts_prepare(struct cb_cachemounts *mounts, const struct cb_vertex *vertex,
	const struct cb_cachemount_use *use, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	cleanup_free char *key = cb_xasprintf("cachemount import %s", use->name);
	bool missing = true;
	int r;

	if (!mounts)
		return 0;
	if (!mounts->n_from) {
		note_use(mounts, use);
		return 0;
	}
	/* One imports; the others, of this build or another, wait for what they will then find. */
	r = cb_lock_wait(mounts->build->store, key, mounts->build->scheduler.cancel, &lock, err);
	if (r < 0)
		return r;
	if (!note_use(mounts, use) || cb_cachemount_filled(mounts->build->store, use->name, NULL) != 0)
		return 0;
	for (size_t i = 0; i < mounts->n_from && missing; i++)
		if (cb_remote_end_alive(&mounts->from[i]) && cb_cachemount_wanted(&mounts->from[i].spec, use->title))
			missing = import_from(&mounts->from[i], vertex, use);
	return cb_cancel_check(mounts->build->scheduler.cancel, err);
}
