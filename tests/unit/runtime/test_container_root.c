/* Root, of the host or of the user namespace that we are in, without another one for the steps. */
#include "containers.h"

int main(void)
{
	return run_container_tests(CB_ISOLATION_AUTO, CB_ISOLATION_ROOT);
}
