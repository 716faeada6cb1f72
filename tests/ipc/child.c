/* What "spawn" runs in the suites of messages. */
#include "tests/ipc/share.h"
#include "tests/ipc/kit.h"
#include "tests/ipc/answer.h"
#include "tests/ipc/lacking.h"
#include "tests/ipc/typed.h"
#include "tests/ipc/managed.h"

int main(int argc, char **argv)
{
	carom_main_hook(argc, argv);
	know_managers();
	return 1;
}
