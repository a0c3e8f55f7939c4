#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/notify.h"
#include "runtime/sandbox.h"

static const struct sock_filter program[] = {
#include "runtime/seccomp_table.inc"
};

int cb_seccomp_load(const void *filter, size_t len)
{
	struct sock_filter unasked[ARRAY_SIZE(program)];
	struct sock_fprog prog = { .len = ARRAY_SIZE(program), .filter = unasked };

	if (filter) {
		prog.len = (unsigned short)(len / sizeof(*prog.filter));
		prog.filter = (struct sock_filter *)filter;
		return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
	}
	/* Where nobody listens, a question would be an error. */
	memcpy(unasked, program, sizeof(program));
	for (size_t i = 0; i < ARRAY_SIZE(program); i++)
		if (unasked[i].code == (BPF_RET | BPF_K) && unasked[i].k == SECCOMP_RET_USER_NOTIF)
			unasked[i].k = SECCOMP_RET_ALLOW;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

int cb_seccomp_load_asking(void)
{
	return cb_notify_load(program, ARRAY_SIZE(program));
}
