/* Remote caches by their type. */
#include "builder/remoteopen.h"

#include <stdlib.h>
#include <string.h>

/** A cache is worth less waiting than a registry. */
#define CONNECT_MS 5000
#define STALL_MS 20000
#define TOTAL_MS 60000

/* An attribute, else a variable of the environment. */
static const char *setting(const struct cb_remote_spec *spec, const char *key, const char *variable)
{
	const char *value = cb_remote_spec_get(spec, key);

	return value ? value : getenv(variable);
}

/* "https://bucket.s3.region.amazonaws.com/prefix", or below an endpoint of its own. */
static char *s3_url(const struct cb_remote_spec *spec, const char *region)
{
	const char *bucket = cb_remote_spec_get(spec, "bucket"), *prefix = cb_remote_spec_get(spec, "prefix");
	const char *endpoint = setting(spec, "endpoint_url", "AWS_ENDPOINT_URL");
	const char *rest = endpoint ? strstr(endpoint, "://") : NULL;

	if (!prefix)
		prefix = "";
	if (!endpoint)
		return cb_xasprintf("https://%s.s3.%s.amazonaws.com/%s", bucket, region, prefix);
	if (cb_str_eq(cb_remote_spec_get(spec, "use_path_style"), "false") && rest)
		return cb_xasprintf("%.*s://%s.%s/%s", (int)(rest - endpoint), endpoint, bucket, rest + 3, prefix);
	return cb_xasprintf("%s/%s/%s", endpoint, bucket, prefix);
}

static int open_http(const struct cb_remote_spec *spec, const struct cb_access *access, struct cb_remote_cache **ret,
	struct cb_err **err)
{
	struct cb_registry_options shared = { 0 };
	struct cb_remote_http_options options = { .url = cb_remote_spec_get(spec, "url") };
	cleanup_free char *url = NULL;

	cb_access_apply(access, &shared);
	options.http = shared.http;
	options.http.connect_timeout_ms = CONNECT_MS;
	options.http.stall_timeout_ms = STALL_MS;
	options.http.total_timeout_ms = TOTAL_MS;
	options.http.retries = 1;
	if (spec->type == CB_REMOTE_S3) {
		options.region = setting(spec, "region", "AWS_REGION");
		if (!options.region)
			options.region = "us-east-1";
		options.access_key = setting(spec, "access_key_id", "AWS_ACCESS_KEY_ID");
		options.secret_key = setting(spec, "secret_access_key", "AWS_SECRET_ACCESS_KEY");
		options.session_token = setting(spec, "session_token", "AWS_SESSION_TOKEN");
		url = s3_url(spec, options.region);
		options.url = url;
		options.plain = true;
	}
	return cb_remote_http_new(&options, ret, err);
}

static int open_registry(const struct cb_remote_spec *spec, const struct cb_remote_opening *opening,
	struct cb_ref **ret_ref, struct cb_remote_cache **ret, struct cb_err **err)
{
	int r = cb_ref_parse(cb_remote_spec_get(spec, "ref"), ret_ref, err);

	if (r < 0)
		return cb_err_wrap(err, CB_ERR_USAGE, "%s", opening->option);
	*ret = spec->mounts ? cb_remote_tags_new(opening->registry, *ret_ref)
			    : cb_remote_registry_new(opening->registry, *ret_ref, opening->inlined);
	return 0;
}

int cb_remote_cache_open(const struct cb_remote_spec *spec, const struct cb_remote_opening *opening,
	struct cb_ref **ret_ref, struct cb_remote_cache **ret, struct cb_err **err)
{
	switch (spec->type) {
	case CB_REMOTE_LOCAL_DIR:
		*ret = cb_remote_dir_new(cb_remote_spec_get(spec, opening->to ? "dest" : "src"));
		return 0;
	case CB_REMOTE_REGISTRY:
		return open_registry(spec, opening, ret_ref, ret, err);
	default:
		return open_http(spec, opening->access, ret, err);
	}
}
