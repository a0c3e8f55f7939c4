/* library: runtime */
/* Profiles of system calls: whatever is in one, it is read or refused with a place, and costs no more than its size. */
#include <stdlib.h>
#include <string.h>

#include "runtime/seccomp_rules.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const struct cb_seccomp_host host = { .arch = SCMP_ARCH_X86_64, .kernel = 6, .major = 1, .caps = 0xa80425fb };
	struct cb_seccomp_rules rules;
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *text = cb_xstrndup((const char *)data, size);

	/* As long as the text is: what is behind a NUL is not in the copy. */
	if (cb_seccomp_rules_read("profile", text, strlen(text), &host, &rules, &err) == 0)
		cb_seccomp_rules_done(&rules);
	return 0;
}
