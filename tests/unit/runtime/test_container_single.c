/* An ordinary user without id ranges. Root plays one that no file knows. */
#include <grp.h>

#include "containers.h"

int main(void)
{
	if (geteuid() == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(54321, 54321, 54321) < 0 || setresuid(54321, 54321, 54321) < 0)
			return SKIPPED;
		/* As after an exec by su. */
		(void)prctl(PR_SET_DUMPABLE, 1);
	}
	return run_container_tests(CB_ISOLATION_SINGLE, CB_ISOLATION_SINGLE);
}
