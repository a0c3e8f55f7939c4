/* Which network a run gets: started when the first run wants it, the host's when it cannot be had. */
#include "base/log.h"
#include "runtime/runtime_private.h"

static void refuse(struct cb_runtime *rt, const struct cb_err *why)
{
	cb_network_stop(rt->network);
	rt->network = NULL;
	rt->network_state = CB_NETWORK_REFUSED;
	rt->network_reason = cb_xstrdup(cb_err_msg(why));
	cb_log_debug("network: %s", rt->network_reason);
}

/* Under the lock. */
static void start(struct cb_runtime *rt)
{
	cleanup_err struct cb_err *why = NULL;

	/* With chroot nobody could join it. */
	if (rt->network_state != CB_NETWORK_UNTRIED || rt->info.isolation == CB_ISOLATION_CHROOT)
		return;
	if (cb_network_start(rt->zygote.userns_fd, &rt->network, &why) < 0) {
		refuse(rt, why);
		return;
	}
	rt->network_state = CB_NETWORK_STARTED;
	/* Containers do not wait for the connection, only their commands do. */
	cb_runtime_prepare_next(rt, rt->kind | CB_SANDBOX_JOINED);
}

void cb_runtime_prepare_network(struct cb_runtime *runtime)
{
	pthread_mutex_lock(&runtime->network_lock);
	start(runtime);
	pthread_mutex_unlock(&runtime->network_lock);
}

bool cb_runtime_join_network(struct cb_runtime *runtime, struct cb_strv *warnings)
{
	cleanup_err struct cb_err *why = NULL;

	pthread_mutex_lock(&runtime->network_lock);
	start(runtime);
	if (runtime->network_state == CB_NETWORK_STARTED) {
		if (cb_network_wait(runtime->network, &why) == 0)
			runtime->network_state = CB_NETWORK_CONNECTED;
		else
			refuse(runtime, why);
	}
	bool joined = runtime->network_state == CB_NETWORK_CONNECTED;
	if (!joined && !runtime->network_told)
		cb_strv_addf(warnings, "steps share the host's network, its loopback services and abstract sockets: %s",
			runtime->network_reason);
	runtime->network_told |= !joined;
	pthread_mutex_unlock(&runtime->network_lock);
	return joined;
}
