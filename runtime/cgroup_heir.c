#include "runtime/cgroup_heir.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "runtime/channel.h"

/* The kernel ends the processes of a step as cbuild ends; one with much memory takes a while. */
#define PATIENCE_MS 30000U

struct message {
	bool made;
	char name[sizeof(((struct cb_cgroup_place *)NULL)->name)];
};

CB_NORETURN void cb_cgroup_heir_main(int sock)
{
	struct cb_cgroup_place *places = NULL;
	size_t n = 0, cap = 0;
	struct message msg;

	(void)prctl(PR_SET_NAME, "cbuild-heir");
	(void)setsid();
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, i == SIGCHLD ? SIG_DFL : SIG_IGN);
	/* From now on it survives what cbuild does not. */
	if (cb_channel_send(sock, "", 1, NULL, 0) < 0)
		_exit(1);
	for (;;) {
		int fd = -1;
		size_t n_fds = 1;
		if (cb_channel_recv(sock, &msg, sizeof(msg), &fd, &n_fds) != (ssize_t)sizeof(msg) || n_fds != 1)
			break;
		CB_GROW(places, cap, n + 1);
		places[n] = (struct cb_cgroup_place){ .above = fd, .made = msg.made };
		memcpy(places[n].name, msg.name, sizeof(msg.name));
		n++;
	}
	while (n-- > 0)
		cb_cgroup_place_remove(&places[n], PATIENCE_MS);
	free(places);
	_exit(0);
}

static void start(struct cb_cgroup_heir *heir)
{
	cleanup_err struct cb_err *err = NULL;
	char ready;

	if (heir->tried)
		return;
	heir->tried = true;
	heir->sock = -EBADF;
	if (cb_zygote_heir(heir->seed, &heir->pid, &heir->sock, &err) < 0)
		cb_log_debug("no heir of control groups: %s", cb_err_msg(err));
	else if (cb_channel_recv(heir->sock, &ready, 1, NULL, NULL) != 1)
		cb_cgroup_heir_stop(heir);
}

void cb_cgroup_heir_tell(struct cb_cgroup_heir *heir, const struct cb_cgroup_place *place)
{
	struct message msg;

	start(heir);
	if (!heir->pid)
		return;
	memset(&msg, 0, sizeof(msg));
	msg.made = place->made;
	memcpy(msg.name, place->name, sizeof(msg.name));
	if (cb_channel_send(heir->sock, &msg, sizeof(msg), &place->above, 1) < 0)
		cb_log_debug("the heir of control groups does not listen");
}

void cb_cgroup_heir_stop(struct cb_cgroup_heir *heir)
{
	if (heir->pid <= 0)
		return;
	cb_closep(&heir->sock);
	(void)kill(heir->pid, SIGKILL);
	while (waitpid(heir->pid, NULL, 0) < 0 && errno == EINTR)
		;
	heir->pid = 0;
	heir->sock = -EBADF;
}
