/* Programs of other architectures: what they look like, the rule that finds them, and this machine's runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/emulate_elf.h"

static void looks(void **state)
{
	(void)state;
	for (size_t i = 0; i < cb_n_emulate_archs; i++) {
		const struct cb_emulate_arch *arch = &cb_emulate_archs[i];
		uint8_t image[CB_EMULATE_PROBE_MAX];
		size_t len = cb_emulate_probe(arch, image);

		print_message("# %s\n", arch->name);
		assert_memory_equal(image, "\177ELF", 4);
		assert_int_equal(len, (arch->wide ? 64 + 56 : 52 + 32) + arch->code_len);
		assert_int_equal(image[4], arch->wide ? 2 : 1);
		assert_int_equal(image[5], arch->big ? 2 : 1);
		assert_int_equal(arch->big ? image[18] << 8 | image[19] : image[19] << 8 | image[18], arch->machine);
		assert_ptr_equal(cb_emulate_arch_find(arch->name), arch);
	}
	assert_null(cb_emulate_arch_find("pdp11"));
}

static void rules(void **state)
{
	cleanup_free char *arm64 = cb_emulate_rule(cb_emulate_arch_find("arm64"));
	cleanup_free char *s390x = cb_emulate_rule(cb_emulate_arch_find("s390x"));

	(void)state;
	/* As QEMU's own scripts register them. */
	assert_string_equal(arm64,
		":cbuild-arm64:M::\\x7f\\x45\\x4c\\x46\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00"
		"\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff"
		"\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:");
	assert_string_equal(s390x,
		":cbuild-s390x:M::\\x7f\\x45\\x4c\\x46\\x02\\x02\\x01\\x00\\x00\\x00\\x00\\x00\\x00"
		"\\x00\\x00\\x00\\x00\\x02\\x00\\x16:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff"
		"\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff:");
}

static void links(void **state)
{
	uint8_t image[CB_EMULATE_PROBE_MAX];
	size_t len = cb_emulate_probe(cb_emulate_arch_find("amd64"), image);

	(void)state;
	assert_true(cb_emulate_is_static(image, len));
	assert_false(cb_emulate_is_static(image, 70));
	assert_false(cb_emulate_is_static((const uint8_t *)"#!/bin/sh\n", 10));
	image[64] = 3; /* PT_INTERP */
	assert_false(cb_emulate_is_static(image, len));
}

static void runs_here(void **state)
{
	uint8_t image[CB_EMULATE_PROBE_MAX];
	char *argv[] = { "probe", NULL };
	struct utsname uts;
	int status = 0;
	size_t len;

	(void)state;
	(void)uname(&uts);
	for (size_t i = 0; i < cb_n_emulate_archs; i++) {
		if (strcmp(cb_emulate_archs[i].qemu, uts.machine) != 0)
			continue;
		len = cb_emulate_probe(&cb_emulate_archs[i], image);
		int fd = memfd_create("probe", MFD_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(cb_fd_write_all(fd, image, len), 0);
		pid_t pid = fork();
		if (pid == 0) {
			fexecve(fd, argv, &argv[1]);
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), CB_EMULATE_STATUS);
		close(fd);
		return;
	}
	print_message("# SKIPPED: no probe for %s\n", uts.machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks),
		cmocka_unit_test(rules),
		cmocka_unit_test(links),
		cmocka_unit_test(runs_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
