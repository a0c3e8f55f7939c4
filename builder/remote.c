#include "builder/remote.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/num.h"
#include "base/path.h"
#include "base/timefmt.h"
#include "builder/secret.h"
#include "layers/archive.h"
#include "layers/fetch_git.h"
#include "layers/fetch_url.h"
#include "layers/record.h"
#include "layers/regauth.h"
#include "layers/statindex.h"
#include "parser/parse.h"

/* ---- kept snapshots ------------------------------------------------------------------------------------------- */

static void key_of(const char *kind, const char *text, struct cb_digest *ret)
{
	cleanup_free char *full = cb_xasprintf("remote %s\n%s", kind, text);

	cb_digest_of(full, strlen(full), ret);
}

/* 1 with *ret_fd and *ret_facts (NULL when there are none) when something is kept under @key. */
static int find_kept(
	struct cb_store *store, const struct cb_digest *key, int *ret_fd, json_t **ret_facts, struct cb_err **err)
{
	cleanup_record struct cb_record record = { 0 };
	int r = cb_record_find(store, key, &record, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (!record.snapshot || !record.facts || cb_json_parse(record.facts, strlen(record.facts), ret_facts, NULL) < 0)
		return 0;
	r = cb_snapshot_open(store, record.snapshot, ret_fd, err);
	if (r == 0) {
		cb_snapshot_touch(store, record.snapshot);
		return 1;
	}
	json_decref(*ret_facts);
	*ret_facts = NULL;
	return r < 0 ? r : 0;
}

static int keep(struct cb_store *store, const struct cb_digest *key, struct cb_snapshot *snapshot, json_t *facts,
	int *ret_fd, struct cb_err **err)
{
	struct cb_snapshot_info info = { .kind = (char *)"remote" };
	cleanup_free char *text = cb_json_dump(facts, false);
	struct cb_record record = { .snapshot = (char *)cb_snapshot_id(snapshot), .facts = text };
	int r = cb_snapshot_commit(snapshot, &info, err);

	if (r == 0)
		r = cb_record_put(store, key, 1, &record, NULL, err);
	if (r == 0)
		r = cb_snapshot_open(store, cb_snapshot_id(snapshot), ret_fd, err);
	return r > 0 ? cb_err_set(err, CB_ERR_INTERNAL, "what was fetched is gone") : r;
}

/* ---- archives ------------------------------------------------------------------------------------------------- */

static int open_dir(void *arg, const char *path, int *ret_fd, struct cb_err **err)
{
	const int *rootfd = arg;
	cleanup_close int made = cb_path_mkdirs_in_root(*rootfd, path, 0755);
	int fd = made < 0 ? -1 : cb_path_open_in_root(*rootfd, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return cb_err_errno(err, errno, "directory %s", path);
	*ret_fd = fd;
	return 0;
}

/* Owners of a context are nobody's business: all belongs to root. */
static int unpack(
	struct cb_context *context, const struct cb_remote_access *access, int fd, int *ret_fd, struct cb_err **err)
{
	CB_CLEANUP(cb_snapshot_free) struct cb_snapshot *snapshot = NULL;
	int r = cb_snapshot_new(access->store, &snapshot, err), rootfd;
	struct cb_archive_spec spec = { .fd = fd, .chown = true, .no_devices = true, .cancel = access->cancel };

	if (r < 0)
		return r;
	rootfd = cb_snapshot_fs(snapshot);
	spec.dest = (struct cb_archive_dest){ .open_dir = open_dir, .arg = &rootfd };
	spec.flavour = cb_store_flavour(access->store) == CB_STORE_USER ? CB_FLAVOUR_USER : CB_FLAVOUR_TRUSTED;
	r = cb_archive_extract(&spec, NULL, err);
	if (r < 0)
		return cb_err_wrap(err, r, "unpack the context %s", context->shown);
	*ret_fd = cb_fd_dup(rootfd);
	if (*ret_fd < 0)
		return cb_err_errno(err, errno, "context %s", context->shown);
	context->snapshot = CB_TAKE_PTR(snapshot);
	return 0;
}

/* What came alone is an archive, or for the main context a Buildfile. 1: neither was asked for, the file is it. */
static int look_inside(
	struct cb_context *context, const struct cb_remote_access *access, int fd, int *ret_fd, struct cb_err **err)
{
	int r = cb_archive_is_tar(fd, err);

	if (r < 0)
		return r;
	if (r > 0)
		return unpack(context, access, fd, ret_fd, err);
	if (context->name)
		return 1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return cb_err_errno(err, errno, "context %s", context->shown);
	r = cb_fd_read_all(fd, CB_BUILDFILE_MAX, context->shown, &context->buildfile, err);
	if (r < 0)
		return r;
	if (memchr(cb_buf_str(&context->buildfile), '\0', context->buildfile.len))
		return cb_err_set(
			err, CB_ERR_INPUT, "the context %s is neither an archive nor a Buildfile", context->shown);
	r = cb_snapshot_new(access->store, &context->snapshot, err);
	if (r == 0) {
		*ret_fd = cb_fd_dup(cb_snapshot_fs(context->snapshot));
		r = *ret_fd < 0 ? cb_err_errno(err, errno, "context %s", context->shown) : 0;
	}
	return r;
}

/* The time of what does not say it itself. */
static int find_newest(struct cb_context *context, const struct cb_remote_access *access, int fd, struct cb_err **err)
{
	int r;

	if (context->has_time)
		return 0;
	r = cb_archive_newest(fd, access->cancel, &context->time, err);
	context->has_time = r == 0;
	return r < 0 ? r : 0;
}

/* ---- standard input ------------------------------------------------------------------------------------------- */

static int open_stdin(
	struct cb_context *context, const struct cb_remote_access *access, int *ret_fd, struct cb_err **err)
{
	cleanup_close int fd = openat(cb_store_tmpfd(access->store), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	cleanup_free char *data = cb_xmalloc(1 << 16);
	uint64_t total = 0;
	int r;

	if (fd < 0)
		return cb_err_errno(err, errno, "temporary file for standard input");
	for (;;) {
		ssize_t n = read(STDIN_FILENO, data, 1 << 16);

		r = cb_cancel_check(access->cancel, err);
		if (r < 0)
			return r;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cb_err_errno(err, errno, "read the context from standard input");
		if (n == 0)
			break;
		total += (uint64_t)n;
		if (total > CB_REMOTE_STDIN_MAX)
			return cb_err_set(err, CB_ERR_LIMIT, "a context of more than %llu bytes on standard input",
				(unsigned long long)CB_REMOTE_STDIN_MAX);
		if (cb_fd_write_all(fd, data, (size_t)n) < 0)
			return cb_err_errno(err, errno, "keep the context from standard input");
		if (access->progress)
			access->progress(access->userdata, total, 0);
	}
	if (!total)
		return cb_err_set(err, CB_ERR_INPUT, "standard input is empty: expected a tar or a Buildfile");
	r = find_newest(context, access, fd, err);
	return r < 0 ? r : look_inside(context, access, fd, ret_fd, err);
}

/* ---- URLs ----------------------------------------------------------------------------------------------------- */

/* "host[:port]" of @url. */
static char *host_of(const char *url)
{
	const char *host = strstr(url, "://"), *end, *at;

	host = host ? host + 3 : url;
	end = host + strcspn(host, "/?#");
	at = memrchr(host, '@', (size_t)(end - host));
	if (at)
		host = at + 1;
	return cb_xstrndup(host, (size_t)(end - host));
}

/* The secret @prefix<sep><host>, or for git @prefix alone. 1 when there is none. */
static int secret_for(const struct cb_settings *settings, const char *prefix, const char *sep, const char *host,
	struct cb_buf *out, struct cb_err **err)
{
	cleanup_free char *id = cb_xasprintf("%s%s%s", prefix, sep, host);
	const struct cb_secret_spec *secret = cb_secret_find(settings, id);

	if (!secret && *sep == '.')
		secret = cb_secret_find(settings, prefix);
	return secret ? cb_secret_read(secret, out, err) : 1;
}

static void trim_end(struct cb_buf *buf)
{
	while (buf->len && strchr("\r\n", buf->data[buf->len - 1]))
		buf->data[--buf->len] = '\0';
}

static int url_authorization(
	const struct cb_context *context, const struct cb_remote_access *access, char **ret, struct cb_err **err)
{
	cleanup_free char *host = host_of(context->path);
	__attribute__((cleanup(cb_secret_wipe))) struct cb_buf value = { 0 };
	int r = secret_for(access->settings, "HTTP_AUTH_HEADER", "_", host, &value, err);

	*ret = NULL;
	if (r == 1) {
		r = secret_for(access->settings, "HTTP_AUTH_TOKEN", "_", host, &value, err);
		trim_end(&value);
		if (r == 0)
			*ret = cb_xasprintf("Bearer %s", cb_buf_str(&value));
	} else if (r == 0) {
		trim_end(&value);
		*ret = cb_xstrdup(cb_buf_str(&value));
	}
	if (*ret && strpbrk(*ret, "\r\n")) {
		free(*ret);
		*ret = NULL;
		return cb_err_set(err, CB_ERR_INPUT, "the secret for %s has more than one line", host);
	}
	return r < 0 ? r : 0;
}

static int64_t get_number(json_t *facts, const char *key)
{
	return json_integer_value(json_object_get(facts, key));
}

/* When a download that begins now must be done. */
static uint64_t deadline(const struct cb_remote_access *access)
{
	int64_t timeout = access->settings->fetch_timeout;

	return timeout ? cb_time_mono() + (uint64_t)timeout : 0;
}

#define LIMIT_HINT "--fetch-limit SIZE allows more"

/* The bound is an option: its error says which. */
static int time_hint(const struct cb_remote_access *access, int r, struct cb_err **err)
{
	cleanup_buf struct cb_buf time = { 0 };

	if (r != CB_ERR_TIMEOUT)
		return r;
	cb_num_format_duration(&time, access->settings->fetch_timeout);
	return cb_err_hint(err, r, "--fetch-timeout is %s", cb_buf_str(&time));
}

/* What is kept was verified with sha256 always, with the last other algorithm that was asked for. */
static bool has_checksum(json_t *facts, const char *want)
{
	return cb_str_eq(json_string_value(json_object_get(facts, "digest")), want) ||
	       cb_str_eq(json_string_value(json_object_get(facts, "checksum")), want);
}

/* Downloads into a new snapshot. 0 kept, 1 what is kept is still good. */
static int download(struct cb_context *context, const struct cb_remote_access *access, const struct cb_digest *key,
	json_t *facts, int *ret_fd, struct cb_err **err)
{
	CB_CLEANUP(cb_snapshot_free) struct cb_snapshot *snapshot = NULL;
	cleanup_fetched struct cb_fetched got = { 0 };
	cleanup_free char *authorization = NULL;
	cleanup_close int fd = -EBADF;
	cleanup_json json_t *fresh = NULL;
	struct cb_fetch_url req = { .url = context->path,
		.etag = json_string_value(json_object_get(facts, "etag")),
		.last_modified = json_string_value(json_object_get(facts, "last_modified")),
		.max_size = access->settings->fetch_limit,
		.limit_hint = LIMIT_HINT,
		.deadline_ns = deadline(access),
		.checksum = cb_checksum_is_set(&context->checksum) ? &context->checksum : NULL,
		.cancel = access->cancel,
		.progress = access->progress,
		.userdata = access->userdata };
	struct timespec times[2];
	int r = url_authorization(context, access, &authorization, err);

	req.authorization = authorization;
	if (r == 0)
		r = cb_snapshot_new(access->store, &snapshot, err);
	if (r < 0)
		return r;
	fd = openat(
		cb_snapshot_fs(snapshot), context->file_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return cb_err_errno(err, errno, "file for %s", context->shown);
	r = cb_fetch_url(access->http, &req, fd, &got, err);
	if (r != 0)
		return time_hint(access, r, err);
	times[0] = times[1] = got.mtime;
	if (fchmod(fd, 0600) < 0 || futimens(fd, times) < 0)
		return cb_err_errno(err, errno, "file for %s", context->shown);
	context->mtime = got.mtime;
	context->has_time = got.last_modified;
	fresh = json_pack("{s:s, s:I}", "digest", got.digest.text, "mtime", (json_int_t)got.mtime.tv_sec);
	if (got.etag)
		json_object_set_new(fresh, "etag", json_string(got.etag));
	if (got.last_modified)
		json_object_set_new(fresh, "last_modified", json_string(got.last_modified));
	if (req.checksum)
		json_object_set_new(fresh, "checksum", json_string(req.checksum->text));
	return keep(access->store, key, snapshot, fresh, ret_fd, err);
}

static int open_url(struct cb_context *context, const struct cb_remote_access *access, int *ret_fd, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	cleanup_json json_t *facts = NULL;
	cleanup_close int kept = -EBADF, file = -EBADF;
	cleanup_free char *name = NULL;
	struct cb_digest key;
	bool known;
	int r, here = 0;

	key_of("url", context->path, &key);
	name = cb_xasprintf("remote %s", key.text);
	r = cb_lock_wait(access->store, name, access->cancel, &lock, err);
	if (r == 0)
		r = find_kept(access->store, &key, &kept, &facts, err);
	if (r < 0)
		return r;
	known = r > 0 && cb_checksum_is_set(&context->checksum);
	if (known && has_checksum(facts, context->checksum.text)) {
		here = 1;
	} else {
		/* Other content than the checksum wants is no base for "unchanged". */
		r = download(context, access, &key, known ? NULL : facts, ret_fd, err);
		if (r < 0)
			return r;
		here = r;
	}
	if (here) {
		context->mtime.tv_sec = (time_t)get_number(facts, "mtime");
		context->has_time = json_object_get(facts, "last_modified");
		*ret_fd = CB_TAKE_FD(kept);
	}
	context->time = context->mtime.tv_sec;
	context->is_file = true;
	if (!context->unpack && (context->has_time || !context->wants_time))
		return here;
	file = openat(*ret_fd, context->file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return cb_err_errno(err, errno, "%s", context->shown);
	r = find_newest(context, access, file, err);
	if (r < 0 || !context->unpack)
		return r < 0 ? r : here;
	kept = CB_TAKE_FD(*ret_fd);
	r = look_inside(context, access, file, ret_fd, err);
	if (r == 1)
		*ret_fd = CB_TAKE_FD(kept);
	context->is_file = r == 1;
	return r < 0 ? r : here;
}

/* ---- git ------------------------------------------------------------------------------------------------------ */

static int git_authorization(
	const struct cb_context *context, const struct cb_remote_access *access, char **ret, struct cb_err **err)
{
	cleanup_free char *host = host_of(context->git->remote);
	__attribute__((cleanup(cb_secret_wipe))) struct cb_buf value = { 0 };
	int r;

	*ret = NULL;
	if (context->git->auth) {
		size_t len = strcspn(context->git->auth, ":");
		cleanup_free char *user = cb_xstrndup(context->git->auth, len);

		*ret = cb_regauth_basic(user, context->git->auth[len] ? context->git->auth + len + 1 : "");
		return 0;
	}
	r = secret_for(access->settings, "GIT_AUTH_HEADER", ".", host, &value, err);
	trim_end(&value);
	if (r == 0)
		*ret = cb_xstrdup(cb_buf_str(&value));
	if (r == 1)
		r = secret_for(access->settings, "GIT_AUTH_TOKEN", ".", host, &value, err);
	trim_end(&value);
	if (r == 0 && !*ret)
		*ret = cb_regauth_basic("x-access-token", cb_buf_str(&value));
	return r < 0 ? r : 0;
}

static int checkout(struct cb_context *context, const struct cb_git_access *git, const struct cb_git_commit *commit,
	const struct cb_remote_access *access, int *ret_fd, struct cb_err **err)
{
	CB_CLEANUP(cb_snapshot_free) struct cb_snapshot *snapshot = NULL;
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	cleanup_json json_t *facts = NULL;
	cleanup_free char *text = cb_xasprintf("%s\n%s\n%d%d%d", context->git->remote, commit->hash,
		context->git->keep_git_dir, context->git->submodules, context->git->mtime_commit);
	cleanup_free char *name = NULL;
	struct cb_digest key;
	int r;

	context->has_time = true;
	key_of("git commit", text, &key);
	name = cb_xasprintf("remote %s", key.text);
	r = cb_lock_wait(access->store, name, access->cancel, &lock, err);
	if (r == 0)
		r = find_kept(access->store, &key, ret_fd, &facts, err);
	if (r > 0)
		context->time = get_number(facts, "time");
	if (r != 0)
		return r;
	r = cb_snapshot_new(access->store, &snapshot, err);
	if (r == 0)
		r = cb_git_checkout(context->git, git, commit, cb_snapshot_fs(snapshot), &context->time, err);
	if (r < 0)
		return time_hint(access, r, err);
	facts = json_pack("{s:s, s:I}", "commit", commit->hash, "time", (json_int_t)context->time);
	return keep(access->store, &key, snapshot, facts, ret_fd, err);
}

static int open_git(struct cb_context *context, const struct cb_remote_access *access, int *ret_fd, struct cb_err **err)
{
	__attribute__((cleanup(cb_git_commit_done))) struct cb_git_commit commit = { 0 };
	struct cb_git_access git = { .ca_file = access->settings->access.ca_cert,
		.max_size = access->settings->fetch_limit,
		.limit_hint = LIMIT_HINT,
		.deadline_ns = deadline(access),
		.cancel = access->cancel };
	cleanup_close int root = -EBADF;
	cleanup_free char *authorization = NULL;
	int r = git_authorization(context, access, &authorization, err), here;

	git.authorization = authorization;
	if (r == 0)
		r = time_hint(access, cb_git_resolve(context->git, &git, &commit, err), err);
	if (r == 0)
		r = checkout(context, &git, &commit, access, &root, err);
	if (authorization)
		explicit_bzero(authorization, strlen(authorization));
	if (r < 0)
		return r;
	here = r;
	if (!context->git->subdir) {
		*ret_fd = CB_TAKE_FD(root);
		return here;
	}
	*ret_fd = cb_path_open_in_root(root, context->git->subdir, O_RDONLY | O_DIRECTORY, 0);
	if (*ret_fd < 0)
		return cb_err_errno(err, errno, "subdirectory %s of %s", context->git->subdir, context->shown);
	return here;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static int open_files(struct cb_context *context, const struct cb_remote_access *access, int *ret, struct cb_err **err)
{
	switch (context->remote) {
	case CB_REMOTE_STDIN:
		return open_stdin(context, access, ret, err);
	case CB_REMOTE_URL:
		return open_url(context, access, ret, err);
	case CB_REMOTE_GIT:
		return open_git(context, access, ret, err);
	case CB_REMOTE_NONE:
		break;
	}
	return cb_err_set(err, CB_ERR_INTERNAL, "context %s is not remote", context->path);
}

int cb_remote_open(struct cb_context *context, const struct cb_remote_access *access, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	int r, here;

	if (context->tree)
		return 1;
	r = open_files(context, access, &fd, err);
	if (r < 0)
		return context->line ? cb_err_locate(err, r, context->line, context->col, context->line) : r;
	here = r;
	r = cb_stat_index_open(NULL, context->shown, &context->stats, err);
	if (r == 0)
		r = cb_tree_new_plain(fd, NULL, true, &context->tree, err);
	if (r < 0)
		return r;
	context->dirfd = CB_TAKE_FD(fd);
	cb_context_use_index(context);
	return here;
}
