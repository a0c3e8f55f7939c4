/* The process that stays behind when an ordinary user enters a user namespace. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/runtime.h"

static int report[2]; /* the inner process writes one byte when it is ready, and its end closes with it */

static void on_term(int sig)
{
	(void)sig;
	_exit(9);
}

/* Runs @inner in an entered child; returns the pid of the original process. */
static pid_t enter_and(void (*inner)(void))
{
	assert_return_code(pipe2(report, O_CLOEXEC), errno);
	pid_t pid = fork();
	if (pid == 0) {
		cleanup_err struct cb_err *err = NULL;
		close(report[0]);
		if (cb_runtime_enter(CB_ISOLATION_SINGLE, &err) < 0) {
			fprintf(stderr, "SKIPPED: %s\n", cb_err_msg(err));
			_exit(77);
		}
		inner();
		_exit(1);
	}
	close(report[1]);
	return pid;
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(report[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	return status;
}

static bool inner_ready(void)
{
	char byte;

	return read(report[0], &byte, 1) == 1;
}

static void exit_with_7(void)
{
	_exit(getuid() == 0 ? 7 : 8);
}

static void status_is_passed_on(void **state)
{
	(void)state;
	int status = end_of(enter_and(exit_with_7));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void die_by_hup(void)
{
	(void)raise(SIGHUP);
}

static void death_is_passed_on(void **state)
{
	(void)state;
	int status = end_of(enter_and(die_by_hup));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGHUP);
}

static void wait_for_term(void)
{
	(void)signal(SIGTERM, on_term);
	(void)!write(report[1], "x", 1);
	for (;;)
		pause();
}

static void signals_are_passed_on(void **state)
{
	(void)state;
	pid_t pid = enter_and(wait_for_term);
	if (inner_ready())
		assert_return_code(kill(pid, SIGTERM), errno);
	int status = end_of(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
}

static void inner_dies_with_outer(void **state)
{
	char byte;

	(void)state;
	pid_t pid = enter_and(wait_for_term);
	if (!inner_ready()) {
		(void)end_of(pid);
		return;
	}
	assert_return_code(kill(pid, SIGKILL), errno);
	/* The end of the pipe is the end of the inner process: it was the only one left with the other end. */
	assert_int_equal(read(report[0], &byte, 1), 0);
	int status = end_of(pid);
	assert_true(WIFSIGNALED(status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_is_passed_on),
		cmocka_unit_test(death_is_passed_on),
		cmocka_unit_test(signals_are_passed_on),
		cmocka_unit_test(inner_dies_with_outer),
	};

	if (geteuid() == 0 &&
		(setgroups(0, NULL) < 0 || setresgid(54321, 54321, 54321) < 0 || setresuid(54321, 54321, 54321) < 0))
		return 77;
	(void)prctl(PR_SET_DUMPABLE, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
