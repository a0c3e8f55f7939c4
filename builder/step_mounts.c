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
#include "builder/cachemounts.h"
#include "builder/remotes.h"
#include "builder/secret.h"
#include "builder/sshagent.h"
#include "layers/cachemount.h"
#include "layers/chown.h"
#include "layers/copytree.h"

/* Directories of one private cache mount that are in use at once. */
#define PRIVATE_MAX 256

void cb_run_mounts_done(struct cb_run_mounts *mounts)
{
	for (size_t i = 0; mounts->holds && i < mounts->n_holds; i++) {
		struct cb_mount_hold *hold = &mounts->holds[i];

		cb_closep(&hold->fd);
		cb_closep(&hold->use);
		free(hold->cache);
		free(hold->layers);
		cb_cover_free(hold->cover);
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

/* Owner, mode and times of the directory @path are those of its copy. */
static int copy_top(struct cb_tree *tree, const char *path, int dirfd, struct cb_err **err)
{
	struct stat st;
	int r = cb_tree_stat(tree, path, &st, err);

	if (r != 0)
		return CB_MIN(r, 0);
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	if (cb_owner_fchown(dirfd, st.st_uid, st.st_gid) < 0 || fchmod(dirfd, st.st_mode & 07777) < 0 ||
		futimens(dirfd, times) < 0)
		return cb_err_errno(err, errno, "set owner, mode and times of a copy of /%s", path);
	return 0;
}

/* The directory or file @sub of @tree as "lent" of the directory @aside. */
static int copy_source(struct cb_build *build, struct cb_tree *tree, const char *sub, int aside, struct cb_err **err)
{
	cleanup_sources struct cb_sources sources = { 0 };
	cleanup_close int dirfd = -EBADF;
	const struct cb_match_spec match = { .tree = tree, .literal = true };
	struct cb_copy_spec spec = { .src = tree,
		.sources = &sources,
		.dest = "/" CB_COVER_LENT,
		.upper = aside,
		.pool = build->scheduler.pools[CB_LANE_CPU],
		.cancel = build->scheduler.cancel };
	/* Nothing has a root directory, too. */
	bool empty = !cb_tree_layers(tree) && (!sub || strcmp(sub, "/") == 0);
	int r = empty ? 0 : cb_sources_add(&sources, &match, sub && *sub ? sub : "/", err);

	if (r < 0)
		return r;
	if (sources.n == 1 && !sources.v[0].is_dir)
		return cb_copy_run(&spec, err);
	if (mkdirat(aside, CB_COVER_LENT, 0755) < 0 ||
		(dirfd = openat(aside, CB_COVER_LENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return cb_err_errno(err, errno, "create a directory in the store");
	if (empty)
		return fchmod(dirfd, 0755) < 0 ? cb_err_errno(err, errno, "set a mode") : 0;
	spec.dest = "/";
	spec.upper = dirfd;
	r = cb_copy_run(&spec, err);
	return r < 0 ? r : copy_top(tree, sources.v[0].path, dirfd, err);
}

/* Without overlay: a copy, whose changes are forgotten. */
static int copy_bind(struct cb_build *build, const struct cb_chain *chain, const struct cb_op_mount *op,
	struct cb_run_mount *mount, struct cb_mount_hold *hold, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	int r = cb_build_tree(build, chain, &tree, err);

	if (r == 0)
		r = cb_snapshot_new(build->store, &hold->throwaway, err);
	if (r == 0)
		r = copy_source(build, tree, op->sub, cb_snapshot_fs(hold->throwaway), err);
	if (r < 0)
		return cb_err_wrap(err, r, "mount %s", op->mount->target);
	hold->fd = openat(cb_snapshot_fs(hold->throwaway), CB_COVER_LENT, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (hold->fd < 0)
		return cb_err_errno(err, errno, "open the copy for %s", op->mount->target);
	mount->kind = CB_RUN_MOUNT_BIND;
	mount->fd = hold->fd;
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
		cleanup_free char *key = cb_cachemount_lock_key(own);
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
	static const char mark[] = CB_CACHEMOUNT_SEEDED;
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

/* Two targets with one cache mount. */
static bool holds_cache(const struct cb_run_mounts *mounts, const char *name)
{
	for (size_t i = 0; i < mounts->n_holds; i++)
		if (mounts->holds[i].cache && strcmp(mounts->holds[i].cache, name) == 0)
			return true;
	return false;
}

/* What is lent cannot be shared: a step has it alone, and is the only one that can know of its changes. */
static int open_cache(struct cb_build *build, const struct cb_op_mount *op, const struct cb_run_mounts *mounts,
	const char *name, struct cb_mount_hold *hold, struct cb_err **err)
{
	const char *title = op->mount->id ? op->mount->id : op->mount->target;

	if (!cb_build_lends(build))
		return cb_cachemount_open(build->store, name, title, &hold->fd, &hold->use, err);
	if (!holds_cache(mounts, name))
		return cb_cachemount_open_alone(
			build->store, name, title, build->scheduler.cancel, &hold->fd, &hold->use, err);
	int r = cb_err_set(err, CB_ERR_UNSUPPORTED, "isolation chroot cannot give one cache mount at two targets (%s)",
		op->mount->target);
	return cb_err_hint(err, r, "see what this host or container allows, and how to get more: cbuild doctor");
}

/* What it is called where snapshots have other names; NULL when that is not known. */
static char *travel_name_of(struct cb_build *build, const struct cb_op_mount *op)
{
	const struct cb_step_result *source = op->source ? op->source->result : NULL;
	cleanup_free char *text = NULL;
	struct cb_digest digest;

	if (!op->sub)
		return cb_xstrdup(op->cache_name);
	if (cb_remotes_chain(build, source ? source->chain : NULL, &digest, NULL) != 0)
		return NULL;
	text = cb_xasprintf("%s\n%s\n%s", op->cache_name, digest.text, op->sub);
	cb_digest_of(text, strlen(text), &digest);
	return cb_xstrndup(cb_digest_hex(&digest), 32);
}

/* Of several of a private mount the @first one travels. */
static int prepare_cache(struct cb_build *build, const struct cb_vertex *vertex, const struct cb_op_mount *op,
	const char *name, bool first, struct cb_err **err)
{
	cleanup_free char *travel = build->cachemounts && first ? travel_name_of(build, op) : NULL;
	const struct cb_cachemount_use use = { .name = name,
		.travel = travel,
		.title = op->mount->id ? op->mount->id : op->mount->target,
		.locked = op->mount->sharing != CB_SHARING_SHARED };

	return travel ? cb_cachemounts_prepare(build->cachemounts, vertex, &use, err) : 0;
}

static int make_cache(struct cb_build *build, const struct cb_vertex *vertex, const struct cb_op_mount *op,
	const struct cb_run_mounts *mounts, struct cb_run_mount *mount, struct cb_mount_hold *hold, struct cb_err **err)
{
	cleanup_free char *shared = name_of(op), *name = NULL;
	int r = 0;

	if (op->mount->sharing == CB_SHARING_PRIVATE) {
		r = lock_private(build, shared, &hold->lock, &name, err);
	} else {
		name = cb_xstrdup(shared);
		if (op->mount->sharing == CB_SHARING_LOCKED && !holds_cache(mounts, name)) {
			cleanup_free char *key = cb_cachemount_lock_key(name);

			r = cb_lock_wait(build->store, key, build->scheduler.cancel, &hold->lock, err);
		}
	}
	if (r == 0)
		r = prepare_cache(build, vertex, op, name, strcmp(name, shared) == 0, err);
	if (r == 0)
		r = open_cache(build, op, mounts, name, hold, err);
	if (r == 0 && op->sub)
		r = seed_cache(build, op, name, hold->fd, err);
	if (r == 0)
		r = own_cache(op->mount, hold->fd, err);
	hold->cache = CB_TAKE_PTR(name);
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

static int make_one(struct cb_build *build, const struct cb_vertex *vertex, const struct cb_op_mount *op,
	unsigned int ssh, const struct cb_run_mounts *mounts, struct cb_mount_hold *hold, struct cb_strv *env,
	struct cb_err **err)
{
	const struct cb_mount *m = op->mount;
	struct cb_run_mount *mount = &hold->mount;

	mount->target = m->target;
	switch (m->type) {
	case CB_MOUNT_BIND:
		return make_bind(build, op, mount, hold, err);
	case CB_MOUNT_CACHE:
		return make_cache(build, vertex, op, mounts, mount, hold, err);
	case CB_MOUNT_TMPFS:
		mount->kind = CB_RUN_MOUNT_TMPFS;
		mount->size = m->has_size ? m->size : 0;
		mount->readonly = m->readonly;
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
		struct cb_mount_hold *hold = &ret->holds[i];
		int r;

		*hold = (struct cb_mount_hold){ .fd = -EBADF, .use = -EBADF, .order = at, .mount = CB_RUN_MOUNT_INIT };
		ret->n_holds++;
		r = make_one(build, vertex, order[i], ssh_number(op, at), ret, hold, env, err);
		if (r < 0) {
			cb_run_mounts_done(ret);
			return r;
		}
		if (r > 0)
			hold->mount.target = NULL;
		ret->v[at] = hold->mount;
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
