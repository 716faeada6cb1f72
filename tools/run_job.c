/*
 * Job
 *
 * The master's side of a shepherd. A shepherd is made for the first job of a
 * slot and kept for the next ones, so that a job costs two messages and one
 * vfork more than it would without.
 *
 *   I1  A shepherd has at most one job, and a busy slot has a shepherd. Each
 *       START is answered by one report or by the end of the connection.
 *   I2  KILL may cross the report of a job that was faster. The shepherd reads it
 *       before the next START then, without a job, and drops it.
 *   I3  Shepherds are not waited for: carom run ignores SIGCHLD, so the kernel
 *       reaps them. The end of the connection tells all there is to know.
 *   I4  A job's cgroup lives from before its START to its outcome, and what is left in it
 *       is killed then. The shepherd has a descriptor of it meanwhile, and is not in it.
 */
#include "tools/run_job.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/cgroup_group.h"
#include "core/cleanup.h"
#include "core/clone.h"
#include "core/time.h"
#include "core/utf8.h"

#define SHORTENED  "..."
#define GOODBYE_MS 1000 /* for a shepherd to end that was told to */

/* --- names ------------------------------------------------------------- */

/* Input may hold anything; on a terminal only printable characters are harmless. */
static char printable(char byte)
{
	if (byte == '\0') /* between the values of two sources */
		return ' ';
	return (unsigned char)byte < ' ' || byte == '\x7f' ? '?' : byte;
}

static void make_name(char name[CAROM_RUN_NAME_BYTES], const char *text, size_t length)
{
	size_t n = length;

	if (length > CAROM_RUN_NAME_BYTES - 1) {
		n = CAROM_RUN_NAME_BYTES - sizeof(SHORTENED);
		while (n > 0 && carom_utf8_continues(text[n]))
			n--;
	}
	for (size_t i = 0; i < n; i++)
		name[i] = printable(text[i]);
	strcpy(name + n, n < length ? SHORTENED : "");
}

void carom_run_job_init(struct carom_run_job *job, uint64_t number,
			const struct carom_run_item *item)
{
	*job = (struct carom_run_job){ .number = number, .spool = CAROM_RUN_SPOOL_NONE };
	make_name(job->name, item->text, item->length);
}

/* --- the end of a job -------------------------------------------------- */

static void drop_shepherd(struct carom_run_slot *slot)
{
	if (slot->control.fd < 0)
		return;
	carom_loop_unwatch_fd(slot->loop, &slot->control);
	carom_closep(&slot->control.fd);
}

static void clear_timers(struct carom_run_slot *slot)
{
	carom_loop_timer_clear(slot->loop, &slot->soft_limit);
	carom_loop_timer_clear(slot->loop, &slot->time_limit);
}

static void end(struct carom_run_slot *slot, struct carom_run_outcome outcome)
{
	clear_timers(slot);
	slot->is_busy = false;
	slot->job.outcome = outcome;
	slot->job.run_ns = carom_now() - slot->job.began_ns;
	slot->ended(slot);
}

/* The kernel kills by SIGKILL, and at the limit all processes of the job. */
static bool is_over_memory(const struct carom_shepherd_report *report, bool has_kernel_killed)
{
	return report->is_over_memory ||
	       (has_kernel_killed && !report->was_killed && WIFSIGNALED(report->wait_status) &&
		WTERMSIG(report->wait_status) == SIGKILL);
}

static bool was_told_in_vain(const struct carom_shepherd_report *report)
{
	return report->was_told && report->wait_status != 0;
}

static struct carom_run_outcome outcome_of(const struct carom_shepherd_report *report,
					   enum carom_run_outcome_kind kill_reason,
					   bool has_kernel_killed)
{
	int status = report->wait_status;

	if (report->start_error)
		return carom_run_no_start(report->start_error);
	if (report->has_violated)
		return (struct carom_run_outcome){ CAROM_RUN_VIOLATED, report->violated_call };
	if (is_over_memory(report, has_kernel_killed))
		return (struct carom_run_outcome){ CAROM_RUN_MEMORY_LIMIT, 0 };
	if (report->was_killed)
		return (struct carom_run_outcome){ kill_reason, 0 };
	if (was_told_in_vain(report))
		return (struct carom_run_outcome){ CAROM_RUN_SOFT_LIMIT, 0 };
	if (WIFSIGNALED(status))
		return (struct carom_run_outcome){ CAROM_RUN_SIGNALLED, WTERMSIG(status) };
	return (struct carom_run_outcome){ CAROM_RUN_EXITED, WEXITSTATUS(status) };
}

/* Return: whether the kernel has killed for the job's limit of memory. */
static bool end_group(struct carom_run_slot *slot)
{
	bool has_killed = carom_run_limits_end(slot->group, &slot->job.usage);

	slot->group = NULL;
	return has_killed;
}

/* Who runs out of memory while it has its shepherd's (it is not a program yet) takes that along. */
static struct carom_run_outcome lose(struct carom_run_slot *slot)
{
	return (struct carom_run_outcome){ end_group(slot) ? CAROM_RUN_MEMORY_LIMIT
							   : CAROM_RUN_LOST,
					   0 };
}

static void on_control(struct carom_loop_fd *watch)
{
	struct carom_run_slot *slot = watch->userdata;
	struct carom_shepherd_report report;
	bool has_kernel_killed;
	ssize_t n = recv(watch->fd, &report, sizeof(report), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n != sizeof(report) || report.is_last)
		drop_shepherd(slot);
	if (!slot->is_busy) /* somebody killed the shepherd while it was idle */
		return;
	if (n != sizeof(report)) {
		end(slot, lose(slot));
		return;
	}
	slot->job.is_stuck = report.is_stuck;
	slot->job.usage = report.usage;
	has_kernel_killed = end_group(slot);
	end(slot, outcome_of(&report, slot->kill_reason, has_kernel_killed));
}

/* It can only fail because the shepherd is gone, and then the connection's end is on its way. */
static void give_order(struct carom_run_slot *slot, char order)
{
	(void)send(slot->control.fd, &order, sizeof(order), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void carom_run_slot_kill(struct carom_run_slot *slot, enum carom_run_outcome_kind reason)
{
	if (!slot->is_busy)
		return;
	slot->kill_reason = reason;
	give_order(slot, CAROM_SHEPHERD_KILL);
}

static void on_time_limit(struct carom_loop_timer *timer)
{
	carom_run_slot_kill(timer->userdata, CAROM_RUN_TIME_LIMIT);
}

static void on_soft_limit(struct carom_loop_timer *timer)
{
	give_order(timer->userdata, CAROM_SHEPHERD_TELL);
}

/* --- the start --------------------------------------------------------- */

/* The whole message has to fit: by default there is room for a little less than twice the longest. */
static void make_room_to_send(int fd)
{
	int bytes = 2 * (CAROM_SHEPHERD_INPUT_MAX + 1 + (int)sizeof(struct carom_shepherd_start));

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int make_shepherd(struct carom_run_slot *slot)
{
	CAROM_CLEANUP(carom_closep) int ours = -1;
	CAROM_CLEANUP(carom_closep) int theirs = -1;
	CAROM_CLEANUP(carom_closep) int pidfd = -1;
	int fds[2];
	pid_t pid;
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	ours = fds[0];
	theirs = fds[1];
	make_room_to_send(ours);
	pid = carom_clone(NULL, &pidfd);
	if (pid == 0) {
		struct carom_shepherd shepherd = *slot->template;

		shepherd.control_fd = theirs;
		carom_shepherd_main(&shepherd);
	}
	if (pid < 0)
		return pid;
	slot->control.fd = ours;
	r = carom_loop_watch_fd(slot->loop, &slot->control);
	if (r < 0) {
		slot->control.fd = -1;
		return r; /* the shepherd sees the connection's end */
	}
	ours = -1;
	return 0;
}

static int send_start(struct carom_run_slot *slot, const struct carom_run_item *item)
{
	struct carom_shepherd_start start = {
		.kind = CAROM_SHEPHERD_START,
		.slot = slot->number,
		.number = slot->job.number + 1,
	};
	struct iovec text[] = {
		{ &start, sizeof(start) },
		{ (void *)item->text, item->length },
	};
	int fds[] = { slot->outlet.job_fds[0], slot->outlet.job_fds[1],
		      slot->group ? carom_cgroup_fd(slot->group) : -1 };
	size_t size = slot->group ? sizeof(fds) : sizeof(slot->outlet.job_fds);
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} rights = { .header = { .cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS,
				 .cmsg_len = CMSG_LEN(size) } };
	struct msghdr message = {
		.msg_iov = text,
		.msg_iovlen = 2,
		.msg_control = &rights,
		.msg_controllen = CMSG_SPACE(size),
	};

	memcpy(CMSG_DATA(&rights.header), fds, size);
	return sendmsg(slot->control.fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A shepherd that was idle may have been killed by somebody: then there is a new one. */
static int start_with_shepherd(struct carom_run_slot *slot, const struct carom_run_item *item)
{
	int r = slot->control.fd < 0 ? make_shepherd(slot) : 0;

	if (r == 0)
		r = send_start(slot, item);
	if (r != -EPIPE && r != -ECONNRESET)
		return r;
	drop_shepherd(slot);
	r = make_shepherd(slot);
	return r < 0 ? r : send_start(slot, item);
}

static uint64_t now_real(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * CAROM_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static int set_timers(struct carom_run_slot *slot)
{
	int r = 0;

	if (slot->soft_timeout_ns)
		r = carom_loop_timer_set(slot->loop, &slot->soft_limit,
					 carom_deadline_after(slot->soft_timeout_ns));
	if (r == 0 && slot->timeout_ns)
		r = carom_loop_timer_set(slot->loop, &slot->time_limit,
					 carom_deadline_after(slot->timeout_ns));
	return r;
}

static int start_in_group(struct carom_run_slot *slot, const struct carom_run_item *item)
{
	int r = carom_run_limits_begin(slot->rungs, &slot->group);

	if (r == 0)
		r = set_timers(slot);
	if (r == 0)
		r = start_with_shepherd(slot, item);
	if (r < 0) {
		clear_timers(slot);
		end_group(slot);
	}
	return r;
}

static int start(struct carom_run_slot *slot, const struct carom_run_item *item)
{
	int r;

	slot->job.memory_limit_bytes = slot->rungs->memory_bytes;
	slot->job.usage = (struct carom_shepherd_usage){ 0 };
	slot->job.began_ns = carom_now();
	slot->job.began_real_ns = now_real();
	slot->job.run_ns = 0;
	if (item->error)
		return -item->error;
	r = carom_run_outlet_open(&slot->outlet, &slot->job.spool);
	if (r == 0)
		r = start_in_group(slot, item);
	carom_run_outlet_hand_over(&slot->outlet);
	slot->is_busy = r == 0;
	return r;
}

static int keep_item(struct carom_run_slot *slot, const struct carom_run_item *item)
{
	char *text = realloc(slot->item_text, item->length + 1);

	slot->item = (struct carom_run_item){ 0 };
	if (!text)
		return -ENOMEM;
	memcpy(text, item->text, item->length + 1);
	slot->item_text = text;
	slot->item = (struct carom_run_item){ text, item->length, item->error };
	return 0;
}

int carom_run_slot_start(struct carom_run_slot *slot, const struct carom_run_item *item)
{
	int r = slot->keeps_items ? keep_item(slot, item) : 0;

	return r < 0 ? r : start(slot, item);
}

int carom_run_slot_start_again(struct carom_run_slot *slot)
{
	slot->job.is_stuck = false;
	slot->job.retry_count++;
	return start(slot, &slot->item);
}

/* --- its life ---------------------------------------------------------- */

void carom_run_slot_init(struct carom_run_slot *slot, uint32_t number,
			 const struct carom_run_slot_options *options)
{
	*slot = (struct carom_run_slot){
		.job.spool = CAROM_RUN_SPOOL_NONE,
		.ended = options->ended,
		.userdata = options->userdata,
		.number = number,
		.loop = options->loop,
		.template = options->template,
		.rungs = options->rungs,
		.soft_timeout_ns = options->soft_timeout_ns,
		.timeout_ns = options->timeout_ns,
		.keeps_items = options->keeps_items,
		.control = { .fd = -1, .ready = on_control, .userdata = slot },
		.soft_limit = { .expired = on_soft_limit, .userdata = slot },
		.time_limit = { .expired = on_time_limit, .userdata = slot },
	};
	carom_run_outlet_init(&slot->outlet, options->grouping, options->loop, options->output);
}

void carom_run_slot_dismiss(struct carom_run_slot *slot)
{
	if (slot->control.fd >= 0)
		shutdown(slot->control.fd, SHUT_WR);
}

/* Its end of the connection closes when it exits: so nothing of ours is left when carom run returns. */
static void wait_for_shepherd(const struct carom_run_slot *slot)
{
	struct pollfd gone = { .fd = slot->control.fd, .events = POLLIN };

	(void)poll(&gone, 1, GOODBYE_MS);
}

void carom_run_slot_deinit(struct carom_run_slot *slot)
{
	clear_timers(slot);
	carom_loop_timer_clear(slot->loop, &slot->retry_due);
	carom_run_slot_dismiss(slot);
	if (slot->control.fd >= 0)
		wait_for_shepherd(slot);
	drop_shepherd(slot);
	carom_run_outlet_deinit(&slot->outlet);
	end_group(slot);
	carom_run_spool_close(&slot->job.spool);
	free(slot->item_text);
}
