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

/* Two options on a line, or there would be more lines than a screen has. */
static const char help[] =
	"Usage: carom run [OPTION...] COMMAND [WORD...] [::: INPUT...] [:::+ INPUT...]\n"
	"Run COMMAND once for each INPUT or line of standard input, several at a time; of\n"
	"several lists for each combination (:::+ goes along with the list before it). In\n"
	"a word {} is the input, {2} that of the second list, {.} {/} {//} {/.} parts of\n"
	"it, {#} the job's number, {%} its slot; without any, it is the last word.\n"
	"\n"
	"  -j, --jobs N         at a time; +2     -a, --arg-file FILE  an input a line\n"
	"  -t, --timeout T      then kill a job   -0, --null           inputs end by NUL\n"
	"      --soft-timeout T ask it by TERM        --memory SIZE    kill above that\n"
	"      --cpus N         their time, of a job  --pids N         processes of a job\n"
	"      --sandbox none|basic  no sockets..     --writable PATH  to sandboxed jobs\n"
	"      --retries N      of a failed job   -k, --keep-order     as the inputs\n"
	"      --retry-delay T  (30, 500ms, 2m)   -u, --ungroup        jobs write it\n"
	"      --retry-on WHY   failed,timeout..      --line-buffer    whole lines\n"
	"      --halt WHEN      now,fail=1            --tag            inputs before it\n"
	"      --dry-run        show, do not run      --results DIR    keep in files\n"
	"      --bar            show progress         --joblog FILE    log what is done\n"
	"      --report         how it went           --resume         what is not there\n"
	"      --quiet          no report             --retry-failed   what failed there\n"
	"      --help           show this text        --require-limits  or run nothing\n"
	"\n"
	"Ctrl-C once starts no more jobs, twice kills those that run. Exit status: 0 all\n"
	"well, 1-100 so many jobs failed, 101 more of them, 125 carom run itself did.\n";

enum {
	OPTION_BAR = 256,
	OPTION_SOFT_TIMEOUT,
	OPTION_MEMORY,
	OPTION_CPUS,
	OPTION_PIDS,
	OPTION_REQUIRE_LIMITS,
	OPTION_SANDBOX,
	OPTION_WRITABLE,
	OPTION_DRY_RUN,
	OPTION_RETRIES,
	OPTION_RETRY_DELAY,
	OPTION_RETRY_ON,
	OPTION_HALT,
	OPTION_JOBLOG,
	OPTION_RESUME,
	OPTION_RETRY_FAILED,
	OPTION_QUIET,
	OPTION_REPORT,
	OPTION_GROUP,
	OPTION_LINE_BUFFER,
	OPTION_TAG,
	OPTION_RESULTS,
	OPTION_HELP
};

static const struct option long_options[] = {
	{ "jobs", required_argument, NULL, 'j' },
	{ "timeout", required_argument, NULL, 't' },
	{ "soft-timeout", required_argument, NULL, OPTION_SOFT_TIMEOUT },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "cpus", required_argument, NULL, OPTION_CPUS },
	{ "pids", required_argument, NULL, OPTION_PIDS },
	{ "require-limits", no_argument, NULL, OPTION_REQUIRE_LIMITS },
	{ "sandbox", required_argument, NULL, OPTION_SANDBOX },
	{ "writable", required_argument, NULL, OPTION_WRITABLE },
	{ "arg-file", required_argument, NULL, 'a' },
	{ "null", no_argument, NULL, '0' },
	{ "keep-order", no_argument, NULL, 'k' },
	{ "group", no_argument, NULL, OPTION_GROUP },
	{ "line-buffer", no_argument, NULL, OPTION_LINE_BUFFER },
	{ "lb", no_argument, NULL, OPTION_LINE_BUFFER },
	{ "ungroup", no_argument, NULL, 'u' },
	{ "tag", no_argument, NULL, OPTION_TAG },
	{ "results", required_argument, NULL, OPTION_RESULTS },
	{ "bar", no_argument, NULL, OPTION_BAR },
	{ "quiet", no_argument, NULL, OPTION_QUIET },
	{ "report", no_argument, NULL, OPTION_REPORT },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "retries", required_argument, NULL, OPTION_RETRIES },
	{ "retry-delay", required_argument, NULL, OPTION_RETRY_DELAY },
	{ "retry-on", required_argument, NULL, OPTION_RETRY_ON },
	{ "halt", required_argument, NULL, OPTION_HALT },
	{ "joblog", required_argument, NULL, OPTION_JOBLOG },
	{ "resume", no_argument, NULL, OPTION_RESUME },
	{ "retry-failed", no_argument, NULL, OPTION_RETRY_FAILED },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static uint32_t usual_job_count(void)
{
	int count = carom_cpu_count(CAROM_CPU_USABLE);

	return count < CAROM_RUN_JOBS_MAX ? (uint32_t)count : CAROM_RUN_JOBS_MAX;
}

/* Digits with @unit behind them and nothing more. What is too much becomes UINT32_MAX. */
static bool parse_number(const char *text, const char *unit, uint32_t *ret_number)
{
	uint32_t number = 0;
	const char *digit = text;

	for (; isdigit((unsigned char)*digit); digit++)
		if (__builtin_mul_overflow(number, 10U, &number) ||
		    __builtin_add_overflow(number, (uint32_t)(*digit - '0'), &number))
			number = UINT32_MAX /
				 10; /* overflows again, or is far too much in any case */
	if (digit == text || strcmp(digit, unit) != 0)
		return false;
	*ret_number = number;
	return true;
}

/* Of as many as there are by default: 50%, +2, auto. */
static bool parse_relative_jobs(const char *text, uint64_t *ret_count)
{
	uint64_t usual = usual_job_count();
	uint32_t number = 0;
	bool is_percentage = parse_number(text, "%", &number);

	if (is_percentage && number > 0)
		*ret_count = usual * number < 100 ? 1 : usual * number / 100;
	else if (*text == '+' && parse_number(text + 1, "", &number))
		*ret_count = usual + number;
	else if (strcmp(text, "auto") == 0)
		*ret_count = usual;
	else
		return false;
	return true;
}

static int parse_jobs(const char *text, uint32_t *ret_count)
{
	uint32_t number = 0;
	uint64_t count;

	if (parse_number(text, "", &number))
		count = number;
	else if (!parse_relative_jobs(text, &count))
		count = 0;
	if (count == 0)
		return carom_usage_error(
			"-j: '%s' is not a number of jobs, 1 to %d, or auto, 50%%, +2", text,
			CAROM_RUN_JOBS_MAX);
	if (count > CAROM_RUN_JOBS_MAX)
		return carom_usage_error("-j: '%s' is more than the %d jobs at a time that are "
					 "possible",
					 text, CAROM_RUN_JOBS_MAX);
	*ret_count = (uint32_t)count;
	return 0;
}

static int parse_time(const char *option, const char *text, uint64_t *ret_ns)
{
	int r = carom_duration_parse(text, ret_ns);

	if (r == -ERANGE)
		return carom_usage_error("%s: '%s' is too long", option, text);
	if (r < 0)
		return carom_usage_error("%s: '%s' is not a time such as 30, 0.5, 500ms, "
					 "2m or 1h",
					 option, text);
	return 0;
}

static int parse_timeout(const char *option, const char *text, uint64_t *ret_ns)
{
	int status = parse_time(option, text, ret_ns);

	if (status == 0 && *ret_ns == 0)
		return carom_usage_error("%s: '%s' leaves a job no time", option, text);
	return status;
}

static int parse_retries(const char *text, uint32_t *ret_count)
{
	if (!parse_number(text, "", ret_count) || *ret_count > CAROM_RUN_RETRIES_MAX)
		return carom_usage_error("--retries: '%s' is not a number, 0 to %d", text,
					 CAROM_RUN_RETRIES_MAX);
	return 0;
}

static int parse_causes(const char *text, uint32_t *ret_causes)
{
	const char *bad;
	int length;

	if (!carom_run_retry_parse_causes(text, ret_causes, &bad, &length))
		return carom_usage_error("--retry-on: '%.*s' is none of failed, timeout, memory, "
					 "sandbox, signal, start",
					 length, bad);
	return 0;
}

static int parse_halt(const char *text, struct carom_run_halt *ret_halt)
{
	if (!carom_run_halt_parse(text, ret_halt))
		return carom_usage_error("--halt: '%s' is nothing like now,fail=1 or "
					 "soon,success=10%%",
					 text);
	return 0;
}

static bool is_separator(const char *word)
{
	return strcmp(word, ":::") == 0 || strcmp(word, ":::+") == 0;
}

static int add_source(struct carom_run_options *options, const struct carom_run_source *source)
{
	if (options->source_count == CAROM_RUN_SOURCES_MAX)
		return carom_usage_error("more than the %d sources of inputs that are possible",
					 CAROM_RUN_SOURCES_MAX);
	options->sources[options->source_count++] = *source;
	return 0;
}

static int take_file(struct carom_run_options *options, const char *path)
{
	for (size_t i = 0; i < options->source_count; i++)
		if (strcmp(path, "-") == 0 && strcmp(options->sources[i].path, "-") == 0)
			return carom_usage_error(
				"-a: standard input has one end only, '-' is there "
				"twice");
	options->has_files = true;
	return add_source(options, &(struct carom_run_source){ .path = path });
}

static int take_grouping(int code, struct carom_run_options *options)
{
	switch (code) {
	case 'k':
		options->keep_order = true;
		break;
	case 'u':
		options->grouping = CAROM_RUN_UNGROUPED;
		break;
	case OPTION_LINE_BUFFER:
		options->grouping = CAROM_RUN_LINES;
		break;
	case OPTION_TAG:
		options->has_tag = true;
		break;
	default: /* OPTION_GROUP */
		options->grouping = CAROM_RUN_GROUP;
	}
	return 0;
}

/* Nobody can put into order, or mark, or keep, what does not come by. */
static int check_grouping(const struct carom_run_options *options)
{
	static const char why[] = "--ungroup: jobs write the output themselves, so %s cannot be";

	if (options->grouping != CAROM_RUN_UNGROUPED)
		return 0;
	if (options->keep_order)
		return carom_usage_error(why, "--keep-order");
	if (options->has_tag)
		return carom_usage_error(why, "--tag");
	return options->results_path ? carom_usage_error(why, "--results") : 0;
}

static int check_report(const struct carom_run_options *options)
{
	if (options->is_quiet && options->wants_report)
		return carom_usage_error("--quiet and --report are opposites");
	return 0;
}

static int take_limit(int code, struct carom_run_options *options)
{
	switch (code) {
	case 't':
		return parse_timeout("--timeout", optarg, &options->timeout_ns);
	case OPTION_SOFT_TIMEOUT:
		return parse_timeout("--soft-timeout", optarg, &options->soft_timeout_ns);
	case OPTION_MEMORY:
		return carom_run_limits_parse_memory(optarg, &options->limits);
	case OPTION_CPUS:
		return carom_run_limits_parse_cpus(optarg, &options->limits);
	case OPTION_PIDS:
		return carom_run_limits_parse_pids(optarg, &options->limits);
	case OPTION_SANDBOX:
		return carom_run_sandbox_parse_profile(optarg, &options->sandbox);
	case OPTION_WRITABLE:
		return carom_run_sandbox_parse_writable(optarg, &options->sandbox);
	default: /* OPTION_REQUIRE_LIMITS */
		options->limits.is_required = true;
		return 0;
	}
}

static int take_option(int code, struct carom_run_options *options)
{
	switch (code) {
	case 't':
	case OPTION_SOFT_TIMEOUT:
	case OPTION_MEMORY:
	case OPTION_CPUS:
	case OPTION_PIDS:
	case OPTION_REQUIRE_LIMITS:
	case OPTION_SANDBOX:
	case OPTION_WRITABLE:
		return take_limit(code, options);
	case 'j':
		return parse_jobs(optarg, &options->job_count);
	case 'a':
		return take_file(options, optarg);
	case '0':
		options->separator = '\0';
		return 0;
	case 'k':
	case 'u':
	case OPTION_GROUP:
	case OPTION_LINE_BUFFER:
	case OPTION_TAG:
		return take_grouping(code, options);
	case OPTION_RESULTS:
		options->results_path = optarg;
		return 0;
	case OPTION_RETRIES:
		return parse_retries(optarg, &options->retry.count);
	case OPTION_RETRY_DELAY:
		return parse_time("--retry-delay", optarg, &options->retry.delay_ns);
	case OPTION_RETRY_ON:
		return parse_causes(optarg, &options->retry.causes);
	case OPTION_HALT:
		return parse_halt(optarg, &options->halt);
	case OPTION_JOBLOG:
		options->joblog_path = optarg;
		return 0;
	case OPTION_RESUME:
		options->resumes = true;
		return 0;
	case OPTION_RETRY_FAILED:
		options->retries_failed = true;
		return 0;
	case OPTION_BAR:
		options->wants_bar = true;
		return 0;
	case OPTION_QUIET:
		options->is_quiet = true;
		return 0;
	case OPTION_REPORT:
		options->wants_report = true;
		return 0;
	default: /* OPTION_DRY_RUN */
		options->is_dry_run = true;
		return 0;
	}
}

const char *carom_run_source_name(const struct carom_run_source *source)
{
	if (!source->path)
		return "inputs";
	return strcmp(source->path, "-") == 0 ? "standard input" : source->path;
}

static int take_command(char *argv[], struct carom_run_options *options)
{
	options->command = argv;
	while (*argv && !is_separator(*argv))
		argv++;
	return argv == options->command ? carom_usage_error("which command?") : 0;
}

/* The words from each separator to the next. */
static int take_sources(char *argv[], struct carom_run_options *options)
{
	struct carom_run_source *source = NULL;
	int status = 0;

	for (; *argv && status == 0; argv++) {
		if (is_separator(*argv)) {
			struct carom_run_source begun = { .inputs = argv + 1,
							  .is_linked = strcmp(*argv, ":::+") == 0 };

			if (begun.is_linked && options->source_count == 0)
				return carom_usage_error(
					"':::+' goes along with a source before it, "
					"and there is none");
			status = add_source(options, &begun);
			source = &options->sources[options->source_count - 1];
			*argv = NULL;
		} else if (source) {
			source->count++;
		}
	}
	if (status == 0 && options->source_count == 0)
		status = add_source(options, &(struct carom_run_source){ .path = "-" });
	return status;
}

/* What makes no sense together. */
static int check(const struct carom_run_options *options)
{
	int status;

	if ((options->resumes || options->retries_failed) && !options->joblog_path)
		return carom_usage_error("--resume and --retry-failed need the log: --joblog FILE");
	if (options->timeout_ns && options->soft_timeout_ns >= options->timeout_ns)
		return carom_usage_error("--soft-timeout is to be shorter than --timeout");
	status = check_grouping(options);
	if (status == 0)
		status = check_report(options);
	return status ? status : carom_run_sandbox_check(&options->sandbox);
}

bool carom_run_options_parse(int argc, char *argv[], struct carom_run_options *ret_options,
			     int *ret_status)
{
	struct carom_run_options options = { .words = argv, .separator = '\n' };
	int code, status = 0;

	opterr = 0;
	optind = 1;
	while (status == 0) {
		const char *word = optind < argc ? argv[optind] : "";

		code = getopt_long(argc, argv, "+:j:t:a:0ku", long_options, NULL);
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
		status = take_command(argv + optind, &options);
	if (status == 0)
		status = take_sources(argv + optind, &options);
	if (status == 0)
		status = check(&options);
	if (status == 0 && options.job_count == 0)
		options.job_count = usual_job_count();
	*ret_options = options;
	*ret_status = status;
	return status == 0;
}
