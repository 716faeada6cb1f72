/*
 * Exit
 */
#include "core/exit.h"

#include <stdio.h>

#include "core/signal_name.h"

char *carom_exit_text(const struct carom_exit *ended, char *text, size_t size)
{
	const char *name = carom_signal_name(ended->status);

	if (ended->kind == CAROM_EXIT_EXITED)
		snprintf(text, size, "exitcode %d", ended->status);
	else if (ended->kind == CAROM_EXIT_RUNNING)
		snprintf(text, size, "exitcode None");
	else if (ended->kind == CAROM_EXIT_TAKEN)
		snprintf(text, size, "exitcode unknown");
	else
		snprintf(text, size, "signal %d (%s)", ended->status, name ? name : "?");
	return text;
}
