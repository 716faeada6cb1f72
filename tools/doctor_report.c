/*
 * Report
 */
#include "tools/doctor_report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void carom_doctor_set(char text[CAROM_DOCTOR_TEXT_BYTES], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, CAROM_DOCTOR_TEXT_BYTES, format, arguments);
	va_end(arguments);
}

struct carom_doctor_finding *carom_doctor_add(struct carom_doctor_report *report,
					      enum carom_doctor_group group, const char *id,
					      enum carom_doctor_state state, const char *format,
					      ...)
{
	struct carom_doctor_finding *finding = &report->findings[report->finding_count];
	va_list arguments;

	assert(report->finding_count < sizeof(report->findings) / sizeof(*report->findings));
	report->finding_count++;
	*finding = (struct carom_doctor_finding){ .group = group, .state = state };
	snprintf(finding->id, sizeof(finding->id), "%s", id);
	va_start(arguments, format);
	vsnprintf(finding->value, sizeof(finding->value), format, arguments);
	va_end(arguments);
	return finding;
}

void carom_doctor_suggest(struct carom_doctor_finding *finding, enum carom_doctor_remedy remedy,
			  const char *format, ...)
{
	va_list arguments;

	finding->remedy = remedy;
	va_start(arguments, format);
	vsnprintf(finding->line, sizeof(finding->line), format, arguments);
	va_end(arguments);
}

static void add_fact(struct carom_doctor_finding *finding, struct carom_doctor_fact fact)
{
	assert(finding->fact_count < sizeof(finding->facts) / sizeof(*finding->facts));
	finding->facts[finding->fact_count++] = fact;
}

void carom_doctor_add_number(struct carom_doctor_finding *finding, const char *key, uint64_t number)
{
	add_fact(finding, (struct carom_doctor_fact){ key, number, true });
}

void carom_doctor_add_nothing(struct carom_doctor_finding *finding, const char *key)
{
	add_fact(finding, (struct carom_doctor_fact){ key, 0, false });
}

size_t carom_doctor_count(const struct carom_doctor_report *report, enum carom_doctor_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < report->finding_count; i++)
		count += report->findings[i].state == state;
	return count;
}

const char *carom_doctor_group_name(enum carom_doctor_group group)
{
	static const char *const names[CAROM_DOCTOR_GROUP_COUNT] = {
		[CAROM_DOCTOR_MACHINE] = "machine", [CAROM_DOCTOR_PROCESSES] = "processes",
		[CAROM_DOCTOR_WAITING] = "waiting", [CAROM_DOCTOR_MEMORY] = "memory",
		[CAROM_DOCTOR_LIMITS] = "limits",   [CAROM_DOCTOR_SANDBOX] = "sandbox",
		[CAROM_DOCTOR_OTHER] = "other",
	};

	return names[group];
}

const char *carom_doctor_state_name(enum carom_doctor_state state)
{
	static const char *const names[] = {
		[CAROM_DOCTOR_INFO] = "info",
		[CAROM_DOCTOR_OK] = "ok",
		[CAROM_DOCTOR_LESS] = "less",
		[CAROM_DOCTOR_BROKEN] = "broken",
	};

	return names[state];
}

const char *carom_doctor_remedy_name(enum carom_doctor_remedy remedy)
{
	static const char *const names[] = {
		[CAROM_DOCTOR_NONE] = NULL,
		[CAROM_DOCTOR_RUN] = "run",
		[CAROM_DOCTOR_SET] = "set",
		[CAROM_DOCTOR_NEED] = "need",
	};

	return names[remedy];
}

int carom_doctor_status(const struct carom_doctor_report *report)
{
	if (carom_doctor_count(report, CAROM_DOCTOR_BROKEN))
		return 2;
	return carom_doctor_count(report, CAROM_DOCTOR_LESS) ? 1 : 0;
}
