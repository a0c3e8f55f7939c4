#include "runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/path.h"
#include "runtime/channel.h"
#include "runtime/entry.h"
#include "runtime/kernel.h"
#include "runtime/runtime_private.h"
#include "runtime/sandbox.h"

static const struct {
	const char *name, *gives;
} ladder[] = {
	[CB_ISOLATION_AUTO] = { "auto", "the first that works" },
	[CB_ISOLATION_ROOT_USERNS] = { "root+userns", "namespaces; who breaks out is nobody" },
	[CB_ISOLATION_ROOT] = { "root", "namespaces; who breaks out is root" },
	[CB_ISOLATION_RANGES] = { "ranges", "namespaces; who breaks out is this user; all owners" },
	[CB_ISOLATION_SINGLE] = { "single", "namespaces; who breaks out is this user; owners are recorded" },
	[CB_ISOLATION_SHARED] = { "shared", "namespaces but for processes, which see those of this container" },
	[CB_ISOLATION_CHROOT] = { "chroot", "another root directory, capabilities and a filter; nothing else" },
};

const char *cb_isolation_name(enum cb_isolation isolation)
{
	return ladder[isolation].name;
}

bool cb_isolation_find(const char *name, enum cb_isolation *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(ladder); i++) {
		if (strcmp(ladder[i].name, name) != 0)
			continue;
		*ret = (enum cb_isolation)i;
		return true;
	}
	return false;
}

const char *cb_isolation_gives(enum cb_isolation isolation)
{
	return ladder[isolation].gives;
}

int cb_report_read(int sock, struct cb_report_head *head, char *text, size_t size, struct cb_err **err)
{
	char msg[CB_REPORT_MAX];
	ssize_t n = cb_channel_recv(sock, msg, sizeof(msg), NULL, NULL);

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 1;
	if (n < 0)
		return cb_err_errno(err, errno, "hear from the container");
	if ((size_t)n < sizeof(*head))
		return cb_err_set(err, CB_ERR_INTERNAL, "short report from the container");
	memcpy(head, msg, sizeof(*head));
	snprintf(text, size, "%.*s", (int)((size_t)n - sizeof(*head)), msg + sizeof(*head));
	return 0;
}

static int ask_for(struct cb_runtime *rt, unsigned int kind, struct cb_err **err)
{
	int fds[CB_CGROUP_HIERARCHIES], r = 0;
	struct cb_sandbox_setup setup = {
		.kind = kind, .groups = fds, .netns = kind & CB_SANDBOX_JOINED ? cb_network_fd(rt->network) : -1
	};

	rt->pending_group = 0;
	if (rt->groups) {
		setup.groups_required = cb_cgroups_required(rt->groups);
		r = cb_cgroups_add(rt->groups, &rt->pending_group, fds, &setup.n_groups, err);
		/* Nobody asked for the default limits. */
		if (r < 0 && !setup.groups_required)
			r = 0;
	}
	if (r == 0)
		r = cb_zygote_request(&rt->zygote, &setup, err);
	for (size_t i = 0; i < setup.n_groups; i++)
		close(fds[i]);
	rt->n_pending += r == 0;
	return r;
}

static int receive(struct cb_runtime *rt, struct cb_sandbox_handle *ret, struct cb_err **err)
{
	rt->n_pending--;
	int r = cb_zygote_receive(&rt->zygote, ret, err);
	if (r == 0)
		ret->group = rt->pending_group;
	return r;
}

/* The first sandbox must be able to mount everything; only then the rung holds. */
static int try_sandbox(struct cb_runtime *rt, struct cb_err **err)
{
	struct cb_sandbox_handle handle;
	struct cb_report_head head = { 0 };
	char text[CB_REPORT_MAX];
	int r;

	r = ask_for(rt, rt->kind, err);
	if (r >= 0)
		r = receive(rt, &handle, err);
	if (r < 0)
		return r;
	r = cb_report_read(handle.sock, &head, text, sizeof(text), err);
	if (r == 0 && head.kind == CB_REPORT_ERROR)
		r = cb_err_errno(err, head.errnum, "%s", text);
	else if (r == 1)
		r = cb_err_set(err, CB_ERR_INTERNAL, "the first container ended at once");
	if (r < 0) {
		cb_sandbox_handle_done(&handle);
		return r;
	}
	rt->idle[rt->n_idle++] = handle;
	return 0;
}

static int try_stub(struct cb_runtime *rt, bool on_disk, struct cb_err **err)
{
	char name[32];

	if (rt->stub >= 0)
		close(rt->stub);
	if (*rt->stub_name)
		cb_overlay_detach(&rt->overlay, rt->stub_name);
	*rt->stub_name = '\0';
	snprintf(name, sizeof(name), "stub-%d", (int)getpid());
	rt->stub_on_disk = on_disk;
	rt->stub = on_disk ? cb_stub_new_on_disk(&rt->overlay, name, err) : cb_stub_new(&rt->overlay, NULL, 0, err);
	if (rt->stub < 0)
		return rt->stub;
	if (on_disk && rt->overlay.userns_fd >= 0) {
		/* With owners that the namespace knows, as the layers. */
		int clone = cb_overlay_clone(&rt->overlay, rt->stub, 0, err);
		if (clone < 0)
			return clone;
		close(rt->stub);
		rt->stub = clone;
		int r = cb_overlay_attach(&rt->overlay, clone, rt->stub_name, err);
		if (r < 0)
			return r;
	}
	cb_closep(&rt->stub_empty);
	/* On disk, the inside of an empty target is as empty as a directory can be. */
	rt->stub_empty = on_disk ? openat(rt->stub, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC)
				 : cb_stub_new_empty(&rt->overlay, err);
	return rt->stub_empty < 0 ? rt->stub_empty : 0;
}

/* One overlay like those to come: two directories of the store's file system below @dir. */
static int try_overlay(struct cb_runtime *rt, int dir, struct cb_err **err)
{
	static const char *const names[] = { "lower", "fs", "work" };
	int fds[3] = { -EBADF, -EBADF, -EBADF }, r = 0;

	for (size_t i = 0; r == 0 && i < 3; i++) {
		fds[i] = mkdirat(dir, names[i], 0755) < 0 && errno != EEXIST
				 ? -1
				 : openat(dir, names[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[i] < 0)
			r = cb_err_errno(err, errno, "create trial directory");
	}
	/* What a try that failed left there has the mark of a volatile overlay, which the kernel does not mount again.
	 */
	if (r == 0)
		r = cb_overlay_clean_work(fds[2], err);
	if (r == 0)
		r = cb_overlay_mount(&rt->overlay, rt->stub, fds, 1, fds[1], fds[2], MOUNT_ATTR_NODEV, err);
	if (r >= 0) {
		close(r);
		r = 0;
	}
	for (size_t i = 0; i < 3; i++)
		cb_closep(&fds[i]);
	return r;
}

static int choose_api(struct cb_runtime *rt, enum cb_overlay_api want, int dir, struct cb_err **err)
{
	int r = -1;

	for (int api = CB_OVERLAY_FDS; api <= CB_OVERLAY_MOUNT; api++) {
		if (want != CB_OVERLAY_AUTO && want != (enum cb_overlay_api)api)
			continue;
		rt->overlay.api = (enum cb_overlay_api)api;
		for (int on_disk = 0; on_disk < 2; on_disk++) {
			rt->overlay.attach = on_disk;
			cleanup_err struct cb_err *why = NULL;
			r = try_stub(rt, on_disk != 0, &why);
			if (r == 0)
				r = try_overlay(rt, dir, &why);
			if (r == 0) {
				rt->info.overlay_api = rt->overlay.api;
				return 0;
			}
			cb_log_debug("overlay api %d: %s", api, cb_err_msg(why));
			/* The first way is the one that should work, so its failure is the one to tell. */
			if (!*err)
				cb_err_move(err, CB_TAKE_PTR(why));
		}
	}
	return r;
}

static int probe_overlay(struct cb_runtime *rt, enum cb_overlay_api want, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "trial-%d", (int)getpid());
	if (mkdirat(rt->overlay.scratch_fd, name, 0700) < 0 && errno != EEXIST)
		return cb_err_errno(err, errno, "create trial directory");
	cleanup_close int dir = openat(rt->overlay.scratch_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return cb_err_errno(err, errno, "open trial directory");
	r = choose_api(rt, want, dir, &why);
	cleanup_close int work = openat(dir, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (work >= 0)
		(void)cb_overlay_clean_work(work, NULL);
	(void)cb_path_remove_tree(rt->overlay.scratch_fd, name, NULL);
	return r < 0 ? cb_err_move(err, CB_TAKE_PTR(why)) : 0;
}

static void undo_rung(struct cb_runtime *rt)
{
	for (size_t i = 0; i < rt->n_idle; i++)
		cb_sandbox_handle_done(&rt->idle[i]);
	rt->n_idle = rt->n_pending = 0;
	cb_zygote_stop(&rt->zygote);
	cb_closep(&rt->stub);
	cb_closep(&rt->stub_empty);
	rt->stub = rt->stub_empty = -EBADF;
	if (*rt->stub_name)
		cb_overlay_detach(&rt->overlay, rt->stub_name);
	*rt->stub_name = '\0';
	if (rt->stub_on_disk) {
		char name[32];
		snprintf(name, sizeof(name), "stub-%d", (int)getpid());
		(void)cb_path_remove_tree(rt->overlay.scratch_fd, name, NULL);
		rt->stub_on_disk = false;
	}
}

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

/* Without overlay, a root is a directory of the store, mounted where it is needed. */
static int probe_bind(struct cb_runtime *rt, struct cb_err **err)
{
	cleanup_close int clone = cb_overlay_clone(&rt->overlay, rt->overlay.scratch_fd, MOUNT_ATTR_NODEV, err);

	return clone < 0 ? clone : 0;
}

static int try_rung(struct cb_runtime *rt, enum cb_isolation isolation, enum cb_overlay_api api, struct cb_err **err)
{
	bool userns = isolation == CB_ISOLATION_ROOT_USERNS;
	enum cb_zygote_mode mode = CB_ZYGOTE_OWN;
	int r;

	rt->kind = cb_owner_recorded() ? CB_SANDBOX_RECORDED : 0;
	if (userns)
		mode = CB_ZYGOTE_USERNS;
	if (isolation == CB_ISOLATION_SHARED) {
		mode = CB_ZYGOTE_SHARED;
		rt->kind |= CB_SANDBOX_SHARED;
	} else if (isolation == CB_ISOLATION_CHROOT) {
		mode = CB_ZYGOTE_CHROOT;
		rt->kind |= CB_SANDBOX_CHROOT;
	}
	r = cb_zygote_start(rt->seed.pid > 0 ? &rt->seed : NULL, mode, &rt->zygote, err);
	if (r < 0)
		return r;
	rt->overlay.userns_fd = userns ? rt->zygote.userns_fd : -1;
	rt->overlay.root_id = CB_USERNS_ROOT_ID;
	if (isolation != CB_ISOLATION_CHROOT)
		r = rt->info.storage == CB_STORAGE_COPY ? probe_bind(rt, err) : probe_overlay(rt, api, err);
	if (r == 0)
		r = try_sandbox(rt, err);
	if (r < 0)
		undo_rung(rt);
	return r;
}

/* What this process cannot be any more, since cb_runtime_enter decided who we are. */
static const char *ruled_out(const struct cb_runtime *rt, enum cb_isolation isolation)
{
	const struct cb_entry *entry = cb_entry_get();

	if (isolation == CB_ISOLATION_CHROOT && rt->info.storage == CB_STORAGE_OVERLAY)
		return "nothing can be mounted there, overlay neither";
	if (isolation == entry->isolation || isolation == CB_ISOLATION_CHROOT)
		return NULL;
	if (entry->isolation == CB_ISOLATION_CHROOT)
		return entry->ranges_reason;
	if (isolation == CB_ISOLATION_SHARED)
		return NULL;
	if (isolation == CB_ISOLATION_ROOT_USERNS && entry->isolation == CB_ISOLATION_ROOT)
		return rt->overlay.trusted ? NULL : "root of a user namespace cannot map owners of layers once more";
	if (entry->isolation == CB_ISOLATION_ROOT)
		return "not needed: started as root";
	if (isolation == CB_ISOLATION_RANGES)
		return entry->ranges_reason;
	if (isolation == CB_ISOLATION_SINGLE)
		return "not needed: there are id ranges";
	return "not started as root with CAP_SYS_ADMIN";
}

/* Not of what was asked for, nor of a full disk. */
static bool is_of_host(enum cb_code code)
{
	return code == CB_ERR_IO || code == CB_ERR_DENIED || code == CB_ERR_NOT_FOUND || code == CB_ERR_UNSUPPORTED;
}

/* One rung: its outcome goes to @rung, the first failure of a real trial to @first. */
static void consider(struct cb_runtime *rt, const struct cb_runtime_options *options, struct cb_runtime_rung *rung,
	struct cb_err **first)
{
	const char *out = ruled_out(rt, rung->isolation);
	cleanup_err struct cb_err *why = NULL;

	if (rt->info.isolation != CB_ISOLATION_AUTO)
		out = "not tried: a better one works";
	else if (!out && options->isolation != CB_ISOLATION_AUTO && options->isolation != rung->isolation)
		out = "not tried: another one was asked for";
	if (out) {
		rung->errnum = rung->isolation == CB_ISOLATION_RANGES ? cb_entry_get()->ranges_errnum : 0;
		rung->reason = cb_xstrdup(out);
		return;
	}
	int r = try_rung(rt, rung->isolation, options->overlay_api, &why);
	rung->tried = true;
	rung->works = rung->chosen = r == 0;
	rung->errnum = why ? why->errnum : 0;
	rung->reason = cb_xstrdup(why ? cb_err_msg(why) : "");
	if (r == 0)
		rt->info.isolation = rung->isolation;
	else if (why && (!*first || (is_of_host((*first)->code) && !is_of_host(why->code)))) {
		/* A wrong option would fail on every rung: it is the one to tell, whatever else does. */
		cb_err_free(*first);
		*first = CB_TAKE_PTR(why);
	}
}

/* Of each that was tried: the best one's failure may have been expected. */
static int none_works(const struct cb_runtime *rt, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };

	for (size_t i = 0; i < CB_RUNTIME_RUNGS; i++) {
		const struct cb_runtime_rung *rung = &rt->info.rungs[i];
		if (rung->tried)
			cb_buf_addf(&text, "%s%s: %s", text.len ? "; " : "", cb_isolation_name(rung->isolation),
				rung->reason);
	}
	int r = cb_err_set(err, CB_ERR_UNSUPPORTED, "containers cannot be made here: %s", cb_buf_str(&text));
	return cb_err_hint(err, r, "see what this host or container allows, and how to get more: cbuild doctor");
}

static int choose_rung(struct cb_runtime *rt, const struct cb_runtime_options *options, struct cb_err **err)
{
	cleanup_err struct cb_err *first = NULL;

	/* Less isolation with overlay is better than more of it with a copy of all layers for every step. */
	rt->info.storage = options->overlay_api == CB_OVERLAY_NONE ? CB_STORAGE_COPY : CB_STORAGE_OVERLAY;
	for (; rt->info.isolation == CB_ISOLATION_AUTO && rt->info.storage <= CB_STORAGE_COPY; rt->info.storage++) {
		for (size_t i = 0; i < CB_RUNTIME_RUNGS; i++) {
			struct cb_runtime_rung *rung = &rt->info.rungs[i];
			free(rung->reason);
			*rung = (struct cb_runtime_rung){ .isolation =
								  CB_ISOLATION_ROOT_USERNS + (enum cb_isolation)i };
			consider(rt, options, rung, &first);
		}
		if (rt->info.isolation != CB_ISOLATION_AUTO)
			break;
	}
	if (rt->info.isolation != CB_ISOLATION_AUTO) {
		rt->overlay_reason = first ? cb_xstrdup(cb_err_msg(first)) : NULL;
		return 0;
	}
	if (first && is_of_host(first->code))
		return none_works(rt, err);
	if (first)
		return cb_err_wrap(err, cb_err_move(err, CB_TAKE_PTR(first)), "containers cannot be made here");
	return cb_err_set(err, CB_ERR_UNSUPPORTED, "isolation %s: %s", cb_isolation_name(options->isolation),
		rt->info.rungs[options->isolation - CB_ISOLATION_ROOT_USERNS].reason);
}

static void add_warnings(struct cb_runtime *rt)
{
	if (rt->info.isolation == CB_ISOLATION_SINGLE)
		cb_strv_addf(&rt->info.warnings,
			"steps have one user id only (%s): owners are recorded, not set; add ranges to /etc/subuid and "
			"/etc/subgid for more",
			cb_entry_get()->ranges_reason);
	else if (rt->info.isolation == CB_ISOLATION_ROOT && rt->overlay.trusted && *rt->info.rungs[0].reason &&
		 rt->info.rungs[0].errnum)
		cb_strv_addf(&rt->info.warnings, "steps run as real root, without a user namespace: %s",
			rt->info.rungs[0].reason);
	const char *fix =
		"for more: docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined, or "
		"a privileged container";
	if (rt->info.isolation == CB_ISOLATION_SHARED)
		cb_strv_addf(&rt->info.warnings, "isolation shared (%s): steps see the processes of this container; %s",
			rt->overlay_reason ? rt->overlay_reason : "asked for", fix);
	if (rt->info.isolation == CB_ISOLATION_CHROOT)
		cb_strv_addf(&rt->info.warnings,
			"isolation chroot (%s): steps share the processes and the network of this container, and have no "
			"/proc; %s",
			*cb_entry_get()->ranges_reason ? cb_entry_get()->ranges_reason : "asked for", fix);
	else if (rt->info.storage == CB_STORAGE_COPY)
		cb_strv_addf(&rt->info.warnings,
			"overlay cannot be used here (%s): the files below a step are copied for it; a store on ext4, xfs or "
			"btrfs (in a container: on a volume) is faster",
			rt->overlay_reason ? rt->overlay_reason : "not asked for");
}

static int make_ready(struct cb_runtime *rt, struct cb_err **err)
{
	int r = 0;

	rt->oom_kills = cb_cgroup_own_oom_kills();
	if (!rt->groups)
		r = cb_cgroups_open(&rt->options.limits, &rt->groups, err);
	if (r == 0)
		r = choose_rung(rt, &rt->options, err);
	if (r < 0)
		return r;
	add_warnings(rt);
	cb_zygote_seed_stop(&rt->seed);
	rt->ready = true;
	return 0;
}

int cb_runtime_open(const struct cb_runtime_options *options, struct cb_runtime **ret, struct cb_err **err)
{
	struct cb_runtime *rt;
	int r;

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
	r = options->lazy ? cb_zygote_seed_start(&rt->seed, err) : make_ready(rt, err);
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
	undo_rung(rt);
	cb_zygote_seed_stop(&rt->seed);
	cb_network_stop(rt->network);
	cb_emulations_free(rt->emulations);
	free(rt->network_reason);
	cb_cgroups_close(rt->groups);
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

static bool take_idle(struct cb_runtime *rt, unsigned int kind, struct cb_sandbox_handle *ret)
{
	for (size_t i = 0; i < rt->n_idle; i++) {
		if (rt->idle[i].kind != kind)
			continue;
		*ret = rt->idle[i];
		rt->idle[i] = rt->idle[--rt->n_idle];
		return true;
	}
	return false;
}

static int receive_one(struct cb_runtime *rt, struct cb_err **err)
{
	struct cb_sandbox_handle handle;

	int r = receive(rt, &handle, err);
	if (r < 0)
		return r;
	if (rt->n_idle == CB_IDLE_MAX)
		cb_sandbox_handle_done(&rt->idle[--rt->n_idle]);
	rt->idle[rt->n_idle++] = handle;
	return 0;
}

static int take_locked(struct cb_runtime *rt, unsigned int kind, struct cb_sandbox_handle *ret, struct cb_err **err)
{
	int r = 0;

	while (r == 0 && !take_idle(rt, kind, ret)) {
		if (!rt->n_pending)
			r = ask_for(rt, kind, err);
		if (r == 0)
			r = receive_one(rt, err);
	}
	return r;
}

void cb_runtime_prepare_next(struct cb_runtime *runtime, unsigned int kind)
{
	pthread_mutex_lock(&runtime->lock);
	/* A failure shows when the sandbox is wanted. */
	if (!runtime->no_prepare && !runtime->n_pending && runtime->n_idle < CB_IDLE_MAX)
		(void)ask_for(runtime, kind, NULL);
	pthread_mutex_unlock(&runtime->lock);
}

int cb_runtime_take_sandbox(
	struct cb_runtime *runtime, unsigned int kind, struct cb_sandbox_handle *ret, struct cb_err **err)
{
	pthread_mutex_lock(&runtime->lock);
	int r = take_locked(runtime, kind, ret, err);
	pthread_mutex_unlock(&runtime->lock);
	return r;
}
