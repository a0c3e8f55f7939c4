#include "builder/settings_security.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "runtime/seccomp_profile.h"

static int set_seccomp(struct cb_security_options *o, const char *value, struct cb_err **err)
{
	if (!*value) {
		cb_err_set(err, CB_ERR_USAGE, "--security-opt seccomp: a profile is missing");
		return cb_err_hint(err, CB_ERR_USAGE, "for example: seccomp=profile.json, or seccomp=unconfined");
	}
	o->seccomp_unconfined = strcmp(value, "unconfined") == 0;
	free(o->seccomp_profile);
	/* "builtin" is docker's word for the profile that there is anyway. */
	o->seccomp_profile = o->seccomp_unconfined || strcmp(value, "builtin") == 0 ? NULL : cb_xstrdup(value);
	return 0;
}

static int set_no_new_privs(struct cb_security_options *o, const char *value, struct cb_err **err)
{
	static const char *const yes[] = { "", "true", "1" }, *const no[] = { "false", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (strcmp(value, yes[i]) == 0) {
			o->no_new_privs = true;
			return 0;
		}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (strcmp(value, no[i]) == 0) {
			o->no_new_privs = false;
			return 0;
		}
	return cb_err_set(err, CB_ERR_USAGE, "--security-opt no-new-privileges is true or false, not \"%s\"", value);
}

/* Labels are not set by cbuild: steps keep what cbuild itself has. Asking for none is what there is then. */
static void add_label(struct cb_security_options *o, const char *key, const char *value)
{
	if (strcmp(value, "unconfined") == 0 || strcmp(value, "disable") == 0)
		return;
	cb_strv_addf(&o->warnings,
		"--security-opt %s=%s has no effect: cbuild changes no labels of %s, RUN steps keep that of cbuild itself",
		key, value, strcmp(key, "apparmor") == 0 ? "AppArmor" : "SELinux");
}

int cb_settings_add_security(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	static const char *const known[] = { "seccomp", "no-new-privileges", "apparmor", "label" };
	struct cb_security_options *o = &settings->security;
	size_t len = strcspn(text, "=:");
	const char *value = text[len] ? text + len + 1 : "";
	cleanup_free char *key = cb_xstrndup(text, len);

	if (strcmp(key, "no-new-privileges") == 0)
		return set_no_new_privs(o, value, err);
	if (strcmp(key, "seccomp") == 0)
		return set_seccomp(o, value, err);
	if (strcmp(key, "apparmor") == 0 || strcmp(key, "label") == 0) {
		add_label(o, key, value);
		return 0;
	}
	const char *near = cb_str_nearest(key, known, ARRAY_SIZE(known));
	cb_err_set(err, CB_ERR_USAGE, "--security-opt: unknown option \"%s\"", key);
	if (near)
		return cb_err_hint(err, CB_ERR_USAGE, "did you mean \"%s\"?", near);
	return cb_err_hint(err, CB_ERR_USAGE,
		"there are seccomp=FILE|unconfined|builtin, no-new-privileges, apparmor=NAME and label=LABEL");
}

int cb_settings_check_security(const struct cb_settings *settings, struct cb_err **err)
{
	if (!settings->security.seccomp_unconfined || cb_strv_has(&settings->allow, "security.insecure"))
		return 0;
	cb_err_set(
		err, CB_ERR_USAGE, "--security-opt seccomp=unconfined: entitlement security.insecure is not allowed");
	return cb_err_hint(
		err, CB_ERR_USAGE, "allow it with --allow security.insecure, or give a profile: seccomp=FILE");
}

void cb_security_options_done(struct cb_security_options *options)
{
	free(options->seccomp_profile);
	cb_strv_done(&options->warnings);
	*options = (struct cb_security_options){ 0 };
}

static int read_profile(const char *path, struct cb_buf *text, struct cb_err **err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		cb_err_errno(err, errno, "--security-opt seccomp=%s", path);
		return cb_err_recode(err, CB_ERR_USAGE);
	}
	int r = cb_fd_read_all(fd, CB_SECCOMP_PROFILE_MAX, path, text, err);
	return r < 0 ? cb_err_wrap(err, cb_err_recode(err, CB_ERR_USAGE), "--security-opt seccomp") : 0;
}

int cb_security_filter(
	const struct cb_security_options *options, struct cb_buf *ret, struct cb_strv *warnings, struct cb_err **err)
{
	cleanup_strv struct cb_strv unknown = { 0 };
	cleanup_buf struct cb_buf text = { 0 };
	struct cb_seccomp_host host;
	int r;

	cb_strv_copy(warnings, &options->warnings);
	if (!options->seccomp_profile)
		return 0;
	r = read_profile(options->seccomp_profile, &text, err);
	if (r < 0)
		return r;
	cb_seccomp_host_init(&host);
	r = cb_seccomp_profile_compile(
		options->seccomp_profile, cb_buf_str(&text), text.len, &host, ret, &unknown, err);
	for (size_t i = 0; r == 0 && i < unknown.n; i++)
		cb_strv_addf(warnings, "%s: libseccomp does not know the system call \"%s\": nothing is said about it",
			options->seccomp_profile, unknown.v[i]);
	return r;
}
