/*
 * carom
 *
 * The program: picks one of its commands and hands over. Each command is one
 * function in a file of its own name; this file knows them all by one table.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench.h"
#include "tools/doctor.h"
#include "tools/run.h"
#include "tools/say.h"
#include "tools/top.h"

static const char help[] =
	"Usage: carom COMMAND [ARGUMENT...]\n"
	"\n"
	"Processes under supervision: many at a time, none left behind.\n"
	"\n"
	"Commands:\n"
	"  bench    time commands, and compare them\n"
	"  doctor   tell what the library can rest on here, and what would help\n"
	"  run      run a command over many inputs, several at a time\n"
	"  top      show running pools and what their workers do\n"
	"\n"
	"Options:\n"
	"  --help     show this text\n"
	"  --version  show the version\n"
	"\n"
	"'carom COMMAND --help' tells more. Every command ends with status 125 if\n"
	"something is wrong with how it was called or with what it needs.\n";

static const struct command {
	const char *name;
	const char *speaker;
	int (*main)(int argc, char *argv[]);
} commands[] = {
	{ "bench", "carom bench", carom_bench_main },
	{ "doctor", "carom doctor", carom_doctor_main },
	{ "run", "carom run", carom_run_main },
	{ "top", "carom top", carom_top_main },
};

/*
 * A program that is started without one of the descriptors 0, 1, 2 would get a
 * file of its own in that place and read or write it by mistake. /dev/null
 * takes it instead, opened the wrong way round, so that using it is an error.
 */
static void fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static int run_command(int argc, char *argv[])
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		carom_say_as(commands[i].speaker);
		return commands[i].main(argc, argv);
	}
	if (argv[0][0] == '-')
		return carom_usage_error("there is no option '%s'", argv[0]);
	return carom_usage_error("there is no command '%s'", argv[0]);
}

int main(int argc, char *argv[])
{
	fill_standard_descriptors();
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error like others, */
	signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not grow; commands get the default */
	if (argc < 2)
		return carom_usage_error("which command?");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return carom_print(help);
	if (strcmp(argv[1], "--version") == 0)
		return carom_print("carom " CAROM_VERSION "\n");
	return run_command(argc - 1, argv + 1);
}
