#include "builder/storecmd.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "runtime/runtime.h"

static struct cb_cancel *canceled;
static volatile sig_atomic_t signal_seen;

static void on_signal(int number)
{
	signal_seen = number;
	cb_cancel_raise(canceled);
}

struct cb_cancel *cb_storecmd_cancel(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (!canceled) {
		canceled = cb_cancel_new();
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		sigaction(SIGHUP, &action, NULL);
	}
	return canceled;
}

int cb_storecmd_fail(const struct cb_err *err)
{
	return signal_seen ? 128 + signal_seen : cb_report_fail(err, NULL, NULL);
}

/* A walk holds one descriptor for each directory on its way down. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int cb_storecmd_open(const char *root, struct cb_store **ret, struct cb_err **err)
{
	cleanup_free char *path = cb_settings_default_root(root, environ);
	int r;

	raise_file_limit();
	r = cb_runtime_enter(CB_ISOLATION_AUTO, err);
	if (r < 0)
		return r;
	return cb_store_open(path, cb_runtime_trusted_xattrs() ? CB_STORE_TRUSTED : CB_STORE_USER, ret, err);
}

int cb_storecmd_print(const struct cb_buf *text)
{
	cleanup_err struct cb_err *err = NULL;

	if (cb_fd_write_all(STDOUT_FILENO, text->data, text->len) == 0)
		return CB_EXIT_OK;
	cb_err_errno(&err, errno, "write standard output");
	return cb_report_fail(err, NULL, NULL);
}
