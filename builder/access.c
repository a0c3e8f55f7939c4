#include "builder/access.h"

#include "builder/step_trust.h"

#include <string.h>

#include "base/num.h"
#include "builder/access_ids.h"

#define TIMEOUT_MAX 86400
#define RETRIES_MAX 1000
/* The answer to the last request of an upload may take a registry so many times longer than anything else. */
#define COMMIT_FACTOR 4

const struct cb_opt cb_access_options[] = {
	ACCESS_OPT_CA_CERT,
	ACCESS_OPT_INSECURE,
	ACCESS_OPT_RETRIES,
	ACCESS_OPT_TIMEOUT,
	ACCESS_OPT_CHUNK,
	{ 0 },
};

void cb_access_done(struct cb_access *access)
{
	free(access->ca_cert);
	cb_strv_done(&access->insecure);
}

static int set_number(int *slot, const char *option, const char *text, uint32_t min, uint32_t max, struct cb_err **err)
{
	uint32_t number;

	if (!cb_num_u32(text, &number) || number < min || number > max)
		return cb_err_set(
			err, CB_ERR_USAGE, "--%s is a number from %u to %u, not \"%s\"", option, min, max, text);
	*slot = (int)number;
	return 0;
}

int cb_access_set(struct cb_access *access, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	int r = 0;

	if (!*value)
		return cb_err_set(err, CB_ERR_USAGE, "--%s is empty", opt->name);
	switch (opt->id) {
	case ACCESS_CA_CERT:
		free(access->ca_cert);
		access->ca_cert = cb_xstrdup(value);
		break;
	case ACCESS_INSECURE:
		cb_strv_add(&access->insecure, value);
		break;
	case ACCESS_RETRIES:
		r = set_number(&access->retries, opt->name, value, 0, RETRIES_MAX, err);
		if (r == 0 && !access->retries)
			access->retries = -1;
		break;
	case ACCESS_TIMEOUT:
		r = set_number(&access->timeout_s, opt->name, value, 1, TIMEOUT_MAX, err);
		break;
	case ACCESS_CHUNK:
		if (!cb_num_size(value, &access->upload_chunk) || !access->upload_chunk)
			r = cb_err_set(err, CB_ERR_USAGE, "--%s is a size such as 16m, not \"%s\"", opt->name, value);
		break;
	default:
		r = cb_err_set(err, CB_ERR_INTERNAL, "option --%s has no meaning", opt->name);
	}
	return r;
}

void cb_access_apply(const struct cb_access *access, struct cb_registry_options *options)
{
	/* What the host trusts is trusted anyway. */
	options->http.ca_file = cb_str_eq(access->ca_cert, CB_TRUST_HOST) ? NULL : access->ca_cert;
	options->insecure_hosts = (const char *const *)access->insecure.v;
	options->http.retries = access->retries;
	options->upload_chunk = access->upload_chunk;
	if (!access->timeout_s)
		return;
	options->http.connect_timeout_ms = access->timeout_s * 1000;
	options->http.stall_timeout_ms = access->timeout_s * 1000;
	options->http.total_timeout_ms = access->timeout_s * COMMIT_FACTOR * 1000;
	options->commit_timeout_ms = access->timeout_s * COMMIT_FACTOR * 1000;
}
