/*
 * Signal names
 *
 * A table rather than sigabbrev_np(3), which does not know real-time signals and says
 * POLL for IO. Of those, two are glibc's own and have no name: the first that programs
 * may use is SIGRTMIN, which is found out at run time.
 */
#include "core/signal_name.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define NAME(abbreviation) [SIG##abbreviation] = "SIG" #abbreviation

static const char *const names[] = {
	NAME(HUP),  NAME(INT),    NAME(QUIT), NAME(ILL),  NAME(TRAP),   NAME(ABRT), NAME(BUS),
	NAME(FPE),  NAME(KILL),   NAME(USR1), NAME(SEGV), NAME(USR2),   NAME(PIPE), NAME(ALRM),
	NAME(TERM), NAME(STKFLT), NAME(CHLD), NAME(CONT), NAME(STOP),   NAME(TSTP), NAME(TTIN),
	NAME(TTOU), NAME(URG),    NAME(XCPU), NAME(XFSZ), NAME(VTALRM), NAME(PROF), NAME(WINCH),
	NAME(IO),   NAME(PWR),    NAME(SYS),
};

/* from SIGRTMIN on */
static const char *const realtime_names[] = {
	"SIGRTMIN",    "SIGRTMIN+1",  "SIGRTMIN+2",  "SIGRTMIN+3",  "SIGRTMIN+4",  "SIGRTMIN+5",
	"SIGRTMIN+6",  "SIGRTMIN+7",  "SIGRTMIN+8",  "SIGRTMIN+9",  "SIGRTMIN+10", "SIGRTMIN+11",
	"SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15", "SIGRTMAX-14", "SIGRTMAX-13",
	"SIGRTMAX-12", "SIGRTMAX-11", "SIGRTMAX-10", "SIGRTMAX-9",  "SIGRTMAX-8",  "SIGRTMAX-7",
	"SIGRTMAX-6",  "SIGRTMAX-5",  "SIGRTMAX-4",  "SIGRTMAX-3",  "SIGRTMAX-2",  "SIGRTMAX-1",
	"SIGRTMAX",
};

static const struct {
	const char *name;
	int number;
} aliases[] = {
	{ "SIGIOT", SIGIOT },
	{ "SIGCLD", SIGCHLD },
	{ "SIGPOLL", SIGPOLL },
};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

const char *carom_signal_name(int number)
{
	if (number >= SIGRTMIN && number <= SIGRTMAX && number - SIGRTMIN < COUNT(realtime_names))
		return realtime_names[number - SIGRTMIN];
	return number > 0 && number < COUNT(names) ? names[number] : NULL;
}

/* what stands behind @base: "", "+3", "-1" */
static int realtime_number(const char *name, const char *base, int from)
{
	const char *rest = name + strlen(base);
	char *end = (char *)rest;
	long offset = 0;

	if (strncmp(name, base, strlen(base)) != 0)
		return -EINVAL;
	if (*rest == '+' || *rest == '-')
		offset = strtol(rest, &end, 10);
	if (*end || (end != rest && end == rest + 1) || labs(offset) > SIGRTMAX - SIGRTMIN)
		return -EINVAL;
	from += (int)offset;
	return from >= SIGRTMIN && from <= SIGRTMAX ? from : -EINVAL;
}

int carom_signal_number(const char *name)
{
	const char *bare = strncmp(name, "SIG", 3) == 0 ? name + 3 : name;
	int r;

	for (int i = 1; i < COUNT(names); i++)
		if (names[i] && strcmp(names[i] + 3, bare) == 0)
			return i;
	for (int i = 0; i < COUNT(aliases); i++)
		if (strcmp(aliases[i].name + 3, bare) == 0)
			return aliases[i].number;
	r = realtime_number(bare, "RTMIN", SIGRTMIN);
	return r > 0 ? r : realtime_number(bare, "RTMAX", SIGRTMAX);
}
