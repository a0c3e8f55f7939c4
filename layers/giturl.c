#include "layers/giturl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/strv.h"

/* Longer is not meant to be an address. */
#define URL_MAX 8192
#define COMMIT_DIGITS_MIN 4

struct cb_git_url *cb_git_url_free(struct cb_git_url *url)
{
	if (!url)
		return NULL;
	if (url->auth)
		explicit_bzero(url->auth, strlen(url->auth));
	free(url->remote);
	free(url->auth);
	free(url->ref);
	free(url->subdir);
	free(url->checksum);
	free(url);
	return NULL;
}

/* ---- forms ---------------------------------------------------------------------------------------------------- */

static bool starts(const char *s, const char *prefix)
{
	return !strncasecmp(s, prefix, strlen(prefix));
}

static bool is_http(const char *s)
{
	return starts(s, "http://") || starts(s, "https://");
}

/* user@host:path */
static bool is_scp(const char *s)
{
	size_t user = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
	size_t host;

	if (!user || *s == '-' || s[user] != '@')
		return false;
	s += user + 1;
	host = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");
	return host && *s != '-' && s[host] == ':' && s[host + 1] && s[host + 1] != '-';
}

bool cb_git_url_is(const char *text, bool context)
{
	size_t len = strcspn(text, "?#");

	if (starts(text, "git://") || starts(text, "ssh://"))
		return true;
	if (is_http(text))
		return len > 4 && !strncmp(text + len - 4, ".git", 4);
	return is_scp(text) || (context && starts(text, "github.com/") && text[strlen("github.com/")]);
}

bool cb_git_is_commit(const char *text)
{
	size_t len = strlen(text);

	return (len == 40 || len == 64) && strspn(text, "0123456789abcdef") == len;
}

/* Where the user information of an URL with a scheme is: its length, *at its start; 0 when there is none. */
static size_t find_user(const char *text, const char **at)
{
	const char *host = strstr(text, "://"), *end;

	if (!host)
		return 0;
	host += 3;
	end = host + strcspn(host, "/?#");
	for (const char *p = end; p > host; p--) {
		if (p[-1] == '@') {
			*at = host;
			return (size_t)(p - host);
		}
	}
	return 0;
}

char *cb_git_url_redact(const char *text)
{
	const char *user = text;
	size_t len = find_user(text, &user);
	size_t keep = is_http(text) ? 0 : strcspn(user, ":@");

	if (!len)
		return cb_xstrdup(text);
	if (!is_http(text) && user[keep] == '@')
		return cb_xstrdup(text);
	return cb_xasprintf("%.*s%.*s%s%s", (int)(user - text), text, (int)keep, user, keep ? "@" : "", user + len);
}

/* ---- parts ---------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *unescape(const char *s, size_t len, bool query)
{
	cleanup_buf struct cb_buf out = { 0 };

	for (size_t i = 0; i < len; i++) {
		int high = i + 2 < len ? hex_digit(s[i + 1]) : -1, low = i + 2 < len ? hex_digit(s[i + 2]) : -1;

		if (s[i] == '%' && high >= 0 && low >= 0) {
			cb_buf_addc(&out, (char)(high * 16 + low));
			i += 2;
		} else {
			cb_buf_addc(&out, query && s[i] == '+' ? ' ' : s[i]);
		}
	}
	return cb_buf_take(&out);
}

/* The rules of git-check-ref-format that matter to a command line, and those of HEAD. */
static bool is_ref(const char *ref)
{
	if (*ref == '-' || *ref == '/' || strstr(ref, "..") || strstr(ref, "@{") || cb_str_ends(ref, "/") ||
		cb_str_ends(ref, ".lock"))
		return false;
	for (const char *p = ref; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("~^:?*[\\", *p))
			return false;
	return *ref;
}

static int set_ref(struct cb_git_url *url, char *ref, struct cb_err **err)
{
	cleanup_free char *own = ref;

	if (!is_ref(ref))
		return cb_err_set(err, CB_ERR_INPUT, "\"%s\" is no name of a git ref", ref);
	if (url->ref && strcmp(url->ref, ref) != 0)
		return cb_err_set(err, CB_ERR_INPUT, "conflicting git refs \"%s\" and \"%s\"", url->ref, ref);
	free(url->ref);
	url->ref = CB_TAKE_PTR(own);
	return 0;
}

static int set_subdir(struct cb_git_url *url, const char *text, struct cb_err **err)
{
	cleanup_free char *path = cb_path_abs(text);

	if (url->subdir && strcmp(url->subdir, path + 1) != 0)
		return cb_err_set(
			err, CB_ERR_INPUT, "conflicting subdirectories \"%s\" and \"%s\"", url->subdir, path + 1);
	if (path[1] && !url->subdir)
		url->subdir = cb_xstrdup(path + 1);
	return 0;
}

static int set_checksum(struct cb_git_url *url, const char *text, struct cb_err **err)
{
	cleanup_free char *hex = cb_str_lower(cb_xstrdup(text));
	size_t len = strlen(hex);

	if (len < COMMIT_DIGITS_MIN || len > 64 || strspn(hex, "0123456789abcdef") != len)
		return cb_err_set(err, CB_ERR_INPUT, "invalid commit \"%s\": expected hex digits of a commit", text);
	if (url->checksum && strcmp(url->checksum, hex) != 0)
		return cb_err_set(err, CB_ERR_INPUT, "conflicting commits \"%s\" and \"%s\"", url->checksum, hex);
	free(url->checksum);
	url->checksum = CB_TAKE_PTR(hex);
	return 0;
}

static int set_bool(bool *slot, const char *key, const char *value, struct cb_err **err)
{
	if (!*value || !strcmp(value, "1") || !strcasecmp(value, "true"))
		*slot = true;
	else if (!strcmp(value, "0") || !strcasecmp(value, "false"))
		*slot = false;
	else
		return cb_err_set(err, CB_ERR_INPUT, "%s is true or false, not \"%s\"", key, value);
	return 0;
}

static int query_field(struct cb_git_url *url, const char *key, const char *value, struct cb_err **err)
{
	bool ignored;

	if (!strcmp(key, "ref"))
		return set_ref(url, cb_xstrdup(value), err);
	if (!strcmp(key, "branch"))
		return set_ref(url, cb_xasprintf("refs/heads/%s", value), err);
	if (!strcmp(key, "tag"))
		return set_ref(url, cb_xasprintf("refs/tags/%s", value), err);
	if (!strcmp(key, "subdir"))
		return set_subdir(url, value, err);
	if (!strcmp(key, "checksum") || !strcmp(key, "commit"))
		return set_checksum(url, value, err);
	if (!strcmp(key, "keep-git-dir"))
		return set_bool(&url->keep_git_dir, key, value, err);
	if (!strcmp(key, "submodules"))
		return set_bool(&url->submodules, key, value, err);
	if (!strcmp(key, "fetch-by-commit"))
		return set_bool(&ignored, key, value, err);
	if (!strcmp(key, "mtime")) {
		if (strcmp(value, "checkout") != 0 && strcmp(value, "commit") != 0)
			return cb_err_set(err, CB_ERR_INPUT, "mtime is checkout or commit, not \"%s\"", value);
		url->mtime_commit = !strcmp(value, "commit");
		return 0;
	}
	return cb_err_set(err, CB_ERR_INPUT, "unexpected query \"%s\" in a git URL", key);
}

static int parse_query(struct cb_git_url *url, const char *text, size_t len, struct cb_err **err)
{
	cleanup_free char *query = cb_xstrndup(text, len);
	cleanup_strv struct cb_strv fields = { 0 };
	int r = 0;

	cb_strv_split(&fields, query, '&');
	for (size_t i = 0; i < fields.n && r == 0; i++) {
		size_t key_len = strcspn(fields.v[i], "=");
		const char *raw = fields.v[i] + key_len;
		cleanup_free char *key = unescape(fields.v[i], key_len, true);
		cleanup_free char *value = *raw ? unescape(raw + 1, strlen(raw + 1), true) : cb_xstrdup("");

		if (*fields.v[i])
			r = query_field(url, key, value, err);
	}
	return r;
}

static int parse_fragment(struct cb_git_url *url, const char *text, struct cb_err **err)
{
	size_t len = strcspn(text, ":");
	int r = 0;

	if (len)
		r = set_ref(url, cb_xstrndup(text, len), err);
	if (r == 0 && text[len] && text[len + 1])
		r = set_subdir(url, text + len + 1, err);
	return r;
}

/* The part for git; the password of http goes another way, since an argument can be seen by everyone. */
static int parse_remote(struct cb_git_url *url, const char *text, size_t len, struct cb_err **err)
{
	cleanup_free char *remote =
		cb_xasprintf("%s%.*s", starts(text, "github.com/") ? "https://" : "", (int)len, text);
	const char *user = remote, *host;
	size_t user_len = find_user(remote, &user);

	for (char *p = remote; *p && *p != ':'; p++)
		if (strstr(remote, "://"))
			*p = (char)tolower((unsigned char)*p);
	if (user_len && is_http(remote)) {
		url->auth = unescape(user, user_len - 1, false);
		memmove(remote + (user - remote), user + user_len, strlen(user + user_len) + 1);
	}
	host = strstr(remote, "://");
	host = host ? host + 3 : remote;
	if (user_len && !is_http(remote))
		host += user_len;
	if (!*host || *host == '-' || *host == '/')
		return cb_err_set(err, CB_ERR_INPUT, "a git URL without a host");
	url->remote = CB_TAKE_PTR(remote);
	return 0;
}

int cb_git_url_parse(const char *text, struct cb_git_url **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_git_url_free) struct cb_git_url *url = cb_new0(struct cb_git_url);
	bool scheme = strstr(text, "://") || starts(text, "github.com/");
	size_t len = strcspn(text, scheme ? "?#" : "#");
	const char *rest = text + len, *fragment = strchr(rest, '#');
	int r;

	if (strlen(text) > URL_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "a git URL of more than %d bytes", URL_MAX);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return cb_err_set(err, CB_ERR_INPUT, "a git URL with a blank or control character");
	url->submodules = true;
	r = parse_remote(url, text, len, err);
	if (r == 0 && fragment)
		r = parse_fragment(url, fragment + 1, err);
	if (r == 0 && *rest == '?')
		r = parse_query(url, rest + 1, fragment ? (size_t)(fragment - rest - 1) : strlen(rest + 1), err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(url);
	return 0;
}
