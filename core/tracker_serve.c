/*
 * Tracker: the process
 *
 * Born by a bare clone, perhaps of a program whose other threads held every lock there
 * is: it calls AS-Safe functions only, allocates nothing, and works on the table that
 * was mapped for it. It reads lines until no process holds the write end any more,
 * unlinks what is left, and ends with a status that says what it saw.
 *
 *   I1  It holds on to nothing of the program: no descriptor but the pipe's and standard
 *       error, no memory, no directory, no session.
 *   I2  Nothing that is read can end it, grow it beyond its table or stall it: a line is
 *       cut at its size, a complaint is one of a limited number, and is not written at
 *       all where writing could block.
 *   I3  Everything is unlinked before anything is said about it.
 *
 * sem_unlink() and shm_unlink() are not AS-Safe by their contracts; in glibc both are
 * unlink(2) of a name in /dev/shm.
 */
#include "core/tracker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/signals.h"

#define COMPLAINTS_MAX 64
#define DIRECTORY      "/dev/shm/"

/**
 * struct tracker - the process's state
 * @status:     what it will end with; only rises
 * @complaints: how many there were
 * @line:       what was read of the current line
 * @is_too_long: the current line does not fit, and is skipped to its end
 */
struct tracker {
	const struct carom_tracker_start *start;
	enum carom_tracker_status status;
	int complaints;
	bool is_too_long;
	size_t size;
	char line[CAROM_TRACKER_MESSAGE_MAX];
};

static void note_status(struct tracker *tracker, enum carom_tracker_status status)
{
	if (tracker->status < status)
		tracker->status = status;
}

/* --- what it says ------------------------------------------------------ */

/* A line in the making; what does not fit is cut. */
struct text {
	size_t size;
	char bytes[1024]; /* one write of a pipe, whoever else writes to it */
};

static void put(struct text *text, const char *words)
{
	for (; *words && text->size < sizeof(text->bytes); words++)
		text->bytes[text->size++] = *words;
}

static void put_number(struct text *text, uint32_t number)
{
	char digits[11] = { 0 };
	char *digit = digits + 10;

	do
		*--digit = (char)('0' + number % 10);
	while (number /= 10);
	put(text, digit);
}

/* Bytes of who knows where from; a terminal must not obey them. */
static void put_bytes(struct text *text, const char *bytes, size_t size)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		char escape[] = { '\\', 'x', hex[byte >> 4], hex[byte & 15], '\0' };
		char plain[] = { (char)byte, '\0' };

		put(text, byte < ' ' || byte > '~' || byte == '\\' ? escape : plain);
	}
}

/* Standard error may be a pipe that nobody reads: what it does not take at once is dropped. */
static void say(struct tracker *tracker, struct text *text)
{
	struct pollfd standard_error = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (tracker->start->is_silent)
		return;
	if (poll(&standard_error, 1, 0) != 1 || !(standard_error.revents & POLLOUT))
		return;
	if (text->size == sizeof(text->bytes))
		memcpy(text->bytes + text->size - 4, "...", 3);
	else
		text->size++;
	text->bytes[text->size - 1] = '\n';
	if (write(STDERR_FILENO, text->bytes, text->size) < 0)
		return; /* nobody is left to be told */
}

static void begin(struct text *text)
{
	text->size = 0;
	put(text, "resource tracker: ");
}

static void complain(struct tracker *tracker, const char *why, const char *bytes, size_t size)
{
	struct text text;

	note_status(tracker, CAROM_TRACKER_CONFUSED);
	if (++tracker->complaints > COMPLAINTS_MAX)
		return;
	begin(&text);
	put(&text, why);
	put(&text, ": ");
	put_bytes(&text, bytes, size);
	say(tracker, &text);
}

/* --- what it is told --------------------------------------------------- */

static const char *obey(struct carom_tracker_table *table,
			const struct carom_tracker_message *message)
{
	if (message->command == CAROM_TRACKER_REGISTER &&
	    carom_tracker_table_add(table, message->type, message->name) < 0)
		return "too many names";
	if (message->command == CAROM_TRACKER_UNREGISTER &&
	    carom_tracker_table_remove(table, message->type, message->name) < 0)
		return "not registered";
	return NULL;
}

static void take_line(struct tracker *tracker)
{
	const struct carom_tracker_start *start = tracker->start;
	struct carom_tracker_message message;
	const char *why = "line too long";

	if (!tracker->is_too_long &&
	    carom_tracker_parse(tracker->line, tracker->size, start->billiard, &message, &why) == 0)
		why = obey(start->table, &message);
	if (why)
		complain(tracker, why, tracker->line, tracker->size);
	tracker->size = 0;
	tracker->is_too_long = false;
}

static void take_byte(struct tracker *tracker, char byte)
{
	if (byte == '\n')
		take_line(tracker);
	else if (tracker->size < sizeof(tracker->line))
		tracker->line[tracker->size++] = byte;
	else
		tracker->is_too_long = true;
}

/* Until no process holds the write end. */
static void take_all(struct tracker *tracker)
{
	char bytes[4096];
	ssize_t n;

	while ((n = read(tracker->start->read_fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		for (ssize_t i = 0; i < n; i++)
			take_byte(tracker, bytes[i]);
	}
	if (tracker->size)
		complain(tracker, "the last line has no end", tracker->line, tracker->size);
}

/* --- what is left in the end ------------------------------------------- */

/* 0 or -errno. As glibc does: leading slashes are passed over, others are refused. */
static int unlink_shared(const char *prefix, const char *name)
{
	char path[sizeof(DIRECTORY "sem.") + CAROM_TRACKER_NAME_MAX] = DIRECTORY;

	name += strspn(name, "/");
	if (!*name || strchr(name, '/'))
		return -EINVAL;
	strcat(path, prefix);
	strcat(path, name);
	return unlink(path) < 0 ? -errno : 0;
}

static int unlink_name(const struct carom_tracker_name *name)
{
	if (name->type == CAROM_TRACKER_SEMAPHORE)
		return unlink_shared("sem.", name->name);
	if (name->type == CAROM_TRACKER_SHARED_MEMORY)
		return unlink_shared("", name->name);
	return 0;
}

/* One that somebody has unlinked and let go of, and somebody else has not: no leak. */
static bool is_gone(const struct carom_tracker_name *name)
{
	return name->error == -ENOENT && name->was_released;
}

static bool is_leak(const struct carom_tracker_name *name, enum carom_tracker_type type)
{
	return name->holders > 0 && name->type == type && !is_gone(name);
}

static void unlink_all(struct tracker *tracker)
{
	struct carom_tracker_table *table = tracker->start->table;

	for (uint32_t i = 0; i < table->used; i++) {
		struct carom_tracker_name *name = &table->names[i];

		if (name->holders == 0)
			continue;
		name->error = unlink_name(name);
		if (!is_gone(name))
			note_status(tracker, name->error < 0 ? CAROM_TRACKER_UNLINK_FAILED
							     : CAROM_TRACKER_LEAKED);
	}
}

static void say_leaked(struct tracker *tracker, enum carom_tracker_type type, uint32_t count)
{
	const struct carom_tracker_table *table = tracker->start->table;
	const char *between = ": ";
	struct text text;

	begin(&text);
	put(&text, "there appear to be ");
	put_number(&text, count);
	put(&text, " leaked ");
	put(&text, carom_tracker_type_name(type));
	put(&text, " objects to clean up at shutdown");
	for (uint32_t i = 0; i < table->used && text.size < sizeof(text.bytes); i++) {
		if (!is_leak(&table->names[i], type))
			continue;
		put(&text, between);
		put_bytes(&text, table->names[i].name, strlen(table->names[i].name));
		between = ", ";
	}
	say(tracker, &text);
}

static void say_failed(struct tracker *tracker, const struct carom_tracker_name *name)
{
	const char *words = strerrordesc_np(-name->error);
	struct text text;

	if (++tracker->complaints > COMPLAINTS_MAX)
		return;
	begin(&text);
	put_bytes(&text, name->name, strlen(name->name));
	put(&text, ": ");
	put(&text, words ? words : "cannot be unlinked");
	say(tracker, &text);
}

static void say_all(struct tracker *tracker)
{
	const struct carom_tracker_table *table = tracker->start->table;

	for (int type = CAROM_TRACKER_SEMAPHORE; type < CAROM_TRACKER_TYPE_COUNT; type++) {
		uint32_t count = 0;

		for (uint32_t i = 0; i < table->used; i++)
			count += is_leak(&table->names[i], (enum carom_tracker_type)type);
		if (count)
			say_leaked(tracker, (enum carom_tracker_type)type, count);
	}
	for (uint32_t i = 0; i < table->used; i++)
		if (table->names[i].error < 0 && !is_gone(&table->names[i]))
			say_failed(tracker, &table->names[i]);
}

/* --- its birth --------------------------------------------------------- */

/* 0 and 1 on /dev/null, 2 as it was, the pipe; nothing else. */
static void settle_descriptors(int read_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fd == STDERR_FILENO && fcntl(fd, F_GETFD) >= 0)
			continue;
		if (null_fd < 0 || dup2(null_fd, fd) < 0)
			close(fd);
	}
	carom_descriptors_close(STDERR_FILENO + 1, &read_fd, 1);
}

/* A file system that it stood in could not be unmounted. */
static void leave_directory(void)
{
	if (chdir("/") < 0)
		return; /* then it stays where it is */
}

/*
 * SIGPIPE: standard error may be a pipe without a reader. The session is its own, so a
 * terminal that is closed, or a kill of the program's process group, does not reach it.
 */
static void settle_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE };

	carom_signals_default();
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	carom_signals_restore(0);
	setsid();
}

/* child: AS-Safe calls only */
_Noreturn void carom_tracker_serve(const struct carom_tracker_start *start)
{
	struct carom_tracker_start mine = *start; /* on this stack: the rest goes */
	struct tracker tracker = { .start = &mine };

	settle_signals();
	settle_descriptors(mine.read_fd);
	prctl(PR_SET_NAME, "carom-tracker");
	leave_directory();
	carom_tracker_drop_memory(mine.table, sizeof(*mine.table));
	take_all(&tracker);
	unlink_all(&tracker);
	say_all(&tracker);
	_exit(tracker.status);
}
