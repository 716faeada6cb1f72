/*
 * Options of carom bench
 *
 * Spelled as hyperfine spells them, so that habits carry over. Whatever is wrong is named
 * with the word as the user wrote it.
 */
#include "tools/bench_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "tools/duration.h"
#include "tools/say.h"
#include "tools/size.h"

#define MIN_COUNT 10
#define MAX_COUNT 10000

static const char help[] =
	"Usage: carom bench [OPTION...] COMMAND...\n"
	"Time COMMANDs, each one string, in processes of their own, taking turns.\n"
	"\n"
	"  -r, --runs N        exactly so many      -p, --prepare CMD   before each run\n"
	"      --time T        for T each (3s)      -s, --setup CMD     before the first\n"
	"      --until P%      median known to P%   -c, --cleanup CMD   after the last\n"
	"  -m, --min-runs N    at least (10)        -S, --shell[=SHELL]  for | and $\n"
	"  -M, --max-runs N    at most (10000)      -i, --ignore-failure  go on\n"
	"  -w, --warmup N      that do not count    -n, --command-name NAME  of the next\n"
	"      --timeout T     then kill a run      -q, --quiet         no progress\n"
	"      --cpus LIST     on these: 0,2-3          --input FILE    read by each\n"
	"      --memory SIZE   not more: 256M           --output FILE   or \"inherit\"\n"
	"      --order rounds|random|sequence   of the runs of several COMMANDs\n"
	"  -L, --parameter-list NAME A,B   each with A and with B in place of {NAME}\n"
	"      --export-json FILE  --export-csv FILE   results; - is standard output\n"
	"      --export-markdown FILE  --export-svg FILE   a table, a picture of all runs\n"
	"      --compare FILE  beside results that --export-json wrote\n"
	"      --fail-on P%    exit with 2 if slower by more\n"
	"      --help          show this text\n"
	"\n"
	"Exit status: 0; 1 a command failed; 2 --fail-on; 125 carom bench itself failed;\n"
	"130 Ctrl-C, after telling what there was.\n";

enum {
	OPTION_HELP = 256,
	OPTION_TIME,
	OPTION_UNTIL,
	OPTION_TIMEOUT,
	OPTION_ORDER,
	OPTION_CPUS,
	OPTION_MEMORY,
	OPTION_INPUT,
	OPTION_OUTPUT,
	OPTION_JSON,
	OPTION_CSV,
	OPTION_MARKDOWN,
	OPTION_SVG,
	OPTION_COMPARE,
	OPTION_FAIL_ON,
};

static const struct option long_options[] = {
	{ "runs", required_argument, NULL, 'r' },
	{ "min-runs", required_argument, NULL, 'm' },
	{ "max-runs", required_argument, NULL, 'M' },
	{ "time", required_argument, NULL, OPTION_TIME },
	{ "until", required_argument, NULL, OPTION_UNTIL },
	{ "warmup", required_argument, NULL, 'w' },
	{ "prepare", required_argument, NULL, 'p' },
	{ "setup", required_argument, NULL, 's' },
	{ "cleanup", required_argument, NULL, 'c' },
	{ "parameter-list", required_argument, NULL, 'L' },
	{ "command-name", required_argument, NULL, 'n' },
	{ "shell", optional_argument, NULL, 'S' },
	{ "ignore-failure", no_argument, NULL, 'i' },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "order", required_argument, NULL, OPTION_ORDER },
	{ "cpus", required_argument, NULL, OPTION_CPUS },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "input", required_argument, NULL, OPTION_INPUT },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "export-json", required_argument, NULL, OPTION_JSON },
	{ "export-csv", required_argument, NULL, OPTION_CSV },
	{ "export-markdown", required_argument, NULL, OPTION_MARKDOWN },
	{ "export-svg", required_argument, NULL, OPTION_SVG },
	{ "compare", required_argument, NULL, OPTION_COMPARE },
	{ "fail-on", required_argument, NULL, OPTION_FAIL_ON },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

/* ---- values ---- */

static int parse_count(const char *option, const char *text, uint32_t min, uint32_t *ret_count)
{
	char *end;
	unsigned long count;

	errno = 0;
	count = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || count > CAROM_BENCH_RUNS_MAX)
		return carom_usage_error("%s: '%s' is not a number, %u to %d", option, text, min,
					 CAROM_BENCH_RUNS_MAX);
	if (count < min)
		return carom_usage_error("%s: '%s' is less than %u", option, text, min);
	*ret_count = (uint32_t)count;
	return 0;
}

static int parse_time(const char *option, const char *text, uint64_t *ret_ns)
{
	if (carom_duration_parse(text, ret_ns) == 0 && *ret_ns > 0)
		return 0;
	return carom_usage_error("%s: '%s' is not a time such as 30, 0.5, 500ms, 2m or 1h", option,
				 text);
}

/* "1", "1%", "+3%" as a share */
static int parse_share(const char *option, const char *text, double *ret_share)
{
	const char *digits = text + (*text == '+');
	char *end;
	double share = strtod(digits, &end);

	end += *end == '%';
	if (!isdigit((unsigned char)*digits) || *end || !(share >= 0) || share > 10000)
		return carom_usage_error("%s: '%s' is not a share such as 3%%", option, text);
	*ret_share = share / 100;
	return 0;
}

static int parse_order(const char *text, enum carom_bench_order *ret_order)
{
	static const char *const names[] = {
		[CAROM_BENCH_ROUNDS] = "rounds",
		[CAROM_BENCH_RANDOM] = "random",
		[CAROM_BENCH_SEQUENCE] = "sequence",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret_order = (enum carom_bench_order)i;
			return 0;
		}
	return carom_usage_error("--order: '%s' is none of rounds, random and sequence", text);
}

/* "0,2-3". Returns false where it is none. */
static bool read_cpus(const char *text, cpu_set_t *ret_cpus)
{
	CPU_ZERO(ret_cpus);
	do {
		char *end;
		unsigned long first, last;

		if (!isdigit((unsigned char)*text))
			return false;
		first = last = strtoul(text, &end, 10);
		if (*end == '-' && isdigit((unsigned char)end[1]))
			last = strtoul(end + 1, &end, 10);
		if (first > last || last >= CPU_SETSIZE || (*end && *end != ','))
			return false;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, ret_cpus);
		text = *end ? end + 1 : NULL;
	} while (text);
	return true;
}

static int parse_cpus(const char *text, struct carom_bench_options *options)
{
	cpu_set_t usable, both;

	if (!read_cpus(text, &options->cpus))
		return carom_usage_error("--cpus: '%s' is not a list of CPUs such as 0,2-3", text);
	if (sched_getaffinity(0, sizeof(usable), &usable) == 0) {
		CPU_AND(&both, &usable, &options->cpus);
		if (!CPU_EQUAL(&both, &options->cpus))
			return carom_usage_error(
				"--cpus: '%s' names a CPU that is not there or not "
				"allowed",
				text);
	}
	options->is_pinned = true;
	return 0;
}

static int parse_memory(const char *text, uint64_t *ret_bytes)
{
	if (carom_size_parse(text, ret_bytes) == 0 && *ret_bytes > 0)
		return 0;
	return carom_usage_error("--memory: '%s' is not a size such as 512k, 256M or 1.5G", text);
}

static int take_parameter(int argc, char *argv[], struct carom_bench_options *options)
{
	if (optind >= argc)
		return carom_usage_error("-L: '%s' has no values; -L NAME A,B", optarg);
	if (!*optarg || !*argv[optind])
		return carom_usage_error("-L: a name and values are needed, and one is empty");
	if (options->parameter_count == CAROM_BENCH_PARAMETERS_MAX)
		return carom_usage_error("-L: '%s' is one too many, %d are possible", optarg,
					 CAROM_BENCH_PARAMETERS_MAX);
	options->parameters[options->parameter_count++] =
		(struct carom_bench_parameter){ optarg, argv[optind++] };
	return 0;
}

/* ---- all of them ---- */

static int take_count(int code, struct carom_bench_options *options)
{
	switch (code) {
	case 'r':
		return parse_count("-r", optarg, 1, &options->run_count);
	case 'm':
		return parse_count("-m", optarg, 1, &options->min_count);
	case 'M':
		return parse_count("-M", optarg, 1, &options->max_count);
	default: /* 'w' */
		return parse_count("-w", optarg, 0, &options->warmup_count);
	}
}

static int take_limit(int code, struct carom_bench_options *options)
{
	switch (code) {
	case OPTION_TIME:
		return parse_time("--time", optarg, &options->time_ns);
	case OPTION_TIMEOUT:
		return parse_time("--timeout", optarg, &options->timeout_ns);
	case OPTION_UNTIL:
		return parse_share("--until", optarg, &options->until);
	case OPTION_FAIL_ON:
		return parse_share("--fail-on", optarg, &options->fail_above);
	case OPTION_ORDER:
		return parse_order(optarg, &options->order);
	case OPTION_CPUS:
		return parse_cpus(optarg, options);
	default: /* OPTION_MEMORY */
		return parse_memory(optarg, &options->memory_bytes);
	}
}

static const char **place_of_text(int code, struct carom_bench_options *options)
{
	switch (code) {
	case 's':
		return &options->setup;
	case 'c':
		return &options->cleanup;
	case OPTION_INPUT:
		return &options->input_path;
	case OPTION_OUTPUT:
		return &options->output;
	case OPTION_JSON:
		return &options->json_path;
	case OPTION_CSV:
		return &options->csv_path;
	case OPTION_MARKDOWN:
		return &options->markdown_path;
	case OPTION_SVG:
		return &options->svg_path;
	case OPTION_COMPARE:
		return &options->baseline_path;
	case 'n':
		return &options->names[options->name_count++];
	case 'p':
		return &options->prepares[options->prepare_count++];
	default:
		return NULL;
	}
}

static int take_option(int code, int argc, char *argv[], struct carom_bench_options *options)
{
	const char **text = place_of_text(code, options);

	if (text) {
		*text = optarg;
		return 0;
	}
	switch (code) {
	case 'r':
	case 'm':
	case 'M':
	case 'w':
		return take_count(code, options);
	case 'L':
		return take_parameter(argc, argv, options);
	case 'S':
		options->shell = optarg ? optarg : "/bin/sh";
		return strcmp(options->shell, "none") ? 0 : (options->shell = NULL, 0);
	case 'N': /* as hyperfine has it; here it is the usual way */
		options->shell = NULL;
		return 0;
	case 'i':
		options->ignores_failure = true;
		return 0;
	case 'q':
		options->is_quiet = true;
		return 0;
	default:
		return take_limit(code, options);
	}
}

static int check_options(const struct carom_bench_options *options)
{
	if (options->command_count == 0)
		return carom_usage_error("which command?");
	if (options->min_count > options->max_count)
		return carom_usage_error("-m %u is more than -M %u", options->min_count,
					 options->max_count);
	if (options->name_count > options->command_count)
		return carom_usage_error("-n: '%s' is a name without a command",
					 options->names[options->command_count]);
	if (options->prepare_count > 1 && options->prepare_count != options->command_count)
		return carom_usage_error("-p: give it once, or as often as there are commands");
	if (options->fail_above >= 0 && !options->baseline_path && options->command_count < 2 &&
	    options->parameter_count == 0)
		return carom_usage_error("--fail-on: there is nothing to compare with; --compare "
					 "FILE, or a second command");
	return 0;
}

bool carom_bench_options_parse(int argc, char *argv[], struct carom_bench_options *ret_options,
			       int *ret_status)
{
	struct carom_bench_options options = {
		.names = calloc((size_t)argc, sizeof(*options.names)),
		.prepares = calloc((size_t)argc, sizeof(*options.prepares)),
		.min_count = MIN_COUNT,
		.max_count = MAX_COUNT,
		.warmup_count = 1,
		.time_ns = CAROM_SECONDS(3),
		.fail_above = -1,
	};
	int code = 0, status = 0;

	if (!options.names || !options.prepares) {
		carom_say("no memory");
		status = CAROM_EXIT_ERROR;
	}
	opterr = 0;
	optind = 1;
	while (status == 0) {
		const char *word = optind < argc ? argv[optind] : "";

		code = getopt_long(argc, argv, ":r:m:M:w:p:s:c:L:n:S::Niq", long_options, NULL);
		if (code < 0 || code == OPTION_HELP)
			break;
		status = code == '?' || code == ':' ? carom_option_error(word, code)
						    : take_option(code, argc, argv, &options);
	}
	if (status == 0 && code != OPTION_HELP) {
		options.commands = argv + optind;
		options.command_count = (size_t)(argc - optind);
		status = check_options(&options);
		if (status == 0) {
			*ret_options = options;
			return true;
		}
	}
	carom_bench_options_deinit(&options);
	*ret_status = status == 0 ? carom_print(help) : status;
	return false;
}

void carom_bench_options_deinit(struct carom_bench_options *options)
{
	free(options->names);
	free(options->prepares);
	options->names = NULL;
	options->prepares = NULL;
}
