/*
 * Ids of processes. The real ids of all of them are the one there is; the told ids live in a table here, and which row
 * a process has is kept in a place that the kernel copies at fork, keeps at exec and forgets at exit: the soft limit of
 * RLIMIT_LOCKS, which has had no meaning since Linux 2.4. A program that sets it by itself only confuses itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/recorder_request.h"

#define ROW_BASE 0x6362000000000000ULL
#define ROWS_MAX 4096
#define NO_ID ((uint32_t)-1)

static const __rlimit_resource_t ROW = (__rlimit_resource_t)RLIMIT_LOCKS;

void cb_recorder_ids_init(struct cb_recorder *rec, const struct cb_recorder_hello *hello)
{
	struct cb_recorder_ids first = {
		.ruid = hello->uid,
		.euid = hello->uid,
		.suid = hello->uid,
		.fsuid = hello->uid,
		.rgid = hello->gid,
		.egid = hello->gid,
		.sgid = hello->gid,
		.fsgid = hello->gid,
		.n_groups = hello->n_groups,
	};

	memcpy(first.groups, hello->groups, sizeof(first.groups));
	CB_GROW(rec->ids, rec->cap_ids, 1);
	rec->ids[rec->n_ids++] = first;
}

const struct cb_recorder_ids *cb_recorder_ids_of(const struct cb_request *req)
{
	const struct cb_recorder *rec = req->rec;
	struct rlimit limit;

	if (prlimit(req->pid, ROW, NULL, &limit) == 0 && limit.rlim_cur >= ROW_BASE &&
		limit.rlim_cur - ROW_BASE < rec->n_ids)
		return &rec->ids[limit.rlim_cur - ROW_BASE];
	return &rec->ids[0];
}

static bool same(const struct cb_recorder_ids *a, const struct cb_recorder_ids *b)
{
	return a->ruid == b->ruid && a->euid == b->euid && a->suid == b->suid && a->fsuid == b->fsuid &&
	       a->rgid == b->rgid && a->egid == b->egid && a->sgid == b->sgid && a->fsgid == b->fsgid &&
	       a->n_groups == b->n_groups && memcmp(a->groups, b->groups, a->n_groups * sizeof(gid_t)) == 0;
}

static void set_ids(struct cb_request *req, const struct cb_recorder_ids *ids)
{
	struct cb_recorder *rec = req->rec;
	struct rlimit limit;
	size_t row = 0;

	while (row < rec->n_ids && !same(&rec->ids[row], ids))
		row++;
	if (row == ROWS_MAX) {
		cb_request_fail(req, EAGAIN);
		return;
	}
	if (row == rec->n_ids) {
		CB_GROW(rec->ids, rec->cap_ids, row + 1);
		rec->ids[rec->n_ids++] = *ids;
	}
	if (prlimit(req->pid, ROW, NULL, &limit) < 0) {
		cb_request_fail(req, errno);
		return;
	}
	limit.rlim_cur = ROW_BASE + row;
	if (prlimit(req->pid, ROW, &limit, NULL) < 0)
		cb_request_fail(req, errno);
}

/* ---- set*id, by the rules of those who have CAP_SETUID and CAP_SETGID when their effective id is 0 ------------- */

static bool may_become(const struct cb_recorder_ids *ids, bool group, uint32_t id)
{
	if (!ids->euid || id == NO_ID)
		return true;
	return group ? id == ids->rgid || id == ids->egid || id == ids->sgid
		     : id == ids->ruid || id == ids->euid || id == ids->suid;
}

/* setresuid and setresgid, and with them the others. */
static void set_three(struct cb_request *req, bool group, uint32_t r, uint32_t e, uint32_t s)
{
	struct cb_recorder_ids ids = *cb_recorder_ids_of(req);

	if (!may_become(&ids, group, r) || !may_become(&ids, group, e) || !may_become(&ids, group, s)) {
		cb_request_fail(req, EPERM);
		return;
	}
	if (group) {
		ids.rgid = r == NO_ID ? ids.rgid : r;
		ids.egid = e == NO_ID ? ids.egid : e;
		ids.sgid = s == NO_ID ? ids.sgid : s;
		ids.fsgid = ids.egid;
	} else {
		ids.ruid = r == NO_ID ? ids.ruid : r;
		ids.euid = e == NO_ID ? ids.euid : e;
		ids.suid = s == NO_ID ? ids.suid : s;
		ids.fsuid = ids.euid;
	}
	set_ids(req, &ids);
}

static void set_one(struct cb_request *req, bool group, uint32_t id)
{
	const struct cb_recorder_ids *ids = cb_recorder_ids_of(req);

	if (id == NO_ID)
		cb_request_fail(req, EINVAL);
	else if (!ids->euid)
		set_three(req, group, id, id, id);
	else if (group ? id == ids->rgid || id == ids->sgid : id == ids->ruid || id == ids->suid)
		set_three(req, group, NO_ID, id, NO_ID);
	else
		cb_request_fail(req, EPERM);
}

/* The saved id follows the effective one when the real one is set, or the effective one to another than the real. */
static void set_two(struct cb_request *req, bool group, uint32_t r, uint32_t e)
{
	const struct cb_recorder_ids *ids = cb_recorder_ids_of(req);
	uint32_t real = group ? ids->rgid : ids->ruid, effective = group ? ids->egid : ids->euid;
	bool saved = r != NO_ID || (e != NO_ID && e != real);

	/* The real id may become the real or effective one only. */
	if (ids->euid && r != NO_ID && r != real && r != effective) {
		cb_request_fail(req, EPERM);
		return;
	}
	set_three(req, group, r, e, saved ? (e != NO_ID ? e : effective) : NO_ID);
}

static void set_fs(struct cb_request *req, bool group, uint32_t id)
{
	struct cb_recorder_ids ids = *cb_recorder_ids_of(req);
	uint32_t old = group ? ids.fsgid : ids.fsuid;

	cb_request_return(req, old);
	if (id == NO_ID || (id != old && !may_become(&ids, group, id)))
		return;
	if (group)
		ids.fsgid = id;
	else
		ids.fsuid = id;
	set_ids(req, &ids);
}

void cb_record_setuid(struct cb_request *req)
{
	set_one(req, false, (uint32_t)req->args[0]);
}

void cb_record_setgid(struct cb_request *req)
{
	set_one(req, true, (uint32_t)req->args[0]);
}

void cb_record_setreuid(struct cb_request *req)
{
	set_two(req, false, (uint32_t)req->args[0], (uint32_t)req->args[1]);
}

void cb_record_setregid(struct cb_request *req)
{
	set_two(req, true, (uint32_t)req->args[0], (uint32_t)req->args[1]);
}

void cb_record_setresuid(struct cb_request *req)
{
	set_three(req, false, (uint32_t)req->args[0], (uint32_t)req->args[1], (uint32_t)req->args[2]);
}

void cb_record_setresgid(struct cb_request *req)
{
	set_three(req, true, (uint32_t)req->args[0], (uint32_t)req->args[1], (uint32_t)req->args[2]);
}

void cb_record_setfsuid(struct cb_request *req)
{
	set_fs(req, false, (uint32_t)req->args[0]);
}

void cb_record_setfsgid(struct cb_request *req)
{
	set_fs(req, true, (uint32_t)req->args[0]);
}

void cb_record_setgroups(struct cb_request *req)
{
	struct cb_recorder_ids ids = *cb_recorder_ids_of(req);
	size_t n = (size_t)(int)req->args[0];

	if (ids.euid)
		cb_request_fail(req, EPERM);
	else if (n > CB_RECORDER_GROUPS_MAX)
		cb_request_fail(req, EINVAL);
	else if (n && cb_request_read(req, req->args[1], ids.groups, n * sizeof(gid_t)) < 0)
		cb_request_fail(req, errno);
	else {
		ids.n_groups = (unsigned int)n;
		set_ids(req, &ids);
	}
}

/* ---- get*id --------------------------------------------------------------------------------------------------- */

void cb_record_getuid(struct cb_request *req)
{
	cb_request_return(req, cb_recorder_ids_of(req)->ruid);
}

void cb_record_geteuid(struct cb_request *req)
{
	cb_request_return(req, cb_recorder_ids_of(req)->euid);
}

void cb_record_getgid(struct cb_request *req)
{
	cb_request_return(req, cb_recorder_ids_of(req)->rgid);
}

void cb_record_getegid(struct cb_request *req)
{
	cb_request_return(req, cb_recorder_ids_of(req)->egid);
}

static void give_three(struct cb_request *req, uint32_t r, uint32_t e, uint32_t s)
{
	if (cb_request_write(req, req->args[0], &r, sizeof(r)) < 0 ||
		cb_request_write(req, req->args[1], &e, sizeof(e)) < 0 ||
		cb_request_write(req, req->args[2], &s, sizeof(s)) < 0)
		cb_request_fail(req, errno);
}

void cb_record_getresuid(struct cb_request *req)
{
	const struct cb_recorder_ids *ids = cb_recorder_ids_of(req);

	give_three(req, ids->ruid, ids->euid, ids->suid);
}

void cb_record_getresgid(struct cb_request *req)
{
	const struct cb_recorder_ids *ids = cb_recorder_ids_of(req);

	give_three(req, ids->rgid, ids->egid, ids->sgid);
}

void cb_record_getgroups(struct cb_request *req)
{
	const struct cb_recorder_ids *ids = cb_recorder_ids_of(req);
	int size = (int)req->args[0];

	if (size < 0 || (size && (unsigned int)size < ids->n_groups))
		cb_request_fail(req, EINVAL);
	else if (size && ids->n_groups &&
		 cb_request_write(req, req->args[1], ids->groups, ids->n_groups * sizeof(gid_t)) < 0)
		cb_request_fail(req, errno);
	else
		cb_request_return(req, ids->n_groups);
}

/* ---- execve of programs with set-id bits ---------------------------------------------------------------------- */

static bool is_script(const char *name)
{
	char head[2] = "";
	cleanup_close int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 || read(fd, head, sizeof(head)) != sizeof(head) || memcmp(head, "#!", 2) == 0;
}

static void execute(struct cb_request *req, int dirfd, uint64_t path, int flags)
{
	struct cb_recorder_ids ids = *cb_recorder_ids_of(req);
	struct cb_owner_record owner = { 0 };
	struct cb_request_name name;
	struct stat st;

	cb_request_go_on(req);
	if (req->rec->no_new_privs)
		return;
	if (cb_request_name(req, dirfd, path, flags, &name) < 0 || cb_request_stat(&name, true, &st) < 0 ||
		!S_ISREG(st.st_mode) || !(st.st_mode & (S_ISUID | S_ISGID)) || !(st.st_mode & 0111) ||
		is_script(name.text))
		return;
	(void)cb_recorder_get(req->rec, &name, true, &owner);
	if (st.st_mode & S_ISUID)
		ids.euid = ids.suid = ids.fsuid = owner.uid;
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		ids.egid = ids.sgid = ids.fsgid = owner.gid;
	set_ids(req, &ids);
	req->error = 0;
}

void cb_record_execve(struct cb_request *req)
{
	execute(req, AT_FDCWD, req->args[0], 0);
}

void cb_record_execveat(struct cb_request *req)
{
	execute(req, (int)req->args[0], req->args[1], (int)req->args[4]);
}
