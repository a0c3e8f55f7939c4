#include "builder/storecmd.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/unicode.h"
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

int cb_storecmd_open(const char *root, struct cb_store **ret, struct cb_err **err)
{
	cleanup_free char *path = cb_settings_default_root(root, environ);
	enum cb_store_flavour flavour;
	int r;

	/* A walk holds one descriptor for each directory on its way down. */
	cb_fd_raise_limit();
	r = cb_runtime_enter(CB_ISOLATION_AUTO, err);
	if (r < 0)
		return r;
	flavour = cb_runtime_trusted_xattrs() ? CB_STORE_TRUSTED : CB_STORE_USER;
	r = cb_store_open(path, flavour, ret, err);
	/* These are the commands that make room again. */
	if (r == CB_ERR_NO_SPACE && cb_store_use_spare(path))
		r = cb_store_open(path, flavour, ret, err);
	return r;
}

int cb_storecmd_print(const struct cb_buf *text)
{
	cleanup_err struct cb_err *err = NULL;

	if (cb_fd_write_all(STDOUT_FILENO, text->data, text->len) == 0)
		return CB_EXIT_OK;
	cb_err_errno(&err, errno, "write standard output");
	return cb_report_fail(err, NULL, NULL);
}

int cb_storecmd_format(const char *value, bool *ret_json, struct cb_err **err)
{
	if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
		return cb_err_set(err, CB_ERR_USAGE, "--format is text or json, not \"%s\"", value);
	*ret_json = !strcmp(value, "json");
	return 0;
}

int cb_storecmd_platform(const char *value, struct cb_platform *ret, struct cb_err **err)
{
	return cb_platform_parse(value, ret, err) < 0 ? cb_err_wrap(err, CB_ERR_USAGE, "--platform") : 0;
}

void cb_storecmd_age(struct cb_buf *out, int64_t now, int64_t then)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = {
		{ INT64_C(365) * 86400, "year" },
		{ INT64_C(30) * 86400, "month" },
		{ INT64_C(7) * 86400, "week" },
		{ 86400, "day" },
		{ 3600, "hour" },
		{ 60, "minute" },
		{ 1, "second" },
	};
	int64_t age = now - then;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		/* "14 days" says more than "2 weeks". */
		int64_t least = units[i].seconds * (i < 3 ? 2 : 1), n = age / units[i].seconds;

		if (age < least)
			continue;
		cb_buf_addf(out, "%lld %s%s ago", (long long)n, units[i].name, n == 1 ? "" : "s");
		return;
	}
	cb_buf_adds(out, "now");
}

void cb_storecmd_cut(struct cb_buf *out, const char *text, size_t max)
{
	const char *end = text + strcspn(text, "\n");
	size_t columns = 0;

	while (text < end) {
		uint32_t rune;

		text += cb_utf8_decode(text, end, &rune);
		if (rune < 0x20 || (rune >= 0x7F && rune < 0xA0))
			rune = CB_RUNE_BAD;
		columns += cb_rune_width(rune);
		if (columns >= max && text < end) {
			cb_buf_adds(out, "…");
			return;
		}
		cb_utf8_add(out, rune);
	}
}
