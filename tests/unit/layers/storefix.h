/* A store in a temporary directory for the tests of layers/. */
#ifndef TESTS_STOREFIX_H
#define TESTS_STOREFIX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/path.h"
#include "layers/store.h"

struct fixture {
	char dir[64];
	struct cb_store *store;
};

static inline struct cb_store *reopen(struct fixture *fx)
{
	struct cb_err *err = NULL;

	fx->store = cb_store_free(fx->store);
	if (cb_store_open(fx->dir, CB_STORE_TRUSTED, &fx->store, &err) < 0)
		fail_msg("open store: %s", cb_err_msg(err));
	return fx->store;
}

static inline int fixture_setup(void **state)
{
	struct fixture *fx = cb_new0(struct fixture);

	snprintf(fx->dir, sizeof(fx->dir), "/tmp/cbuild-test-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	reopen(fx);
	*state = fx;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fx = *state;

	cb_store_free(fx->store);
	cb_path_remove_tree(AT_FDCWD, fx->dir, NULL);
	free(fx);
	return 0;
}

/* Runs @call, which returns a code and takes &err, and shows the message when it fails. */
#define assert_ok(call)                                                                                                \
	do {                                                                                                           \
		struct cb_err *err = NULL;                                                                             \
		int got_code = (call);                                                                                 \
		if (got_code != 0)                                                                                     \
			fail_msg("%s: %d %s", #call, got_code, cb_err_msg(err));                                       \
		cb_err_free(err);                                                                                      \
	} while (0)
#define assert_code(call, want)                                                                                        \
	do {                                                                                                           \
		struct cb_err *err = NULL;                                                                             \
		int got_code = (call);                                                                                 \
		if (got_code != (want))                                                                                \
			fail_msg("%s: %d %s", #call, got_code, cb_err_msg(err));                                       \
		if (got_code < 0)                                                                                      \
			assert_int_equal(err->code, got_code);                                                         \
		cb_err_free(err);                                                                                      \
	} while (0)

/* How many entries a directory of the store has, dot files too. */
static inline size_t count_entries(struct fixture *fx, const char *name)
{
	char command[256];
	FILE *pipe;
	size_t n = 0;

	snprintf(command, sizeof(command), "ls -A %s/%s | wc -l", fx->dir, name);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%zu", &n), 1);
	pclose(pipe);
	return n;
}

#endif
