/* RUN: one process in a container on the stage's file system, with the new snapshot taking the writes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "builder/build.h"
#include "builder/hostaddress.h"
#include "builder/redact.h"
#include "builder/step_mounts.h"
#include "builder/step_trust.h"
#include "layers/dest.h"
#include "layers/plainroot.h"
#include "runtime/emulate.h"
#include "runtime/user.h"

/* How long a canceled command may take to end by itself. */
#define GRACE_MS 300
#define READ_MAX (32 << 10)
/* How long a finished line may wait because its end may be the beginning of a secret. */
#define HELD_MS 200

struct run {
	struct cb_build *build;
	struct cb_vertex *vertex;
	const struct cb_op_run *op;
	struct cb_tree *tree;
	struct cb_snapshot *plain_dir; /* without overlay: where the layers were copied to */
	struct cb_plainroot *plain;
	int *layers;
	struct cb_user user;
	struct cb_strv env;
	struct cb_run_mounts mounts;
	struct cb_trust *trust;
	struct cb_extra_host *hosts;
	struct cb_strv host_texts;
	char *gateway; /* what host-gateway stands for, or NULL */
	struct cb_ulimit *ulimits;
	struct cb_redactor redactors[2]; /* of standard output and error */
};

static void run_done(struct run *run)
{
	cb_plainroot_free(run->plain);
	cb_snapshot_free(run->plain_dir);
	cb_run_mounts_done(&run->mounts);
	cb_trust_free(run->trust);
	cb_tree_free(run->tree);
	free(run->layers);
	cb_user_done(&run->user);
	cb_strv_done(&run->env);
	cb_strv_done(&run->host_texts);
	free(run->gateway);
	free(run->hosts);
	free(run->ulimits);
	cb_redactor_done(&run->redactors[0]);
	cb_redactor_done(&run->redactors[1]);
}

/* ---- preparing ------------------------------------------------------------------------------------------------ */

static int find_user(struct run *run, struct cb_err **err)
{
	cleanup_buf struct cb_buf passwd = { 0 }, group = { 0 };
	int r = cb_tree_read_file(run->tree, "/etc/passwd", CB_USER_FILE_MAX, &passwd, err);

	if (r >= 0)
		r = cb_tree_read_file(run->tree, "/etc/group", CB_USER_FILE_MAX, &group, err);
	if (r < 0)
		return r;
	r = cb_user_resolve(run->op->user, passwd.data, passwd.len, group.data, group.len, &run->user, err);
	if (r < 0)
		cb_err_hint(err, r, "USER names who runs this: create it before, or use numbers");
	return r;
}

static void make_env(struct run *run)
{
	const struct cb_op_run *op = run->op;

	for (size_t i = 0; i < op->env.n; i++)
		cb_strv_add(&run->env, op->env.v[i]);
	for (size_t i = 0; i < op->proxies.n; i++)
		cb_strv_add(&run->env, op->proxies.v[i]);
	if (!cb_env_get(&run->env, "HOME"))
		cb_env_set(&run->env, "HOME", run->user.home);
}

static int make_hosts(struct run *run, struct cb_run_spec *spec, struct cb_err **err)
{
	const struct cb_strv *hosts = &run->build->settings->add_hosts;
	int r = 0;

	run->hosts = cb_xcalloc(hosts->n + 1, sizeof(*run->hosts));
	for (size_t i = 0; i < hosts->n; i++) {
		size_t len = strcspn(hosts->v[i], "=");

		cb_strv_addn(&run->host_texts, hosts->v[i], len);
		run->hosts[i].name = run->host_texts.v[run->host_texts.n - 1];
		run->hosts[i].address = hosts->v[i][len] ? hosts->v[i] + len + 1 : "";
		if (strcmp(run->hosts[i].address, CB_HOST_GATEWAY) != 0)
			continue;
		if (!run->gateway)
			r = cb_host_address(&run->gateway, err);
		if (r < 0)
			return r;
		run->hosts[i].address = run->gateway;
	}
	spec->extra_hosts = run->hosts;
	spec->n_extra_hosts = hosts->n;
	return 0;
}

static int make_ulimits(struct run *run, struct cb_run_spec *spec, struct cb_err **err)
{
	static const struct {
		const char *name;
		int resource;
	} table[] = {
		{ "core", RLIMIT_CORE },
		{ "cpu", RLIMIT_CPU },
		{ "data", RLIMIT_DATA },
		{ "fsize", RLIMIT_FSIZE },
		{ "locks", RLIMIT_LOCKS },
		{ "memlock", RLIMIT_MEMLOCK },
		{ "msgqueue", RLIMIT_MSGQUEUE },
		{ "nice", RLIMIT_NICE },
		{ "nofile", RLIMIT_NOFILE },
		{ "nproc", RLIMIT_NPROC },
		{ "rss", RLIMIT_RSS },
		{ "rtprio", RLIMIT_RTPRIO },
		{ "rttime", RLIMIT_RTTIME },
		{ "sigpending", RLIMIT_SIGPENDING },
		{ "stack", RLIMIT_STACK },
	};
	const struct cb_settings *settings = run->build->settings;

	run->ulimits = cb_xcalloc(settings->n_ulimits + 1, sizeof(*run->ulimits));
	for (size_t i = 0; i < settings->n_ulimits; i++) {
		const struct cb_ulimit_spec *limit = &settings->ulimits[i];
		size_t k = 0;

		while (k < ARRAY_SIZE(table) && strcmp(table[k].name, limit->name) != 0)
			k++;
		if (k == ARRAY_SIZE(table))
			return cb_err_set(err, CB_ERR_USAGE, "--ulimit: no limit is called \"%s\"", limit->name);
		run->ulimits[i] = (struct cb_ulimit){
			.resource = table[k].resource, .soft = (uint64_t)limit->soft, .hard = (uint64_t)limit->hard
		};
		snprintf(run->ulimits[i].name, sizeof(run->ulimits[i].name), "%s", limit->name);
	}
	spec->ulimits = run->ulimits;
	spec->n_ulimits = settings->n_ulimits;
	return 0;
}

static enum cb_run_network network_of(enum cb_network network)
{
	switch (network) {
	case CB_NETWORK_NONE:
		return CB_RUN_NETWORK_NONE;
	case CB_NETWORK_HOST:
		return CB_RUN_NETWORK_HOST;
	case CB_NETWORK_DEFAULT:
		break;
	}
	return CB_RUN_NETWORK_DEFAULT;
}

static const char *const *given(const struct cb_strv *list)
{
	return list->n ? (const char *const *)list->v : NULL;
}

static int copy_root(struct run *run, struct cb_run_spec *spec, struct cb_err **err)
{
	struct cb_build *build = run->build;
	int r = cb_snapshot_new(build->store, &run->plain_dir, err);

	if (r == 0)
		r = cb_plainroot_new(run->tree, cb_snapshot_fs(run->plain_dir), true,
			build->scheduler.pools[CB_LANE_CPU], build->scheduler.cancel, &run->plain, err);
	if (r == 0)
		r = cb_plainroot_mark(run->plain, err);
	spec->plain = true;
	spec->upper_fd = r < 0 ? -1 : cb_snapshot_fs(run->plain_dir);
	return r;
}

static int make_root(struct run *run, const struct cb_chain *chain, struct cb_snapshot *snapshot,
	struct cb_run_spec *spec, struct cb_err **err)
{
	if (cb_runtime_info(run->build->runtime)->storage == CB_STORAGE_COPY)
		return copy_root(run, spec, err);
	spec->layers = run->layers;
	spec->n_layers = cb_chain_depth(chain);
	spec->upper_fd = cb_snapshot_fs(snapshot);
	spec->work_fd = cb_snapshot_work(snapshot, err);
	return spec->work_fd < 0 ? spec->work_fd : 0;
}

/* A root that is no overlay has no upper to put the certificates in: the variables have to do there. */
static int add_trust(struct run *run, int upper, struct cb_err **err)
{
	struct cb_run_mount mount;
	int r = cb_trust_begin(
		run->tree, &run->build->trust, run->plain ? -1 : upper, &run->env, &mount, &run->trust, err);

	if (r < 0)
		return r;
	run->mounts.v = cb_xreallocarray(run->mounts.v, run->mounts.n + 1, sizeof(*run->mounts.v));
	run->mounts.v[run->mounts.n++] = mount;
	return 0;
}

static int prepare(struct run *run, struct cb_snapshot *snapshot, struct cb_run_spec *spec, struct cb_err **err)
{
	const struct cb_op_run *op = run->op;
	const struct cb_vertex *parent = cb_vertex_parent(run->vertex);
	const struct cb_chain *chain = parent ? ((const struct cb_step_result *)parent->result)->chain : NULL;
	const struct cb_settings *settings = run->build->settings;
	const struct cb_strv *args = &settings->build_args;
	int r = cb_build_fds(run->build, chain, &run->layers, err);

	if (r == 0)
		r = cb_build_tree(run->build, chain, &run->tree, err);
	if (r == 0)
		r = cb_dest_init_root(run->tree, cb_snapshot_fs(snapshot), err);
	if (r == 0)
		r = find_user(run, err);
	if (r < 0)
		return r;
	r = make_root(run, chain, snapshot, spec, err);
	if (r < 0)
		return r;
	make_env(run);
	r = cb_run_mounts_make(run->build, run->vertex, &run->mounts, &run->env, err);
	if (r < 0)
		return r;
	if (cb_build_lends(run->build))
		r = cb_run_mounts_lend(run->build, run->vertex, &run->mounts, spec->upper_fd, err);
	if (r == 0 && run->build->trust.len)
		r = add_trust(run, cb_snapshot_fs(snapshot), err);
	if (r < 0)
		return r;
	spec->mounts = run->mounts.v;
	spec->n_mounts = run->mounts.n;
	spec->argv = op->argv.v;
	spec->env = (const char *const *)run->env.v;
	spec->cwd = op->cwd;
	spec->uid = run->user.uid;
	spec->gid = run->user.gid;
	spec->groups = run->user.groups;
	spec->n_groups = run->user.n_groups;
	spec->hostname = settings->hostname ? settings->hostname : cb_env_get(args, "BUILDKIT_SANDBOX_HOSTNAME");
	spec->dns = given(&settings->dns);
	spec->dns_search = given(&settings->dns_search);
	spec->dns_options = given(&settings->dns_options);
	spec->network = network_of(op->network);
	spec->insecure = op->security == CB_SECURITY_INSECURE;
	spec->filter = run->build->filter.data;
	spec->filter_len = run->build->filter.len;
	spec->unfiltered = settings->security.seccomp_unconfined;
	spec->no_new_privs = settings->security.no_new_privs;
	spec->shm_size = settings->shm_size;
	r = make_hosts(run, spec, err);
	return r < 0 ? r : make_ulimits(run, spec, err);
}

/* ---- running -------------------------------------------------------------------------------------------------- */

/* Shows what @stream held back, because nothing followed. */
static void flush(struct run *run, int stream)
{
	cleanup_buf struct cb_buf text = { 0 };

	cb_redactor_flush(&run->redactors[stream - 1], &text);
	if (text.len)
		cb_build_log(run->build, run->vertex, stream, text.data, text.len);
}

/* Passes on what is there; false at the end. */
static bool forward(struct run *run, int fd, int stream)
{
	cleanup_buf struct cb_buf text = { 0 };
	char data[READ_MAX];
	ssize_t n;

	do
		n = read(fd, data, sizeof(data));
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		flush(run, stream);
		return false;
	}
	if (cb_needles_empty(run->build->shown_needles)) {
		cb_build_log(run->build, run->vertex, stream, data, (size_t)n);
		return true;
	}
	cb_redactor_add(&run->redactors[stream - 1], data, (size_t)n, &text);
	if (text.len)
		cb_build_log(run->build, run->vertex, stream, text.data, text.len);
	return true;
}

/* Until both ends are closed, which they are when every process of the step is gone. */
static void pump(struct run *run, struct cb_run *running, int out, int errout, uint64_t deadline)
{
	struct pollfd fds[3 + CB_RUN_FDS] = {
		{ .fd = out, .events = POLLIN },
		{ .fd = errout, .events = POLLIN },
		{ .fd = cb_cancel_fd(run->build->scheduler.cancel), .events = POLLIN },
	};

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		bool held = cb_redactor_holds_line(&run->redactors[0]) || cb_redactor_holds_line(&run->redactors[1]);
		int left = cb_time_left_ms(deadline);
		cb_runtime_watch(running, fds + 3);
		int n = poll(fds, ARRAY_SIZE(fds), held && (left < 0 || left > HELD_MS) ? HELD_MS : left);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			cb_runtime_attend(running, fds + 3);
		for (int stream = 1; n == 0 && stream <= 2; stream++)
			if (cb_redactor_holds_line(&run->redactors[stream - 1]))
				flush(run, stream);
		if (deadline && cb_time_mono() >= deadline) {
			deadline = 0;
			cb_runtime_expire(running, GRACE_MS);
		}
		for (int i = 0; i < 2; i++)
			if (fds[i].fd >= 0 && fds[i].revents && !forward(run, fds[i].fd, i + 1))
				fds[i].fd = -1;
		if (fds[2].fd >= 0 && fds[2].revents) {
			fds[2].fd = -1;
			cb_runtime_kill(running, GRACE_MS);
		}
	}
}

static int timed_out(const struct run *run, struct cb_err **err)
{
	cleanup_buf struct cb_buf time = { 0 };

	cb_num_format_duration(&time, run->build->settings->step_timeout);
	return cb_err_set(err, CB_ERR_TIMEOUT, "process %s was ended: it took longer than --step-timeout %s",
		run->op->shown, cb_buf_str(&time));
}

static int out_of_memory(const struct run *run, const struct cb_run_result *result, struct cb_err **err)
{
	cleanup_buf struct cb_buf peak = { 0 }, limit = { 0 };

	/* Without a group of its own, the largest process is what is known. */
	cb_num_format_size(&peak, result->peak_memory ? result->peak_memory : result->max_rss);
	cb_num_format_size(&limit, result->oom_limit);
	if (result->oom_limit) {
		cb_err_set(err, CB_ERR_STEP,
			"process %s ran out of memory: cannot allocate memory: killed at its limit of %s (peak %s), exit "
			"code: %d",
			run->op->shown, cb_buf_str(&limit), cb_buf_str(&peak), result->status);
		return cb_err_hint(err, CB_ERR_STEP, "give it more with --memory, or let it do less at the same time");
	}
	cb_err_set(err, CB_ERR_STEP,
		"process %s ran out of memory: cannot allocate memory: this host or the container around cbuild has no "
		"more (peak %s), exit code: %d",
		run->op->shown, cb_buf_str(&peak), result->status);
	return cb_err_hint(
		err, CB_ERR_STEP, "build with fewer steps at the same time (--jobs), or where there is more");
}

static void note_limits(const struct run *run, const struct cb_run_result *result)
{
	cleanup_free char *pids = NULL;

	for (size_t i = 0; i < result->warnings.n; i++)
		cb_build_note(run->build, run->vertex, result->warnings.v[i]);
	if (result->oom && result->status == 0)
		cb_build_note(run->build, run->vertex,
			"the memory limit ended processes of this step, which went on without them");
	if (!result->pids_refused)
		return;
	pids = cb_xasprintf("the step reached its limit of processes, which refused %llu of them; see --pids-limit",
		(unsigned long long)result->pids_refused);
	cb_build_note(run->build, run->vertex, pids);
}

/* Most likely nothing of it could be executed at all. */
static int hint_foreign(const struct run *run, const char *why, struct cb_err **err)
{
	cleanup_free char *program = cb_emulation_program(run->op->arch);

	return cb_err_hint(err, CB_ERR_STEP,
		"the step is for %s, whose programs do not run here (%s): install %s (Debian: apt-get install "
		"qemu-user-static, and binfmt-support to register it for the host); cbuild doctor tells more",
		run->op->arch, why, program ? program : "an emulator");
}

/* It may have failed for want of one. */
static int hint_devices(const struct run *run, struct cb_err **err)
{
	return cb_err_hint(err, CB_ERR_STEP,
		"it wanted to make a device node, which isolation %s cannot: the kernel makes none in a user namespace; "
		"root+userns, root and single can (docs/isolation.md)",
		cb_isolation_name(cb_runtime_info(run->build->runtime)->isolation));
}

static int outcome(const struct run *run, const struct cb_run_result *result, const char *foreign, struct cb_err **err)
{
	note_limits(run, result);
	if (result->timed_out)
		return timed_out(run, err);
	if (result->killed)
		return cb_err_set(err, CB_ERR_CANCELED, "canceled");
	if (result->oom && result->status != 0)
		return out_of_memory(run, result, err);
	if (result->status == 0)
		return 0;
	cb_err_set(err, CB_ERR_STEP, "process %s did not complete successfully: exit code: %d", run->op->shown,
		result->status);
	if (foreign)
		return hint_foreign(run, foreign, err);
	return result->devices_refused ? hint_devices(run, err) : CB_ERR_STEP;
}

/* Why programs of the step's architecture do not run here; NULL when they do. */
static const char *foreign(const struct run *run)
{
	struct cb_platform host;
	const char *why;

	cb_platform_host(&host);
	if (cb_str_eq(run->op->arch, host.arch) ||
		cb_runtime_emulate(run->build->runtime, run->op->arch, &why) != CB_EMULATION_NONE)
		return NULL;
	return why;
}

int cb_step_run(struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot, struct cb_err **err)
{
	__attribute__((cleanup(run_done))) struct run run = { .build = build, .vertex = vertex, .op = vertex->op };
	__attribute__((cleanup(cb_run_result_done))) struct cb_run_result result = { 0 };
	struct cb_run_spec spec = CB_RUN_SPEC_INIT;
	cleanup_err struct cb_err *why = NULL;
	struct cb_run *running;
	int out[2], errout[2], r;
	const char *not_here;

	run.redactors[0].needles = run.redactors[1].needles = build->shown_needles;
	if (!run.op->argv.n)
		return cb_err_set(err, CB_ERR_STEP, "process \"\" did not complete successfully: no command given");
	r = cb_build_ready(build, err);
	if (r == 0)
		r = prepare(&run, snapshot, &spec, err);
	if (r < 0)
		return r;
	not_here = foreign(&run);
	if (pipe2(out, O_CLOEXEC) < 0)
		return cb_err_errno(err, errno, "pipe");
	if (pipe2(errout, O_CLOEXEC) < 0) {
		r = cb_err_errno(err, errno, "pipe");
		close(out[0]);
		close(out[1]);
		return r;
	}
	spec.stdout_fd = out[1];
	spec.stderr_fd = errout[1];
	if (build->settings->step_timeout)
		spec.deadline_ns = cb_time_mono() + (uint64_t)build->settings->step_timeout;
	r = cb_runtime_start(build->runtime, &spec, &running, err);
	close(out[1]);
	close(errout[1]);
	if (r == 0) {
		pump(&run, running, out[0], errout[0], spec.deadline_ns);
		r = cb_runtime_wait(running, build->scheduler.cancel, GRACE_MS, &result, err);
	}
	close(out[0]);
	close(errout[0]);
	/* Also when the step has failed: caches keep what it did to them. */
	const int back = cb_build_lends(build) ? cb_run_mounts_return(build, &run.mounts, run.plain, &why) : 0;
	if (r == 0)
		r = outcome(&run, &result, not_here, err);
	if (r == 0 && back < 0)
		r = cb_err_move(err, CB_TAKE_PTR(why));
	if (r == 0 && run.trust && !run.plain)
		r = cb_trust_end(run.trust, cb_build_flavour(build), cb_snapshot_fs(snapshot), err);
	if (r == 0 && run.plain)
		r = cb_plainroot_take(run.plain, cb_snapshot_fs(snapshot), err);
	return r;
}
