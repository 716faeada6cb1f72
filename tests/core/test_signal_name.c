/* Names of signals, and words for how a process ended. */
#include "core/signal_name.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "core/exit.h"

static bool is_called(int number, const char *name)
{
	return carom_signal_name(number) && strcmp(carom_signal_name(number), name) == 0;
}

/* UT-17 */
Test(signal_name, is_the_usual_one_of_several)
{
	cr_expect(is_called(6, "SIGABRT"));
	cr_expect(is_called(SIGCHLD, "SIGCHLD"));
	cr_expect(is_called(SIGIO, "SIGIO"));
	cr_expect(is_called(SIGRTMIN, "SIGRTMIN"));
	cr_expect(is_called(SIGRTMIN + 3, "SIGRTMIN+3"));
	cr_expect(is_called(SIGRTMAX - 14, "SIGRTMAX-14"));
	cr_expect(is_called(SIGRTMAX, "SIGRTMAX"));
}

Test(signal_name, and_number_belong_to_each_other)
{
	int named = 0;

	for (int number = 1; number <= SIGRTMAX; number++) {
		const char *name = carom_signal_name(number);

		if (!name)
			continue;
		named++;
		cr_expect(eq(int, carom_signal_number(name), number), "%s", name);
		cr_expect(eq(int, carom_signal_number(name + 3), number), "%s", name + 3);
		if (number < SIGRTMIN && number != SIGIO)
			cr_expect(zero(int, strcmp(name + 3, sigabbrev_np(number))), "%s", name);
	}
	cr_expect(eq(int, named, 31 + SIGRTMAX - SIGRTMIN + 1));
}

Test(signal_name, may_be_another_one_of_the_same_signal)
{
	cr_expect(eq(int, carom_signal_number("SIGIOT"), SIGABRT));
	cr_expect(eq(int, carom_signal_number("CLD"), SIGCHLD));
	cr_expect(eq(int, carom_signal_number("POLL"), SIGIO));
	cr_expect(eq(int, carom_signal_number("RTMAX-30"), SIGRTMIN));
	cr_expect(eq(int, carom_signal_number("RTMIN+30"), SIGRTMAX));
}

Test(signal_name, that_nobody_has_is_refused)
{
	static const char *const wrong[] = { "",       "SIG",      "SIGSIGTERM", "term",
					     "9",      "RTMIN+31", "RTMIN-1",    "RTMAX+1",
					     "RTMIN+", "RTMIN+1x", "RTMIN3" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_expect(eq(int, carom_signal_number(wrong[i]), -EINVAL), "\"%s\"", wrong[i]);
	cr_expect(eq(ptr, (void *)carom_signal_name(0), NULL));
	cr_expect(eq(ptr, (void *)carom_signal_name(-1), NULL));
	cr_expect(eq(ptr, (void *)carom_signal_name(32), NULL));
	cr_expect(eq(ptr, (void *)carom_signal_name(65), NULL));
}

/* ---- how a process ended ---- */

static bool says(enum carom_exit_kind kind, int status, const char *words)
{
	struct carom_exit ended = { .kind = kind, .status = status };
	char text[32];

	return strcmp(carom_exit_text(&ended, text, sizeof(text)), words) == 0;
}

/* UT-21 */
/* RP-09 */
Test(exit_text, tells_a_signal_from_a_status)
{
	cr_expect(says(CAROM_EXIT_KILLED, 9, "signal 9 (SIGKILL)"));
	cr_expect(says(CAROM_EXIT_DUMPED, 6, "signal 6 (SIGABRT)"));
	cr_expect(says(CAROM_EXIT_EXITED, 9, "exitcode 9"));
	cr_expect(says(CAROM_EXIT_EXITED, 0, "exitcode 0"));
	cr_expect(says(CAROM_EXIT_RUNNING, 0, "exitcode None"));
	cr_expect(says(CAROM_EXIT_TAKEN, -1, "exitcode unknown"));
	cr_expect(says(CAROM_EXIT_KILLED, 33, "signal 33 (?)"));
}

Test(exit_text, is_cut_where_there_is_no_room)
{
	struct carom_exit ended = { .kind = CAROM_EXIT_KILLED, .status = 9 };
	char text[8];

	cr_expect(zero(int, strcmp(carom_exit_text(&ended, text, sizeof(text)), "signal ")));
}
