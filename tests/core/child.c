/* What "spawn" runs in the suites: a program that does nothing but what it is started for. */
#include <stdio.h>

#include "tests/core/births.h"
#include "tests/core/confined.h"
#include "tests/core/functions.h"
#include "tests/core/grouped.h"
#include "tests/core/habits.h"
#include "tests/core/kin.h"

int main(int argc, char **argv)
{
	carom_main_hook(argc, argv);
	fprintf(stderr, "this program is started by test suites\n");
	return 1;
}
