/* The life of a runtime. */
#include "runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "runtime/entry.h"
#include "runtime/runtime_private.h"

static void trash_name(char out[static 32])
{
	snprintf(out, 32, "trash-%d", (int)getpid());
}

static int open_trash(struct cb_runtime *rt)
{
	char name[32];

	trash_name(name);
	if (rt->trash < 0 && (mkdirat(rt->overlay.scratch_fd, name, 0700) == 0 || errno == EEXIST))
		rt->trash = openat(rt->overlay.scratch_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return rt->trash;
}

void cb_runtime_discard_work(struct cb_runtime *runtime, int work)
{
	cleanup_err struct cb_err *err = NULL;
	char name[16];
	int r = -1;

	pthread_mutex_lock(&runtime->lock);
	snprintf(name, sizeof(name), "%u", runtime->n_trash++);
	int trash = open_trash(runtime);
	pthread_mutex_unlock(&runtime->lock);
	if (trash >= 0)
		r = renameat(work, "work", trash, name);
	if (r < 0 && cb_overlay_clean_work(work, &err) < 0)
		cb_log_debug("%s", cb_err_msg(err));
}

/* The kernel's work directories have mode 000, which stops a walker without capabilities. */
static void empty_trash(struct cb_runtime *rt)
{
	cleanup_err struct cb_err *err = NULL;
	char name[32];

	if (rt->trash < 0)
		return;
	for (unsigned int i = 0; i < rt->n_trash; i++) {
		snprintf(name, sizeof(name), "%u", i);
		(void)!fchmodat(rt->trash, name, 0700, 0);
	}
	cb_closep(&rt->trash);
	trash_name(name);
	if (cb_path_remove_tree(rt->overlay.scratch_fd, name, &err) < 0)
		cb_log_debug("%s", cb_err_msg(err));
}

static int make_ready(struct cb_runtime *rt, struct cb_err **err)
{
	int r = 0;

	rt->oom_kills = cb_cgroup_own_oom_kills();
	if (!rt->groups) {
		rt->heir.seed = rt->seed.pid > 0 ? &rt->seed : NULL;
		r = cb_cgroups_open(&rt->options.limits, &rt->heir, &rt->groups, err);
	}
	if (r == 0)
		r = cb_runtime_choose_rung(rt, err);
	if (r < 0)
		return r;
	if (rt->info.isolation != CB_ISOLATION_ROOT_USERNS)
		cb_zygote_seed_stop(&rt->seed);
	rt->ready = true;
	return 0;
}

int cb_runtime_open(const struct cb_runtime_options *options, struct cb_runtime **ret, struct cb_err **err)
{
	struct cb_runtime *rt;
	int r = 0;

	if (!cb_entry_get()->entered)
		return cb_err_set(err, CB_ERR_INTERNAL, "cb_runtime_enter was not called");
	rt = cb_new0(struct cb_runtime);
	rt->overlay = (struct cb_overlay_env){ .userns_fd = -1, .scratch_fd = options->scratch_fd };
	rt->overlay.trusted = rt->info.trusted_xattrs = cb_runtime_trusted_xattrs();
	rt->stub = rt->stub_empty = rt->trash = -EBADF;
	rt->zygote = (struct cb_zygote){ .sock = -EBADF, .userns_fd = -EBADF };
	rt->no_prepare = options->no_prepare;
	pthread_mutex_init(&rt->lock, NULL);
	pthread_mutex_init(&rt->network_lock, NULL);
	rt->emulations = cb_emulations_new();
	pthread_mutex_init(&rt->ready_lock, NULL);
	rt->options = *options;
	rt->memory_limit = options->limits.memory;
	/* Real root's may be needed to make devices. */
	if (options->lazy || rt->overlay.trusted)
		r = cb_zygote_seed_start(&rt->seed, err);
	if (r == 0 && !options->lazy)
		r = make_ready(rt, err);
	if (r < 0) {
		cb_runtime_close(rt);
		return r;
	}
	*ret = rt;
	return 0;
}

int cb_runtime_ready(struct cb_runtime *runtime, struct cb_err **err)
{
	int r = 0;

	pthread_mutex_lock(&runtime->ready_lock);
	if (!runtime->ready) {
		r = make_ready(runtime, err);
		r = r < 0 ? r : 1;
	}
	pthread_mutex_unlock(&runtime->ready_lock);
	return r;
}

struct cb_runtime *cb_runtime_close(struct cb_runtime *rt)
{
	if (!rt)
		return NULL;
	cb_runtime_undo_rung(rt);
	cb_zygote_seed_stop(&rt->seed);
	cb_network_stop(rt->network);
	cb_emulations_free(rt->emulations);
	free(rt->network_reason);
	cb_cgroups_close(rt->groups);
	cb_cgroup_heir_stop(&rt->heir);
	empty_trash(rt);
	for (size_t i = 0; i < CB_RUNTIME_RUNGS; i++)
		free(rt->info.rungs[i].reason);
	cb_strv_done(&rt->info.warnings);
	free(rt->overlay_reason);
	pthread_mutex_destroy(&rt->lock);
	pthread_mutex_destroy(&rt->network_lock);
	pthread_mutex_destroy(&rt->ready_lock);
	free(rt);
	return NULL;
}

const struct cb_runtime_info *cb_runtime_info(const struct cb_runtime *runtime)
{
	return &runtime->info;
}
