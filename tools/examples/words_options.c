/*
 * Options
 */
#include "tools/examples/words_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <carom/carom.h>

#define EXIT_BAD_USAGE 2
#define USUAL_WORKERS  4 /* at least: while one waits for the disk, another can count */

static const char help[] =
	"Usage: carom-words [OPTION...] [FILE|FOLDER...]\n"
	"\n"
	"Counts the lines, words and bytes of all files below the folders given, or below\n"
	"/usr/include and /usr/share/doc, in worker processes of a carom pool. On the way\n"
	"one worker is killed, one crashes and one gets stuck, to show what that costs.\n"
	"\n"
	"Bytes are counted as they are; nothing is unpacked. Words are what stands between\n"
	"blanks and newlines. Symbolic links are not followed.\n"
	"\n"
	"  -w, --workers N   so many worker processes; otherwise as many as CPUs, at least 4\n"
	"      --no-mishaps  nothing goes wrong on purpose\n"
	"  -h, --help        show this text\n"
	"\n"
	"The exit status is 0 if every file was counted, 1 if not, 2 for wrong usage.\n";

enum { OPTION_NO_MISHAPS = 256 };

static const struct option long_options[] = {
	{ "workers", required_argument, NULL, 'w' },
	{ "no-mishaps", no_argument, NULL, OPTION_NO_MISHAPS },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int bad_usage(void)
{
	fprintf(stderr, "%s: --help shows how it is used\n", program_invocation_short_name);
	return EXIT_BAD_USAGE;
}

static bool parse_worker_count(const char *text, uint64_t *ret_count)
{
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || count < 1 || count > CAROM_WORKERS_MAX) {
		fprintf(stderr, "%s: --workers takes a number from 1 to %d, not '%s'\n",
			program_invocation_short_name, CAROM_WORKERS_MAX, text);
		return false;
	}
	*ret_count = count;
	return true;
}

/* what to count if nothing is said; a machine without one of them still has the other */
static void choose_usual_roots(struct words_options *options)
{
	static char usual[][sizeof("/usr/share/doc")] = { "/usr/include", "/usr/share/doc" };
	size_t count = 0;

	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		if (access(usual[i], F_OK) == 0)
			options->usual_roots[count++] = usual[i];
	options->roots = options->usual_roots;
}

static void choose_usual(struct words_options *options)
{
	int cpu_count = carom_cpu_count(CAROM_CPU_USABLE);

	*options = (struct words_options){
		.worker_count = (uint64_t)(cpu_count > USUAL_WORKERS ? cpu_count : USUAL_WORKERS),
		.wants_mishaps = true,
	};
	choose_usual_roots(options);
}

bool words_options_parse(int argc, char *argv[], struct words_options *options, int *ret_status)
{
	int option;

	choose_usual(options);
	while ((option = getopt_long(argc, argv, "w:h", long_options, NULL)) != -1) {
		if (option == OPTION_NO_MISHAPS) {
			options->wants_mishaps = false;
		} else if (option == 'h') {
			*ret_status = fputs(help, stdout) < 0 || fflush(stdout) != 0;
			return false;
		} else if (option != 'w' || !parse_worker_count(optarg, &options->worker_count)) {
			*ret_status = bad_usage();
			return false;
		}
	}
	if (optind < argc)
		options->roots = argv + optind;
	return true;
}
