/* Without namespaces and mounts: real root alone may do that. */
#include "containers.h"

int main(void)
{
	return run_container_tests(CB_ISOLATION_CHROOT, CB_ISOLATION_CHROOT);
}
