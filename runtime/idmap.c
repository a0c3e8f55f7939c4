#include "runtime/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/spawn.h"
#include "base/strv.h"

#define SUBID_FILE_MAX (1U << 20)

bool cb_idmap_is_identity(void)
{
	cleanup_buf struct cb_buf text = { 0 };
	unsigned long first, outside, count;
	char *p;

	if (cb_file_read_at(AT_FDCWD, "/proc/self/uid_map", SUBID_FILE_MAX, &text, NULL) < 0)
		return false;
	p = (char *)cb_buf_str(&text);
	first = strtoul(p, &p, 10);
	outside = strtoul(p, &p, 10);
	count = strtoul(p, &p, 10);
	return !first && !outside && count == UINT32_MAX;
}

size_t cb_id_ranges(const char *data, size_t len, const char *name, uid_t uid, struct cb_id_range *ret)
{
	cleanup_free char *text = cb_xstrndup(data, len), *number = cb_xasprintf("%u", (unsigned int)uid);
	cleanup_strv struct cb_strv lines = { 0 };
	size_t n = 0;

	cb_strv_split(&lines, text, '\n');
	for (size_t i = 0; i < lines.n && n < CB_ID_RANGES_MAX; i++) {
		cleanup_strv struct cb_strv f = { 0 };
		struct cb_id_range range;
		cb_strv_split(&f, lines.v[i], ':');
		if (f.n != 3 || (!cb_str_eq(f.v[0], name) && strcmp(f.v[0], number) != 0))
			continue;
		if (cb_num_u32(f.v[1], &range.start) && cb_num_u32(f.v[2], &range.count) && range.count &&
			range.start <= UINT32_MAX - range.count)
			ret[n++] = range;
	}
	return n;
}

static int write_file(pid_t pid, const char *name, const char *text, struct cb_err **err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || cb_fd_write_all(fd, text, strlen(text)) < 0)
		return cb_err_errno(err, errno, "write %s", name);
	return 0;
}

/* Our own map with what it maps to replaced by what it maps from. */
static int write_identity(pid_t pid, const char *name, struct cb_err **err)
{
	char path[32], line[128];
	cleanup_buf struct cb_buf text = { 0 };

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	FILE *f = fopen(path, "re");
	if (!f)
		return cb_err_errno(err, errno, "read %s", name);
	while (fgets(line, sizeof(line), f)) {
		/* Three numbers: inside, outside, count. */
		char *p = line;
		unsigned long inside = strtoul(p, &p, 10), count;

		strtoul(p, &p, 10);
		count = strtoul(p, &p, 10);
		cb_buf_addf(&text, "%lu %lu %lu\n", inside, inside, count);
	}
	fclose(f);
	return write_file(pid, name, cb_buf_str(&text), err);
}

static int write_ranges(pid_t pid, const char *helper, const char *file, unsigned int own, struct cb_err **err)
{
	cleanup_buf struct cb_buf data = { 0 }, out = { 0 };
	cleanup_strv struct cb_strv argv = { 0 };
	struct cb_id_range ranges[CB_ID_RANGES_MAX];
	struct passwd *pw = getpwuid(getuid());
	uint32_t next = 1;
	int r;

	r = cb_file_read_at(AT_FDCWD, file, SUBID_FILE_MAX, &data, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s", file);
	size_t n = cb_id_ranges(data.data, data.len, pw ? pw->pw_name : NULL, getuid(), ranges);
	if (!n)
		return cb_err_set(
			err, CB_ERR_UNSUPPORTED, "%s has no range for %s", file, pw ? pw->pw_name : "this user");
	if (!cb_spawn_have(helper))
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "%s is not installed (package uidmap)", helper);

	cb_strv_add(&argv, helper);
	cb_strv_addf(&argv, "%d", (int)pid);
	cb_strv_addf(&argv, "0");
	cb_strv_addf(&argv, "%u", own);
	cb_strv_addf(&argv, "1");
	for (size_t i = 0; i < n; i++) {
		cb_strv_addf(&argv, "%u", next);
		cb_strv_addf(&argv, "%u", ranges[i].start);
		cb_strv_addf(&argv, "%u", ranges[i].count);
		next += ranges[i].count;
	}
	const struct cb_spawn spec = { .argv = (const char *const *)argv.v, .timeout_ms = 10000 };
	r = cb_spawn_run(&spec, NULL, &out, err);
	if (r < 0)
		return r;
	if (r > 0) {
		cleanup_free char *said = cb_str_trim(cb_buf_str(&out));
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "%s failed: %s", helper, said);
	}
	return 0;
}

int cb_idmap_write_many(pid_t pid, enum cb_idmap *ret, struct cb_err **err)
{
	int r;

	/* Root that may not mount (of a container, say) can still hand on every id it has, without a helper. */
	if (geteuid() == 0 && write_identity(pid, "uid_map", NULL) == 0 && write_identity(pid, "gid_map", NULL) == 0) {
		*ret = CB_IDMAP_FULL;
		return 0;
	}
	r = write_ranges(pid, "newuidmap", "/etc/subuid", geteuid(), err);
	if (r == 0)
		r = write_ranges(pid, "newgidmap", "/etc/subgid", getegid(), err);
	if (r == 0)
		*ret = CB_IDMAP_RANGES;
	return r;
}

/* Since Linux 5.12 file capabilities are needed to give user 0 away, even to itself. */
static int not_itself(struct cb_err **err)
{
	int r = cb_err_set(err, CB_ERR_UNSUPPORTED,
		"user namespaces cannot be used here: root without CAP_SETFCAP cannot map itself into one");

	return cb_err_hint(err, r, "run as another user, or in a container give --cap-add SETFCAP");
}

int cb_idmap_write_single(pid_t pid, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	char uid[32], gid[32];
	int r;

	snprintf(uid, sizeof(uid), "0 %u 1\n", (unsigned int)geteuid());
	snprintf(gid, sizeof(gid), "0 %u 1\n", (unsigned int)getegid());
	r = write_file(pid, "setgroups", "deny", err);
	if (r < 0)
		return r;
	r = write_file(pid, "uid_map", uid, &why);
	if (r < 0)
		return why->errnum == EPERM && geteuid() == 0 ? not_itself(err) : cb_err_move(err, CB_TAKE_PTR(why));
	return write_file(pid, "gid_map", gid, err);
}
