/* Progress rendered into memory, with a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/json.h"
#include "builder/progress.h"

static uint64_t now;

static uint64_t test_clock(void *arg)
{
	(void)arg;
	return now;
}

static void wait_ms(uint64_t ms)
{
	now += ms * 1000000;
}

static struct cb_progress *start(enum cb_progress_mode mode, struct cb_buf *out)
{
	now = UINT64_C(1000000000000);
	return cb_progress_new_memory(mode, out, 60, 12, test_clock, NULL);
}

static void say(struct cb_progress *p, uint32_t id, const char *text)
{
	cb_progress_log(p, id, 1, text, strlen(text));
}

static void plain_tells_one_after_the_other(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_PLAIN, &out);

	(void)state;
	cb_progress_added(p, 0, "[internal] load build definition from Buildfile");
	cb_progress_added(p, 1, "[1/2] FROM busybox");
	cb_progress_added(p, 2, "[2/2] RUN make");
	cb_progress_started(p, 0);
	cb_progress_status(p, 0, "transferring buildfile", 73, 0, false);
	cb_progress_status(p, 0, "transferring buildfile", 73, 0, true);
	cb_progress_done(p, 0);
	cb_progress_cached(p, 1);
	cb_progress_started(p, 2);
	wait_ms(123);
	say(p, 2, "hello\nwor");
	wait_ms(100);
	say(p, 2, "ld\r\n\nno end");
	wait_ms(200);
	cb_progress_done(p, 2);
	cb_progress_finish(p, true);
	assert_string_equal(cb_buf_str(&out), "#1 [internal] load build definition from Buildfile\n"
					      "#1 transferring buildfile: 73B 0.0s done\n"
					      "#1 DONE 0.0s\n"
					      "\n"
					      "#2 [1/2] FROM busybox\n"
					      "#2 CACHED\n"
					      "\n"
					      "#3 [2/2] RUN make\n"
					      "#3 0.123 hello\n"
					      "#3 0.223 world\n"
					      "#3 0.223 \n"
					      "#3 0.423 no end\n"
					      "#3 DONE 0.4s\n"
					      "\n");
}

static void plain_lets_others_wait(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_PLAIN, &out);

	(void)state;
	cb_progress_added(p, 0, "a");
	cb_progress_added(p, 1, "b");
	cb_progress_added(p, 2, "c");
	cb_progress_started(p, 0);
	cb_progress_started(p, 1);
	say(p, 0, "a1\n");
	say(p, 1, "b1\n");
	cb_progress_cached(p, 2);
	say(p, 0, "a2\n");
	assert_string_equal(cb_buf_str(&out), "#1 a\n#1 0.000 a1\n#1 0.000 a2\n");
	assert_true(cb_progress_tick(p) > 0);
	/* It falls silent: the others have their turn, the one that ended is not left open. */
	cb_buf_clear(&out);
	wait_ms(600);
	assert_int_equal(cb_progress_tick(p), -1);
	assert_string_equal(cb_buf_str(&out), "#1 ...\n\n#2 b\n#2 0.000 b1\n#2 ...\n\n#3 c\n#3 CACHED\n\n");
	cb_buf_clear(&out);
	say(p, 0, "a3\n");
	cb_progress_done(p, 0);
	cb_progress_error(p, 1, "exit code: 1");
	cb_progress_finish(p, false);
	assert_string_equal(cb_buf_str(&out), "#1 a\n#1 0.600 a3\n#1 DONE 0.6s\n\n#2 b\n#2 ERROR: exit code: 1\n\n");
}

static void plain_keeps_every_byte(void **state)
{
	cleanup_buf struct cb_buf out = { 0 }, big = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_PLAIN, &out);
	size_t lines = 0, letters = 0;

	(void)state;
	for (int i = 0; i < 1000000; i++)
		cb_buf_addc(&big, i % 100 == 99 ? '\n' : 'x');
	for (int i = 0; i < 200000; i++)
		cb_buf_addc(&big, 'x');
	cb_progress_added(p, 0, "a");
	cb_progress_log(p, 0, 2, big.data, big.len);
	cb_progress_done(p, 0);
	for (size_t i = 0; i < out.len; i++) {
		lines += out.data[i] == '\n';
		letters += out.data[i] == 'x';
	}
	assert_int_equal(letters, 990000 + 200000);
	/* 10,000 lines, the long one in four pieces, the header, DONE and the blank line. */
	assert_int_equal(lines, 10000 + 4 + 3);
}

static void plain_shows_each_end(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_PLAIN, &out);

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		cb_progress_added(p, i, "step");
	cb_progress_started(p, 0);
	cb_progress_canceled(p, 0);
	cb_progress_canceled(p, 1);
	cb_progress_dropped(p, 2);
	cb_progress_done(p, 2);
	cb_progress_warning(p, UINT32_MAX, "careful");
	cb_progress_warning(p, UINT32_MAX, "careful");
	cb_progress_started(p, 3);
	cb_progress_warning(p, 3, "slow");
	cb_progress_done(p, 3);
	cb_progress_finish(p, true);
	cb_progress_finish(p, true);
	cb_progress_done(p, 0);
	assert_string_equal(cb_buf_str(&out), "#1 step\n#1 CANCELED\n\nWARNING: careful\n"
					      "#2 step\n#2 WARNING: slow\n#2 DONE 0.0s\n\n"
					      "2 warnings:\n - careful\n - slow\n");
}

static void statuses_are_not_repeated_often(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_PLAIN, &out);

	(void)state;
	cb_progress_added(p, 0, "FROM x");
	for (uint64_t i = 0; i <= 100; i++) {
		cb_progress_status(p, 0, "sha256:1234", i * 100000, 10000000, i == 100);
		wait_ms(100);
	}
	assert_string_equal(cb_buf_str(&out), "#1 FROM x\n"
					      "#1 sha256:1234 5.00MB / 10.0MB, 1.00MB/s 5.0s\n"
					      "#1 sha256:1234 10.0MB / 10.0MB, 1.00MB/s 10.0s done\n");
}

static void tail_is_kept_of_failures(void **state)
{
	cleanup_buf struct cb_buf out = { 0 }, tail = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_QUIET, &out);

	(void)state;
	cb_progress_added(p, 0, "ok");
	cb_progress_added(p, 1, "bad");
	for (int i = 0; i < 15; i++) {
		cleanup_free char *line = cb_xasprintf("line \033[1m%d\033[0m\n", i);

		say(p, 0, line);
		say(p, 1, line);
	}
	say(p, 1, "the end");
	cb_progress_done(p, 0);
	cb_progress_error(p, 1, "failed");
	cb_progress_finish(p, false);
	cb_progress_tail(p, 0, &tail);
	assert_string_equal(cb_buf_str(&tail), "");
	cb_progress_tail(p, 7, &tail);
	cb_progress_tail(p, 1, &tail);
	assert_string_equal(cb_buf_str(&tail), "0.000 line 6\n0.000 line 7\n0.000 line 8\n0.000 line 9\n"
					       "0.000 line 10\n0.000 line 11\n0.000 line 12\n0.000 line 13\n"
					       "0.000 line 14\n0.000 the end\n");
	assert_string_equal(cb_buf_str(&out), "");
}

static void terminal_draws_a_table(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_TTY, &out);

	(void)state;
	cb_progress_added(p, 0, "[1/3] FROM busybox");
	cb_progress_added(p, 1, "[2/3] RUN a command with quite a long text that has to be cut");
	cb_progress_added(p, 2, "[3/3] COPY . .");
	cb_progress_cached(p, 0);
	cb_progress_started(p, 1);
	wait_ms(1500);
	say(p, 1, "one\ntw\033[31mo\nthree");
	cb_progress_status(p, 1, "pulling", 1000, 2000, false);
	assert_string_equal(cb_buf_str(&out), "");
	assert_int_equal(cb_progress_tick(p), 100);
	assert_string_equal(cb_buf_str(&out), "[+] Building 1.5s (1/3)\033[K\n"
					      " => CACHED [1/3] FROM busybox                           0.0s\033[K\n"
					      " => [2/3] RUN a command with quite a long text that     1.5s\033[K\n"
					      " => => pulling 1.00kB / 2.00kB                          0.0s\033[K\n"
					      " => => # one\033[K\n"
					      " => => # two\033[K\n"
					      "\033[J");
	cb_buf_clear(&out);
	wait_ms(50);
	assert_int_equal(cb_progress_tick(p), 50);
	assert_string_equal(cb_buf_str(&out), "");
	wait_ms(50);
	cb_progress_done(p, 1);
	cb_progress_done(p, 2);
	cb_progress_warning(p, 2, "odd\033[2J");
	cb_progress_finish(p, true);
	assert_string_equal(cb_buf_str(&out), "\r\033[6A[+] Building 1.6s (3/3) FINISHED\033[K\n"
					      " => CACHED [1/3] FROM busybox                           0.0s\033[K\n"
					      " => [2/3] RUN a command with quite a long text that     1.6s\033[K\n"
					      " => => pulling 1.00kB / 2.00kB                          0.1s\033[K\n"
					      " => [3/3] COPY . .                                      0.0s\033[K\n"
					      "\033[J\n1 warning:\n - odd\n");
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static void terminal_fits_the_screen(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_TTY, &out);

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		cleanup_free char *name = cb_xasprintf("step %u.", i);

		cb_progress_added(p, i, name);
		cb_progress_started(p, i);
		say(p, i, "1\n2\n3\n4\n5\n6\n7\n8\n");
		if (i < 37)
			cb_progress_done(p, i);
	}
	cb_progress_tick(p);
	/* Twelve lines of screen: the three that run, what they print, and no more than there is room for. */
	assert_true(count(cb_buf_str(&out), "\n") <= 11);
	assert_int_equal(count(cb_buf_str(&out), "step 37."), 1);
	assert_int_equal(count(cb_buf_str(&out), "step 39."), 1);
	assert_int_equal(count(cb_buf_str(&out), "step 0."), 0);
	cb_buf_clear(&out);
	cb_progress_finish(p, false);
	assert_int_equal(count(cb_buf_str(&out), "step "), 40);
}

static void wide_characters_are_counted(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_TTY, &out);

	(void)state;
	cb_progress_added(p, 0, "漢字 é");
	cb_progress_done(p, 0);
	cb_progress_finish(p, true);
	assert_non_null(
		strstr(cb_buf_str(&out), " => 漢字 é                                              0.0s\033[K\n"));
}

static void json_is_one_event_a_line(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_progress_free) struct cb_progress *p = start(CB_PROGRESS_RAWJSON, &out);
	cleanup_strv struct cb_strv lines = { 0 };

	(void)state;
	cb_progress_added(p, 3, "RUN x");
	cb_progress_started(p, 3);
	wait_ms(250);
	say(p, 3, "hi\n");
	cb_progress_status(p, 3, "bytes", 1, 2, true);
	cb_progress_warning(p, 3, "hm");
	cb_progress_error(p, 3, "exit code: 3");
	cb_progress_finish(p, false);
	cb_strv_split(&lines, cb_buf_str(&out), '\n');
	assert_int_equal(lines.n, 7);
	assert_string_equal(lines.v[0], "{\"vertexes\":[{\"digest\":\"step:3\",\"name\":\"RUN x\"}]}");
	assert_string_equal(lines.v[1], "{\"vertexes\":[{\"digest\":\"step:3\",\"name\":\"RUN x\","
					"\"started\":\"1970-01-01T00:16:40Z\"}]}");
	assert_string_equal(lines.v[2], "{\"logs\":[{\"vertex\":\"step:3\",\"stream\":1,\"data\":\"aGkK\","
					"\"timestamp\":\"1970-01-01T00:16:40.25Z\"}]}");
	assert_string_equal(lines.v[4], "{\"warnings\":[{\"vertex\":\"step:3\",\"level\":1,\"short\":\"hm\"}]}");
	assert_non_null(strstr(lines.v[5], "\"error\":\"exit code: 3\""));
	for (size_t i = 0; i < 6; i++) {
		cleanup_json json_t *doc = NULL;

		assert_int_equal(cb_json_parse(lines.v[i], strlen(lines.v[i]), &doc, NULL), 0);
	}
}

static const struct {
	const char *in, *want;
} clean_rows[] = {
	{ "", "" },
	{ "plain text\n", "plain text\n" },
	{ "tab\there", "tab\there" },
	{ "\033[1;31mred\033[0m", "red" },
	{ "\033[2J\033[H\033[?25lx", "x" },
	{ "\033]0;title\ax", "x" },
	{ "\033]8;;http://a\033\\link\033]8;;\033\\", "link" },
	{ "\033Pq#0\033\\x", "x" },
	{ "\033(Bx\0337y\033=z", "xyz" },
	{ "\033cx", "x" },
	{ "x\033", "x" },
	{ "x\033[", "x" },
	{ "x\033[12", "x" },
	{ "x\033]never ends", "x" },
	{ "x\033]never ends\nnext", "x\nnext" },
	{ "\033[31\nx", "\nx" },
	{ "\xC2\x9B"
	  "31mx",
		"x" },
	{ "a\bb\ac\x7F"
	  "d",
		"abcd" },
	{ "10%\r50%\r100%", "100%" },
	{ "\rx", "x" },
	{ "a\nb\rc", "a\nc" },
	{ "line\r\n", "line\n" },
	{ "x\r", "x" },
	{ "x\r\r\n", "x\n" },
	{ "a\xFF"
	  "b",
		"a\xEF\xBF\xBD"
		"b" },
	{ "a\xE2\x80\xAE"
	  "b\xE2\x81\xA6"
	  "c",
		"abc" },
	{ "h\xC3\xA9 \xE6\xBC\xA2", "h\xC3\xA9 \xE6\xBC\xA2" },
};

static void escapes_are_removed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clean_rows); i++) {
		cleanup_buf struct cb_buf out = { 0 };

		print_message("# row %zu\n", i);
		cb_progress_sanitise(&out, clean_rows[i].in, strlen(clean_rows[i].in));
		assert_string_equal(cb_buf_str(&out), clean_rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_tells_one_after_the_other),
		cmocka_unit_test(plain_lets_others_wait),
		cmocka_unit_test(plain_keeps_every_byte),
		cmocka_unit_test(plain_shows_each_end),
		cmocka_unit_test(statuses_are_not_repeated_often),
		cmocka_unit_test(tail_is_kept_of_failures),
		cmocka_unit_test(terminal_draws_a_table),
		cmocka_unit_test(terminal_fits_the_screen),
		cmocka_unit_test(wide_characters_are_counted),
		cmocka_unit_test(json_is_one_event_a_line),
		cmocka_unit_test(escapes_are_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
