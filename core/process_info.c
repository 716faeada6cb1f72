/*
 * Process: what it is called, and what else it is
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/origin.h"
#include "core/pid_namespace.h"
#include "core/process_private.h"
#include "core/signal_name.h"

/* --- names ------------------------------------------------------------- */

struct bytes {
	const void *data;
	void *room;
	size_t size;
};

static int give_name(struct carom_process *process, void *userdata)
{
	struct bytes *bytes = userdata;
	struct carom_self mine;
	const char *name = process->self.name;

	if (process->is_special && !process->self.parent_pid) {
		carom_self_copy(&mine);
		name = mine.name;
	}
	if (strlen(name) >= bytes->size)
		return -EMSGSIZE;
	strcpy(bytes->room, name);
	return 0;
}

int carom_process_name(struct carom_process *process, char *name, size_t size)
{
	struct bytes bytes = { .room = name, .size = size };

	return carom_process_access(process, give_name, &bytes);
}

static int take_name(struct carom_process *process, void *userdata)
{
	struct bytes *bytes = userdata;

	if (process->is_closed)
		return -EBADF;
	if (process->is_special && process->pid == getpid())
		carom_self_rename(bytes->data);
	memcpy(process->self.name, bytes->data, bytes->size);
	return 0;
}

int carom_process_set_name(struct carom_process *process, const char *name)
{
	struct bytes bytes = { .data = name, .size = name ? strlen(name) + 1 : 0 };

	if (bytes.size <= 1)
		return -EINVAL;
	if (bytes.size > CAROM_NAME_MAX)
		return -ENAMETOOLONG;
	return carom_process_access(process, take_name, &bytes);
}

/* --- daemon, pid, sentinel --------------------------------------------- */

static int give_daemon(struct carom_process *process, void *unused)
{
	return process->is_closed ? -EBADF : process->self.is_daemon;
}

int carom_process_daemon(struct carom_process *process)
{
	return carom_process_access(process, give_daemon, NULL);
}

static int take_daemon(struct carom_process *process, void *userdata)
{
	if (process->is_closed)
		return -EBADF;
	if (process->is_special || process->state != PROCESS_INITIAL)
		return -EBUSY;
	process->self.is_daemon = *(int *)userdata != 0;
	return 0;
}

int carom_process_set_daemon(struct carom_process *process, int daemon)
{
	return carom_process_access(process, take_daemon, &daemon);
}

static int give_pid(struct carom_process *process, void *unused)
{
	return process->is_closed ? -EBADF : process->pid;
}

pid_t carom_process_pid(struct carom_process *process)
{
	return carom_process_access(process, give_pid, NULL);
}

static int give_sentinel(struct carom_process *process, void *unused)
{
	if (process->is_closed)
		return -EBADF;
	if (carom_process_is_thread(process))
		return -EOPNOTSUPP;
	if (process->is_special && process->pidfd == -EOPNOTSUPP)
		return -EOPNOTSUPP;
	return process->pidfd < 0 ? -EINVAL : process->pidfd;
}

int carom_process_sentinel(struct carom_process *process)
{
	return carom_process_access(process, give_sentinel, NULL);
}

/* --- authkey ----------------------------------------------------------- */

static int give_authkey(struct carom_process *process, void *userdata)
{
	struct carom_self mine;
	const struct carom_authkey *key = &process->self.authkey;

	if (process->is_closed)
		return -EBADF;
	if (process->is_special) {
		carom_self_copy(&mine);
		key = &mine.authkey;
	}
	memcpy(userdata, key->bytes, key->size);
	return (int)key->size;
}

int carom_process_authkey(struct carom_process *process, void *key)
{
	return carom_process_access(process, give_authkey, key);
}

static int take_authkey(struct carom_process *process, void *userdata)
{
	const struct carom_authkey *key = userdata;

	if (process->is_closed)
		return -EBADF;
	if (!process->is_special && process->state != PROCESS_INITIAL)
		return -EBUSY;
	if (process->is_special)
		carom_self_rekey(key);
	process->self.authkey = *key;
	return 0;
}

int carom_process_set_authkey(struct carom_process *process, const void *key, size_t size)
{
	struct carom_authkey ours = { .size = (uint32_t)size };

	if (!key || size == 0 || size > CAROM_AUTHKEY_MAX)
		return -EINVAL;
	memcpy(ours.bytes, key, size);
	return carom_process_access(process, take_authkey, &ours);
}

/* --- how it has ended -------------------------------------------------- */

static int give_exit(struct carom_process *process, void *userdata)
{
	if (process->is_closed)
		return -EBADF;
	if (process->state != PROCESS_ENDED)
		return -EINPROGRESS;
	*(struct carom_exit *)userdata = process->exit;
	return 0;
}

int carom_process_exit(struct carom_process *process, struct carom_exit *ret_exit)
{
	return carom_process_access(process, give_exit, ret_exit);
}

int carom_process_violation(struct carom_process *process, struct carom_violation *ret_violation)
{
	struct carom_exit exit;
	int r = carom_process_exit(process, &exit);

	if (r < 0)
		return r;
	/* it has ended: its page does not change any more */
	return process->page && carom_sandbox_page_violation(process->page, &exit, ret_violation)
		       ? 0
		       : -ENODATA;
}

int carom_process_out_of_memory(struct carom_process *process, uint64_t *ret_limit_bytes,
				uint64_t *ret_peak_bytes)
{
	struct carom_exit exit;
	int r = carom_process_exit(process, &exit);

	if (r < 0)
		return r;
	return process->limits ? carom_process_limits_memory(process->limits, ret_limit_bytes,
							     ret_peak_bytes)
			       : -ENODATA;
}

int carom_process_exitcode(struct carom_process *process, int *ret_code)
{
	struct carom_exit exit;
	int r = carom_process_exit(process, &exit);

	if (r == 0 && exit.kind == CAROM_EXIT_TAKEN)
		return -ENODATA;
	if (r == 0)
		*ret_code = exit.kind == CAROM_EXIT_EXITED ? exit.status : -exit.status;
	return r;
}

/* --- one line ---------------------------------------------------------- */

static const char *state_of(const struct carom_process *process)
{
	if (!carom_origin_is(process->origin))
		return "unknown";
	if (process->is_closed)
		return "closed";
	switch (process->state) {
	case PROCESS_INITIAL:
	case PROCESS_STARTING:
		return "initial";
	case PROCESS_STARTED:
		return "started";
	default:
		return "stopped";
	}
}

static void exit_text(const struct carom_process *process, char *text, size_t size)
{
	const struct carom_exit *exit = &process->exit;
	const char *name = exit->status > 0 ? sigabbrev_np(exit->status) : NULL;

	if (exit->kind == CAROM_EXIT_EXITED)
		snprintf(text, size, " exitcode=%d", exit->status);
	else if (exit->kind == CAROM_EXIT_TAKEN)
		snprintf(text, size, " exitcode unknown");
	else if (name)
		snprintf(text, size, " exitcode=-SIG%s%s", name,
			 exit->kind == CAROM_EXIT_DUMPED ? " core dumped" : "");
	else
		snprintf(text, size, " exitcode=-%d", exit->status);
}

void carom_process_text(const struct carom_process *process, char *text, size_t size)
{
	bool has_ended = process->state == PROCESS_ENDED && !process->is_closed;
	char pid[24] = "", end[64] = "";

	if (process->pid)
		snprintf(pid, sizeof(pid), " pid=%d", (int)process->pid);
	if (has_ended)
		exit_text(process, end, sizeof(end));
	snprintf(text, size, "<%s name='%s'%s parent=%d %s%s%s>", process->type, process->self.name,
		 pid, (int)process->parent_pid, state_of(process), end,
		 process->self.is_daemon ? " daemon" : "");
}

struct line {
	char *text;
	size_t size;
};

static int give_text(struct carom_process *process, void *userdata)
{
	struct line *line = userdata;

	carom_process_text(process, line->text, line->size);
	return 0;
}

void carom_process_describe(struct carom_process *process, char *text, size_t size)
{
	struct line line = { text, size };

	if (carom_process_access(process, give_text, &line) < 0)
		carom_process_text(process, text, size); /* a copy: nobody changes it */
}

/* --- terminate --------------------------------------------------------- */

/* Row UT-20: "SIGQUIT" or "QUIT" */
int carom_term_signal(void)
{
	const char *name = getenv("REMAP_SIGTERM");
	int number = name ? carom_signal_number(name) : -EINVAL;

	return number > 0 ? number : SIGTERM;
}

void carom_term_signal_settle(void)
{
	struct sigaction action;
	int number = carom_term_signal();

	if (number == SIGTERM)
		return;
	signal(SIGTERM, SIG_IGN);
	if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		signal(number, carom_ending_action(number));
}

int carom_process_terminate(struct carom_process *process)
{
	return carom_process_signal(process, carom_term_signal());
}

int carom_process_interrupt(struct carom_process *process)
{
	return carom_process_signal(process, SIGINT);
}

int carom_process_kill(struct carom_process *process)
{
	return carom_process_signal(process, SIGKILL);
}
