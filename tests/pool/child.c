/* What pools run by "spawn" in the suites: a program that does nothing but what it is started for. */
#include <stdio.h>

#include "ipc/manager.h"
#include "tests/pool/confined.h"
#include "tests/pool/managed.h"
#include "tests/pool/metered.h"
#include "tests/pool/methods.h"
#include "tests/pool/mirror.h"

int main(int argc, char **argv)
{
	carom_manager_free(NULL); /* of a static library, so that a manager's server is in it */
	carom_main_hook(argc, argv);
	fprintf(stderr, "this program is started by test suites\n");
	return 1;
}
