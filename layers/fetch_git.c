#include "layers/fetch_git.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/path.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "base/timefmt.h"
#include "layers/diskusage.h"

#define REFS_MAX ((size_t)1 << 20)
/* Directories below each other in a checkout. */
#define DEPTH_MAX 512

void cb_git_commit_done(struct cb_git_commit *commit)
{
	free(commit->hash);
	free(commit->ref);
	*commit = (struct cb_git_commit){ 0 };
}

/* ---- running git ---------------------------------------------------------------------------------------------- */

struct git {
	const struct cb_git_url *url;
	const struct cb_git_access *access;
	const char *dir;
	int dirfd;         /* the same, or -1: nothing is written */
	uint64_t measured; /* cb_time_mono() at which its size is looked at again */
	struct cb_strv env;
};

static void pass(struct cb_strv *env, const char *name)
{
	const char *value = getenv(name);

	if (value)
		cb_env_set(env, name, value);
}

static void add_config(struct cb_strv *env, unsigned int *n, const char *key, const char *value)
{
	cleanup_free char *name = cb_xasprintf("GIT_CONFIG_KEY_%u", *n),
			  *slot = cb_xasprintf("GIT_CONFIG_VALUE_%u", *n);

	cb_env_set(env, name, key);
	cb_env_set(env, slot, value);
	*n += 1;
}

/* Only what is listed here reaches git. */
static void make_env(struct git *git)
{
	static const char *const passed[] = { "PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "SSH_AUTH_SOCK",
		"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
		"NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR" };
	static const char *const fixed[][2] = {
		{ "GIT_CONFIG_NOSYSTEM", "1" },
		{ "GIT_CONFIG_GLOBAL", "/dev/null" },
		{ "GIT_ATTR_NOSYSTEM", "1" },
		{ "GIT_TERMINAL_PROMPT", "0" },
		{ "GIT_ASKPASS", "/bin/false" },
		{ "SSH_ASKPASS", "/bin/false" },
		{ "GIT_ALLOW_PROTOCOL", "git:http:https:ssh" },
		{ "GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oPermitLocalCommand=no" },
		{ "GIT_LFS_SKIP_SMUDGE", "1" },
		{ "GIT_OPTIONAL_LOCKS", "0" },
		{ "LC_ALL", "C.UTF-8" },
	};
	static const char *const config[][2] = {
		{ "core.hooksPath", "/dev/null" },
		{ "core.fsmonitor", "false" },
		{ "core.protectHFS", "true" },
		{ "core.protectNTFS", "true" },
		{ "gc.auto", "0" },
		{ "maintenance.auto", "false" },
		{ "init.defaultBranch", "main" },
		{ "advice.detachedHead", "false" },
		{ "transfer.credentialsInUrl", "allow" },
		{ "fetch.recurseSubmodules", "false" },
	};
	unsigned int n = 0;
	char count[16];

	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		pass(&git->env, passed[i]);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		cb_env_set(&git->env, fixed[i][0], fixed[i][1]);
	if (git->access->ssh_auth_sock)
		cb_env_set(&git->env, "SSH_AUTH_SOCK", git->access->ssh_auth_sock);
	if (git->access->ca_file)
		cb_env_set(&git->env, "GIT_SSL_CAINFO", git->access->ca_file);
	for (size_t i = 0; i < ARRAY_SIZE(config); i++)
		add_config(&git->env, &n, config[i][0], config[i][1]);
	if (git->access->authorization && cb_str_starts(git->url->remote, "http")) {
		const char *host = strstr(git->url->remote, "://");
		size_t len = host ? (size_t)(host + 3 - git->url->remote) + strcspn(host + 3, "/") : 0;
		/* For this server only: a submodule elsewhere does not get it. */
		cleanup_free char *key = cb_xasprintf("http.%.*s/.extraHeader", (int)len, git->url->remote);
		cleanup_free char *value = cb_xasprintf("Authorization: %s", git->access->authorization);

		add_config(&git->env, &n, key, value);
	}
	snprintf(count, sizeof(count), "%u", n);
	cb_env_set(&git->env, "GIT_CONFIG_COUNT", count);
}

static void git_open(
	struct git *git, const struct cb_git_url *url, const struct cb_git_access *access, const char *dir, int dirfd)
{
	*git = (struct git){ .url = url, .access = access, .dir = dir, .dirfd = dirfd };
	make_env(git);
}

static void git_done(struct git *git)
{
	for (size_t i = 0; i < git->env.n; i++)
		explicit_bzero(git->env.v[i], strlen(git->env.v[i]));
	cb_strv_done(&git->env);
}

/* The last line of what git complained of, for people. */
static char *complaint(struct cb_buf *errout)
{
	cleanup_free char *text = cb_str_trim(cb_buf_str(errout));
	const char *line = strstr(text, "fatal: ");

	if (!line)
		line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
	else
		line += strlen("fatal: ");
	return cb_xstrndup(line, strcspn(line, "\n"));
}

static int too_large(const struct git *git, struct cb_err **err)
{
	cleanup_free char *shown = cb_git_url_redact(git->url->remote);
	cleanup_buf struct cb_buf size = { 0 };

	cb_num_format_size(&size, git->access->max_size);
	cb_err_set(err, CB_ERR_LIMIT, "fetch %s: it is larger than %s", shown, cb_buf_str(&size));
	return git->access->limit_hint ? cb_err_hint(err, CB_ERR_LIMIT, "%s", git->access->limit_hint) : CB_ERR_LIMIT;
}

/* CB_ERR_LIMIT when what was fetched needs more room than is allowed. */
static int check_size(const struct git *git, struct cb_err **err)
{
	struct cb_disk_usage usage;
	int r = cb_disk_usage(git->dirfd, ".", &usage, err);

	return r == 0 && usage.needed >= git->access->max_size ? too_large(git, err) : r;
}

/* Walking a large checkout is work as well: it is done a small part of the time. */
static int watch_size(void *arg, struct cb_err **err)
{
	struct git *git = arg;
	uint64_t start = cb_time_mono();
	int r;

	if (start < git->measured)
		return 0;
	r = check_size(git, err);
	git->measured = start + 20 * (cb_time_mono() - start);
	return r;
}

/* Milliseconds that a command may take: @timeout_ms (0: any) for itself, what is left until the deadline for all. */
static int time_left(const struct git *git, int timeout_ms)
{
	uint64_t now = cb_time_mono(), end = git->access->deadline_ns, left;

	if (!end)
		return timeout_ms;
	left = end > now ? CB_MIN((end - now) / 1000000u + 1, (uint64_t)INT_MAX) : 1;
	return timeout_ms ? CB_MIN(timeout_ms, (int)left) : (int)left;
}

static int too_late(const struct git *git, struct cb_err **err)
{
	cleanup_free char *shown = cb_git_url_redact(git->url->remote);

	if (err)
		*err = cb_err_free(*err);
	return cb_err_set(err, CB_ERR_TIMEOUT, "fetch %s: it takes too long", shown);
}

/* Exit status of git, or an error when it could not be run, or went beyond what is allowed. */
static int run_git(struct git *git, const struct cb_strv *args, int timeout_ms, struct cb_buf *out,
	struct cb_buf *errout, struct cb_err **err)
{
	bool bounded = git->dirfd >= 0 && git->access->max_size;
	cleanup_strv struct cb_strv argv = { 0 };
	struct cb_spawn spec = { .env = (const char *const *)git->env.v,
		.dir = git->dir,
		.max_output = REFS_MAX,
		.timeout_ms = time_left(git, timeout_ms),
		.cancel = git->access->cancel };
	int r, size;

	if (bounded) {
		spec.max_file = git->access->max_size;
		spec.watch = watch_size;
		spec.watch_arg = git;
	}
	cb_strv_add(&argv, "git");
	cb_strv_copy(&argv, args);
	spec.argv = (const char *const *)argv.v;
	r = cb_spawn_run(&spec, out, errout, err);
	if (r == CB_ERR_LIMIT && git->access->deadline_ns && cb_time_mono() >= git->access->deadline_ns)
		return too_late(git, err);
	if (r == 128 + SIGXFSZ)
		return too_large(git, err);
	/* That may be why git failed, too: a process of its own could not write on. */
	size = bounded && r >= 0 ? check_size(git, err) : 0;
	return size < 0 ? size : r;
}

/* As run_git; a failure of git is an error. */
static int must_git(struct git *git, const char *const *words, int timeout_ms, struct cb_buf *out, const char *what,
	struct cb_err **err)
{
	cleanup_strv struct cb_strv args = { 0 };
	cleanup_buf struct cb_buf errout = { 0 };
	cleanup_free char *line = NULL, *shown = NULL;
	int r;

	for (; *words; words++)
		cb_strv_add(&args, *words);
	r = run_git(git, &args, timeout_ms, out, &errout, err);
	if (r <= 0)
		return r;
	line = complaint(&errout);
	shown = cb_git_url_redact(git->url->remote);
	return cb_err_set(err, CB_ERR_NETWORK, "%s %s: %s", what, shown, *line ? line : "git failed");
}

/* ---- refs ----------------------------------------------------------------------------------------------------- */

/* The hash that @lines (of ls-remote: "HASH\tNAME\n") give for @name, or NULL. */
static char *find_ref(const char *lines, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = lines; *line;) {
		const char *end = strchrnul(line, '\n'), *tab = memchr(line, '\t', (size_t)(end - line));

		if (tab && (size_t)(end - tab - 1) == len && !strncmp(tab + 1, name, len)) {
			cleanup_free char *hash = cb_xstrndup(line, (size_t)(tab - line));

			return cb_git_is_commit(hash) ? CB_TAKE_PTR(hash) : NULL;
		}
		line = *end ? end + 1 : end;
	}
	return NULL;
}

/* A branch goes before a tag of its name; of an annotated tag the commit counts. */
static bool choose_ref(const char *lines, const char *ref, struct cb_git_commit *ret)
{
	static const char *const prefixes[] = { "", "refs/heads/", "refs/tags/" };

	for (size_t i = cb_str_starts(ref, "refs/") || !strcmp(ref, "HEAD") ? 0 : 1; i < ARRAY_SIZE(prefixes); i++) {
		cleanup_free char *name = cb_xasprintf("%s%s", prefixes[i], ref);
		cleanup_free char *peeled = cb_xasprintf("%s^{}", name);
		char *hash = find_ref(lines, peeled);

		if (!hash)
			hash = find_ref(lines, name);
		if (hash) {
			ret->hash = hash;
			ret->ref = CB_TAKE_PTR(name);
			return true;
		}
	}
	return false;
}

static int check_commit(const struct cb_git_url *url, const char *hash, struct cb_err **err)
{
	cleanup_free char *shown = cb_git_url_redact(url->remote);

	if (!url->checksum || cb_str_starts(hash, url->checksum))
		return 0;
	return cb_err_set(err, CB_ERR_CORRUPT, "%s: expected commit %s, but the ref is %s", shown, url->checksum, hash);
}

static int need_git(struct cb_err **err)
{
	if (cb_spawn_have("git"))
		return 0;
	cb_err_set(err, CB_ERR_UNSUPPORTED, "git repositories need the git program, which is not installed");
	return cb_err_hint(err, CB_ERR_UNSUPPORTED, "install git");
}

int cb_git_resolve(const struct cb_git_url *url, const struct cb_git_access *access, struct cb_git_commit *ret,
	struct cb_err **err)
{
	__attribute__((cleanup(git_done))) struct git git = { 0 };
	__attribute__((cleanup(cb_git_commit_done))) struct cb_git_commit commit = { 0 };
	cleanup_buf struct cb_buf lines = { 0 };
	const char *ref = url->ref ? url->ref : "HEAD";
	cleanup_free char *peeled = cb_xasprintf("%s^{}", ref);
	const char *const words[] = { "ls-remote", "--", url->remote, ref, peeled, NULL };
	int r = need_git(err);

	if (r < 0)
		return r;
	if (cb_git_is_commit(ref)) {
		commit.hash = cb_xstrdup(ref);
	} else if (!url->ref && url->checksum && cb_git_is_commit(url->checksum)) {
		commit.hash = cb_xstrdup(url->checksum);
	} else {
		git_open(&git, url, access, "/", -1);
		r = must_git(&git, words, CB_GIT_RESOLVE_MS, &lines, "look up a ref of", err);
		if (r < 0)
			return r;
		if (!choose_ref(cb_buf_str(&lines), ref, &commit)) {
			cleanup_free char *shown = cb_git_url_redact(url->remote);

			return cb_err_set(err, CB_ERR_NOT_FOUND, "repository %s has no ref \"%s\"", shown, ref);
		}
	}
	r = check_commit(url, commit.hash, err);
	if (r < 0)
		return r;
	*ret = commit;
	commit = (struct cb_git_commit){ 0 };
	return 0;
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

struct tidy {
	bool keep_git_dir, set_time;
	struct timespec time;
};

static int tidy_dir(const struct tidy *tidy, int dirfd, unsigned int depth, struct cb_err **err);

static int tidy_entry(const struct tidy *tidy, int dirfd, const char *name, unsigned int depth, struct cb_err **err)
{
	const struct timespec times[2] = { tidy->time, tidy->time };
	struct stat st;
	int r = 0;

	if (!strcmp(name, ".git"))
		return tidy->keep_git_dir ? 0 : cb_path_remove_tree(dirfd, name, err);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return cb_err_errno(err, errno, "checkout: %s", name);
	if (S_ISDIR(st.st_mode)) {
		cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return cb_err_errno(err, errno, "checkout: %s", name);
		r = tidy_dir(tidy, fd, depth + 1, err);
	} else if (S_ISREG(st.st_mode) && fchmodat(dirfd, name, st.st_mode & 0100 ? 0755 : 0644, 0) < 0) {
		r = cb_err_errno(err, errno, "checkout: mode of %s", name);
	}
	if (r == 0 && tidy->set_time && utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = cb_err_errno(err, errno, "checkout: time of %s", name);
	return r;
}

/* The modes of a checkout follow the umask of whoever runs cbuild: here they become what git means. */
static int tidy_dir(const struct tidy *tidy, int dirfd, unsigned int depth, struct cb_err **err)
{
	int fd = depth > DEPTH_MAX ? -1 : cb_fd_dup(dirfd), r = 0;
	const struct timespec times[2] = { tidy->time, tidy->time };
	struct dirent *ent;
	DIR *dir;

	if (depth > DEPTH_MAX)
		return cb_err_set(err, CB_ERR_INPUT, "checkout: more than %d directories deep", DEPTH_MAX);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = cb_err_errno(err, errno, "checkout");
		cb_closep(&fd);
		return r;
	}
	if (fchmod(dirfd, 0755) < 0)
		r = cb_err_errno(err, errno, "checkout");
	while (r == 0 && (ent = readdir(dir)))
		if (strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0)
			r = tidy_entry(tidy, dirfd, ent->d_name, depth, err);
	closedir(dir);
	if (r == 0 && tidy->set_time && futimens(dirfd, times) < 0)
		r = cb_err_errno(err, errno, "checkout");
	return r;
}

/* ---- checkout ------------------------------------------------------------------------------------------------- */

static int have_commit(struct git *git, const char *hash, struct cb_err **err)
{
	cleanup_free char *what = cb_xasprintf("%s^{commit}", hash);
	cleanup_strv struct cb_strv args = { 0 };
	int r;

	cb_strv_add(&args, "cat-file");
	cb_strv_add(&args, "-e");
	cb_strv_add(&args, what);
	r = run_git(git, &args, CB_GIT_RESOLVE_MS, NULL, NULL, err);
	return r < 0 ? r : r == 0;
}

/* As little history as the server gives alone; all of it from servers that cannot do that. */
static int fetch(struct git *git, const struct cb_git_commit *commit, struct cb_err **err)
{
	const char *remote = git->url->remote;
	const char *const all[] = { "fetch", "-q", "--tags", "--", remote, "+refs/heads/*:refs/remotes/origin/*",
		"+refs/tags/*:refs/tags/*", NULL };
	cleanup_strv struct cb_strv one = { 0 };
	int r;

	cb_strv_add(&one, "fetch");
	cb_strv_add(&one, "-q");
	cb_strv_add(&one, "--no-tags");
	cb_strv_add(&one, "--depth=1");
	cb_strv_add(&one, "--");
	cb_strv_add(&one, remote);
	if (commit->ref && cb_str_starts(commit->ref, "refs/"))
		cb_strv_addf(&one, "+%s:%s%s", commit->ref,
			cb_str_starts(commit->ref, "refs/heads/") ? "refs/remotes/origin/" : "",
			cb_str_starts(commit->ref, "refs/heads/") ? commit->ref + strlen("refs/heads/") : commit->ref);
	else
		cb_strv_add(&one, commit->ref ? commit->ref : commit->hash);
	r = run_git(git, &one, 0, NULL, NULL, err);
	if (r == 0)
		r = have_commit(git, commit->hash, err);
	else if (r > 0)
		r = 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = must_git(git, all, 0, NULL, "fetch", err);
	if (r == 0)
		r = have_commit(git, commit->hash, err);
	if (r == 0)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "repository %s has no commit %s", remote, commit->hash);
	return r < 0 ? r : 0;
}

static int commit_time(struct git *git, const char *hash, struct timespec *ret, struct cb_err **err)
{
	const char *const words[] = { "show", "-s", "--format=%ct", hash, NULL };
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_free char *text = NULL;
	int64_t seconds;
	int r = must_git(git, words, CB_GIT_RESOLVE_MS, &out, "read the time of a commit of", err);

	if (r < 0)
		return r;
	text = cb_str_trim(cb_buf_str(&out));
	if (!cb_num_i64(text, &seconds))
		return cb_err_set(err, CB_ERR_CORRUPT, "the time of commit %s is \"%s\"", hash, text);
	*ret = (struct timespec){ .tv_sec = seconds };
	return 0;
}

static int make_tree(struct git *git, const struct cb_git_commit *commit, struct cb_err **err)
{
	const char *const init[] = { "init", "-q", "--template=", NULL };
	const char *const add_remote[] = { "remote", "add", "--", "origin", git->url->remote, NULL };
	const char *const checkout[] = { "checkout", "-q", "--force", "--detach", commit->hash, "--", NULL };
	const char *const submodules[] = { "submodule", "update", "-q", "--init", "--recursive", "--depth=1",
		"--checkout", NULL };
	int r = must_git(git, init, CB_GIT_RESOLVE_MS, NULL, "prepare a checkout of", err);

	if (r == 0)
		r = must_git(git, add_remote, CB_GIT_RESOLVE_MS, NULL, "prepare a checkout of", err);
	if (r == 0)
		r = fetch(git, commit, err);
	if (r == 0)
		r = must_git(git, checkout, 0, NULL, "check out", err);
	if (r == 0 && git->url->submodules)
		r = must_git(git, submodules, 0, NULL, "update the submodules of", err);
	return r;
}

int cb_git_checkout(const struct cb_git_url *url, const struct cb_git_access *access,
	const struct cb_git_commit *commit, int dirfd, int64_t *ret_time, struct cb_err **err)
{
	__attribute__((cleanup(git_done))) struct git git = { 0 };
	struct tidy tidy = { .keep_git_dir = url->keep_git_dir, .set_time = url->mtime_commit };
	char link[64], dir[4096];
	ssize_t len;
	int r = need_git(err);

	if (r < 0)
		return r;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	len = readlink(link, dir, sizeof(dir) - 1);
	if (len < 0)
		return cb_err_errno(err, errno, "directory of the checkout");
	dir[len] = '\0';
	git_open(&git, url, access, dir, dirfd);
	r = make_tree(&git, commit, err);
	if (r == 0)
		r = commit_time(&git, commit->hash, &tidy.time, err);
	if (r == 0 && ret_time)
		*ret_time = tidy.time.tv_sec;
	return r < 0 ? r : tidy_dir(&tidy, dirfd, 0, err);
}
