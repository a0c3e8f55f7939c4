/* library: layers */
/* Image references and platforms: what parses comes back the same from its printed form. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "layers/platform.h"
#include "layers/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_form(const struct cb_ref *ref, const char *text)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *again = NULL;

	/* A long name may pass the limit only once its registry was spelled out. */
	if (cb_ref_parse(text, &again, NULL) == 0)
		assert(cb_ref_equal(ref, again));
	else
		assert(strlen(text) > 255);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = cb_xstrndup((const char *)data, size);
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_err struct cb_err *err = NULL;
	struct cb_platform platform, again;
	char out[CB_PLATFORM_TEXT_MAX];

	if (cb_ref_parse(text, &ref, &err) == 0) {
		cleanup_free char *full = cb_ref_format(ref);
		cleanup_free char *familiar = cb_ref_familiar(ref, true);

		try_form(ref, full);
		try_form(ref, familiar);
	} else {
		assert(err && *cb_err_msg(err));
	}
	if (cb_platform_parse(text, &platform, NULL) == 0) {
		cb_platform_format(&platform, out);
		assert(cb_platform_parse(out, &again, NULL) == 0);
		again.os_version[0] = '\0';
		assert(cb_platform_equal(&platform, &again));
	}
	return 0;
}
