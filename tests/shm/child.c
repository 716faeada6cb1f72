/* What "spawn" runs in the suites of shared memory. */
#include "tests/shm/share.h"

int main(int argc, char **argv)
{
	carom_main_hook(argc, argv);
	return 1;
}
