#include "builder/secret.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

/* As large as docker allows. */
#define SECRET_MAX (500u << 10)

const struct cb_secret_spec *cb_secret_find(const struct cb_settings *settings, const char *id)
{
	for (size_t i = 0; i < settings->n_secrets; i++)
		if (cb_str_eq(settings->secrets[i].id, id))
			return &settings->secrets[i];
	return NULL;
}

static int load(const struct cb_secret_spec *secret, struct cb_buf *out, struct cb_err **err)
{
	const char *value;
	int r;

	if (secret->src) {
		r = cb_file_read_at(AT_FDCWD, secret->src, SECRET_MAX, out, err);
		return r < 0 ? cb_err_wrap(err, r, "secret %s", secret->id) : 0;
	}
	value = getenv(secret->env ? secret->env : secret->id);
	if (!value)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "secret %s: variable %s is not set", secret->id,
			secret->env ? secret->env : secret->id);
	cb_buf_adds(out, value);
	return 0;
}

void cb_secrets_load(struct cb_settings *settings)
{
	for (size_t i = 0; i < settings->n_secrets; i++) {
		struct cb_secret_spec *secret = &settings->secrets[i];

		if (!secret->loaded && load(secret, &secret->value, NULL) == 0)
			secret->loaded = true;
	}
}

int cb_secret_read(const struct cb_secret_spec *secret, struct cb_buf *out, struct cb_err **err)
{
	if (!secret->loaded)
		return load(secret, out, err);
	cb_buf_add(out, cb_buf_str((struct cb_buf *)&secret->value), secret->value.len);
	return 0;
}

void cb_secret_wipe(struct cb_buf *value)
{
	if (value->data)
		explicit_bzero(value->data, value->cap);
	cb_buf_done(value);
}
