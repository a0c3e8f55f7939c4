#include "layers/registriesconf.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strv.h"
#include "layers/toml.h"

#define CERTS_SIZE_MAX (4 * 1024 * 1024)
#define CERTS_FILES_MAX 256

enum from_mirror { FROM_ALL, FROM_DIGEST_ONLY, FROM_TAG_ONLY };

struct mirror {
	char *location;
	bool insecure;
	enum from_mirror from;
};

struct table {
	char *prefix, *location; /* location NULL: nothing is rewritten */
	bool insecure, blocked, by_digest_only;
	struct mirror *mirrors;
	size_t n_mirrors, cap_mirrors;
};

struct cb_registriesconf {
	struct table *tables;
	size_t n, cap;
	struct cb_strv certs_dirs;
};

static void table_done(struct table *t)
{
	free(t->prefix);
	free(t->location);
	for (size_t i = 0; i < t->n_mirrors; i++)
		free(t->mirrors[i].location);
	free(t->mirrors);
	*t = (struct table){ 0 };
}

struct cb_registriesconf *cb_registriesconf_free(struct cb_registriesconf *conf)
{
	if (!conf)
		return NULL;
	for (size_t i = 0; i < conf->n; i++)
		table_done(&conf->tables[i]);
	free(conf->tables);
	cb_strv_done(&conf->certs_dirs);
	free(conf);
	return NULL;
}

void cb_endpoints_done(struct cb_endpoints *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct cb_endpoint *e = &list->v[i];

		free(e->host);
		free(e->repository);
		free(e->ca_pem);
		free(e->client_cert);
		free(e->client_key);
	}
	free(list->v);
	*list = (struct cb_endpoints){ 0 };
}

void cb_registriesconf_set_certs_dirs(struct cb_registriesconf *conf, const char *const *dirs)
{
	cb_strv_done(&conf->certs_dirs);
	conf->certs_dirs = (struct cb_strv){ 0 };
	for (; dirs && *dirs; dirs++)
		cb_strv_add(&conf->certs_dirs, *dirs);
}

/* Reading */

struct reader {
	struct cb_registriesconf *conf;
	size_t first;          /* table where this file begins */
	bool registry, mirror; /* the kind of the running table */
	const char *name;
};

static struct table *running(struct reader *rd)
{
	return rd->conf->n > rd->first ? &rd->conf->tables[rd->conf->n - 1] : NULL;
}

static int on_table(void *userdata, const struct cb_strv *path, bool array, unsigned int line, struct cb_err **err)
{
	struct reader *rd = userdata;
	struct cb_registriesconf *conf = rd->conf;
	struct table *t = running(rd);

	rd->registry = array && path->n == 1 && strcmp(path->v[0], "registry") == 0;
	rd->mirror = array && path->n == 2 && strcmp(path->v[0], "registry") == 0 && strcmp(path->v[1], "mirror") == 0;
	if (rd->registry) {
		if (conf->n == CB_REGISTRIESCONF_TABLES_MAX)
			return cb_err_set(err, CB_ERR_LIMIT, "%s: too many tables", rd->name);
		CB_GROW(conf->tables, conf->cap, conf->n + 1);
		conf->tables[conf->n++] = (struct table){ 0 };
	}
	if (rd->mirror) {
		if (!t)
			return cb_err_set(
				err, CB_ERR_INPUT, "%s: line %u: a mirror without a registry", rd->name, line);
		if (t->n_mirrors == CB_REGISTRIESCONF_TABLES_MAX)
			return cb_err_set(err, CB_ERR_LIMIT, "%s: too many tables", rd->name);
		CB_GROW(t->mirrors, t->cap_mirrors, t->n_mirrors + 1);
		t->mirrors[t->n_mirrors++] = (struct mirror){ 0 };
	}
	return 0;
}

static int want_type(
	struct reader *rd, const char *key, const struct cb_toml_value *v, enum cb_toml_type type, struct cb_err **err)
{
	if (v->type == type)
		return 0;
	return cb_err_set(err, CB_ERR_INPUT, "%s: line %u: %s must be %s", rd->name, v->line, key,
		type == CB_TOML_BOOL ? "true or false" : "a string");
}

static int set_bool(struct reader *rd, const char *key, const struct cb_toml_value *v, bool *slot, struct cb_err **err)
{
	int r = want_type(rd, key, v, CB_TOML_BOOL, err);

	if (r == 0)
		*slot = v->boolean;
	return r;
}

/* Locations are host[:port][/path]; a scheme is a common mistake. */
static int set_location(
	struct reader *rd, const char *key, const struct cb_toml_value *v, char **slot, struct cb_err **err)
{
	size_t len;
	int r = want_type(rd, key, v, CB_TOML_STRING, err);

	if (r < 0)
		return r;
	if (strstr(v->string, "://"))
		return cb_err_set(
			err, CB_ERR_INPUT, "%s: line %u: %s takes a name without a scheme", rd->name, v->line, key);
	free(*slot);
	*slot = cb_xstrdup(v->string);
	for (len = strlen(*slot); len && (*slot)[len - 1] == '/'; len--)
		(*slot)[len - 1] = '\0';
	return 0;
}

static int on_mirror_key(
	struct reader *rd, struct mirror *m, const char *key, const struct cb_toml_value *v, struct cb_err **err)
{
	int r;

	if (strcmp(key, "location") == 0)
		return set_location(rd, key, v, &m->location, err);
	if (strcmp(key, "insecure") == 0)
		return set_bool(rd, key, v, &m->insecure, err);
	if (strcmp(key, "pull-from-mirror") != 0)
		return 0;
	r = want_type(rd, key, v, CB_TOML_STRING, err);
	if (r < 0)
		return r;
	if (strcmp(v->string, "digest-only") == 0)
		m->from = FROM_DIGEST_ONLY;
	else if (strcmp(v->string, "tag-only") == 0)
		m->from = FROM_TAG_ONLY;
	else if (*v->string && strcmp(v->string, "all") != 0)
		return cb_err_set(err, CB_ERR_INPUT, "%s: line %u: pull-from-mirror is all, digest-only or tag-only",
			rd->name, v->line);
	return 0;
}

static int on_key(void *userdata, const struct cb_strv *path, const struct cb_toml_value *v, struct cb_err **err)
{
	struct reader *rd = userdata;
	struct table *t = running(rd);
	const char *key = path->v[0];

	if (!t || path->n != 1)
		return 0;
	if (rd->mirror)
		return on_mirror_key(rd, &t->mirrors[t->n_mirrors - 1], key, v, err);
	if (!rd->registry)
		return 0;
	if (strcmp(key, "prefix") == 0)
		return set_location(rd, key, v, &t->prefix, err);
	if (strcmp(key, "location") == 0)
		return set_location(rd, key, v, &t->location, err);
	if (strcmp(key, "insecure") == 0)
		return set_bool(rd, key, v, &t->insecure, err);
	if (strcmp(key, "blocked") == 0)
		return set_bool(rd, key, v, &t->blocked, err);
	if (strcmp(key, "mirror-by-digest-only") == 0)
		return set_bool(rd, key, v, &t->by_digest_only, err);
	return 0;
}

/* Fills defaults, checks, and lets the tables of this file replace earlier ones of their prefix. */
static int settle(struct reader *rd, struct cb_err **err)
{
	struct cb_registriesconf *conf = rd->conf;

	for (size_t i = rd->first; i < conf->n; i++) {
		struct table *t = &conf->tables[i];

		if (!t->prefix || !*t->prefix) {
			free(t->prefix);
			t->prefix = cb_xstrdup_null(t->location);
		}
		if (!t->prefix || !*t->prefix)
			return cb_err_set(
				err, CB_ERR_INPUT, "%s: a registry has neither prefix nor location", rd->name);
		if (t->location && (!*t->location || strcmp(t->location, t->prefix) == 0))
			free(CB_TAKE_PTR(t->location));
		for (size_t m = 0; m < t->n_mirrors; m++)
			if (!t->mirrors[m].location || !*t->mirrors[m].location)
				return cb_err_set(
					err, CB_ERR_INPUT, "%s: a mirror of %s has no location", rd->name, t->prefix);
		for (size_t old = 0; old < rd->first; old++)
			if (strcmp(conf->tables[old].prefix, t->prefix) == 0) {
				struct table swap = conf->tables[old];

				conf->tables[old] = *t;
				*t = swap;
				/* What was replaced matches nothing from now on. */
				table_done(t);
				t->prefix = cb_xstrdup("");
				break;
			}
	}
	return 0;
}

static int read_doc(struct cb_registriesconf *conf, const char *data, size_t len, const char *name, struct cb_err **err)
{
	struct reader rd = { .conf = conf, .first = conf->n, .name = name };
	struct cb_toml_handler handler = { .userdata = &rd, .table = on_table, .key = on_key };
	int r;

	r = cb_toml_parse(data, len, name, &handler, err);
	if (r < 0)
		return r;
	return settle(&rd, err);
}

/* 1 when there is no such file. */
static int read_file(struct cb_registriesconf *conf, const char *path, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	cleanup_buf struct cb_buf data = { 0 };
	int r;

	r = cb_file_read_at(AT_FDCWD, path, CB_REGISTRIESCONF_SIZE_MAX, &data, &why);
	if (r == CB_ERR_NOT_FOUND || r == CB_ERR_DENIED || (r < 0 && why->errnum == ENOTDIR))
		return 1;
	if (r < 0)
		return cb_err_move(err, CB_TAKE_PTR(why));
	return read_doc(conf, data.data ? data.data : "", data.len, path, err);
}

/* Names in @dir that end with @suffix, sorted. A missing directory has none. */
static void list_dir(const char *dir, const char *suffix, struct cb_strv *ret)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)) && ret->n < CERTS_FILES_MAX)
		if (e->d_name[0] != '.' && cb_str_ends(e->d_name, suffix))
			cb_strv_add(ret, e->d_name);
	closedir(d);
	cb_strv_sort(ret);
}

static int read_dir(struct cb_registriesconf *conf, const char *dir, struct cb_err **err)
{
	cleanup_strv struct cb_strv names = { 0 };

	list_dir(dir, ".conf", &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = cb_xasprintf("%s/%s", dir, names.v[i]);
		int r = read_file(conf, path, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int load_files(struct cb_registriesconf *conf, const char *home, struct cb_err **err)
{
	const char *file = getenv("CONTAINERS_REGISTRIES_CONF");
	cleanup_free char *own = NULL, *own_dir = NULL;
	int r = 1;

	if (file && *file) {
		r = read_file(conf, file, err);
		if (r > 0)
			return cb_err_set(err, CB_ERR_INPUT, "CONTAINERS_REGISTRIES_CONF: cannot read %s", file);
		return r;
	}
	if (home && *home) {
		own = cb_xasprintf("%s/.config/containers/registries.conf", home);
		own_dir = cb_xasprintf("%s.d", own);
		r = read_file(conf, own, err);
	}
	if (r > 0)
		r = read_file(conf, "/etc/containers/registries.conf", err);
	if (r >= 0)
		r = read_dir(conf, "/etc/containers/registries.conf.d", err);
	if (r >= 0 && own_dir)
		r = read_dir(conf, own_dir, err);
	return r;
}

int cb_registriesconf_load(struct cb_registriesconf **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_registriesconf_free) struct cb_registriesconf *conf = cb_new0(struct cb_registriesconf);
	const char *home = getenv("HOME");
	int r;

	if (home && *home)
		cb_strv_addf(&conf->certs_dirs, "%s/.config/containers/certs.d", home);
	cb_strv_add(&conf->certs_dirs, "/etc/containers/certs.d");
	cb_strv_add(&conf->certs_dirs, "/etc/docker/certs.d");
	r = load_files(conf, home, err);
	if (r < 0)
		return cb_err_wrap(err, r, "registries configuration");
	*ret = CB_TAKE_PTR(conf);
	return 0;
}

int cb_registriesconf_parse(
	const char *data, size_t len, const char *name, struct cb_registriesconf **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_registriesconf_free) struct cb_registriesconf *conf = cb_new0(struct cb_registriesconf);
	int r = read_doc(conf, data, len, name, err);

	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(conf);
	return 0;
}

/* Looking up */

/* How many bytes of "host/repository" @prefix stands for; 0 when it does not match. */
static size_t match_prefix(const char *prefix, const char *host, const char *full)
{
	size_t len = strlen(prefix), host_len = strlen(host);

	if (cb_str_starts(prefix, "*."))
		/* Any host below the domain; such a prefix has no path. */
		return host_len > len - 1 && cb_str_ends(host, prefix + 1) ? host_len : 0;
	if (!len || !cb_str_starts(full, prefix))
		return 0;
	return full[len] == '\0' || full[len] == '/' ? len : 0;
}

static const struct table *find_table(
	const struct cb_registriesconf *conf, const char *host, const char *full, size_t *ret_len)
{
	const struct table *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < conf->n; i++) {
		const struct table *t = &conf->tables[i];
		size_t len = match_prefix(t->prefix, host, full);

		/* A prefix that is written out wins over a wildcard, as does the longer one. */
		if (len && (strlen(t->prefix) > best_len)) {
			best = t;
			best_len = strlen(t->prefix);
			*ret_len = len;
		}
	}
	return best;
}

static void add_certs(struct cb_endpoint *e, const char *dir)
{
	cleanup_strv struct cb_strv authorities = { 0 }, certs = { 0 };
	cleanup_buf struct cb_buf pem = { 0 };

	list_dir(dir, ".crt", &authorities);
	list_dir(dir, ".cert", &certs);
	for (size_t i = 0; i < authorities.n; i++) {
		cleanup_free char *path = cb_xasprintf("%s/%s", dir, authorities.v[i]);

		if (pem.len < CERTS_SIZE_MAX && cb_file_read_at(AT_FDCWD, path, CERTS_SIZE_MAX, &pem, NULL) == 0)
			cb_buf_addc(&pem, '\n');
	}
	if (pem.len)
		e->ca_pem = cb_buf_take(&pem);
	for (size_t i = 0; i < certs.n; i++) {
		cleanup_free char *cert = cb_xasprintf("%s/%s", dir, certs.v[i]);
		cleanup_free char *key = cb_xasprintf("%.*s.key", (int)(strlen(cert) - strlen(".cert")), cert);

		if (access(key, R_OK) < 0)
			continue;
		e->client_cert = CB_TAKE_PTR(cert);
		e->client_key = CB_TAKE_PTR(key);
		return;
	}
}

/* The first directory that has the host serves it. */
static void find_certs(const struct cb_registriesconf *conf, struct cb_endpoint *e)
{
	if (*e->host == '.' || strchr(e->host, '/'))
		return;
	for (size_t i = 0; i < conf->certs_dirs.n; i++) {
		cleanup_free char *dir = cb_xasprintf("%s/%s", conf->certs_dirs.v[i], e->host);

		if (access(dir, R_OK | X_OK) < 0)
			continue;
		add_certs(e, dir);
		return;
	}
}

/* @location + @rest is "host/repository". */
static void add_endpoint(const struct cb_registriesconf *conf, struct cb_endpoints *list, const char *location,
	const char *rest, bool insecure, bool mirror)
{
	cleanup_free char *full = cb_xasprintf("%s%s", location, rest);
	char *slash = strchr(full, '/');
	struct cb_endpoint *e;

	if (!slash || !slash[1])
		return; /* the location swallowed the repository */
	*slash = '\0';
	list->v = cb_xreallocarray(list->v, list->n + 1, sizeof(*list->v));
	e = &list->v[list->n++];
	*e = (struct cb_endpoint){ .insecure = insecure, .mirror = mirror };
	e->host = cb_xstrdup(full);
	find_certs(conf, e);
	if (strcmp(full, "docker.io") == 0 || strcmp(full, "index.docker.io") == 0) {
		free(e->host);
		e->host = cb_xstrdup("registry-1.docker.io");
	}
	e->repository = cb_xstrdup(slash + 1);
}

static bool mirror_serves(const struct table *t, const struct mirror *m, bool by_digest)
{
	if (t->by_digest_only)
		return by_digest;
	return m->from == FROM_ALL || (m->from == FROM_DIGEST_ONLY) == by_digest;
}

int cb_registriesconf_lookup(const struct cb_registriesconf *conf, const char *host, const char *repository,
	bool by_digest, bool push, struct cb_endpoints *ret, struct cb_err **err)
{
	cleanup_endpoints struct cb_endpoints list = { 0 };
	cleanup_free char *full = cb_xasprintf("%s/%s", host, repository);
	size_t matched = 0;
	const struct table *t = find_table(conf, host, full, &matched);

	if (t && t->blocked)
		return cb_err_set(err, CB_ERR_DENIED, "%s is blocked by the registries configuration", full);
	for (size_t i = 0; t && !push && i < t->n_mirrors; i++)
		if (mirror_serves(t, &t->mirrors[i], by_digest))
			add_endpoint(conf, &list, t->mirrors[i].location, full + matched, t->mirrors[i].insecure, true);
	if (t && t->location)
		add_endpoint(conf, &list, t->location, full + matched, t->insecure, false);
	else
		add_endpoint(conf, &list, host, full + strlen(host), t && t->insecure, false);
	if (!list.n)
		return cb_err_set(err, CB_ERR_INPUT, "the registries configuration leaves no repository of %s", full);
	*ret = list;
	list = (struct cb_endpoints){ 0 };
	return 0;
}
