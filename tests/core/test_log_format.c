/* Log format: a record as a line, in the formats of Python's logging. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <time.h>

#include "core/log_format.h"
#include "core/time.h"

static const struct carom_log_record record = {
	.level = CAROM_LOG_WARNING,
	.pid = 4711,
	.line = 42,
	.file = "../lib/file.c",
	.function = "work",
	.process_name = "Process-1",
	.text = "it happened",
	.time_ns = UINT64_C(1709210096) * CAROM_NS_PER_SEC + 7000000, /* 2024-02-29 12:34:56.007 */
};

static const char *line_of(const char *format)
{
	static char line[256];
	size_t length = carom_log_format(format, &record, 0, line, sizeof(line));

	cr_assert(eq(int, line[length - 1], '\n'));
	line[length - 1] = '\0';
	return line;
}

#define expect_line(format, should)                                                      \
	cr_expect(zero(int, strcmp(line_of(format), (should))), "%s gives %s", (format), \
		  line_of(format))

Test(log_format, of_the_default_is_level_process_and_message)
{
	expect_line(CAROM_LOG_FORMAT_DEFAULT, "[WARNING/Process-1] it happened");
}

Test(log_format, knows_the_attributes_of_logging)
{
	expect_line("[%(asctime)s: %(levelname)s/%(processName)s] %(message)s",
		    "[2024-02-29 12:34:56,007: WARNING/Process-1] it happened");
	expect_line("%(name)s %(levelno)s %(process)d %(msecs)03d", "carom 30 4711 007");
	expect_line("%(pathname)s %(filename)s:%(lineno)d %(funcName)s",
		    "../lib/file.c file.c:42 work");
}

Test(log_format, pads_and_cuts)
{
	expect_line("<%(levelname)-9s>", "<WARNING  >");
	expect_line("<%(levelname)9s>", "<  WARNING>");
	expect_line("<%(levelname).4s>", "<WARN>");
	expect_line("<%(levelname)-6.4s>", "<WARN  >");
	expect_line("<%(process)6d>", "<  4711>");
	expect_line("<%(process)06d>", "<004711>");
	expect_line("<%(levelname)09s>", "<  WARNING>");
}

Test(log_format, leaves_what_it_does_not_know_as_it_stands)
{
	expect_line("", "");
	expect_line("100%% of %(taskName)s", "100% of %(taskName)s");
	expect_line("%", "%");
	expect_line("%(", "%(");
	expect_line("%(message", "%(message");
	expect_line("%(message)", "%(message)");
	expect_line("%(message)x", "%(message)x");
	expect_line("%(a_name_longer_than_any_there_is)s %(levelname)s",
		    "%(a_name_longer_than_any_there_is)s WARNING");
	expect_line("%d %s", "%d %s");
}

Test(log_format, cuts_at_the_size_of_the_line)
{
	for (size_t size = 1; size < 64; size++) {
		char line[64];
		size_t length;

		memset(line, '#', sizeof(line));
		length = carom_log_format("<%(message)9999999999s%(levelname)-30s>", &record, 0,
					  line, size);
		cr_expect(eq(sz, length, size));
		cr_expect(eq(int, line[size - 1], '\n'));
		cr_expect(eq(int, line[size], '#'));
	}
}

Test(log_format, tells_the_time_as_the_calendar_does)
{
	struct carom_log_record then = record;
	char line[64], should[64];

	for (int64_t seconds = 0; seconds < INT64_C(8000000000); seconds += 86400 * 13 + 4321) {
		static const long offsets[] = { 0, 20700, -43200, 50400 };
		long offset = offsets[(size_t)seconds % 4];
		time_t shown = (time_t)seconds + offset;
		struct tm fields;
		size_t length;

		then.time_ns = (uint64_t)seconds * CAROM_NS_PER_SEC;
		gmtime_r(&shown, &fields);
		strftime(should, sizeof(should), "%Y-%m-%d %H:%M:%S,000\n", &fields);
		length = carom_log_format("%(asctime)s", &then, offset, line, sizeof(line));
		cr_assert(eq(sz, length, strlen(should)));
		cr_assert(zero(int, memcmp(line, should, length)), "%s", should);
	}
}
