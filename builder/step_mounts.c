#include "builder/step_mounts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "builder/secret.h"
#include "builder/sshagent.h"
#include "layers/cachemount.h"
#include "layers/chown.h"
#include "layers/plainroot.h"

/* Directories of one private cache mount that are in use at once. */
#define PRIVATE_MAX 256

struct cb_mount_hold {
	int fd, use; /* use: the lock of a cache mount */
	int *layers;
	struct cb_buf data;
	struct cb_lock *lock;
	struct cb_snapshot *throwaway;
	struct cb_sshagent *agent;
	char *target;
};

void cb_run_mounts_done(struct cb_run_mounts *mounts)
{
	for (size_t i = 0; mounts->holds && i < mounts->n_holds; i++) {
		struct cb_mount_hold *hold = &mounts->holds[i];

		cb_closep(&hold->fd);
		cb_closep(&hold->use);
		free(hold->layers);
		explicit_bzero(hold->data.data ? hold->data.data : "", hold->data.data ? hold->data.len : 0);
		cb_buf_done(&hold->data);
		cb_lock_free(hold->lock);
		cb_snapshot_free(hold->throwaway);
		cb_sshagent_stop(hold->agent);
		free(hold->target);
	}
	free(mounts->holds);
	free(mounts->v);
	*mounts = (struct cb_run_mounts){ 0 };
}

/* ---- bind ----------------------------------------------------------------------------------------------------- */

/* Without overlay: a copy, whose changes are forgotten. */
static int copy_bind(struct cb_build *build, const struct cb_chain *chain, const struct cb_op_mount *op,
	struct cb_run_mount *mount, struct cb_mount_hold *hold, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	CB_CLEANUP(cb_plainroot_free) struct cb_plainroot *plain = NULL;
	int r = cb_build_tree(build, chain, &tree, err);

	if (r == 0)
		r = cb_snapshot_new(build->store, &hold->throwaway, err);
	if (r == 0)
		r = cb_plainroot_new(tree, cb_snapshot_fs(hold->throwaway), false, build->scheduler.pools[CB_LANE_CPU],
			build->scheduler.cancel, &plain, err);
	if (r < 0)
		return r;
	mount->kind = CB_RUN_MOUNT_BIND;
	mount->fd = cb_snapshot_fs(hold->throwaway);
	mount->sub = op->sub;
	mount->readonly = op->mount->readonly;
	return 0;
}

static int make_bind(struct cb_build *build, const struct cb_op_mount *op, struct cb_run_mount *mount,
	struct cb_mount_hold *hold, struct cb_err **err)
{
	const struct cb_step_result *source = op->source ? op->source->result : NULL;
	const struct cb_chain *chain = source ? source->chain : NULL;
	int r = cb_build_fds(build, chain, &hold->layers, err);

	if (r < 0)
		return r;
	if (cb_runtime_info(build->runtime)->storage == CB_STORAGE_COPY)
		return copy_bind(build, chain, op, mount, hold, err);
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

	if (cb_owner_fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "cache mount");
	if (st.st_uid || st.st_gid || (st.st_mode & 07777) != 0755)
		return 0;
	if ((uid || gid) && cb_owner_fchown(fd, uid, gid) < 0)
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

/* What a cache mount begins with makes it another one. */
static char *name_of(const struct cb_op_mount *op)
{
	const struct cb_step_result *source = op->source ? op->source->result : NULL;
	cleanup_free char *text = NULL;
	struct cb_digest digest;

	if (!op->sub)
		return cb_xstrdup(op->cache_name);
	text = cb_xasprintf("%s\n%s\n%s", op->cache_name, source ? cb_chain_content(source->chain) : "", op->sub);
	cb_digest_of(text, strlen(text), &digest);
	return cb_xstrndup(cb_digest_hex(&digest), 32);
}

/* Whoever comes first fills it; the mark says that this came to its end. */
static int seed_cache(
	struct cb_build *build, const struct cb_op_mount *op, const char *name, int fd, struct cb_err **err)
{
	static const char mark[] = "user.cbuild.seeded";
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	cleanup_free char *key = cb_xasprintf("cachemount seed %s", name);
	int r = cb_lock_wait(build->store, key, build->scheduler.cancel, &lock, err);

	if (r < 0 || fgetxattr(fd, mark, NULL, 0) >= 0)
		return r;
	r = cb_path_empty_dir(fd, err);
	if (r == 0)
		r = cb_step_copy_dir(build, op->source, op->sub, fd, err);
	if (r < 0)
		return cb_err_wrap(err, r, "cache mount %s", op->mount->target);
	if (fsetxattr(fd, mark, "1", 1, 0) < 0)
		return cb_err_errno(err, errno, "cache mount %s", op->mount->target);
	return 0;
}

static int make_cache(struct cb_build *build, const struct cb_op_mount *op, struct cb_run_mount *mount,
	struct cb_mount_hold *hold, struct cb_err **err)
{
	cleanup_free char *shared = name_of(op), *name = NULL;
	int r = 0;

	if (op->mount->sharing == CB_SHARING_PRIVATE) {
		r = lock_private(build, shared, &hold->lock, &name, err);
	} else {
		name = cb_xstrdup(shared);
		if (op->mount->sharing == CB_SHARING_LOCKED) {
			cleanup_free char *key = cb_xasprintf("cachemount %s", name);

			r = cb_lock_wait(build->store, key, build->scheduler.cancel, &hold->lock, err);
		}
	}
	if (r == 0)
		r = cb_cachemount_open(build->store, name, op->mount->id ? op->mount->id : op->mount->target, &hold->fd,
			&hold->use, err);
	if (r == 0 && op->sub)
		r = seed_cache(build, op, name, hold->fd, err);
	if (r == 0)
		r = own_cache(op->mount, hold->fd, err);
	mount->kind = CB_RUN_MOUNT_BIND;
	mount->fd = hold->fd;
	mount->readonly = op->mount->readonly;
	return r;
}

/* ---- secrets -------------------------------------------------------------------------------------------------- */

/* 1 when there is nothing to mount. */
static int make_secret(struct cb_build *build, const struct cb_mount *m, struct cb_run_mount *mount,
	struct cb_mount_hold *hold, struct cb_strv *env, struct cb_err **err)
{
	const char *id = m->id ? m->id : m->source ? m->source : m->target ? cb_path_base(m->target) : "";
	const struct cb_secret_spec *secret = cb_secret_find(build->settings, id);
	int r;

	if (!secret && m->required) {
		cb_err_set(err, CB_ERR_NOT_FOUND, "secret %s: not found", id);
		return cb_err_hint(err, CB_ERR_NOT_FOUND, "give it with --secret id=%s,src=FILE or env=NAME", id);
	}
	if (secret) {
		r = cb_secret_read(secret, &hold->data, err);
		if (r < 0)
			return r;
	}
	if (m->env)
		cb_env_set(env, m->env, cb_buf_str(&hold->data));
	if (!secret || (m->env && !m->target))
		return 1;
	if (!m->target) {
		hold->target = cb_xasprintf("/run/secrets/%s", cb_path_base(id));
		mount->target = hold->target;
	}
	mount->kind = CB_RUN_MOUNT_FILE;
	mount->data = cb_buf_str(&hold->data);
	mount->len = hold->data.len;
	mount->uid = m->has_uid ? m->uid : 0;
	mount->gid = m->has_gid ? m->gid : 0;
	mount->mode = m->has_mode ? m->mode : 0400;
	return 0;
}

/* ---- agents --------------------------------------------------------------------------------------------------- */

/* 1 when there is nothing to mount. @number counts the ssh mounts of the step. */
static int make_ssh(struct cb_build *build, const struct cb_mount *m, unsigned int number, struct cb_run_mount *mount,
	struct cb_mount_hold *hold, struct cb_strv *env, struct cb_err **err)
{
	const char *id = m->id ? m->id : "default";
	const struct cb_ssh_spec *spec = cb_sshagent_find(build->settings, id);
	int r;

	if (!spec && m->required) {
		cb_err_set(err, CB_ERR_NOT_FOUND, "ssh agent %s: not found", id);
		return cb_err_hint(err, CB_ERR_NOT_FOUND, "offer it with --ssh %s", id);
	}
	if (!spec)
		return 1;
	r = cb_sshagent_start(spec, build->store, m->has_uid ? m->uid : 0, m->has_gid ? m->gid : 0,
		m->has_mode ? m->mode : 0600, build->scheduler.cancel, &hold->agent, &mount->fd, err);
	if (r < 0)
		return r;
	hold->target = m->target ? cb_xstrdup(m->target) : cb_xasprintf("/run/buildkit/ssh_agent.%u", number);
	mount->kind = CB_RUN_MOUNT_BIND;
	mount->target = hold->target;
	if (number == 0)
		cb_env_set(env, "SSH_AUTH_SOCK", hold->target);
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static int make_one(struct cb_build *build, const struct cb_op_mount *op, unsigned int ssh, struct cb_run_mount *mount,
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
		return make_ssh(build, m, ssh, mount, hold, env, err);
	}
	return 1;
}

/* How many ssh mounts stand before the mount @at. */
static unsigned int ssh_number(const struct cb_op_run *op, size_t at)
{
	unsigned int n = 0;

	for (size_t i = 0; i < at; i++)
		n += op->mounts[i].mount->type == CB_MOUNT_SSH;
	return n;
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

		ret->holds[i] = (struct cb_mount_hold){ .fd = -EBADF, .use = -EBADF };
		ret->n_holds++;
		ret->v[at] = (struct cb_run_mount)CB_RUN_MOUNT_INIT;
		r = make_one(build, order[i], ssh_number(op, at), &ret->v[at], &ret->holds[i], env, err);
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
