#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sandbox.h"

static const struct sock_filter program[] = {
#include "runtime/seccomp_table.inc"
};

int cb_seccomp_load(const void *filter, size_t len)
{
	struct sock_fprog prog = { .len = ARRAY_SIZE(program), .filter = (struct sock_filter *)program };

	if (filter) {
		prog.len = (unsigned short)(len / sizeof(*prog.filter));
		prog.filter = (struct sock_filter *)filter;
	}

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}
