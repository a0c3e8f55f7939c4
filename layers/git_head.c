/* What a working tree on this machine has checked out. Its configuration is not ours: nothing of it may run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "layers/fetch_git.h"

#define COMMIT_MAX ((size_t)1 << 20)

/* True when @dir or a directory above it has a ".git". */
static bool in_work_tree(const char *dir)
{
	cleanup_free char *at = realpath(dir, NULL);

	while (at) {
		cleanup_free char *git = cb_xasprintf("%s/.git", at);
		char *slash = strrchr(at, '/');

		if (access(git, F_OK) == 0)
			return true;
		if (!*at)
			return false;
		*slash = '\0';
	}
	return false;
}

/*
 * rev-parse and cat-file run no filter, pager, hook or helper; a partial clone does not fetch what it lacks. Owners do
 * not matter then.
 */
static int run_git(const char *dir, const char *const *words, const struct cb_cancel *cancel, struct cb_buf *out,
	struct cb_buf *errout, struct cb_err **err)
{
	static const char *const fixed[][2] = {
		{ "GIT_CONFIG_NOSYSTEM", "1" },
		{ "GIT_CONFIG_GLOBAL", "/dev/null" },
		{ "GIT_CONFIG_COUNT", "1" },
		{ "GIT_CONFIG_KEY_0", "safe.directory" },
		{ "GIT_CONFIG_VALUE_0", "*" },
		{ "GIT_ALLOW_PROTOCOL", "none" },
		{ "GIT_NO_LAZY_FETCH", "1" },
		{ "GIT_NO_REPLACE_OBJECTS", "1" },
		{ "GIT_TERMINAL_PROMPT", "0" },
		{ "GIT_OPTIONAL_LOCKS", "0" },
		{ "GIT_DISCOVERY_ACROSS_FILESYSTEM", "1" },
		{ "LC_ALL", "C.UTF-8" },
	};
	cleanup_strv struct cb_strv env = { 0 };
	struct cb_spawn spec = {
		.argv = words, .dir = dir, .max_output = COMMIT_MAX, .timeout_ms = CB_GIT_RESOLVE_MS, .cancel = cancel
	};

	if (getenv("PATH"))
		cb_env_set(&env, "PATH", getenv("PATH"));
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		cb_env_set(&env, fixed[i][0], fixed[i][1]);
	spec.env = (const char *const *)env.v;
	return cb_spawn_run(&spec, out, errout, err);
}

/* "committer NAME <MAIL> SECONDS ZONE" of a commit object. */
static bool committer_time(const char *object, int64_t *ret)
{
	const char *line = strstr(object, "\ncommitter "), *body = strstr(object, "\n\n"), *at;
	cleanup_free char *text = NULL;

	if (!line || (body && body < line))
		return false;
	line++;
	at = memrchr(line, '>', strcspn(line, "\n"));
	if (!at || at[1] != ' ')
		return false;
	text = cb_xstrndup(at + 2, strcspn(at + 2, " \n"));
	return cb_num_i64(text, ret);
}

int cb_git_head_time(const char *dir, const struct cb_cancel *cancel, int64_t *ret, struct cb_err **err)
{
	static const char *const verify[] = { "git", "rev-parse", "--quiet", "--verify", "HEAD^{commit}", NULL };
	static const char *const read_commit[] = { "git", "cat-file", "commit", "HEAD", NULL };
	cleanup_buf struct cb_buf hash = { 0 }, object = { 0 }, errout = { 0 };
	cleanup_free char *why = NULL;
	int r;

	if (!in_work_tree(dir))
		return 1;
	if (!cb_spawn_have("git")) {
		cb_err_set(err, CB_ERR_UNSUPPORTED, "%s is in a git repository, and there is no git to read it", dir);
		return cb_err_hint(err, CB_ERR_UNSUPPORTED, "install git, or set SOURCE_DATE_EPOCH");
	}
	r = run_git(dir, verify, cancel, &hash, &errout, err);
	if (r == 1)
		return 1;
	if (r == 0)
		r = run_git(dir, read_commit, cancel, &object, &errout, err);
	if (r < 0)
		return r;
	if (r == 0 && committer_time(cb_buf_str(&object), ret))
		return 0;
	why = cb_str_trim(cb_buf_str(&errout));
	cb_err_set(err, CB_ERR_INPUT, "the commit of %s cannot be read: %s", dir, *why ? why : "it has no time");
	return cb_err_hint(err, CB_ERR_INPUT, "set SOURCE_DATE_EPOCH to do without it");
}
