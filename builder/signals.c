#include "builder/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int cb_signals_open(int *ret_fd, struct cb_err **err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret_fd < 0 ? cb_err_errno(err, errno, "signalfd") : 0;
}

bool cb_signals_take(int fd, int *seen)
{
	struct signalfd_siginfo info;
	bool first = false;

	while (fd >= 0 && read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (*seen)
			_exit(128 + (int)info.ssi_signo);
		*seen = (int)info.ssi_signo;
		first = true;
	}
	return first;
}
