/*
 * Options of carom top
 */
#include "tools/top_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "tools/duration.h"
#include "tools/say.h"
#include "tools/terminal.h"

const char *const carom_top_order_names[CAROM_TOP_ORDERS] = {
	[CAROM_TOP_BY_PLACE] = "place", [CAROM_TOP_BY_AGE] = "age",
	[CAROM_TOP_BY_CPU] = "cpu",     [CAROM_TOP_BY_MEMORY] = "memory",
	[CAROM_TOP_BY_TASKS] = "tasks",
};

static const char help[] =
	"Usage: carom top [OPTION...] [PID...]\n"
	"Show the running pools of this user, or those of programs PID, and what each\n"
	"worker does. Pools are seen that were made with the option 'statistics'.\n"
	"\n"
	"  -d, --delay T       between two looks (1s)\n"
	"  -n, --count N       look N times; without a terminal once, unless -d is given\n"
	"      --once          the same as -n 1\n"
	"  -s, --sort place|age|cpu|memory|tasks   order of the workers\n"
	"      --json          for programs; a line for each look\n"
	"      --openmetrics   for Prometheus and its like; one look\n"
	"      --help          show this text\n"
	"\n"
	"Keys: q ends, s sorts otherwise, j and k go down and up, space looks at once.\n"
	"Exit status: 0, 1 if there is no such pool at the last look, 125 carom top\n"
	"itself failed.\n";

enum { OPTION_HELP = 256, OPTION_ONCE, OPTION_JSON, OPTION_OPENMETRICS };

static const struct option long_options[] = {
	{ "delay", required_argument, NULL, 'd' },
	{ "count", required_argument, NULL, 'n' },
	{ "once", no_argument, NULL, OPTION_ONCE },
	{ "sort", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "openmetrics", no_argument, NULL, OPTION_OPENMETRICS },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static int parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || number == 0 || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int take_order(const char *text, enum carom_top_order *ret_order)
{
	for (size_t i = 0; i < CAROM_TOP_ORDERS; i++)
		if (strcmp(text, carom_top_order_names[i]) == 0) {
			*ret_order = (enum carom_top_order)i;
			return 0;
		}
	return carom_usage_error("--sort: '%s' is none of place, age, cpu, memory and tasks", text);
}

static int take_delay(const char *text, uint64_t *ret_ns)
{
	if (carom_duration_parse(text, ret_ns) == 0 && *ret_ns >= CAROM_MILLISECONDS(10))
		return 0;
	return carom_usage_error("--delay: '%s' is not a time from 10ms on, such as 0.5 or 2s",
				 text);
}

static int take_option(int code, struct carom_top_options *options)
{
	switch (code) {
	case 'd':
		return take_delay(optarg, &options->delay_ns);
	case 'n':
		if (parse_number(optarg, UINT32_MAX, &options->look_count) < 0)
			return carom_usage_error("--count: '%s' is not a number from 1 on", optarg);
		return 0;
	case OPTION_ONCE:
		options->look_count = 1;
		return 0;
	case 's':
		return take_order(optarg, &options->order);
	case OPTION_JSON:
		options->form = CAROM_TOP_JSON;
		return 0;
	default: /* OPTION_OPENMETRICS */
		options->form = CAROM_TOP_OPENMETRICS;
		return 0;
	}
}

static int take_pids(int argc, char *argv[], struct carom_top_options *options)
{
	options->pids = calloc((size_t)argc, sizeof(*options->pids));
	if (!options->pids) {
		carom_say("no memory");
		return CAROM_EXIT_ERROR;
	}
	for (int i = optind; i < argc; i++) {
		uint64_t pid;

		if (parse_number(argv[i], INT32_MAX, &pid) < 0)
			return carom_usage_error("'%s' is not the number of a process", argv[i]);
		options->pids[options->pid_count++] = (int64_t)pid;
	}
	return 0;
}

static void choose_count(struct carom_top_options *options)
{
	if (options->form == CAROM_TOP_OPENMETRICS)
		options->look_count = 1;
	else if (options->look_count == 0 && options->delay_ns == 0 &&
		 (options->form != CAROM_TOP_TEXT || !carom_terminal_is(STDOUT_FILENO)))
		options->look_count = 1;
	if (options->delay_ns == 0)
		options->delay_ns = CAROM_SECONDS(1);
}

bool carom_top_options_parse(int argc, char *argv[], struct carom_top_options *ret_options,
			     int *ret_status)
{
	struct carom_top_options options = { 0 };
	int code, status = 0;

	opterr = 0;
	optind = 1;
	while (status == 0) {
		const char *word = optind < argc ? argv[optind] : "";

		code = getopt_long(argc, argv, ":d:n:s:", long_options, NULL);
		if (code < 0)
			break;
		if (code == OPTION_HELP) {
			*ret_status = carom_print(help);
			return false;
		}
		status = code == '?' || code == ':' ? carom_option_error(word, code)
						    : take_option(code, &options);
	}
	if (status == 0)
		status = take_pids(argc, argv, &options);
	if (status) {
		free(options.pids);
		*ret_status = status;
		return false;
	}
	choose_count(&options);
	*ret_options = options;
	return true;
}
