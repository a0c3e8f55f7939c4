/* Without a pid namespace, as in a container whose /proc is masked. */
#include "containers.h"

int main(void)
{
	return run_container_tests(CB_ISOLATION_AUTO, CB_ISOLATION_SHARED);
}
