/* Plans as text: which vertices, names, inputs; and the errors with their places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/timefmt.h"
#include "planfix.h"

#define D1 "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define BASE(config)                                                                                                   \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{" config                                             \
	"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\"]},\"history\":[]}"

static const struct {
	const char *what, *text, *args, *target, *base, *want;
} graphs[] = {
	{ "one stage needs no name", "FROM scratch\nCOPY a /b\n", NULL, NULL, NULL,
		"0 context [internal] load build context\n1 select files a <- source 0\n"
		"2 copy [1/1] COPY a /b <- files 1\n" },
	{ "an image counts as a step", "FROM busybox\nRUN x  y\n", NULL, NULL, NULL,
		"0 image [1/2] FROM docker.io/library/busybox:latest\n1 run [2/2] RUN x  y <- parent 0\n" },
	{ "two stages are told apart", "FROM busybox AS b\nRUN x\nFROM scratch\nCOPY --from=b /x /y\n", NULL, NULL,
		NULL,
		"0 image [b 1/2] FROM docker.io/library/busybox:latest\n1 run [b 2/2] RUN x <- parent 0\n"
		"2 select files /x <- source 1\n3 copy [stage-1 1/1] COPY --from=b /x /y <- files 2, mount 1\n" },
	{ "only what the target needs", "FROM scratch AS a\nWORKDIR /a\nFROM scratch AS b\nWORKDIR /b\n", NULL, "a",
		NULL, "0 workdir [a 1/1] WORKDIR /a\n" },
	{ "--target ignores case", "FROM scratch AS a\nWORKDIR /a\nFROM scratch\n", NULL, "A", NULL,
		"0 workdir [a 1/1] WORKDIR /a\n" },
	{ "FROM stage goes on", "FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b\n", NULL, NULL, NULL,
		"0 workdir [a 1/1] WORKDIR /a\n1 workdir [stage-1 1/1] WORKDIR b <- parent 0\n" },
	{ "equal steps are one",
		"FROM busybox AS a\nRUN x\nFROM busybox AS b\nRUN x\nFROM scratch\n"
		"COPY --from=a /1 /\nCOPY --from=b /1 /\n",
		NULL, NULL, NULL,
		"0 image [a 1/2] FROM docker.io/library/busybox:latest\n1 run [a 2/2] RUN x <- parent 0\n"
		"2 select files /1 <- source 1\n3 copy [stage-2 1/2] COPY --from=a /1 / <- files 2, mount 1\n"
		"4 copy [stage-2 2/2] COPY --from=b /1 / <- files 2, mount 1, parent 3\n" },
	{ "another variable is another step",
		"FROM busybox AS a\nENV V=1\nRUN x\nFROM busybox AS b\nRUN x\nFROM scratch\nCOPY --from=a /1 /\n"
		"COPY --from=b /1 /\n",
		NULL, "b", NULL,
		"0 image [b 1/2] FROM docker.io/library/busybox:latest\n1 run [b 2/2] RUN x <- parent 0\n" },
	{ "COPY --from a number and an image",
		"FROM scratch\nWORKDIR /a\nFROM scratch\nCOPY --from=0 /a /a\n"
		"COPY --from=busybox /bin /bin\n",
		NULL, NULL, NULL,
		"0 workdir [stage-0 1/1] WORKDIR /a\n1 select files /a <- source 0\n"
		"2 copy [stage-1 1/2] COPY --from=0 /a /a <- files 1, mount 0\n"
		"3 image FROM docker.io/library/busybox:latest\n4 select files /bin <- source 3\n"
		"5 copy [stage-1 2/2] COPY --from=busybox /bin /bin <- files 4, mount 3, parent 2\n" },
	{ "variables in names", "ARG T=1.36\nFROM busybox:$T\nARG D=/x\nCOPY f $D/$UNSET\n", "D=/y", NULL, NULL,
		"0 image [1/2] FROM docker.io/library/busybox:1.36\n1 context [internal] load build context\n"
		"2 select files f <- source 1\n3 copy [2/2] COPY f /y/$UNSET <- files 2, parent 0\n" },
	{ "a linked copy stands beside its parent", "FROM busybox\nRUN x\nCOPY --link a /b\n", NULL, NULL, NULL,
		"0 image [1/3] FROM docker.io/library/busybox:latest\n1 run [2/3] RUN x <- parent 0\n"
		"2 context [internal] load build context\n3 select files a <- source 2\n"
		"4 copy [3/3] LINK COPY --link a /b <- files 3\n5 merge merge <- parent 1, source 4\n" },
	{ "triggers of the base", "FROM base\nWORKDIR /z\n", NULL, NULL,
		BASE("\"OnBuild\":[\"RUN make\",\"WORKDIR /o\"]"),
		"0 image [1/4] FROM docker.io/library/base:latest\n1 run [2/4] ONBUILD RUN make <- parent 0\n"
		"2 workdir [3/4] ONBUILD WORKDIR /o <- parent 1\n3 workdir [4/4] WORKDIR /z <- parent 2\n" },
	{ "triggers of a stage, not of its grandparent",
		"FROM scratch AS a\nONBUILD WORKDIR /t\nFROM a AS b\nWORKDIR /b\nFROM b\nWORKDIR /c\n", NULL, NULL,
		NULL,
		"0 workdir [b 1/2] ONBUILD WORKDIR /t\n1 workdir [b 2/2] WORKDIR /b <- parent 0\n"
		"2 workdir [stage-2 1/1] WORKDIR /c <- parent 1\n" },
	{ "a trigger brings in a stage", "FROM scratch AS src\nWORKDIR /s\nFROM base\n", NULL, NULL,
		BASE("\"OnBuild\":[\"COPY --from=src /s /s\"]"),
		"0 workdir [src 1/1] WORKDIR /s\n1 image [stage-1 1/2] FROM docker.io/library/base:latest\n"
		"2 select files /s <- source 0\n3 copy [stage-1 2/2] ONBUILD COPY --from=src /s /s <- files 2, mount 0, "
		"parent 1\n" },
	{ "a bind mount counts by its files", "FROM busybox\nRUN --mount=target=/m x\n", NULL, NULL, NULL,
		"0 image [1/2] FROM docker.io/library/busybox:latest\n1 context [internal] load build context\n"
		"2 select files / <- source 1\n3 copy copy <- files 2\n"
		"4 run [2/2] RUN --mount=target=/m x <- files 2, mount 3, parent 0\n" },
	{ "WORKDIR / is no step but has a number", "FROM scratch\nWORKDIR /\nWORKDIR /a\n", NULL, NULL, NULL,
		"0 workdir [2/2] WORKDIR /a\n" },
	{ "here-documents are summed up", "FROM busybox\nRUN <<EOF\nset -e\nmake\nEOF\n", NULL, NULL, NULL,
		"0 image [1/2] FROM docker.io/library/busybox:latest\n1 run [2/2] RUN <<EOF (set -e...) <- parent 0\n" },
	{ "platform arguments", "FROM --platform=$BUILDPLATFORM busybox:$TARGETARCH\n", NULL, NULL, NULL,
		"0 image [1/1] FROM docker.io/library/busybox:amd64\n" },
};

static void plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(graphs); i++) {
		struct planfix fix;
		cleanup_buf struct cb_buf out = { 0 };
		int r = planfix_init(&fix, graphs[i].text, graphs[i].args, graphs[i].target, graphs[i].base);

		print_message("# %s%s\n", graphs[i].what, r < 0 ? cb_err_msg(fix.err) : "");
		assert_int_equal(r, 0);
		cb_plan_print(fix.plan, CB_PLAN_TEXT, &out);
		assert_string_equal(cb_buf_str(&out), graphs[i].want);
		planfix_done(&fix);
	}
}

static const struct {
	const char *what, *text, *args, *target, *msg;
	unsigned int line, col;
} errors[] = {
	{ "unknown target", "FROM scratch AS builder\n", NULL, "bilder", "target stage \"bilder\" could not be found",
		0, 0 },
	{ "blank base", "ARG X\nFROM $X\n", NULL, NULL, "base name ($X) should not be blank", 2, 6 },
	{ "blank platform", "FROM --platform=$X scratch\n", NULL, NULL, "empty platform value from expression $X", 1,
		0 },
	{ "later stage", "FROM scratch AS a\nCOPY --from=b /x /\nFROM scratch AS b\n", NULL, "a",
		"cannot copy from stage \"b\": it needs to be defined before the current stage", 2, 0 },
	{ "own stage", "FROM scratch AS b\nCOPY --from=b /x /\n", NULL, NULL,
		"circular dependency: the stage \"b\" copies from itself", 2, 0 },
	{ "stages in a circle",
		"FROM scratch AS a\nCOPY --from=b /x /\nFROM x AS b\nRUN --mount=from=c x\nFROM x AS c\nCOPY --from=0 / /\n",
		NULL, "a", "circular dependency: stage \"b\" needs this stage, too", 2, 0 },
	{ "a circle of others",
		"FROM scratch AS a\nCOPY --from=b /x /\nFROM x AS b\nCOPY --from=c / /\nFROM x AS c\nCOPY --from=b / /\n",
		NULL, "a", "cannot copy from stage \"b\": it needs to be defined before the current stage", 2, 0 },
	{ "negative stage number", "FROM scratch\nCOPY --from=-1 /x /\n", NULL, NULL,
		"invalid stage index -1: the last stage of the file is 0", 2, 0 },
	{ "stage number", "FROM scratch\nCOPY --from=7 /x /\n", NULL, NULL,
		"invalid stage index 7: the last stage of the file is 0", 2, 0 },
	{ "stage number with a sign", "FROM scratch\nCOPY --from=+7 /x /\n", NULL, NULL,
		"invalid stage index +7: the last stage of the file is 0", 2, 0 },
	{ "bad reference", "FROM scratch\nFROM Busybox\n", NULL, NULL, NULL, 2, 6 },
	{ "required variable", "FROM scratch\nENV A=${B:?none}\n", NULL, NULL, "B: none", 2, 0 },
	{ "expansion in COPY", "FROM scratch\nCOPY \\\n  a ${ /x\n", NULL, NULL, NULL, 3, 0 },
	{ "URL for COPY", "FROM scratch\nCOPY https://x/y /z\n", NULL, NULL, "source can't be a URL for COPY", 2, 0 },
	{ "host network", "FROM busybox\nRUN --network=host x\n", NULL, NULL, "entitlement network.host is not allowed",
		2, 0 },
	{ "bad port", "FROM scratch\nEXPOSE 80 x\n", NULL, NULL, "invalid port \"x\"", 2, 0 },
	{ "range as a port", "FROM scratch\nEXPOSE 1-2-3\n", NULL, NULL, "invalid port \"1-2-3\"", 2, 0 },
	{ "bad address of a port", "FROM scratch\nEXPOSE 1.2.3:80:90\n", NULL, NULL,
		"invalid IP address \"1.2.3\" in port \"1.2.3:80:90\"", 2, 0 },
	{ "bad IPv6 address of a port", "FROM scratch\nEXPOSE [::g]:80:90\n", NULL, NULL,
		"invalid IP address \"[::g]\" in port \"[::g]:80:90\"", 2, 0 },
	{ "bad host port", "FROM scratch\nEXPOSE x:90\n", NULL, NULL, "invalid port \"x:90\"", 2, 0 },
	{ "ranges of other sizes", "FROM scratch\nEXPOSE 1-3:4-5\n", NULL, NULL,
		"port \"1-3:4-5\": the ranges of host and container differ", 2, 0 },
	{ "protocol before the port", "FROM scratch\nEXPOSE 80/tcp:90\n", NULL, NULL, "invalid port \"80/tcp:90\"", 2,
		0 },
	{ "two protocols", "FROM scratch\nEXPOSE 80/tcp/udp\n", NULL, NULL,
		"invalid protocol \"tcp/udp\" in port \"80/tcp/udp\"", 2, 0 },
	{ "bad signal", "FROM scratch\n\nSTOPSIGNAL SIGFOO\n", NULL, NULL, "invalid signal: SIGFOO", 3, 0 },
};

static void places(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct planfix fix;
		int r = planfix_init(&fix, errors[i].text, errors[i].args, errors[i].target, NULL);

		print_message("# %s: %s\n", errors[i].what, cb_err_msg(fix.err));
		assert_true(r < 0);
		if (errors[i].msg)
			assert_string_equal(cb_err_msg(fix.err), errors[i].msg);
		assert_int_equal(fix.err->line, errors[i].line);
		if (errors[i].col)
			assert_int_equal(fix.err->col, errors[i].col);
		planfix_done(&fix);
	}
}

static void thousand_instructions(void **state)
{
	struct planfix fix;
	cleanup_buf struct cb_buf text = { 0 };
	uint64_t start;

	(void)state;
	cb_buf_adds(&text, "FROM busybox\n");
	for (int i = 0; i < 1000; i++)
		cb_buf_addf(&text, "RUN echo %d\nENV V%d=x\nCOPY f%d /d/\n", i, i % 50, i);
	start = cb_time_mono();
	assert_int_equal(planfix_init(&fix, cb_buf_str(&text), NULL, NULL, NULL), 0);
	print_message("# %.1f ms\n", (double)(cb_time_mono() - start) / 1e6);
	assert_int_equal(fix.plan->graph.n, 1 + 1 + 1000 * 3);
	assert_true(cb_time_mono() - start < 3000000000u);
	planfix_done(&fix);
}

static void other_formats(void **state)
{
	struct planfix fix;
	cleanup_buf struct cb_buf out = { 0 };

	(void)state;
	assert_int_equal(planfix_init(&fix, "FROM busybox\nRUN echo \"a\\b\"\n", NULL, NULL, NULL), 0);
	cb_plan_print(fix.plan, CB_PLAN_DOT, &out);
	assert_non_null(strstr(cb_buf_str(&out), "label=\"[2/2] RUN echo \\\"a\\\\b\\\"\""));
	cb_buf_clear(&out);
	cb_plan_print(fix.plan, CB_PLAN_JSON, &out);
	assert_non_null(strstr(cb_buf_str(&out), "\"target\": 1"));
	planfix_done(&fix);
}

/* A step for the build's own platform is one; what knows its target, or stands on it, is one for each. */
static void two_platforms(void **state)
{
	static const char text[] = "FROM --platform=$BUILDPLATFORM busybox AS tool\nRUN x\n"
				   "FROM --platform=$BUILDPLATFORM tool AS cross\nARG TARGETARCH\nRUN y\n"
				   "FROM busybox\nRUN x\nCOPY --from=cross /y /y\n";
	static const char want[] =
		"0 image [linux/amd64 tool 1/2] FROM docker.io/library/busybox:latest\n"
		"1 run [linux/amd64 tool 2/2] RUN x <- parent 0\n"
		"2 run [linux/amd64 cross 1/1] RUN y <- parent 1\n"
		"3 select files /y <- source 2\n"
		"4 copy [linux/amd64 stage-2 3/3] COPY --from=cross /y /y <- files 3, mount 2, parent 1\n"
		"5 run [linux/amd64->arm64 cross 1/1] RUN y <- parent 1\n"
		"6 image [linux/arm64 stage-2 1/3] FROM docker.io/library/busybox:latest\n"
		"7 run [linux/arm64 stage-2 2/3] RUN x <- parent 6\n"
		"8 select files /y <- source 5\n"
		"9 copy [linux/arm64 stage-2 3/3] COPY --from=cross /y /y <- files 8, mount 5, parent 7\n";
	struct planfix fix;
	cleanup_buf struct cb_buf out = { 0 };

	(void)state;
	assert_int_equal(planfix_init_for(&fix, true, text, NULL, NULL, NULL), 0);
	cb_plan_print(fix.plan, CB_PLAN_TEXT, &out);
	assert_string_equal(cb_buf_str(&out), want);
	assert_string_equal(fix.plan->targets[1].image->config->platform.arch, "arm64");
	cb_buf_clear(&out);
	cb_plan_print(fix.plan, CB_PLAN_JSON, &out);
	assert_non_null(strstr(cb_buf_str(&out), "\"linux/arm64\": 9"));
	planfix_done(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans),
		cmocka_unit_test(places),
		cmocka_unit_test(thousand_instructions),
		cmocka_unit_test(other_formats),
		cmocka_unit_test(two_platforms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
