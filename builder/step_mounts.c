#include "builder/step_mounts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "layers/chown.h"

/* As large as docker allows. */
#define SECRET_MAX (500u << 10)
/* Directories of one private cache mount that are in use at once. */
#define PRIVATE_MAX 256

struct cb_mount_hold {
	int fd;
	int *layers;
	struct cb_buf data;
	struct cb_lock *lock;
	struct cb_snapshot *throwaway;
};

void cb_run_mounts_done(struct cb_run_mounts *mounts)
{
	for (size_t i = 0; mounts->holds && i < mounts->n_holds; i++) {
		struct cb_mount_hold *hold = &mounts->holds[i];

		if (hold->fd >= 0)
			close(hold->fd);
		free(hold->layers);
		explicit_bzero(hold->data.data ? hold->data.data : "", hold->data.data ? hold->data.len : 0);
		cb_buf_done(&hold->data);
		cb_lock_free(hold->lock);
		cb_snapshot_free(hold->throwaway);
	}
	free(mounts->holds);
	free(mounts->v);
	*mounts = (struct cb_run_mounts){ 0 };
}

/* ---- bind ----------------------------------------------------------------------------------------------------- */

static int make_bind(struct cb_build *build, const struct cb_op_mount *op, struct cb_run_mount *mount,
	struct cb_mount_hold *hold, struct cb_err **err)
{
	const struct cb_step_result *source = op->source ? op->source->result : NULL;
	const struct cb_chain *chain = source ? source->chain : NULL;
	int r = cb_build_fds(build, chain, &hold->layers, err);

	if (r < 0)
		return r;
	mount->kind = CB_RUN_MOUNT_CHAIN;
	mount->layers = hold->layers;
	mount->n_layers = cb_chain_depth(chain);
	mount->sub = op->sub;
	mount->readonly = op->mount->readonly;
	if (mount->readonly)
		return 0;
	/* Writes are allowed and forgotten. */
	r = cb_snapshot_new(build->store, &hold->throwaway, err);
	if (r < 0)
		return r;
	mount->upper_fd = cb_snapshot_fs(hold->throwaway);
	mount->work_fd = cb_snapshot_work(hold->throwaway, err);
	return mount->work_fd < 0 ? mount->work_fd : 0;
}

/* ---- cache ---------------------------------------------------------------------------------------------------- */

/* A fresh directory gets its owner and mode; later what the steps made of it stays. */
static int own_cache(const struct cb_mount *mount, int fd, struct cb_err **err)
{
	uid_t uid = mount->has_uid ? mount->uid : 0;
	gid_t gid = mount->has_gid ? mount->gid : 0;
	mode_t mode = mount->has_mode ? mount->mode : 0755;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "cache mount");
	if (st.st_uid || st.st_gid || (st.st_mode & 07777) != 0755)
		return 0;
	if ((uid || gid) && fchown(fd, uid, gid) < 0 && !cb_chown_one_id())
		return cb_err_errno(err, errno, "set the owner of cache mount %s", mount->target);
	if (mode != 0755 && fchmod(fd, mode) < 0)
		return cb_err_errno(err, errno, "set the mode of cache mount %s", mount->target);
	return 0;
}

static int lock_private(
	struct cb_build *build, const char *name, struct cb_lock **ret, char **ret_name, struct cb_err **err)
{
	for (unsigned int i = 0; i < PRIVATE_MAX; i++) {
		cleanup_free char *own = i ? cb_xasprintf("%s-%u", name, i) : cb_xstrdup(name);
		cleanup_free char *key = cb_xasprintf("cachemount %s", own);
		int r = cb_lock_try(build->store, key, ret, err);

		if (r <= 0) {
			if (r == 0)
				*ret_name = CB_TAKE_PTR(own);
			return r;
		}
	}
	return cb_err_set(err, CB_ERR_LIMIT, "more than %d steps use one private cache mount", PRIVATE_MAX);
}

static int make_cache(struct cb_build *build, const struct cb_op_mount *op, struct cb_run_mount *mount,
	struct cb_mount_hold *hold, struct cb_err **err)
{
	cleanup_free char *name = NULL;
	int r = 0;

	if (op->mount->sharing == CB_SHARING_PRIVATE) {
		r = lock_private(build, op->cache_name, &hold->lock, &name, err);
	} else {
		name = cb_xstrdup(op->cache_name);
		if (op->mount->sharing == CB_SHARING_LOCKED) {
			cleanup_free char *key = cb_xasprintf("cachemount %s", name);

			r = cb_lock_wait(build->store, key, build->scheduler.cancel, &hold->lock, err);
		}
	}
	if (r == 0)
		r = cb_store_cachemount_open(build->store, name, &hold->fd, err);
	if (r == 0)
		r = own_cache(op->mount, hold->fd, err);
	mount->kind = CB_RUN_MOUNT_BIND;
	mount->fd = hold->fd;
	mount->readonly = op->mount->readonly;
	return r;
}

/* ---- secrets -------------------------------------------------------------------------------------------------- */

static const struct cb_secret_spec *find_secret(const struct cb_build *build, const char *id)
{
	const struct cb_settings *settings = build->settings;

	for (size_t i = 0; i < settings->n_secrets; i++)
		if (cb_str_eq(settings->secrets[i].id, id))
			return &settings->secrets[i];
	return NULL;
}

static int read_secret(const struct cb_secret_spec *secret, struct cb_buf *out, struct cb_err **err)
{
	const char *value;
	int r;

	if (secret->src) {
		r = cb_file_read_at(AT_FDCWD, secret->src, SECRET_MAX, out, err);
		return r < 0 ? cb_err_wrap(err, r, "secret %s", secret->id) : 0;
	}
	value = getenv(secret->env ? secret->env : secret->id);
	if (!value)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "secret %s: variable %s is not set", secret->id,
			secret->env ? secret->env : secret->id);
	cb_buf_adds(out, value);
	return 0;
}

/* 1 when there is nothing to mount. */
static int make_secret(struct cb_build *build, const struct cb_mount *m, struct cb_run_mount *mount,
	struct cb_mount_hold *hold, struct cb_strv *env, struct cb_err **err)
{
	const char *id = m->id ? m->id : m->source ? m->source : m->target ? cb_path_base(m->target) : "";
	const struct cb_secret_spec *secret = find_secret(build, id);
	int r;

	if (!secret && m->required) {
		cb_err_set(err, CB_ERR_NOT_FOUND, "secret %s: not found", id);
		return cb_err_hint(err, CB_ERR_NOT_FOUND, "give it with --secret id=%s,src=FILE or env=NAME", id);
	}
	if (secret) {
		r = read_secret(secret, &hold->data, err);
		if (r < 0)
			return r;
	}
	if (m->env)
		cb_env_set(env, m->env, cb_buf_str(&hold->data));
	if (!secret || (m->env && !m->target))
		return 1;
	mount->kind = CB_RUN_MOUNT_FILE;
	mount->data = cb_buf_str(&hold->data);
	mount->len = hold->data.len;
	mount->uid = m->has_uid ? m->uid : 0;
	mount->gid = m->has_gid ? m->gid : 0;
	mount->mode = m->has_mode ? m->mode : 0400;
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static int make_one(struct cb_build *build, const struct cb_op_mount *op, struct cb_run_mount *mount,
	struct cb_mount_hold *hold, struct cb_strv *env, struct cb_err **err)
{
	const struct cb_mount *m = op->mount;

	mount->target = m->target;
	switch (m->type) {
	case CB_MOUNT_BIND:
		return make_bind(build, op, mount, hold, err);
	case CB_MOUNT_CACHE:
		return make_cache(build, op, mount, hold, err);
	case CB_MOUNT_TMPFS:
		mount->kind = CB_RUN_MOUNT_TMPFS;
		mount->size = m->has_size ? m->size : 0;
		return 0;
	case CB_MOUNT_SECRET:
		return make_secret(build, m, mount, hold, env, err);
	case CB_MOUNT_SSH:
		break;
	}
	if (m->required)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "RUN --mount=type=ssh is not supported yet");
	return 1;
}

/* Cache mounts are locked in one order everywhere, so that two steps cannot wait for each other. */
static int by_lock(const void *a, const void *b)
{
	const struct cb_op_mount *const *x = a, *const *y = b;
	const char *xn = (*x)->cache_name ? (*x)->cache_name : "", *yn = (*y)->cache_name ? (*y)->cache_name : "";
	int order = strcmp(xn, yn);

	return order ? order : (*x > *y) - (*x < *y);
}

int cb_run_mounts_make(struct cb_build *build, const struct cb_vertex *vertex, struct cb_run_mounts *ret,
	struct cb_strv *env, struct cb_err **err)
{
	const struct cb_op_run *op = vertex->op;
	cleanup_free const struct cb_op_mount **order = cb_xcalloc(op->n_mounts + 1, sizeof(*order));

	if (op->n_mounts + 1 > CB_RUN_MOUNTS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "more than %d mounts", CB_RUN_MOUNTS_MAX - 1);
	ret->v = cb_xcalloc(op->n_mounts + 2, sizeof(*ret->v));
	ret->holds = cb_xcalloc(op->n_mounts + 2, sizeof(*ret->holds));
	for (size_t i = 0; i < op->n_mounts; i++)
		order[i] = &op->mounts[i];
	qsort(order, op->n_mounts, sizeof(*order), by_lock);
	for (size_t i = 0; i < op->n_mounts; i++) {
		size_t at = (size_t)(order[i] - op->mounts);
		int r;

		ret->holds[i] = (struct cb_mount_hold){ .fd = -EBADF };
		ret->n_holds++;
		ret->v[at] = (struct cb_run_mount)CB_RUN_MOUNT_INIT;
		r = make_one(build, order[i], &ret->v[at], &ret->holds[i], env, err);
		if (r < 0) {
			cb_run_mounts_done(ret);
			return r;
		}
		if (r > 0)
			ret->v[at].target = NULL;
	}
	/* In the written order: of two with one target the later one counts. */
	for (size_t i = 0; i < op->n_mounts; i++)
		if (ret->v[i].target)
			ret->v[ret->n++] = ret->v[i];
	if (op->script) {
		struct cb_run_mount *file = &ret->v[ret->n++];

		*file = (struct cb_run_mount)CB_RUN_MOUNT_INIT;
		file->kind = CB_RUN_MOUNT_FILE;
		file->target = op->script_path;
		file->data = op->script;
		file->len = strlen(op->script);
		file->mode = 0755;
		file->readonly = true;
	}
	return 0;
}
