#include "layers/dockercfg.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/spawn.h"
#include "layers/dockercfg_doc.h"

/* Documents in order of precedence. */
#define DOCS_MAX 8

struct cb_dockercfg {
	json_t *docs[DOCS_MAX];
	char *names[DOCS_MAX];
	size_t n;
	struct cb_credential only; /* of cb_dockercfg_of */
};

static void wipe_free(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void cb_credential_done(struct cb_credential *cred)
{
	wipe_free(&cred->username);
	wipe_free(&cred->password);
	wipe_free(&cred->identity_token);
	wipe_free(&cred->registry_token);
}

struct cb_dockercfg *cb_dockercfg_free(struct cb_dockercfg *cfg)
{
	if (!cfg)
		return NULL;
	for (size_t i = 0; i < cfg->n; i++) {
		json_decref(cfg->docs[i]);
		free(cfg->names[i]);
	}
	cb_credential_done(&cfg->only);
	free(cfg);
	return NULL;
}

static int add_doc(struct cb_dockercfg *cfg, const char *data, size_t len, const char *name, struct cb_err **err)
{
	cleanup_json json_t *doc = NULL;
	cleanup_err struct cb_err *why = NULL;

	if (len == 0)
		return 0;
	if (cb_json_parse(data, len, &doc, &why) < 0)
		return cb_err_set(err, CB_ERR_INPUT, "%s: %s", name, cb_err_msg(why));
	if (!json_is_object(doc))
		return cb_err_set(err, CB_ERR_INPUT, "%s: not a JSON object", name);
	if (cfg->n == DOCS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "too many credential files");
	cfg->names[cfg->n] = cb_xstrdup(name);
	cfg->docs[cfg->n++] = CB_TAKE_PTR(doc);
	return 0;
}

static int add_file(struct cb_dockercfg *cfg, const char *path, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	cleanup_buf struct cb_buf data = { 0 };
	int r;

	if (cfg->n == DOCS_MAX)
		return 0;
	r = cb_file_read_at(AT_FDCWD, path, CB_DOCKERCFG_SIZE_MAX, &data, &why);
	/* Another user's home (sudo, user namespaces) is as good as none. */
	if (r == CB_ERR_NOT_FOUND || r == CB_ERR_DENIED || (r < 0 && why->errnum == ENOTDIR))
		return 0;
	if (r < 0)
		return cb_err_set(err, CB_ERR_INPUT, "credentials: %s", cb_err_msg(why));
	r = add_doc(cfg, data.data, data.len, path, err);
	if (data.data)
		explicit_bzero(data.data, data.len);
	return r;
}

static int add_file_in(struct cb_dockercfg *cfg, const char *dir, const char *below, struct cb_err **err)
{
	cleanup_free char *path = NULL;

	if (!dir || !*dir)
		return 0;
	path = cb_xasprintf("%s/%s", dir, below);
	return add_file(cfg, path, err);
}

static int load_files(struct cb_dockercfg *cfg, struct cb_err **err)
{
	const char *file = getenv("REGISTRY_AUTH_FILE"), *docker = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	const char *config = getenv("XDG_CONFIG_HOME"), *run = getenv("XDG_RUNTIME_DIR");
	int r;

	if (file && *file)
		return add_file(cfg, file, err);
	r = docker && *docker ? add_file_in(cfg, docker, "config.json", err)
			      : add_file_in(cfg, home, ".docker/config.json", err);
	if (r == 0)
		r = add_file_in(cfg, run, "containers/auth.json", err);
	if (r == 0)
		r = config && *config ? add_file_in(cfg, config, "containers/auth.json", err)
				      : add_file_in(cfg, home, ".config/containers/auth.json", err);
	return r;
}

int cb_dockercfg_load(struct cb_dockercfg **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_dockercfg_free) struct cb_dockercfg *cfg = cb_new0(struct cb_dockercfg);
	const char *inline_doc = getenv("DOCKER_AUTH_CONFIG");
	int r = 0;

	if (inline_doc && *inline_doc)
		r = add_doc(cfg, inline_doc, strnlen(inline_doc, CB_DOCKERCFG_SIZE_MAX), "DOCKER_AUTH_CONFIG", err);
	if (r == 0)
		r = load_files(cfg, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(cfg);
	return 0;
}

int cb_dockercfg_parse(const char *data, size_t len, const char *name, struct cb_dockercfg **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_dockercfg_free) struct cb_dockercfg *cfg = cb_new0(struct cb_dockercfg);
	int r = add_doc(cfg, data, len, name, err);

	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(cfg);
	return 0;
}

struct cb_dockercfg *cb_dockercfg_of(const struct cb_credential *cred)
{
	struct cb_dockercfg *cfg = cb_new0(struct cb_dockercfg);

	cfg->only.username = cb_xstrdup(cred->username);
	cfg->only.password = cb_xstrdup_null(cred->password);
	return cfg;
}

/* "https://index.docker.io/v1/" and "docker.io/" are written by different tools: scheme, API version, slashes away. */
char *cb_dockercfg_plain_key(const char *key)
{
	cleanup_free char *copy = NULL;
	size_t len;

	if (cb_str_starts(key, "https://"))
		key += 8;
	else if (cb_str_starts(key, "http://"))
		key += 7;
	copy = cb_xstrdup(key);
	for (len = strlen(copy); len && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0';
	if (cb_str_ends(copy, "/v1") || cb_str_ends(copy, "/v2"))
		copy[len - 3] = '\0';
	if (strcmp(copy, "index.docker.io") == 0 || strcmp(copy, "registry-1.docker.io") == 0)
		return cb_xstrdup("docker.io");
	return CB_TAKE_PTR(copy);
}

/* The member of @obj whose plain key is @want; *ret_key is the key as written. */
json_t *cb_dockercfg_find(const json_t *obj, const char *want, const char **ret_key)
{
	const char *key;
	json_t *value;

	if (!json_is_object(obj))
		return NULL;
	json_object_foreach((json_t *)obj, key, value)
	{
		cleanup_free char *plain = cb_dockercfg_plain_key(key);

		if (strcmp(plain, want) != 0)
			continue;
		if (ret_key)
			*ret_key = key;
		return value;
	}
	return NULL;
}

static char *string_of(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s && *s ? cb_xstrdup(s) : NULL;
}

/* "auth": base64 of user:password. */
static int decode_auth(const char *text, struct cb_credential *ret)
{
	size_t len = strlen(text);
	cleanup_free char *plain = NULL;
	char *colon;
	int n;

	if (len > 64 * 1024 || len % 4 != 0)
		return -1;
	plain = cb_xmalloc(len + 1);
	n = EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)text, (int)len);
	if (n < 0)
		return -1;
	plain[n] = '\0'; /* padding decodes to zeros, which end the string as well */
	colon = strchr(plain, ':');
	if (colon) {
		ret->username = cb_xstrndup(plain, (size_t)(colon - plain));
		ret->password = cb_xstrdup(colon + 1);
	}
	explicit_bzero(plain, (size_t)n);
	return colon ? 0 : -1;
}

static int read_entry(
	const json_t *entry, const char *name, const char *key, struct cb_credential *ret, struct cb_err **err)
{
	const char *auth;

	if (!json_is_object(entry))
		return cb_err_set(err, CB_ERR_INPUT, "%s: the entry of %s is not an object", name, key);
	ret->identity_token = string_of(entry, "identitytoken");
	ret->registry_token = string_of(entry, "registrytoken");
	ret->username = string_of(entry, "username");
	ret->password = string_of(entry, "password");
	auth = json_string_value(json_object_get(entry, "auth"));
	if (auth && *auth && !ret->username && decode_auth(auth, ret) < 0)
		return cb_err_set(err, CB_ERR_INPUT, "%s: the auth of %s is not base64 of user:password", name, key);
	return ret->username || ret->identity_token || ret->registry_token ? 0 : 1;
}

const char *cb_dockercfg_server(const char *host)
{
	return strcmp(host, "docker.io") == 0 ? "https://index.docker.io/v1/" : host;
}

static bool helper_ok(const char *name)
{
	return *name && strlen(name) < 128 && !strchr(name, '/');
}

/* What the helper answered: a user of "<token>" marks an identity token. */
static int read_answer(const struct cb_buf *out, const char *program, struct cb_credential *ret, struct cb_err **err)
{
	cleanup_json json_t *doc = NULL;
	cleanup_free char *user = NULL, *secret = NULL;
	int r;

	r = cb_json_parse(out->len ? out->data : "", out->len, &doc, err);
	if (r < 0)
		return cb_err_wrap(err, CB_ERR_DENIED, "%s", program);
	user = string_of(doc, "Username");
	secret = string_of(doc, "Secret");
	if (!secret)
		return 1;
	if (cb_str_eq(user, "<token>")) {
		ret->identity_token = CB_TAKE_PTR(secret);
		return 0;
	}
	ret->username = user ? CB_TAKE_PTR(user) : cb_xstrdup("");
	ret->password = CB_TAKE_PTR(secret);
	return 0;
}

int cb_dockercfg_call(const char *helper, const char *verb, const char *input, struct cb_buf *out, char **ret_said,
	struct cb_err **err)
{
	cleanup_free char *program = cb_xasprintf("docker-credential-%s", helper);
	const char *argv[] = { program, verb, NULL };
	cleanup_buf struct cb_buf errout = { 0 };
	struct cb_spawn spawn = {
		.argv = argv, .input = input, .input_len = strlen(input), .timeout_ms = CB_DOCKERCFG_HELPER_MS
	};
	int r;

	if (!helper_ok(helper))
		return cb_err_set(err, CB_ERR_INPUT, "credential helper \"%s\" is not a plain name", helper);
	r = cb_spawn_run(&spawn, out, &errout, err);
	if (r < 0)
		return cb_err_wrap(err, CB_ERR_DENIED, "%s", program);
	if (r > 0)
		*ret_said = cb_str_trim(cb_buf_str(out->len ? out : &errout));
	return r;
}

static int ask_helper(const char *helper, const char *server, struct cb_credential *ret, struct cb_err **err)
{
	cleanup_free char *program = cb_xasprintf("docker-credential-%s", helper), *said = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	int r = cb_dockercfg_call(helper, "get", server, &out, &said, err);

	if (r < 0)
		return r;
	if (r == 0) {
		r = read_answer(&out, program, ret, err);
		if (out.data)
			explicit_bzero(out.data, out.len);
		return r;
	}
	if (strstr(said, "credentials not found"))
		return 1;
	return cb_err_set(err, CB_ERR_DENIED, "%s: exit status %d: %.300s", program, r, said);
}

/* The most specific of "host/a/b", "host/a", "host". */
static int lookup_auths(const json_t *doc, const char *name, const char *host, const char *repository,
	struct cb_credential *ret, struct cb_err **err)
{
	const json_t *auths = json_object_get(doc, "auths");
	cleanup_free char *key = repository ? cb_xasprintf("%s/%s", host, repository) : cb_xstrdup(host);

	if (!json_is_object(auths))
		return 1;
	for (;;) {
		const json_t *entry = cb_dockercfg_find(auths, key, NULL);
		char *slash = strrchr(key, '/');

		if (entry) {
			int r = read_entry(entry, name, key, ret, err);

			/* Tools leave {} behind for what a helper keeps. */
			if (r <= 0)
				return r;
		}
		if (!slash)
			return 1;
		*slash = '\0';
	}
}

static int lookup_doc(const json_t *doc, const char *name, const char *host, const char *repository,
	struct cb_credential *ret, struct cb_err **err)
{
	const char *key = NULL;
	const json_t *helper = cb_dockercfg_find(json_object_get(doc, "credHelpers"), host, &key);
	const char *store = json_string_value(json_object_get(doc, "credsStore"));
	const char *server = cb_dockercfg_server(host);
	int r;

	if (json_is_string(helper) && *json_string_value(helper))
		return ask_helper(json_string_value(helper), key, ret, err);
	r = lookup_auths(doc, name, host, repository, ret, err);
	if (r != 1)
		return r;
	if (store && *store)
		return ask_helper(store, server, ret, err);
	return 1;
}

int cb_dockercfg_lookup(const struct cb_dockercfg *cfg, const char *host, const char *repository,
	struct cb_credential *ret, struct cb_err **err)
{
	cleanup_free char *plain = cb_dockercfg_plain_key(host);

	if (cfg->only.username) {
		ret->username = cb_xstrdup(cfg->only.username);
		ret->password = cb_xstrdup_null(cfg->only.password);
		return 0;
	}
	for (size_t i = 0; i < cfg->n; i++) {
		cleanup_credential struct cb_credential cred = { 0 };
		int r = lookup_doc(cfg->docs[i], cfg->names[i], plain, repository, &cred, err);

		if (r < 0)
			return r;
		if (r == 0) {
			*ret = cred;
			cred = (struct cb_credential){ 0 };
			return 0;
		}
	}
	return 1;
}
