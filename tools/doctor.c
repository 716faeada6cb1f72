/*
 * Doctor
 *
 * Looks first, writes then: whatever is written is made in memory, and goes out in one
 * piece, so that a reader that went away shows in one place.
 */
#include "tools/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/doctor_clean.h"
#include "tools/doctor_json.h"
#include "tools/doctor_look.h"
#include "tools/doctor_options.h"
#include "tools/doctor_place.h"
#include "tools/doctor_text.h"
#include "tools/say.h"
#include "tools/terminal.h"

static void name_user(const struct carom_doctor_place *place, char text[32])
{
	if (place->user == 0)
		snprintf(text, 32, "as root");
	else
		snprintf(text, 32, "as user %u", (unsigned)place->user);
}

static void name_container(const struct carom_doctor_place *place, char text[64])
{
	switch (place->container) {
	case CAROM_DOCTOR_NO_CONTAINER:
		snprintf(text, 64, "in no container");
		break;
	case CAROM_DOCTOR_SOME_CONTAINER:
		snprintf(text, 64, "in a container");
		break;
	default:
		snprintf(text, 64, "in a container (%s)",
			 carom_doctor_container_name(place->container));
	}
}

static void look(const struct carom_doctor_place *place, struct carom_doctor_report *report)
{
	char user[32], container[64];

	name_user(place, user);
	name_container(place, container);
	carom_doctor_set(report->headline, "carom " CAROM_VERSION " on Linux %s, %s, %s",
			 place->release, user, container);
	carom_doctor_look_at_machine(place, report);
	carom_doctor_look_at_mechanisms(place, report);
	carom_doctor_look_at_cgroups(place, report);
	carom_doctor_look_at_limits(place, report);
	carom_doctor_look_at_sandbox(place, report);
}

/* Return: to be freed; NULL: no memory. */
static char *make_text(const struct carom_doctor_report *report, bool is_verbose)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	carom_doctor_text(file, report, is_verbose, carom_terminal_has_colour(STDOUT_FILENO));
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

static int print_report(const struct carom_doctor_options *options,
			const struct carom_doctor_place *place,
			const struct carom_doctor_report *report)
{
	char *text = options->wants_json ? carom_doctor_json(place, report)
					 : make_text(report, options->is_verbose);
	int status = text ? carom_print(text) : CAROM_EXIT_ERROR;

	if (!text)
		carom_say("there is no memory");
	if (options->wants_json && status == 0)
		status = carom_print("\n");
	free(text);
	return status == 0 ? carom_doctor_status(report) : status;
}

int carom_doctor_main(int argc, char *argv[])
{
	struct carom_doctor_options options;
	struct carom_doctor_report *report;
	struct carom_doctor_place place;
	int status;

	if (!carom_doctor_options_parse(argc, argv, &options, &status))
		return status;
	if (options.wants_cleaning)
		return carom_doctor_clean(options.is_dry_run);
	report = calloc(1, sizeof(*report));
	if (!report) {
		carom_say("there is no memory");
		return CAROM_EXIT_ERROR;
	}
	carom_doctor_place_find(options.root, &place);
	look(&place, report);
	status = print_report(&options, &place, report);
	free(report);
	return status;
}
