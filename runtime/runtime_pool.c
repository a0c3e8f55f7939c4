/* Sandboxes that wait for a command: one is asked for before it is wanted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/channel.h"
#include "runtime/network.h"
#include "runtime/runtime_private.h"
#include "runtime/sandbox.h"

int cb_report_read(int sock, struct cb_report_head *head, char *text, size_t size, int *fd, struct cb_err **err)
{
	char msg[CB_REPORT_MAX];
	size_t n_fds = fd ? 1 : 0;

	if (fd)
		*fd = -EBADF;
	ssize_t n = cb_channel_recv(sock, msg, sizeof(msg), fd, &n_fds);
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

int cb_runtime_ask_sandbox(struct cb_runtime *rt, unsigned int kind, struct cb_err **err)
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

int cb_runtime_receive_sandbox(struct cb_runtime *rt, struct cb_sandbox_handle *ret, struct cb_err **err)
{
	rt->n_pending--;
	int r = cb_zygote_receive(&rt->zygote, ret, err);
	if (r == 0)
		ret->group = rt->pending_group;
	return r;
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

	int r = cb_runtime_receive_sandbox(rt, &handle, err);
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
			r = cb_runtime_ask_sandbox(rt, kind, err);
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
		(void)cb_runtime_ask_sandbox(runtime, kind, NULL);
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
