#include <errno.h>
#include <string.h>

#include "layers/push_upload.h"
#include "layers/registry_target.h"

struct put_job {
	const char *name, *what, *media_type;
	const void *data;
	size_t len;
};

static int put_at(struct cb_target *t, void *userdata, struct cb_err **err)
{
	const struct put_job *job = userdata;
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *path = cb_target_path(t, "manifests", job->name);
	cleanup_strv struct cb_strv headers = { 0 };
	struct cb_http_upload body = { .data = job->data, .fd = -EBADF, .len = job->len };
	struct cb_http_request req = { .method = "PUT",
		.headers = &headers,
		.upload = &body,
		.answer_timeout_ms = t->registry->commit_timeout_ms };
	struct cb_digest own, got;
	const char *said;
	int r;

	cb_strv_addf(&headers, "Content-Type: %s", job->media_type);
	r = cb_target_do(t, &req, path, &resp, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s", job->what);
	r = cb_http_status_err(&resp, job->what, err);
	if (r < 0)
		return r;
	said = cb_http_header(&resp, "docker-content-digest");
	cb_digest_of(job->data, job->len, &own);
	if (said && cb_digest_parse(said, &got) && !cb_digest_equal(&own, &got))
		return cb_err_set(
			err, CB_ERR_CORRUPT, "%s: the registry stored %s, not %s", job->what, got.text, own.text);
	return 0;
}

int cb_registry_put_manifest(struct cb_registry *reg, const struct cb_ref *ref, const char *name,
	const char *media_type, const void *data, size_t len, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free char *repository = cb_ref_name(ref);
	cleanup_free char *what = cb_xasprintf("push %s%s%s", repository, strchr(name, ':') ? "@" : ":", name);
	struct put_job job = { .name = name, .what = what, .media_type = media_type, .data = data, .len = len };
	struct cb_target_query q = cb_target_push_query(ref, cancel);

	return cb_target_each(reg, &q, put_at, &job, err);
}
