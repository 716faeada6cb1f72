/*
 * Options of carom doctor
 */
#include "tools/doctor_options.h"

#include <getopt.h>
#include <stddef.h>

#include "tools/say.h"

static const char help[] =
	"Usage: carom doctor [OPTION...]\n"
	"Tell what this kernel, container and user allow, what the library does here, and\n"
	"of what is missing: what that costs, and the one line that would give it.\n"
	"\n"
	"  -v, --verbose   show everything, and the numbers\n"
	"      --json      the same for programs; see carom-doctor(1)\n"
	"      --clean     instead remove what killed programs of this user have left\n"
	"      --dry-run   with --clean: only tell what would be removed\n"
	"      --help      show this text\n"
	"\n"
	"Exit status: 0 all is there, 1 all works and of something there is less,\n"
	"2 something does not work, 125 carom doctor itself failed.\n";

enum { OPTION_JSON = 256, OPTION_CLEAN, OPTION_DRY_RUN, OPTION_ROOT, OPTION_HELP };

static const struct option long_options[] = {
	{ "verbose", no_argument, NULL, 'v' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "clean", no_argument, NULL, OPTION_CLEAN },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "root", required_argument, NULL, OPTION_ROOT },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static int check_options(const struct carom_doctor_options *options)
{
	if (options->is_dry_run && !options->wants_cleaning)
		return carom_usage_error("--dry-run is of use with --clean only");
	if (options->wants_cleaning &&
	    (options->wants_json || options->is_verbose || *options->root))
		return carom_usage_error("--clean goes with --dry-run only");
	return 0;
}

static void take_option(int code, struct carom_doctor_options *options)
{
	switch (code) {
	case 'v':
		options->is_verbose = true;
		break;
	case OPTION_JSON:
		options->wants_json = true;
		break;
	case OPTION_CLEAN:
		options->wants_cleaning = true;
		break;
	case OPTION_DRY_RUN:
		options->is_dry_run = true;
		break;
	case OPTION_ROOT:
		options->root = optarg;
		break;
	}
}

bool carom_doctor_options_parse(int argc, char *argv[], struct carom_doctor_options *ret_options,
				int *ret_status)
{
	struct carom_doctor_options options = { .root = "" };
	int code, status = 0;

	opterr = 0;
	optind = 1;
	while (status == 0) {
		const char *word = optind < argc ? argv[optind] : "";

		code = getopt_long(argc, argv, "+:v", long_options, NULL);
		if (code < 0)
			break;
		if (code == OPTION_HELP) {
			*ret_status = carom_print(help);
			return false;
		}
		if (code == '?' || code == ':')
			status = carom_option_error(word, code);
		else
			take_option(code, &options);
	}
	if (status == 0 && optind < argc)
		status = carom_usage_error("'%s' is one word too many", argv[optind]);
	if (status == 0)
		status = check_options(&options);
	*ret_options = options;
	*ret_status = status;
	return status == 0;
}
