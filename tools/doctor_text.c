/*
 * Text
 *
 *	Waiting          epoll, deaths by robust futex, futex_waitv
 *	  ok    futex_waitv, robust_list
 *	  less  io_uring         loops use epoll
 *	        why              EPERM: denied, as container runtimes do
 *	        ...
 *
 * Mechanisms that are there and need no words share a line. Everything is broken at
 * blanks to fit; a command that is broken gets a backslash, so that it can be copied.
 */
#include "tools/doctor_text.h"

#include <inttypes.h>
#include <string.h>

#define COLUMNS      80
#define NAME_COLUMN  8
#define VALUE_COLUMN 25

struct writer {
	FILE *file;
	bool is_verbose;
	bool has_colour;
};

static const char *const titles[CAROM_DOCTOR_GROUP_COUNT] = {
	[CAROM_DOCTOR_MACHINE] = "Machine", [CAROM_DOCTOR_PROCESSES] = "Processes",
	[CAROM_DOCTOR_WAITING] = "Waiting", [CAROM_DOCTOR_MEMORY] = "Shared memory",
	[CAROM_DOCTOR_LIMITS] = "Limits",   [CAROM_DOCTOR_SANDBOX] = "Sandbox",
	[CAROM_DOCTOR_OTHER] = "Other",
};

/* --- words into lines ------------------------------------------------------ */

/* How many bytes of @text go on a line of @width: whole words, but at least something. */
static size_t fitting(const char *text, size_t width)
{
	size_t length = strlen(text);

	if (length <= width)
		return length;
	for (length = width; length > 0; length--)
		if (text[length] == ' ')
			return length;
	return strcspn(text, " "); /* one word that is wider than the line */
}

/* From column @at on, which is where the cursor is; ends with a newline. */
static void write_broken(struct writer *writer, size_t at, const char *text, const char *broken)
{
	size_t width = COLUMNS - at;

	for (;;) {
		size_t length = strlen(text);

		if (length > width)
			length = fitting(text, width - strlen(broken));
		fprintf(writer->file, "%.*s", (int)length, text);
		text += length;
		text += strspn(text, " ");
		if (!*text)
			break;
		fprintf(writer->file, "%s\n%*s", broken, (int)at, "");
	}
	fputc('\n', writer->file);
}

static void write_labelled(struct writer *writer, const char *label, const char *text,
			   const char *broken)
{
	if (!*text)
		return;
	fprintf(writer->file, "%*s%-*s ", NAME_COLUMN, "", VALUE_COLUMN - NAME_COLUMN - 1, label);
	write_broken(writer, VALUE_COLUMN, text, broken);
}

/* --- a finding ------------------------------------------------------------- */

static void write_mark(struct writer *writer, enum carom_doctor_state state)
{
	static const char *const marks[] = {
		[CAROM_DOCTOR_INFO] = "-",
		[CAROM_DOCTOR_OK] = "ok",
		[CAROM_DOCTOR_LESS] = "less",
		[CAROM_DOCTOR_BROKEN] = "NO",
	};
	static const char *const colours[] = {
		[CAROM_DOCTOR_INFO] = "\033[2m",
		[CAROM_DOCTOR_OK] = "\033[32m",
		[CAROM_DOCTOR_LESS] = "\033[33m",
		[CAROM_DOCTOR_BROKEN] = "\033[1;31m",
	};

	fprintf(writer->file, "  %s%s%s%*s", writer->has_colour ? colours[state] : "", marks[state],
		writer->has_colour ? "\033[m" : "", (int)(NAME_COLUMN - 2 - strlen(marks[state])),
		"");
}

static void write_facts(struct writer *writer, const struct carom_doctor_finding *finding)
{
	for (size_t i = 0; i < finding->fact_count; i++) {
		const struct carom_doctor_fact *fact = &finding->facts[i];

		fprintf(writer->file, "%*s  %-*s ", NAME_COLUMN, "", VALUE_COLUMN - NAME_COLUMN - 3,
			fact->key);
		if (fact->is_known)
			fprintf(writer->file, "%" PRIu64 "\n", fact->number);
		else
			fprintf(writer->file, "none\n");
	}
}

static void write_finding(struct writer *writer, const struct carom_doctor_finding *finding)
{
	static const char *const labels[] = {
		[CAROM_DOCTOR_NONE] = "",
		[CAROM_DOCTOR_RUN] = "  run",
		[CAROM_DOCTOR_SET] = "  set",
		[CAROM_DOCTOR_NEED] = "  needs",
	};

	write_mark(writer, finding->state);
	fprintf(writer->file, "%-*s ", VALUE_COLUMN - NAME_COLUMN - 1, finding->id);
	write_broken(writer, VALUE_COLUMN, finding->value, "");
	write_labelled(writer, "  why", finding->reason, "");
	write_labelled(writer, "  costs", finding->cost, "");
	write_labelled(writer, labels[finding->remedy], finding->line,
		       finding->remedy == CAROM_DOCTOR_RUN ? " \\" : "");
	write_labelled(writer, "", finding->note, "");
	if (writer->is_verbose)
		write_facts(writer, finding);
}

/* --- a group --------------------------------------------------------------- */

static bool is_brief(const struct carom_doctor_finding *finding)
{
	return finding->is_brief && finding->state == CAROM_DOCTOR_OK;
}

static void write_names(struct writer *writer, const struct carom_doctor_report *report,
			enum carom_doctor_group group)
{
	char names[1024] = "";
	size_t length = 0;

	for (size_t i = 0; i < report->finding_count; i++) {
		const struct carom_doctor_finding *finding = &report->findings[i];

		if (finding->group == group && is_brief(finding))
			length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
						   length ? ", " : "", finding->id);
	}
	if (!length)
		return;
	write_mark(writer, CAROM_DOCTOR_OK);
	write_broken(writer, NAME_COLUMN, names, "");
}

static bool has_any(const struct carom_doctor_report *report, enum carom_doctor_group group)
{
	for (size_t i = 0; i < report->finding_count; i++)
		if (report->findings[i].group == group)
			return true;
	return false;
}

static void write_group(struct writer *writer, const struct carom_doctor_report *report,
			enum carom_doctor_group group)
{
	if (!has_any(report, group))
		return;
	fprintf(writer->file, "\n%s%s%s", writer->has_colour ? "\033[1m" : "", titles[group],
		writer->has_colour ? "\033[m" : "");
	if (*report->in_force[group]) {
		fprintf(writer->file, ": ");
		write_broken(writer, strlen(titles[group]) + 2, report->in_force[group], "");
	} else {
		fputc('\n', writer->file);
	}
	if (!writer->is_verbose)
		write_names(writer, report, group);
	for (size_t i = 0; i < report->finding_count; i++)
		if (report->findings[i].group == group &&
		    (writer->is_verbose || !is_brief(&report->findings[i])))
			write_finding(writer, &report->findings[i]);
}

static void write_verdict(struct writer *writer, const struct carom_doctor_report *report)
{
	size_t less = carom_doctor_count(report, CAROM_DOCTOR_LESS);
	size_t broken = carom_doctor_count(report, CAROM_DOCTOR_BROKEN);

	if (!less && !broken)
		fprintf(writer->file, "\nEverything the library makes use of is here.\n");
	else if (!broken)
		fprintf(writer->file, "\nEverything works; of %zu thing%s there is less.\n", less,
			less == 1 ? "" : "s");
	else
		fprintf(writer->file, "\n%zu thing%s not work; of %zu there is less.\n", broken,
			broken == 1 ? " does" : "s do", less);
}

void carom_doctor_text(FILE *file, const struct carom_doctor_report *report, bool is_verbose,
		       bool has_colour)
{
	struct writer writer = { file, is_verbose, has_colour };

	write_broken(&writer, 0, report->headline, "");
	for (int group = 0; group < CAROM_DOCTOR_GROUP_COUNT; group++)
		write_group(&writer, report, group);
	write_verdict(&writer, report);
}
