#include "layers/regauth.h"

#include <assert.h>
#include <ctype.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/map.h"
#include "base/timefmt.h"

#define TOKEN_SIZE_MAX (256 * 1024)
#define ANSWER_SIZE_MAX (1024 * 1024)
/* What the specification says for an answer without expires_in, and the most that is believed. */
#define EXPIRES_DEFAULT 60
#define EXPIRES_MAX (24 * 3600)
/* Vain answers to challenges of one request before the 401 is taken for an answer. */
#define REFUSED_MAX 3
#define SECOND UINT64_C(1000000000)

/* A header value for one scope. */
struct grant {
	char *value;                    /* "Bearer ...", "Basic ..." */
	uint64_t serial, made, expires; /* CLOCK_MONOTONIC ns; expires 0: never */
};

enum mode { MODE_UNKNOWN, MODE_BASIC, MODE_BEARER };

struct host {
	pthread_mutex_t lock; /* held while a token is fetched, so that others wait for it */
	enum mode mode;
	char *realm, *service, *challenge_scope;
	bool secure;           /* challenged over https */
	struct cb_map *grants; /* by repository, actions and mount source */
};

struct cb_regauth {
	struct cb_http *http;
	const struct cb_dockercfg *cfg;
	pthread_mutex_t lock;
	struct cb_map *hosts;
	uint64_t serial;
};

static void grant_free(void *p)
{
	struct grant *g = p;

	explicit_bzero(g->value, strlen(g->value));
	free(g->value);
	free(g);
}

static void host_free(void *p)
{
	struct host *h = p;

	pthread_mutex_destroy(&h->lock);
	free(h->realm);
	free(h->service);
	free(h->challenge_scope);
	cb_map_free(h->grants);
	free(h);
}

struct cb_regauth *cb_regauth_new(struct cb_http *http, const struct cb_dockercfg *cfg)
{
	struct cb_regauth *auth = cb_new0(struct cb_regauth);

	auth->http = http;
	auth->cfg = cfg;
	pthread_mutex_init(&auth->lock, NULL);
	auth->hosts = cb_map_new(host_free);
	return auth;
}

struct cb_regauth *cb_regauth_free(struct cb_regauth *auth)
{
	if (!auth)
		return NULL;
	cb_map_free(auth->hosts);
	pthread_mutex_destroy(&auth->lock);
	free(auth);
	return NULL;
}

char *cb_regauth_basic(const char *user, const char *password)
{
	cleanup_free char *plain = cb_xasprintf("%s:%s", user, password), *encoded = NULL;
	size_t len = strlen(plain);

	encoded = cb_xmalloc((len + 2) / 3 * 4 + 1);
	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain, (int)len);
	explicit_bzero(plain, len);
	return cb_xasprintf("Basic %s", encoded);
}

/* Hosts are never removed, so the pointer outlives the lock. */
static struct host *host_of(struct cb_regauth *auth, const char *name)
{
	struct host *h;

	pthread_mutex_lock(&auth->lock);
	h = cb_map_get(auth->hosts, name);
	if (!h) {
		h = cb_new0(struct host);
		pthread_mutex_init(&h->lock, NULL);
		h->grants = cb_map_new(grant_free);
		cb_map_set(auth->hosts, name, h);
	}
	pthread_mutex_unlock(&auth->lock);
	return h;
}

static char *grant_key(const struct cb_regauth_scope *scope)
{
	return cb_xasprintf("%s\n%s\n%s", scope->repository ? scope->repository : "",
		scope->actions ? scope->actions : "", scope->mount_from ? scope->mount_from : "");
}

/* Takes @value. */
static struct grant *add_grant(struct cb_regauth *auth, struct host *h, const char *key, char *value, uint64_t seconds)
{
	struct grant *g = cb_new0(struct grant);

	g->value = value;
	g->made = cb_time_mono();
	/* A tenth early, so that it does not run out on the way. */
	g->expires = seconds ? g->made + seconds * SECOND - seconds * SECOND / 10 : 0;
	pthread_mutex_lock(&auth->lock);
	g->serial = ++auth->serial;
	pthread_mutex_unlock(&auth->lock);
	cb_map_set(h->grants, key, g);
	return g;
}

static void add_field(struct cb_buf *out, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	if (out->len)
		cb_buf_addc(out, '&');
	cb_buf_addf(out, "%s=", key);
	cb_http_url_escape(out, value);
}

/* The scopes to ask for, separated by spaces: ours, and what the challenge wants beyond it. */
static char *wanted_scopes(const struct host *h, const struct cb_regauth_scope *scope)
{
	cleanup_buf struct cb_buf own = { 0 };

	if (scope->repository)
		cb_buf_addf(&own, "repository:%s:%s", scope->repository, scope->actions);
	if (scope->mount_from)
		cb_buf_addf(&own, " repository:%s:pull", scope->mount_from);
	/* The challenge that is remembered may be another repository's. */
	if (h->challenge_scope && (!scope->repository || !cb_str_starts(h->challenge_scope, "repository:")))
		cb_buf_addf(&own, "%s%s", own.len ? " " : "", h->challenge_scope);
	return cb_buf_take(&own);
}

/* @form: as an OAuth2 form, where scopes share one field; in a query each has its own. */
static void add_scopes(struct cb_buf *out, const char *scopes, bool form)
{
	cleanup_strv struct cb_strv list = { 0 };

	if (form) {
		add_field(out, "scope", scopes);
		return;
	}
	cb_strv_split(&list, scopes, ' ');
	for (size_t i = 0; i < list.n; i++)
		add_field(out, "scope", list.v[i]);
}

static bool token_ok(const char *token)
{
	size_t len = strlen(token);

	for (const char *p = token; *p; p++)
		if (!isgraph((unsigned char)*p))
			return false;
	return len > 0 && len <= TOKEN_SIZE_MAX;
}

/* Reads a token service's answer into a "Bearer ..." value. */
static int read_token(const struct cb_buf *body, char **ret, uint64_t *ret_seconds, struct cb_err **err)
{
	cleanup_json json_t *doc = NULL;
	const char *token = NULL;
	int64_t seconds = EXPIRES_DEFAULT;
	int r;

	r = cb_json_parse(body->len ? body->data : "", body->len, &doc, err);
	if (r < 0)
		return cb_err_wrap(err, r, "answer of the token service");
	if (!json_is_object(doc))
		return cb_err_set(err, CB_ERR_CORRUPT, "the token service answered without a token");
	token = json_string_value(json_object_get(doc, "token"));
	if (!token)
		token = json_string_value(json_object_get(doc, "access_token"));
	if (!token || !token_ok(token))
		return cb_err_set(err, CB_ERR_CORRUPT, "the token service answered without a token");
	r = cb_json_get_i64(doc, "expires_in", &seconds, NULL);
	if (r != 0 || seconds <= 0)
		seconds = EXPIRES_DEFAULT;
	*ret = cb_xasprintf("Bearer %s", token);
	*ret_seconds = (uint64_t)CB_MIN(seconds, (int64_t)EXPIRES_MAX);
	return 0;
}

static int basic_value(void *userdata, struct cb_cancel *cancel CB_UNUSED, char **ret, struct cb_err **err CB_UNUSED)
{
	const struct cb_credential *cred = userdata;

	*ret = cred->username && cred->password ? cb_regauth_basic(cred->username, cred->password) : NULL;
	return 0;
}

/* Whether certificates of the registry's host are the token service's as well. */
static bool same_host(const char *realm, const char *host)
{
	const char *at = strstr(realm, "://");

	return at && strncasecmp(at + 3, host, strlen(host)) == 0 && strchr("/?#", at[3 + strlen(host)]);
}

static int ask_token_service(struct cb_regauth *auth, const struct host *h, const struct cb_regauth_scope *scope,
	struct cb_credential *cred, struct cb_cancel *cancel, struct cb_http_response *resp, struct cb_err **err)
{
	cleanup_free char *scopes = wanted_scopes(h, scope), *url = NULL;
	cleanup_strv struct cb_strv headers = { 0 };
	cleanup_buf struct cb_buf fields = { 0 };
	struct cb_http_authorizer basic = { .userdata = cred, .value = basic_value };
	struct cb_http_upload upload = { 0 };
	struct cb_http_request req = { .headers = &headers, .max_body = ANSWER_SIZE_MAX, .cancel = cancel };
	int r;

	if (same_host(h->realm, scope->host))
		req.tls = scope->tls;
	add_field(&fields, "service", h->service);
	add_scopes(&fields, scopes, cred->identity_token != NULL);
	if (cred->identity_token) {
		add_field(&fields, "grant_type", "refresh_token");
		add_field(&fields, "client_id", "cbuild");
		add_field(&fields, "refresh_token", cred->identity_token);
		cb_strv_add(&headers, "Content-Type: application/x-www-form-urlencoded");
		upload.data = cb_buf_str(&fields);
		upload.len = fields.len;
		req.method = "POST";
		req.upload = &upload;
		req.url = h->realm;
	} else {
		add_field(&fields, "account", cred->username);
		url = cb_xasprintf(
			"%s%s%s", h->realm, fields.len ? strchr(h->realm, '?') ? "&" : "?" : "", cb_buf_str(&fields));
		req.url = url;
		req.authorizer = &basic;
	}
	r = cb_http_do(auth->http, &req, resp, err);
	if (fields.data)
		explicit_bzero(fields.data, fields.len);
	return r;
}

static int fetch_token(struct cb_regauth *auth, struct host *h, const struct cb_regauth_scope *scope, const char *key,
	struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_credential struct cb_credential cred = { 0 };
	char *value = NULL;
	uint64_t seconds = 0;
	int r;

	if (auth->cfg) {
		r = cb_dockercfg_lookup(auth->cfg, scope->config_host, scope->repository, &cred, err);
		if (r < 0)
			return r;
	}
	if (cred.registry_token) {
		if (!token_ok(cred.registry_token))
			return cb_err_set(
				err, CB_ERR_INPUT, "the registry token of %s is malformed", scope->config_host);
		add_grant(auth, h, key, cb_xasprintf("Bearer %s", cred.registry_token), 0);
		return 0;
	}
	if (h->secure && !cb_str_starts(h->realm, "https://") && (cred.username || cred.identity_token)) {
		cleanup_free char *shown = cb_http_url_redact(h->realm);

		return cb_err_set(err, CB_ERR_DENIED, "refused to send credentials without encryption to %s", shown);
	}
	r = ask_token_service(auth, h, scope, &cred, cancel, &resp, err);
	if (r == 0)
		r = cb_http_status_err(&resp, "get a token", err);
	if (r == 0)
		r = read_token(&resp.body, &value, &seconds, err);
	if (resp.body.data)
		explicit_bzero(resp.body.data, resp.body.len);
	if (r < 0)
		return cb_err_wrap(err, r, "log in to %s%s%s", scope->config_host, cred.username ? " as " : "",
			cred.username ? cred.username : "");
	add_grant(auth, h, key, value, seconds);
	return 0;
}

/* The header value for @scope, fetched when the way is known. */
static int value_locked(struct cb_regauth *auth, struct host *h, struct cb_regauth_scope *scope,
	struct cb_cancel *cancel, char **ret, struct cb_err **err)
{
	cleanup_free char *key = grant_key(scope);
	struct grant *g = cb_map_get(h->grants, key);
	int r;

	if (g && g->expires && g->expires <= cb_time_mono()) {
		cb_map_del(h->grants, key);
		g = NULL;
	}
	if (!g && h->mode == MODE_BEARER) {
		r = fetch_token(auth, h, scope, key, cancel, err);
		if (r < 0)
			return r;
		g = cb_map_get(h->grants, key);
	}
	scope->used = g ? g->serial : 0;
	*ret = g ? cb_xstrdup(g->value) : NULL;
	return 0;
}

static int on_value(void *userdata, struct cb_cancel *cancel, char **ret, struct cb_err **err)
{
	struct cb_regauth_scope *scope = userdata;
	struct host *h = host_of(scope->auth, scope->host);
	int r;

	pthread_mutex_lock(&h->lock);
	r = value_locked(scope->auth, h, scope, cancel, ret, err);
	pthread_mutex_unlock(&h->lock);
	return r;
}

static void read_challenges(const struct cb_http_response *resp, struct cb_challenges *list)
{
	for (size_t i = 0; i < resp->n_headers; i++)
		if (strcmp(resp->headers[i].name, "www-authenticate") == 0)
			cb_challenges_parse(resp->headers[i].value, list);
}

static const struct cb_challenge *find_challenge(const struct cb_challenges *list, const char *scheme)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].scheme, scheme) == 0)
			return &list->v[i];
	return NULL;
}

static void replace(char **slot, const char *value)
{
	char *copy = cb_xstrdup_null(value);

	free(*slot);
	*slot = copy;
}

static int answer_basic(struct cb_regauth *auth, struct host *h, const struct cb_regauth_scope *scope, const char *key,
	struct cb_err **err)
{
	cleanup_credential struct cb_credential cred = { 0 };
	int r = 1;

	if (auth->cfg)
		r = cb_dockercfg_lookup(auth->cfg, scope->config_host, scope->repository, &cred, err);
	if (r < 0)
		return r;
	if (!cred.username || !cred.password)
		return 1;
	h->mode = MODE_BASIC;
	add_grant(auth, h, key, cb_regauth_basic(cred.username, cred.password), 0);
	return 0;
}

/* As cb_http_authorizer.challenged. */
static int challenged_locked(struct cb_regauth *auth, struct host *h, struct cb_regauth_scope *scope,
	const struct cb_http_response *resp, struct cb_err **err)
{
	cleanup_challenges struct cb_challenges list = { 0 };
	cleanup_free char *key = grant_key(scope);
	const struct cb_challenge *bearer, *basic;
	struct grant *g = cb_map_get(h->grants, key);

	read_challenges(resp, &list);
	bearer = find_challenge(&list, "bearer");
	basic = find_challenge(&list, "basic");

	/* Another thread renewed it meanwhile. */
	if (g && scope->used != g->serial)
		return 0;
	/* The same user and password again will not do. */
	if (g && h->mode == MODE_BASIC && !bearer)
		return 1;
	if (g) {
		if (cb_time_mono() - g->made > 30 * SECOND)
			scope->refused = 0; /* it served for a while: it ran out */
		cb_map_del(h->grants, key);
	}
	if (scope->refused++ >= REFUSED_MAX)
		return 1;
	if (bearer && bearer->realm) {
		cleanup_free char *origin = cb_http_url_origin(bearer->realm);

		if (!origin)
			return cb_err_set(err, CB_ERR_CORRUPT, "%s names a token service that is no URL", scope->host);
		h->mode = MODE_BEARER;
		h->secure = cb_str_starts(resp->url, "https:");
		replace(&h->realm, bearer->realm);
		replace(&h->service, bearer->service);
		replace(&h->challenge_scope, bearer->scope);
		return 0;
	}
	return basic ? answer_basic(auth, h, scope, key, err) : 1;
}

static int on_challenged(
	void *userdata, const struct cb_http_response *resp, struct cb_cancel *cancel CB_UNUSED, struct cb_err **err)
{
	struct cb_regauth_scope *scope = userdata;
	struct host *h = host_of(scope->auth, scope->host);
	int r;

	pthread_mutex_lock(&h->lock);
	r = challenged_locked(scope->auth, h, scope, resp, err);
	pthread_mutex_unlock(&h->lock);
	return r;
}

void cb_regauth_authorizer(struct cb_regauth_scope *scope, struct cb_http_authorizer *ret)
{
	assert(scope->auth);
	assert(scope->host);
	*ret = (struct cb_http_authorizer){ .userdata = scope, .value = on_value, .challenged = on_challenged };
}
