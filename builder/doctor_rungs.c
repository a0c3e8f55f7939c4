/* Each isolation is tried in a child: entering one changes a process for good. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "builder/doctor.h"
#include "runtime/emulate.h"

#define REPORT_MAX ((size_t)64 << 10)

void cb_doctor_rung_done(struct cb_doctor_rung *rung)
{
	free(rung->overlay);
	free(rung->reason);
	free(rung->remedy);
	free(rung->warnings);
	json_decref(rung->platforms);
}

/* The store, or the directory that is there where it would be made. */
static char *nearest_dir(const char *root)
{
	char *path = cb_path_clean(root);

	while (access(path, F_OK) < 0 && strcmp(path, "/") != 0 && strcmp(path, ".") != 0) {
		char *up = cb_path_dir(path);
		free(path);
		path = up;
	}
	return path;
}

static const char *overlay_text(const struct cb_runtime_info *info)
{
	if (info->storage == CB_STORAGE_COPY)
		return "no overlay: copies of all layers";
	switch (info->overlay_api) {
	case CB_OVERLAY_FDS:
		return info->trusted_xattrs ? "overlay, by descriptors" : "overlay with userxattr, by descriptors";
	case CB_OVERLAY_STRINGS:
		return info->trusted_xattrs ? "overlay, by names of descriptors"
					    : "overlay with userxattr, by names of descriptors";
	case CB_OVERLAY_MOUNT:
		return info->trusted_xattrs ? "overlay, by mount(2)" : "overlay with userxattr, by mount(2)";
	case CB_OVERLAY_AUTO:
	case CB_OVERLAY_NONE:
		break;
	}
	return "copies of all layers";
}

/* Whose programs run in steps, found by running some. */
static json_t *platforms(struct cb_runtime *runtime)
{
	static const char *const names[] = { "amd64", "386", "arm64", "arm", "riscv64", "ppc64le", "s390x", "mips64le",
		"loong64" };
	static const char *const gives[] = { [CB_EMULATION_NONE] = "no",
		[CB_EMULATION_NATIVE] = "natively",
		[CB_EMULATION_HOST] = "by a binfmt_misc handler of the host",
		[CB_EMULATION_OWN] = "emulated, registered for each build by itself" };
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *program = cb_emulation_program(names[i]);
		cleanup_free char *name = cb_xasprintf("linux/%s", names[i]), *remedy = NULL;
		const char *detail;
		enum cb_emulation how = cb_runtime_emulate(runtime, names[i], &detail);

		remedy = how != CB_EMULATION_NONE
				 ? cb_xstrdup("")
				 : cb_xasprintf("apt-get install qemu-user-static binfmt-support, or %s in a directory "
						"that CBUILD_EMULATORS names",
					   program ? program : "an emulator");
		json_array_append_new(
			list, json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", name, "how", cb_emulation_name(how), "gives",
				      gives[how], "detail", detail, "remedy", remedy));
	}
	return list;
}

/* In the namespaces of the isolation: a directory where the store is, and the runtime on it. */
static int open_runtime(enum cb_isolation want, const char *root, json_t *report, struct cb_err **err)
{
	cleanup_free char *dir = nearest_dir(root), *name = cb_xasprintf(".cbuild-doctor-%d", (int)getpid());
	CB_CLEANUP(cb_runtime_close) struct cb_runtime *runtime = NULL;
	cleanup_close int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), scratch = -EBADF;
	int r;

	if (at < 0)
		return cb_err_errno(err, errno, "open %s", dir);
	if (mkdirat(at, name, 0700) < 0) {
		r = cb_err_errno(err, errno, "create a directory in %s", dir);
		return cb_err_hint(err, r, "name a store that this user can write: --root DIR or CBUILD_ROOT");
	}
	scratch = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cb_runtime_options options = { .isolation = want, .scratch_fd = scratch };
	r = cb_runtime_open(&options, &runtime, err);
	if (r == 0) {
		const struct cb_runtime_info *info = cb_runtime_info(runtime);
		cleanup_free char *warnings = cb_strv_join(&info->warnings, "\n");
		json_object_set_new(report, "got", json_integer(info->isolation));
		json_object_set_new(report, "overlay", json_string(overlay_text(info)));
		json_object_set_new(report, "warnings", json_string(warnings));
		if (want == CB_ISOLATION_AUTO)
			json_object_set_new(report, "platforms", platforms(runtime));
	}
	runtime = cb_runtime_close(runtime);
	(void)cb_path_remove_tree(at, name, NULL);
	return r;
}

static CB_NORETURN void try_here(enum cb_isolation want, const char *root, int out)
{
	cleanup_json json_t *report = json_object();
	cleanup_err struct cb_err *err = NULL;
	int r = cb_runtime_enter(want, &err);

	if (r == 0)
		r = open_runtime(want, root, report, &err);
	json_object_set_new(report, "works", json_boolean(r == 0));
	json_object_set_new(report, "errno", json_integer(err ? err->errnum : 0));
	json_object_set_new(report, "reason", json_string(cb_err_msg(err)));
	json_object_set_new(report, "remedy", json_string(err && err->hint ? err->hint : ""));
	cleanup_free char *text = cb_json_dump(report, false);
	(void)cb_fd_write_all(out, text, strlen(text));
	_exit(0);
}

static char *text_of(const json_t *report, const char *key)
{
	const char *value = json_string_value(json_object_get(report, key));

	return cb_xstrdup(value ? value : "");
}

/* What to do where the failing call itself does not know. */
static const char *remedy_for(enum cb_isolation isolation, const char *reason)
{
	if (strstr(reason, "root of a user namespace"))
		return "start cbuild outside of that user namespace, or be content with the others";
	if (isolation == CB_ISOLATION_ROOT_USERNS || isolation == CB_ISOLATION_ROOT)
		return geteuid()
			       ? "run as root (sudo), or be content with the others"
			       : "in a container: give it CAP_SYS_ADMIN (--privileged), or be content with the others";
	if (isolation == CB_ISOLATION_CHROOT)
		return "only root of the container may chroot; or allow user namespaces, which is better";
	if (strstr(reason, "is not installed"))
		return "apt-get install uidmap (or your distribution's package with newuidmap)";
	if (isolation == CB_ISOLATION_RANGES && (strstr(reason, "has no range") || strstr(reason, "/etc/sub")))
		return "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER";
	if (strstr(reason, "newuidmap failed") || strstr(reason, "newgidmap failed"))
		return "newuidmap and newgidmap must be setuid root (or have file capabilities), outside of no_new_privs";
	if (isolation == CB_ISOLATION_RANGES && geteuid() == 0)
		return "map more ids into the user namespace around cbuild, or be content with the others";
	return "see docs/isolation.md for what each rung needs";
}

static int read_report(int fd, enum cb_isolation isolation, struct cb_doctor_rung *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_json json_t *report = NULL;
	int r = cb_fd_read_all(fd, REPORT_MAX, "the trial's report", &text, err);

	if (r < 0)
		return r;
	*ret = (struct cb_doctor_rung){ .isolation = isolation };
	if (!text.len || cb_json_parse(text.data, text.len, &report, NULL) < 0) {
		ret->overlay = cb_xstrdup("");
		ret->reason = cb_xstrdup("the trial ended unexpectedly");
		ret->remedy = cb_xstrdup("");
		ret->warnings = cb_xstrdup("");
		return 0;
	}
	ret->works = json_is_true(json_object_get(report, "works"));
	ret->got = (enum cb_isolation)json_integer_value(json_object_get(report, "got"));
	ret->errnum = (int)json_integer_value(json_object_get(report, "errno"));
	ret->overlay = text_of(report, "overlay");
	ret->reason = text_of(report, "reason");
	ret->remedy = text_of(report, "remedy");
	ret->warnings = text_of(report, "warnings");
	ret->platforms = json_incref(json_object_get(report, "platforms"));
	/* A build says to ask the doctor. */
	if (!ret->works && (!*ret->remedy || strstr(ret->remedy, "cbuild doctor"))) {
		free(ret->remedy);
		ret->remedy = cb_xstrdup(remedy_for(isolation, ret->reason));
	}
	return 0;
}

int cb_doctor_try(enum cb_isolation isolation, const char *root, struct cb_doctor_rung *ret, struct cb_err **err)
{
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return cb_err_errno(err, errno, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		try_here(isolation, root, ends[1]);
	}
	close(ends[1]);
	if (pid < 0)
		r = cb_err_errno(err, errno, "fork");
	else
		r = read_report(ends[0], isolation, ret, err);
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return r;
}
