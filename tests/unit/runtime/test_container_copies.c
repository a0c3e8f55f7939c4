/* No overlay: a plain directory is the root. */
#include "containers.h"

int main(void)
{
	return run_container_tests_on(CB_ISOLATION_AUTO, CB_ISOLATION_AUTO, CB_OVERLAY_NONE);
}
