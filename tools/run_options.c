/*
 * Options of carom run
 *
 * Options end at the first word that is none (the '+' of getopt), so that those
 * of the command stay its own. Whatever is wrong is named with the word as the
 * user wrote it.
 */
#include "tools/run_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "core/cpu.h"
#include "tools/duration.h"
#include "tools/say.h"

static const char help[] =
	"Usage: carom run [OPTION...] COMMAND [WORD...] [::: INPUT...]\n"
	"Run COMMAND once for each INPUT, or for each line of standard input, several at\n"
	"a time. {} in a word stands for the input; without {} it is the last word. No\n"
	"shell is involved. Jobs read nothing (/dev/null); their output comes in one\n"
	"piece when they end.\n"
	"\n"
	"  -j, --jobs N          jobs at a time (as many as can run at once: CPUs\n"
	"                        allowed, or fewer if a cgroup limits their time)\n"
	"  -t, --timeout T       after T (30, 0.5, 500ms, 2m, 1h) kill a job and every\n"
	"                        process it started\n"
	"  -a, --arg-file FILE   take the inputs from the lines of FILE\n"
	"  -0, --null            inputs end with a NUL byte, not at the end of the line\n"
	"  -k, --keep-order      output in the order of the inputs\n"
	"      --bar             show the progress on standard error\n"
	"      --help            show this text\n"
	"\n"
	"Ctrl-C once starts no more jobs, twice kills the running ones.\n"
	"Exit status: 0 all went well, 1-100 so many jobs failed, 101 more than 100 did,\n"
	"125 carom run itself failed. Failures are summed up on standard error.\n";

enum { OPTION_BAR = 256, OPTION_HELP };

static const struct option long_options[] = {
	{ "jobs", required_argument, NULL, 'j' },     { "timeout", required_argument, NULL, 't' },
	{ "arg-file", required_argument, NULL, 'a' }, { "null", no_argument, NULL, '0' },
	{ "keep-order", no_argument, NULL, 'k' },     { "bar", no_argument, NULL, OPTION_BAR },
	{ "help", no_argument, NULL, OPTION_HELP },   { NULL, 0, NULL, 0 },
};

static uint32_t usual_job_count(void)
{
	int count = carom_cpu_count(CAROM_CPU_USABLE);

	return count < CAROM_RUN_JOBS_MAX ? (uint32_t)count : CAROM_RUN_JOBS_MAX;
}

static int parse_jobs(const char *text, uint32_t *ret_count)
{
	uint32_t count = 0;

	for (const char *digit = text; *digit; digit++) {
		if (!isdigit((unsigned char)*digit))
			return carom_usage_error("-j: '%s' is not a number of jobs", text);
		count = count * 10 + (uint32_t)(*digit - '0');
		if (count > CAROM_RUN_JOBS_MAX)
			return carom_usage_error("-j: '%s' is more than the %d jobs at a time "
						 "that are possible",
						 text, CAROM_RUN_JOBS_MAX);
	}
	if (count == 0)
		return carom_usage_error("-j: '%s' is not a number of jobs, 1 to %d", text,
					 CAROM_RUN_JOBS_MAX);
	*ret_count = count;
	return 0;
}

static int parse_timeout(const char *text, uint64_t *ret_ns)
{
	int r = carom_duration_parse(text, ret_ns);

	if (r == -ERANGE)
		return carom_usage_error("--timeout: '%s' is too long", text);
	if (r < 0)
		return carom_usage_error("--timeout: '%s' is not a time such as 30, 0.5, 500ms, "
					 "2m or 1h",
					 text);
	if (*ret_ns == 0)
		return carom_usage_error("--timeout: '%s' leaves a job no time", text);
	return 0;
}

static int take_option(int code, struct carom_run_options *options)
{
	switch (code) {
	case 'j':
		return parse_jobs(optarg, &options->job_count);
	case 't':
		return parse_timeout(optarg, &options->timeout_ns);
	case 'a':
		if (options->input_path)
			return carom_usage_error("-a: one file only, not '%s' as well", optarg);
		options->input_path = optarg;
		return 0;
	case '0':
		options->separator = '\0';
		return 0;
	case 'k':
		options->keep_order = true;
		return 0;
	default: /* OPTION_BAR */
		options->wants_bar = true;
		return 0;
	}
}

static int take_words(int argc, char *argv[], struct carom_run_options *options)
{
	options->command = argv + optind;
	for (int i = optind; i < argc; i++) {
		if (strcmp(argv[i], ":::") != 0)
			continue;
		argv[i] = NULL;
		options->inputs = argv + i + 1;
		options->input_count = (size_t)(argc - i - 1);
		break;
	}
	if (!options->command[0])
		return carom_usage_error("which command?");
	if (options->inputs && options->input_path)
		return carom_usage_error("inputs come from -a or after ':::', not from both");
	if (options->input_path && strcmp(options->input_path, "-") == 0)
		options->input_path = NULL;
	return 0;
}

bool carom_run_options_parse(int argc, char *argv[], struct carom_run_options *ret_options,
			     int *ret_status)
{
	struct carom_run_options options = { .separator = '\n' };
	int code, status = 0;

	opterr = 0;
	optind = 1;
	while (status == 0) {
		const char *word = optind < argc ? argv[optind] : "";

		code = getopt_long(argc, argv, "+:j:t:a:0k", long_options, NULL);
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
		status = take_words(argc, argv, &options);
	if (status == 0 && options.job_count == 0)
		options.job_count = usual_job_count();
	*ret_options = options;
	*ret_status = status;
	return status == 0;
}
