#include "layers/registry_target.h"

#include <string.h>

#include "base/log.h"
#include "layers/http_exchange.h"

/* Speaks to /v2/ without credentials and retries. 0 when something that may be a registry answered. */
static int probe(struct cb_registry *reg, const char *scheme, const char *host, const struct cb_http_tls *tls,
	struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *url = cb_xasprintf("%s://%s/v2/", scheme, host);
	struct cb_http_request req = {
		.url = url, .tls = tls, .cancel = cancel, .flags = CB_HTTP_NO_RETRY | CB_HTTP_NO_REDIRECT
	};
	int r;

	r = cb_http_do(reg->http, &req, &resp, err);
	if (r < 0)
		return r;
	/* What servers say to plain HTTP on a port for TLS. */
	if (resp.status == 400 && strcmp(scheme, "http") == 0)
		return cb_err_set(err, CB_ERR_NETWORK, "%s does not speak plain HTTP", host);
	return 0;
}

/* Asks by both protocols, the likelier one first. */
static int ask_schemes(struct cb_registry *reg, const char *host, const struct cb_http_tls *tls,
	struct cb_cancel *cancel, const char **ret, struct cb_err **err)
{
	bool loopback = cb_http_is_loopback(host);
	const char *first = loopback ? "http" : "https", *second = loopback ? "https" : "http";
	cleanup_err struct cb_err *why = NULL, *other = NULL;
	int r;

	*ret = first;
	r = probe(reg, first, host, tls, cancel, &why);
	if (r == 0)
		return 0;
	if (r == CB_ERR_CANCELED)
		return cb_err_move(err, CB_TAKE_PTR(why));
	*ret = second;
	if (probe(reg, second, host, tls, cancel, &other) == 0)
		return 0;
	/* HTTPS says more about what is wrong, unless nobody is there at all. */
	return cb_err_move(err, other->code == CB_ERR_NETWORK ? CB_TAKE_PTR(why) : CB_TAKE_PTR(other));
}

/* Loopback: plain HTTP if it answers, else HTTPS. Insecure: HTTPS if it answers, else plain HTTP. */
static int find_scheme(struct cb_registry *reg, const char *host, const struct cb_http_tls *tls, bool insecure,
	struct cb_cancel *cancel, const char **ret, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	int r;

	if (!insecure && !cb_http_is_loopback(host)) {
		*ret = "https";
		return 0;
	}
	pthread_mutex_lock(&reg->lock);
	*ret = cb_map_get(reg->schemes, host);
	pthread_mutex_unlock(&reg->lock);
	if (*ret)
		return 0;

	r = ask_schemes(reg, host, tls, cancel, ret, &why);
	/* What broke off may have passed a moment later. */
	if (r == CB_ERR_NETWORK && cb_http_pause(reg->http, 1, NULL, cancel, NULL) == 0) {
		why = cb_err_free(why);
		r = ask_schemes(reg, host, tls, cancel, ret, &why);
	}
	if (r < 0)
		return cb_err_move(err, CB_TAKE_PTR(why));
	pthread_mutex_lock(&reg->lock);
	cb_map_set(reg->schemes, host, (void *)*ret); /* static text, never written to */
	pthread_mutex_unlock(&reg->lock);
	return 0;
}

static int at_endpoint(struct cb_registry *reg, const struct cb_target_query *q, const struct cb_endpoint *e,
	cb_target_fn fn, void *userdata, struct cb_err **err)
{
	bool insecure = e->insecure || cb_strv_has(&reg->insecure_hosts, e->host);
	struct cb_target t = {
		.registry = reg,
		.endpoint = e,
		.tls = { .ca_pem = e->ca_pem,
			.client_cert = e->client_cert,
			.client_key = e->client_key,
			.insecure = insecure },
		.cancel = q->cancel,
	};
	int r;

	t.scope = (struct cb_regauth_scope){ .auth = reg->auth,
		.host = e->host,
		.config_host = e->host,
		.repository = q->repository ? e->repository : NULL,
		.actions = q->actions,
		.mount_from = q->mount_from,
		.tls = &t.tls };
	cb_regauth_authorizer(&t.scope, &t.authorizer);
	r = find_scheme(reg, e->host, &t.tls, insecure, q->cancel, &t.scheme, err);
	if (r < 0 && r != CB_ERR_CANCELED && q->repository)
		cb_err_wrap(err, r, "%s/%s", q->host, q->repository);
	if (r == 0)
		r = fn(&t, userdata, err);
	if (r == CB_ERR_DENIED && *err && !(*err)->hint)
		cb_err_hint(err, r, "for a private repository, log in to %s first", q->host);
	return r;
}

/* Failures of ours, which the next endpoint would not mend. */
static bool is_final(int r)
{
	return r == CB_ERR_CANCELED || r == CB_ERR_NO_SPACE || r == CB_ERR_IO || r == CB_ERR_INTERNAL;
}

struct cb_target_query cb_target_push_query(const struct cb_ref *ref, struct cb_cancel *cancel)
{
	return (struct cb_target_query){ .host = ref->registry,
		.repository = ref->repository,
		.actions = "pull,push",
		.push = true,
		.cancel = cancel };
}

int cb_target_each(
	struct cb_registry *reg, const struct cb_target_query *q, cb_target_fn fn, void *userdata, struct cb_err **err)
{
	cleanup_endpoints struct cb_endpoints list = { 0 };
	int r;

	r = cb_registriesconf_lookup(
		reg->conf, q->host, q->repository ? q->repository : "_", q->by_digest, q->push, &list, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n; i++) {
		cleanup_err struct cb_err *why = NULL;

		r = at_endpoint(reg, q, &list.v[i], fn, userdata, &why);
		if (r == 0)
			return 0;
		if (is_final(r) || i + 1 == list.n)
			return cb_err_move(err, CB_TAKE_PTR(why));
		cb_log_debug("registry: mirror %s: %s", list.v[i].host, cb_err_msg(why));
	}
	return cb_err_set(err, CB_ERR_INTERNAL, "no endpoint");
}

int cb_target_do(struct cb_target *t, struct cb_http_request *req, const char *path, struct cb_http_response *resp,
	struct cb_err **err)
{
	cleanup_free char *url = cb_xasprintf("%s://%s%s", t->scheme, t->endpoint->host, path);

	req->url = url;
	req->authorizer = &t->authorizer;
	req->tls = &t->tls;
	req->cancel = t->cancel;
	return cb_http_do(t->registry->http, req, resp, err);
}

int cb_target_do_url(struct cb_target *t, struct cb_http_request *req, const char *url, struct cb_http_response *resp,
	struct cb_err **err)
{
	cleanup_free char *base = cb_xasprintf("%s://%s/", t->scheme, t->endpoint->host);
	cleanup_free char *own = cb_http_url_origin(base), *origin = cb_http_url_origin(url);
	bool ours = own && cb_str_eq(own, origin);
	int r = cb_http_need_library(err);

	if (r < 0)
		return r;
	if (strcmp(t->scheme, "https") == 0 && (!origin || !cb_str_starts(origin, "https:"))) {
		cleanup_free char *shown = cb_http_url_redact(url);

		return cb_err_set(err, CB_ERR_DENIED, "refused to be sent from https to %s", shown);
	}
	req->url = url;
	req->authorizer = ours ? &t->authorizer : NULL;
	req->tls = ours ? &t->tls : NULL;
	req->cancel = t->cancel;
	return cb_http_do(t->registry->http, req, resp, err);
}

char *cb_target_path(const struct cb_target *t, const char *kind, const char *name)
{
	return cb_xasprintf("/v2/%s/%s/%s", t->endpoint->repository, kind, name);
}
