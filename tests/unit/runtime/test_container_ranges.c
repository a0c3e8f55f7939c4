/* An ordinary user with id ranges. Root makes one for the test, and takes it away again. */
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>

#include "base/spawn.h"
#include "containers.h"

#define USER "cbuild-unit-test"

static int spawn(const char *const *argv)
{
	const struct cb_spawn spec = { .argv = argv, .timeout_ms = 30000 };

	return cb_spawn_run(&spec, NULL, NULL, NULL);
}

static int as_user(void)
{
	const struct passwd *pw = getpwnam(USER);

	if (!pw || setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
		setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0) {
		fprintf(stderr, "SKIPPED: cannot become " USER "\n");
		return SKIPPED;
	}
	/* As after an exec by su. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	return run_container_tests(CB_ISOLATION_RANGES, CB_ISOLATION_RANGES);
}

int main(void)
{
	static const char *const add[] = { "useradd", "-M", "-K", "SUB_UID_COUNT=65536", USER, NULL };
	static const char *const del[] = { "userdel", USER, NULL };
	int status = 0;

	if (geteuid() != 0)
		return run_container_tests(CB_ISOLATION_RANGES, CB_ISOLATION_RANGES);
	if (spawn(add) != 0) {
		fprintf(stderr, "SKIPPED: useradd failed\n");
		return SKIPPED;
	}
	pid_t pid = fork();
	if (pid == 0)
		exit(as_user());
	while (waitpid(pid, &status, 0) < 0)
		;
	(void)spawn(del);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
