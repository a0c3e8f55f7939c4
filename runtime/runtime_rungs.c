/* Which isolation: the rungs of a ladder, from the best down, each with a real trial. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "runtime/entry.h"
#include "runtime/mapped.h"
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

/* The first sandbox must be able to mount everything; only then the rung holds. */
static int try_sandbox(struct cb_runtime *rt, struct cb_err **err)
{
	struct cb_sandbox_handle handle;
	struct cb_report_head head = { 0 };
	char text[CB_REPORT_MAX];
	int r;

	r = cb_runtime_ask_sandbox(rt, rt->kind, err);
	if (r >= 0)
		r = cb_runtime_receive_sandbox(rt, &handle, err);
	if (r < 0)
		return r;
	r = cb_report_read(handle.sock, &head, text, sizeof(text), NULL, err);
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

void cb_runtime_undo_rung(struct cb_runtime *rt)
{
	for (size_t i = 0; i < rt->n_idle; i++)
		cb_sandbox_handle_done(&rt->idle[i]);
	rt->n_idle = rt->n_pending = 0;
	cb_zygote_stop(&rt->zygote);
	rt->overlay.mapped = cb_mapped_free(rt->overlay.mapped, &rt->overlay);
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
	/* Where the kernel makes no device nodes for steps, we do, or say at least that they were wanted: run.c. */
	if (!(rt->kind & (CB_SANDBOX_RECORDED | CB_SANDBOX_CHROOT)) && (userns || !rt->overlay.trusted))
		rt->kind |= CB_SANDBOX_ASKING;
	r = cb_zygote_start(rt->seed.pid > 0 ? &rt->seed : NULL, mode, &rt->zygote, err);
	if (r < 0)
		return r;
	rt->overlay.userns_fd = userns ? rt->zygote.userns_fd : -1;
	rt->overlay.root_id = CB_USERNS_ROOT_ID;
	if (isolation != CB_ISOLATION_CHROOT)
		r = rt->info.storage == CB_STORAGE_COPY ? cb_runtime_probe_bind(rt, err)
							: cb_runtime_probe_overlay(rt, api, err);
	if (r == 0)
		r = try_sandbox(rt, err);
	if (r < 0)
		cb_runtime_undo_rung(rt);
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

int cb_runtime_choose_rung(struct cb_runtime *rt, struct cb_err **err)
{
	int r = choose_rung(rt, &rt->options, err);

	if (r == 0)
		add_warnings(rt);
	return r;
}
