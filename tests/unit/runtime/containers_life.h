/*
 * How runs live and end: together, killed, canceled, with their builder.
 */
#ifndef CB_TESTS_RUNTIME_CONTAINERS_LIFE_H
#define CB_TESTS_RUNTIME_CONTAINERS_LIFE_H

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/strv.h"
#include "base/timefmt.h"
#include "fixture.h"

/* Is there a process with this word in its command line? */
static bool process_exists(const char *word)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	bool found = false;

	while (!found && (e = readdir(proc))) {
		char path[300], text[512];
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		ssize_t n = read(fd, text, sizeof(text) - 1);
		close(fd);
		found = n > 0 && memmem(text, (size_t)n, word, strlen(word));
	}
	closedir(proc);
	return found;
}

static void daemons_die_with_the_step(void **state)
{
	struct step s;

	(void)state;
	step_init(&fx, &s, "(sleep 98761 >/dev/null 2>&1 &) ; (sleep 98761 >/dev/null 2>&1 &); exit 3");
	step_run(&fx, &s);
	assert_int_equal(s.result.status, 3);
	assert_false(process_exists("98761"));
	step_done(&s);
}

static void eight_sleeps_take_one(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	struct step s[8];
	uint64_t start = cb_time_mono();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		step_init(&fx, &s[i], "sleep 1; echo done");
		assert_int_equal(step_start(&fx, &s[i], &err), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		assert_int_equal(step_finish(&s[i], &err), 0);
		assert_string_equal(cb_buf_str(&s[i].out), "done\n");
		step_done(&s[i]);
	}
	assert_in_range((cb_time_mono() - start) / 1000000, 1000, 7000);
}

/* Threads may not use cmocka's assertions: each leaves what it found. */
static void *thread_of_steps(void *arg)
{
	size_t *good = arg;

	for (int i = 0; i < 5; i++) {
		struct step s;
		step_init(&fx, &s, "echo done; exit 5");
		if (i % 2)
			s.spec.network = CB_RUN_NETWORK_NONE;
		if (step_start(&fx, &s, NULL) == 0 && step_finish(&s, NULL) == 0 && s.result.status == 5 &&
			strcmp(cb_buf_str(&s.out), "done\n") == 0)
			(*good)++;
		step_done(&s);
	}
	return NULL;
}

static void threads_share_a_runtime(void **state)
{
	pthread_t threads[4];
	size_t good[4] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_of_steps, &good[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(good[i], 5);
	}
}

static void kill_ends_all(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	struct step s;

	(void)state;
	step_init(&fx, &s, "sleep 98762 & echo up; sleep 98762");
	assert_int_equal(step_start(&fx, &s, &err), 0);
	char up[3];
	assert_int_equal(cb_fd_read_full(s.out_r, up, 3), 3);
	uint64_t start = cb_time_mono();
	cb_runtime_kill(s.run, 10000); /* the shell handles no SIGTERM, so nothing is waited for */
	assert_int_equal(step_finish(&s, &err), 0);
	assert_true(cb_time_mono() - start < 2000000000U);
	/* Who is not the first process of a pid namespace is ended by the signal that is tried first. */
	const int ended_by = expected >= CB_ISOLATION_SHARED ? SIGTERM : SIGKILL;
	assert_int_equal(s.result.signal, ended_by);
	assert_int_equal(s.result.status, 128 + ended_by);
	assert_true(s.result.killed);
	assert_false(process_exists("98762"));
	step_done(&s);
}

static void kill_with_grace(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	struct step s;
	char up[3];

	(void)state;
	step_init(&fx, &s, "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done");
	assert_int_equal(step_start(&fx, &s, &err), 0);
	assert_int_equal(cb_fd_read_full(s.out_r, up, 3), 3);
	cb_runtime_kill(s.run, 5000);
	assert_int_equal(step_finish(&s, &err), 0);
	assert_string_equal(cb_buf_str(&s.out), "bye\n");
	assert_int_equal(s.result.status, 9);
	step_done(&s);
}

static void cancel_ends_wait(void **state)
{
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	cleanup_err struct cb_err *err = NULL;
	struct step s;

	(void)state;
	step_init(&fx, &s, "sleep 98763");
	assert_int_equal(step_start(&fx, &s, &err), 0);
	cb_cancel_raise(cancel);
	assert_int_equal(cb_runtime_wait(s.run, cancel, 0, &s.result, &err), 0);
	assert_true(s.result.killed);
	step_done(&s);
	assert_false(process_exists("98763"));
}

/* Overlays and bind mounts of ours; whatever else the host mounts meanwhile is its own business. */
static size_t count_our_mounts(void)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_strv struct cb_strv lines = { 0 };
	size_t n = 0;

	assert_int_equal(cb_file_read_at(AT_FDCWD, "/proc/self/mountinfo", 1 << 22, &text, NULL), 0);
	cb_strv_split(&lines, cb_buf_str(&text), '\n');
	for (size_t i = 0; i < lines.n; i++)
		n += strstr(lines.v[i], fx.dir) || strstr(lines.v[i], " overlay cbuild ");
	return n;
}

/* SIGKILL of the whole of cbuild: its containers, prepared ones too, are gone. */
static void killed_parent_leaves_nothing(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	assert_return_code(pipe2(ready, O_CLOEXEC), errno);
	pid_t pid = fork();
	if (pid == 0) {
		const struct cb_runtime_options opts = { .scratch_fd = fx.dirfd, .isolation = expected };
		struct cb_runtime *mine = NULL, *theirs = fx.rt;
		struct step s;
		if (cb_runtime_open(&opts, &mine, NULL) < 0)
			_exit(1);
		fx.rt = mine;
		step_init(&fx, &s, "sleep 98764 & sleep 98764");
		if (step_start(&fx, &s, NULL) < 0)
			_exit(1);
		fx.rt = theirs;
		while (!process_exists("98764"))
			usleep(1000);
		(void)!write(ready[1], "x", 1);
		pause();
		_exit(1);
	}
	fx.steps++; /* the child has used its directory */
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_return_code(kill(pid, SIGKILL), errno);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	int tries = 0;
	while (process_exists("98764") && tries++ < 500)
		usleep(10000);
	assert_false(process_exists("98764"));
	assert_int_equal(count_our_mounts(), 0);
}

#endif
