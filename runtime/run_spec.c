#include "runtime/run_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "runtime/kernel.h"
#include "runtime/resolv.h"
#include "runtime/wire.h"

#define NO_FD UINT64_MAX

/* A mount on its way: the caller's, or one of ours for a generated file. */
struct item {
	struct cb_run_mount m;
	size_t order;   /* of two equal targets, the later wins */
	bool generated; /* ours, not of the spec */
	int source;     /* detached mount, ours; -1 */
	bool dir;
	const char *sub; /* still to be done inside */
};

struct plan {
	struct item *items;
	size_t n;
	struct cb_buf hosts, resolv;
};

static void plan_done(struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		cb_closep(&plan->items[i].source);
	free(plan->items);
	cb_buf_done(&plan->hosts);
	cb_buf_done(&plan->resolv);
}

void cb_spec_message_done(struct cb_spec_message *msg)
{
	for (size_t i = 0; i < msg->n_fds; i++)
		if (msg->own[i])
			cb_closep(&msg->fds[i]);
	msg->n_fds = 0;
}

static uint64_t message_add(struct cb_spec_message *msg, int fd, bool own)
{
	msg->fds[msg->n_fds] = fd;
	msg->own[msg->n_fds] = own;
	/* The memfd comes first and has no number. */
	return (uint64_t)msg->n_fds++ - 1;
}

static int check(const struct cb_run_spec *spec, struct cb_err **err)
{
	size_t files = 0;

	if (!spec->argv || !spec->argv[0])
		return cb_err_set(err, CB_ERR_INPUT, "no command to run");
	if (spec->n_layers > CB_RUN_LAYERS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "%zu layers: the kernel's overlay takes at most %d",
			spec->n_layers, CB_RUN_LAYERS_MAX);
	if (spec->n_mounts + 2 > CB_RUN_MOUNTS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "more than %d mounts in one step", CB_RUN_MOUNTS_MAX - 2);
	if (spec->cwd && spec->cwd[0] != '/')
		return cb_err_set(err, CB_ERR_INPUT, "working directory %s is not absolute", spec->cwd);
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const char *target = spec->mounts[i].target;
		if (!target || target[0] != '/' || strcmp(target, "/") == 0)
			return cb_err_set(err, CB_ERR_INPUT, "mount target %s", target ? target : "is missing");
		if (spec->mounts[i].len > CB_RUN_FILES_MAX - files)
			return cb_err_set(
				err, CB_ERR_LIMIT, "files of one step take more than %u bytes", CB_RUN_FILES_MAX);
		files += spec->mounts[i].len;
	}
	return 0;
}

static void generate_files(const struct cb_run_spec *spec, bool joined, struct plan *plan)
{
	/* In the host's network its loopback servers can be reached. */
	bool keep = spec->network != CB_RUN_NETWORK_NONE && !joined;
	cleanup_buf struct cb_buf host = { 0 };

	(void)cb_file_read_at(AT_FDCWD, "/etc/resolv.conf", CB_RESOLV_MAX, &host, NULL);
	const bool forwarded = joined && cb_resolv_needs_forwarder(cb_buf_str(&host), host.len);
	if (!keep && !forwarded && cb_resolv_is_stub(cb_buf_str(&host), host.len)) {
		cb_buf_clear(&host);
		(void)cb_file_read_at(AT_FDCWD, "/run/systemd/resolve/resolv.conf", CB_RESOLV_MAX, &host, NULL);
	}
	cb_resolv_generate(cb_buf_str(&host), host.len, spec->dns, spec->dns_search, spec->dns_options, keep,
		forwarded ? CB_NETWORK_DNS : NULL, &plan->resolv);
	cb_hosts_generate(spec->hostname ? spec->hostname : CB_RUN_HOSTNAME, spec->extra_hosts, spec->n_extra_hosts,
		&plan->hosts);
}

static struct cb_run_mount file_mount(const char *target, struct cb_buf *buf)
{
	struct cb_run_mount m = CB_RUN_MOUNT_INIT;

	m.kind = CB_RUN_MOUNT_FILE;
	m.target = target;
	m.readonly = true;
	m.data = cb_buf_str(buf);
	m.len = buf->len;
	m.mode = 0644;
	return m;
}

static int by_target(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int c = strcmp(x->m.target, y->m.target);

	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static void plan_items(const struct cb_run_spec *spec, struct plan *plan)
{
	size_t kept = 0;

	plan->items = cb_newa0(struct item, spec->n_mounts + 2);
	plan->items[plan->n++].m = file_mount("/etc/hosts", &plan->hosts);
	plan->items[plan->n++].m = file_mount("/etc/resolv.conf", &plan->resolv);
	for (size_t i = 0; i < spec->n_mounts; i++)
		plan->items[plan->n++].m = spec->mounts[i];
	for (size_t i = 0; i < plan->n; i++) {
		plan->items[i].order = i;
		plan->items[i].generated = i < 2;
		plan->items[i].source = -EBADF;
	}
	qsort(plan->items, plan->n, sizeof(*plan->items), by_target);
	for (size_t i = 0; i < plan->n; i++)
		if (i + 1 == plan->n || strcmp(plan->items[i].m.target, plan->items[i + 1].m.target) != 0)
			plan->items[kept++] = plan->items[i];
	plan->n = kept;
}

static int source_of_bind(const struct cb_runtime *rt, struct item *item, struct cb_err **err)
{
	const struct cb_run_mount *m = &item->m;
	cleanup_close int part = -EBADF;
	int from = m->fd;
	struct stat st;

	if (m->sub && *m->sub) {
		part = cb_path_open_in_root(m->fd, m->sub, O_PATH, 0);
		if (part < 0)
			return cb_err_errno(err, errno, "source %s", m->sub);
		from = part;
	}
	if (fstat(from, &st) < 0)
		return cb_err_errno(err, errno, "look at source");
	item->dir = S_ISDIR(st.st_mode);
	item->source =
		cb_overlay_clone(&rt->overlay, from, MOUNT_ATTR_NODEV | (m->readonly ? MOUNT_ATTR_RDONLY : 0), err);
	return item->source < 0 ? item->source : 0;
}

static int source_of_chain(const struct cb_runtime *rt, struct item *item, struct cb_err **err)
{
	const struct cb_run_mount *m = &item->m;
	struct stat st;

	item->source = cb_overlay_mount(&rt->overlay, rt->stub_empty, m->layers, m->n_layers, m->upper_fd, m->work_fd,
		MOUNT_ATTR_NODEV | (m->readonly ? MOUNT_ATTR_RDONLY : 0), err);
	if (item->source < 0)
		return item->source;
	item->dir = true;
	if (m->sub && *m->sub && strcmp(m->sub, "/") != 0) {
		cleanup_close int part = cb_path_open_in_root(item->source, m->sub, O_PATH, 0);
		if (part < 0 || fstat(part, &st) < 0)
			return cb_err_errno(err, errno, "source %s", m->sub);
		item->dir = S_ISDIR(st.st_mode);
		item->sub = m->sub;
	}
	return 0;
}

static int make_sources(const struct cb_runtime *rt, struct plan *plan, struct cb_err **err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->n; i++) {
		struct item *item = &plan->items[i];
		item->dir = item->m.kind == CB_RUN_MOUNT_TMPFS;
		if (item->m.kind == CB_RUN_MOUNT_BIND)
			r = source_of_bind(rt, item, err);
		else if (item->m.kind == CB_RUN_MOUNT_CHAIN)
			r = source_of_chain(rt, item, err);
		if (r < 0)
			return cb_err_wrap(err, r, "mount %s", item->m.target);
	}
	return r;
}

/* With mounts of its own, a run gets a lowest layer that has their targets. */
static int own_stub(const struct cb_runtime *rt, const struct plan *plan, struct cb_err **err)
{
	cleanup_free struct cb_stub_entry *entries = cb_newa0(struct cb_stub_entry, plan->n);

	for (size_t i = 0; i < plan->n; i++)
		entries[i] = (struct cb_stub_entry){ plan->items[i].m.target, plan->items[i].dir };
	return cb_stub_new(&rt->overlay, entries, plan->n, err);
}

static int make_root(
	const struct cb_runtime *rt, const struct cb_run_spec *spec, const struct plan *plan, struct cb_err **err)
{
	if (rt->info.isolation == CB_ISOLATION_CHROOT) {
		int fd = fcntl(spec->upper_fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? cb_err_errno(err, errno, "root of the step") : fd;
	}
	if (spec->plain)
		return cb_overlay_clone(&rt->overlay, spec->upper_fd, spec->insecure ? 0 : MOUNT_ATTR_NODEV, err);
	cleanup_close int own = -EBADF;
	int stub = rt->stub;

	if (spec->n_mounts && !rt->stub_on_disk) {
		own = own_stub(rt, plan, err);
		if (own < 0)
			return own;
		stub = own;
	}
	/* A device node of the image must not reach the host's devices where ids are not mapped. */
	return cb_overlay_mount(&rt->overlay, stub, spec->layers, spec->n_layers, spec->upper_fd, spec->work_fd,
		spec->insecure ? 0 : MOUNT_ATTR_NODEV, err);
}

static mode_t mode_of(const struct cb_run_mount *m)
{
	if (m->mode)
		return m->mode;
	return m->kind == CB_RUN_MOUNT_TMPFS ? 01777 : 0400;
}

static void encode_mounts(struct plan *plan, struct cb_spec_message *msg, struct cb_buf *out)
{
	cb_wire_put_u64(out, plan->n);
	for (size_t i = 0; i < plan->n; i++) {
		struct item *item = &plan->items[i];
		cb_wire_put_u64(out, item->m.kind);
		cb_wire_put_str(out, item->m.target);
		cb_wire_put_str(out, item->sub);
		cb_wire_put_u64(out, item->m.readonly);
		cb_wire_put_u64(out, item->generated);
		cb_wire_put_u64(out, item->source >= 0 ? message_add(msg, CB_TAKE_FD(item->source), true) : NO_FD);
		cb_wire_put_u64(out, item->m.size);
		cb_wire_put_bytes(out, item->m.data, item->m.kind == CB_RUN_MOUNT_FILE ? item->m.len : 0);
		cb_wire_put_u64(out, item->m.uid);
		cb_wire_put_u64(out, item->m.gid);
		cb_wire_put_u64(out, mode_of(&item->m));
	}
}

static uint64_t add_stdio(struct cb_spec_message *msg, int fd)
{
	return fd >= 0 ? message_add(msg, fd, false) : NO_FD;
}

static void encode(
	const struct cb_run_spec *spec, int root, struct plan *plan, struct cb_spec_message *msg, struct cb_buf *out)
{
	cb_wire_put_u64(out, message_add(msg, root, true));
	cb_wire_put_u64(out, add_stdio(msg, spec->stdin_fd));
	cb_wire_put_u64(out, add_stdio(msg, spec->stdout_fd));
	cb_wire_put_u64(out, add_stdio(msg, spec->stderr_fd));
	cb_wire_put_strv(out, spec->argv);
	cb_wire_put_strv(out, spec->env);
	cb_wire_put_str(out, spec->cwd ? spec->cwd : "/");
	cb_wire_put_str(out, spec->hostname ? spec->hostname : CB_RUN_HOSTNAME);
	cb_wire_put_u64(out, spec->uid);
	cb_wire_put_u64(out, spec->gid);
	cb_wire_put_bytes(out, spec->groups, spec->n_groups * sizeof(gid_t));
	cb_wire_put_bytes(out, spec->filter, spec->filter ? spec->filter_len : 0);
	cb_wire_put_u64(out, spec->unfiltered);
	cb_wire_put_u64(out, spec->no_new_privs);
	cb_wire_put_u64(out, spec->insecure);
	cb_wire_put_u64(out, spec->upper_fd < 0);
	cb_wire_put_u64(out, spec->shm_size);
	cb_wire_put_bytes(out, spec->ulimits, spec->n_ulimits * sizeof(struct cb_ulimit));
	encode_mounts(plan, msg, out);
}

static int write_memfd(int fd, const struct cb_buf *wire, struct cb_err **err)
{
	if (cb_fd_write_all(fd, wire->data, wire->len) < 0)
		return cb_err_errno(err, errno, "write the run specification");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return cb_err_errno(err, errno, "seal the run specification");
	return 0;
}

int cb_spec_message_make(const struct cb_runtime *runtime, const struct cb_run_spec *spec, bool joined,
	struct cb_spec_message *ret, struct cb_err **err)
{
	__attribute__((cleanup(plan_done))) struct plan plan = { 0 };
	cleanup_buf struct cb_buf wire = { 0 };
	int r = check(spec, err);

	if (r < 0)
		return r;
	generate_files(spec, joined, &plan);
	plan_items(spec, &plan);
	r = make_sources(runtime, &plan, err);
	if (r < 0)
		return r;
	int root = make_root(runtime, spec, &plan, err);
	if (root < 0)
		return cb_err_wrap(err, root, "mount the root file system");

	int memfd = memfd_create("cbuild-run", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ret->n_fds = 0;
	(void)message_add(ret, memfd, true);
	encode(spec, root, &plan, ret, &wire);
	ret->wire_len = wire.len;
	r = memfd < 0 ? cb_err_errno(err, errno, "make memfd") : write_memfd(memfd, &wire, err);
	if (r < 0)
		cb_spec_message_done(ret);
	/* Secrets do not stay in freed memory. */
	explicit_bzero(wire.data, wire.len);
	return r;
}
