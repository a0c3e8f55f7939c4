/* Real root, steps in a user namespace with mapped layers. */
#include "containers.h"

int main(void)
{
	return run_container_tests(CB_ISOLATION_AUTO, CB_ISOLATION_ROOT_USERNS);
}
