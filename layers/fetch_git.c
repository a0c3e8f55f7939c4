#include "layers/fetch_git.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

static void git_open(struct git *git, const struct cb_git_url *url, const struct cb_git_access *access, const char *dir)
{
	*git = (struct git){ .url = url, .access = access, .dir = dir };
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

/* Exit status of git, or an error when it could not be run. */
static int run_git(const struct git *git, const struct cb_strv *args, int timeout_ms, struct cb_buf *out,
	struct cb_buf *errout, struct cb_err **err)
{
	cleanup_strv struct cb_strv argv = { 0 };
	struct cb_spawn spec = { .env = (const char *const *)git->env.v,
		.dir = git->dir,
		.max_output = REFS_MAX,
		.timeout_ms = timeout_ms,
		.cancel = git->access->cancel };

	cb_strv_add(&argv, "git");
	cb_strv_copy(&argv, args);
	spec.argv = (const char *const *)argv.v;
	return cb_spawn_run(&spec, out, errout, err);
}

/* As run_git; a failure of git is an error. */
static int must_git(const struct git *git, const char *const *words, int timeout_ms, struct cb_buf *out,
	const char *what, struct cb_err **err)
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
		git_open(&git, url, access, "/");
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
		return cb_err_set(err, CB_ERR_LIMIT, "checkout: more than %d directories deep", DEPTH_MAX);
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

static int have_commit(const struct git *git, const char *hash, struct cb_err **err)
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
static int fetch(const struct git *git, const struct cb_git_commit *commit, struct cb_err **err)
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
	r = run_git(git, &one, CB_GIT_FETCH_MS, NULL, NULL, err);
	if (r == 0)
		r = have_commit(git, commit->hash, err);
	else if (r > 0)
		r = 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = must_git(git, all, CB_GIT_FETCH_MS, NULL, "fetch", err);
	if (r == 0)
		r = have_commit(git, commit->hash, err);
	if (r == 0)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "repository %s has no commit %s", remote, commit->hash);
	return r < 0 ? r : 0;
}

static int commit_time(const struct git *git, const char *hash, struct timespec *ret, struct cb_err **err)
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

static int make_tree(const struct git *git, const struct cb_git_commit *commit, struct cb_err **err)
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
		r = must_git(git, checkout, CB_GIT_FETCH_MS, NULL, "check out", err);
	if (r == 0 && git->url->submodules)
		r = must_git(git, submodules, CB_GIT_FETCH_MS, NULL, "update the submodules of", err);
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
	git_open(&git, url, access, dir);
	r = make_tree(&git, commit, err);
	if (r == 0)
		r = commit_time(&git, commit->hash, &tidy.time, err);
	if (r == 0 && ret_time)
		*ret_time = tidy.time.tv_sec;
	return r < 0 ? r : tidy_dir(&tidy, dirfd, 0, err);
}
