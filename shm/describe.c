/*
 * Describe
 *
 * /proc/TID is there for every thread, though it is listed for main threads only, and
 * its file "status" has all that is needed: the name, the state and the process.
 *
 * The answer may be wrong by the time it is read, and a thread id may have been given
 * to another thread: it is for people, and decides nothing.
 */
#include "shm/describe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/children.h"
#include "core/self.h"
#include "core/small_file.h"

#define STATUS_HEAD 512 /* bytes of /proc/TID/status; what is looked for are its first lines */

/**
 * struct thread - what the kernel says of one
 * @name:  its own, for other threads than the main one
 * @state: a letter, as ps(1) has it
 */
struct thread {
	char name[64];
	char state;
	pid_t pid;
};

static int read_head(pid_t tid, char *text, size_t size)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	return carom_small_file_read(AT_FDCWD, path, text, size) > 0 ? 0 : -ESRCH;
}

/* A name has no line feed here: the kernel writes it as "\n". */
static int read_thread(pid_t tid, struct thread *ret_thread)
{
	char text[STATUS_HEAD];
	int r = read_head(tid, text, sizeof(text));
	const char *state, *pid;

	if (r < 0)
		return r;
	state = strstr(text, "\nState:");
	pid = strstr(text, "\nTgid:");
	if (!state || !pid || sscanf(text, "Name:%*1[\t]%63[^\n]", ret_thread->name) != 1 ||
	    sscanf(state, "\nState: %c", &ret_thread->state) != 1 ||
	    sscanf(pid, "\nTgid: %d", &ret_thread->pid) != 1)
		return -EBADMSG;
	return 0;
}

/* @thread: of this process; its name if nobody knows better */
static void name_process(pid_t tid, const struct thread *thread, char *name, size_t size)
{
	struct thread main_thread;
	struct carom_self self;

	carom_self_copy(&self);
	if (thread->pid == getpid())
		snprintf(name, size, "%s", self.name);
	else if (thread->pid == self.parent_pid && thread->pid == getppid())
		snprintf(name, size, "%s", self.parent_name);
	else if (carom_children_name(thread->pid, name, size) == 0)
		return;
	else if (thread->pid != tid && read_thread(thread->pid, &main_thread) == 0)
		snprintf(name, size, "%s", main_thread.name);
	else
		snprintf(name, size, "%s", thread->name);
}

static const char *describe_state(char state)
{
	if (state == 'T' || state == 't')
		return " stopped";
	return state == 'Z' || state == 'X' ? " gone" : "";
}

/* Nothing to be read of it: it is not there, or /proc is hidden from us. */
static void describe_unknown(pid_t tid, char *text, size_t size)
{
	bool is_gone = kill(tid, 0) < 0 && errno == ESRCH;

	snprintf(text, size, "'?' pid=%d%s", (int)tid, is_gone ? " gone" : "");
}

char *carom_describe_thread(pid_t tid, char *text, size_t size)
{
	char name[CAROM_NAME_MAX], number[32] = "";
	struct thread thread;

	if (read_thread(tid, &thread) < 0) {
		describe_unknown(tid, text, size);
		return text;
	}
	name_process(tid, &thread, name, sizeof(name));
	if (thread.pid != tid)
		snprintf(number, sizeof(number), " thread=%d", (int)tid);
	snprintf(text, size, "'%s' pid=%d%s%s", name, (int)thread.pid, number,
		 describe_state(thread.state));
	return text;
}
