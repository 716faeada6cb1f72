/*
 * Sandbox of jobs
 *
 * A command is executed, and what executes it opens its file and its libraries by their
 * paths, so only the profile "basic" can hold for one: see core/sandbox_program.h. A sandbox
 * is made before the first job, in a child that tries it; where it cannot be had there are
 * no jobs.
 */
#include "tools/run_sandbox.h"

#include <string.h>

#include "core/sandbox_program.h"
#include "tools/say.h"

int carom_run_sandbox_parse_profile(const char *text, struct carom_run_sandbox *sandbox)
{
	if (strcmp(text, "strict") == 0)
		return carom_usage_error("--sandbox: 'strict' is for functions: a command opens "
					 "its own file and libraries, which it has no call for; "
					 "'basic' has");
	sandbox->is_basic = strcmp(text, "basic") == 0;
	if (!sandbox->is_basic && strcmp(text, "none") != 0)
		return carom_usage_error("--sandbox: '%s' is none of none, basic", text);
	return 0;
}

int carom_run_sandbox_parse_writable(const char *text, struct carom_run_sandbox *sandbox)
{
	if (sandbox->write_count == CAROM_RUN_WRITABLE_MAX)
		return carom_usage_error("--writable: more than the %d that are possible",
					 CAROM_RUN_WRITABLE_MAX);
	sandbox->write_paths[sandbox->write_count++] = text;
	return 0;
}

int carom_run_sandbox_check(const struct carom_run_sandbox *sandbox)
{
	if (sandbox->write_count > 0 && !sandbox->is_basic)
		return carom_usage_error("--writable is for --sandbox basic: without that a job "
					 "may write wherever you may");
	return 0;
}

int carom_run_sandbox_make(const struct carom_run_sandbox *sandbox,
			   struct carom_sandbox **ret_sandbox)
{
	char text[512];
	int r;

	*ret_sandbox = NULL;
	if (!sandbox->is_basic)
		return 0;
	r = carom_sandbox_new_program(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_BASIC,
							     .write_paths = sandbox->write_paths),
				      ret_sandbox, text, sizeof(text));
	if (r == 0)
		return 0;
	carom_say("--sandbox basic: %s", text);
	carom_say_more("'carom doctor' tells what sandboxes can rest on here");
	return CAROM_EXIT_ERROR;
}
