#include <fcntl.h>
#include <limits.h>

#include "core/self.h"
#include "tests/core/methods.h"
#include "tests/needs.h"

static struct carom_process *new_with(struct carom_process_options options)
{
	struct carom_process *process = NULL;
	int r = carom_process_new(&options, &process);

	cr_assert(r == 0, "new: %d", r);
	return process;
}

#define NEW(...) new_with(CAROM_PROCESS_OPTIONS(__VA_ARGS__))

/* Runs @function with the write end of a pipe: what it writes there, and its exit code. */
static int hear(struct carom_process_options options, char *text, size_t size, size_t *ret_length)
{
	struct carom_process *process;
	int ends[2], code;

	cr_assert(pipe(ends) == 0);
	options.fds = &ends[1];
	options.fd_count = 1;
	process = start_with(options);
	close(ends[1]);
	*ret_length = read_all(ends[0], text, size);
	code = exitcode_of(process);
	carom_process_free(process);
	close(ends[0]);
	return code;
}

#define HEAR(text, length, ...) \
	hear(CAROM_PROCESS_OPTIONS(__VA_ARGS__), text, sizeof(text), &(length))

static void expect_name(struct carom_process *process, const char *expected)
{
	char name[CAROM_NAME_MAX];

	cr_assert(carom_process_name(process, name, sizeof(name)) == 0);
	cr_expect(strcmp(name, expected) == 0, "%s, not %s", name, expected);
}

static void expect_text(struct carom_process *process, const char *format, ...)
{
	char expected[512], text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(expected, sizeof(expected), format, arguments);
	va_end(arguments);
	carom_process_describe(process, text, sizeof(text));
	cr_expect(strcmp(text, expected) == 0, "%s, not %s", text, expected);
}

/* --- names -------------------------------------------------------------- */

/* PR-02 */
Test(process_info, names_count_handles_from_when_they_are_made)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *first = NEW();
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *second = NEW(.context = context_of("fork"));
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *third = NEW(.context = context_of("spawn"));
	CAROM_CLEANUP(carom_process_freep) struct carom_process *named = NEW(.name = "Own");
	CAROM_CLEANUP(carom_process_freep) struct carom_process *fifth = NULL;

	cr_assert(carom_process_start(second) == 0); /* which counts nothing */
	fifth = NEW();
	expect_name(first, "Process-1");
	expect_name(second, "ForkProcess-2");
	expect_name(third, "SpawnProcess-3");
	expect_name(named, "Own");
	expect_name(fifth, "Process-5");
	cr_expect(exitcode_of(second) == 0);
}

/* PR-02 */
/* SN-06 */
Test(process_info, names_have_the_ordinals_of_all_ancestors, .timeout = 60)
{
	static const char *const types[] = { "ForkProcess", "SpawnProcess", "ForkServerProcess" };
	struct carom_context *context;
	int ordinal = 0, depth = 2;

	EACH_METHOD(context)
	{
		const char *type = types[each_];
		char text[1024], expected[1024];
		size_t length;

		cr_expect(HEAR(text, length, .context = context, .function = tell_names,
			       .argument = &depth, .argument_size = sizeof(int)) == 0);
		ordinal++;
		snprintf(expected, sizeof(expected),
			 "%s-%d\nProcess-%d:1\n%s-%d:2\n%s-%d:2\nProcess-%d:2:1\n%s-%d:2:2\n", type,
			 ordinal, ordinal, type, ordinal, type, ordinal, ordinal, type, ordinal);
		cr_expect(strcmp(text, expected) == 0, "%s, not %s", text, expected);
	}
}

/* PR-18 */
Test(process_info, names_may_be_changed_at_any_time, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct carom_process *process;
		char text[1024];
		int ends[2];

		cr_assert(pipe(ends) == 0);
		process = NEW(.context = context, .name = "Before", .function = tell_self,
			      .fds = &ends[1], .fd_count = 1);
		cr_expect(carom_process_set_name(process, "Between") == 0);
		cr_assert(carom_process_start(process) == 0);
		close(ends[1]);
		read_all(ends[0], text, sizeof(text));
		cr_expect(strncmp(text, "Between\n", 8) == 0, "%s: %s", methods[each_], text);
		cr_expect(exitcode_of(process) == 0);
		cr_expect(carom_process_set_name(process, "After") == 0);
		expect_name(process, "After");
		carom_process_free(process);
		close(ends[0]);
	}
	cr_expect(carom_process_set_name(carom_current_process(), "Myself") == 0);
	expect_name(carom_current_process(), "Myself");
}

Test(process_info, names_that_are_none_are_refused)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NEW(.name = "Fine");
	struct carom_process *other = NULL;
	char name[CAROM_NAME_MAX + 1], little[4];

	memset(name, 'n', sizeof(name) - 1);
	name[CAROM_NAME_MAX] = '\0';
	cr_expect(carom_process_set_name(process, NULL) == -EINVAL);
	cr_expect(carom_process_set_name(process, "") == -EINVAL);
	cr_expect(carom_process_set_name(process, name) == -ENAMETOOLONG);
	cr_expect(carom_process_new(&CAROM_PROCESS_OPTIONS(.name = ""), &other) == -EINVAL);
	cr_expect(carom_process_new(&CAROM_PROCESS_OPTIONS(.name = name), &other) == -ENAMETOOLONG);
	cr_expect(other == NULL);
	expect_name(process, "Fine");
	cr_expect(carom_process_name(process, little, sizeof(little)) == -EMSGSIZE);

	name[CAROM_NAME_MAX - 1] = '\0';
	cr_expect(carom_process_set_name(process, name) == 0);
	expect_name(process, name);
}

/* --- what is passed on ------------------------------------------------- */

static void expect_key(struct carom_context *context, struct carom_process *process, int read_fd,
		       const char *expected)
{
	char text[CAROM_AUTHKEY_MAX];

	cr_assert(carom_process_start(process) == 0);
	cr_assert(exitcode_of(process) == 0);
	cr_assert(read(read_fd, text, sizeof(text)) == (ssize_t)strlen(expected));
	cr_expect(memcmp(text, expected, strlen(expected)) == 0, "%s: %s",
		  carom_context_start_method(context), expected);
}

/* PR-03 */
Test(process_info, takes_over_what_its_creator_has_when_it_is_made, .timeout = 60)
{
	struct carom_process *self = carom_current_process();
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct carom_process *early, *late;
		int ends[2];

		cr_assert(pipe(ends) == 0);
		cr_assert(carom_process_set_authkey(self, "early", 5) == 0);
		early = NEW(.context = context, .function = tell_authkey, .fds = &ends[1],
			    .fd_count = 1);
		cr_assert(carom_process_set_authkey(self, "later", 5) == 0);
		late = NEW(.context = context, .function = tell_authkey, .fds = &ends[1],
			   .fd_count = 1);
		expect_key(context, early, ends[0], "early");
		expect_key(context, late, ends[0], "later");
		carom_process_free(early);
		carom_process_free(late);
		close(ends[0]);
		close(ends[1]);
	}
}

/* The daemon flag of a child's child, which nobody has set. */
static int tell_inherited(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_process *process = NULL, *other = NULL;

	if (carom_process_new(NULL, &process) < 0 ||
	    carom_process_new(&CAROM_PROCESS_OPTIONS(.daemon = CAROM_NO), &other) < 0)
		return 98;
	return carom_process_daemon(process) << 1 | carom_process_daemon(other);
}

/* PR-03 */
Test(process_info, of_a_daemonic_process_is_daemonic_unless_it_is_said)
{
	struct carom_context *context = context_of("fork");

	cr_expect(RUN(.context = context, .function = tell_inherited, .daemon = CAROM_YES) == 2);
	cr_expect(RUN(.context = context, .function = tell_inherited, .daemon = CAROM_NO) == 0);
	cr_expect(RUN(.context = context, .function = tell_inherited) == 0);
}

/* PR-22 */
Test(process_info, shares_the_authkey_with_its_children, .timeout = 60)
{
	struct carom_process *self = carom_current_process();
	unsigned char key[CAROM_AUTHKEY_MAX], nothing[CAROM_AUTHKEY_SIZE] = { 0 };
	struct carom_context *context;

	cr_assert(carom_process_authkey(self, key) == CAROM_AUTHKEY_SIZE);
	cr_expect(memcmp(key, nothing, sizeof(nothing)) != 0);
	EACH_METHOD(context)
	{
		char text[2 * CAROM_AUTHKEY_MAX];
		size_t length;

		cr_expect(HEAR(text, length, .context = context, .function = tell_authkey) == 0);
		cr_expect(length == CAROM_AUTHKEY_SIZE && memcmp(text, key, length) == 0, "%s: %zu",
			  methods[each_], length);
	}
}

Test(process_info, has_an_authkey_of_its_own_until_it_is_started, .timeout = 60)
{
	unsigned char mine[CAROM_AUTHKEY_MAX], theirs[CAROM_AUTHKEY_MAX], long_key[257];
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process = NEW(.context = context_of("fork"));
	struct carom_process *self = carom_current_process();

	memset(long_key, 'k', sizeof(long_key));
	cr_expect(carom_process_set_authkey(process, NULL, 1) == -EINVAL);
	cr_expect(carom_process_set_authkey(process, "", 0) == -EINVAL);
	cr_expect(carom_process_set_authkey(process, long_key, 257) == -EINVAL);
	cr_expect(carom_process_set_authkey(process, long_key, 256) == 0);
	cr_expect(carom_process_authkey(process, theirs) == 256);
	cr_expect(memcmp(theirs, long_key, 256) == 0);
	cr_expect(carom_process_authkey(self, mine) == CAROM_AUTHKEY_SIZE);
	cr_expect(memcmp(theirs, mine, CAROM_AUTHKEY_SIZE) != 0);
	cr_assert(carom_process_start(process) == 0);
	cr_expect(carom_process_set_authkey(process, "late", 4) == -EBUSY);
	cr_expect(exitcode_of(process) == 0);
	cr_expect(carom_process_set_authkey(process, "late", 4) == -EBUSY);
}

/* What the kernel shows of process @pid to everybody who may look. */
static size_t read_of(pid_t pid, const char *what, char *text, size_t size)
{
	char path[64];
	size_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0, "%s", path);
	length = read_all(fd, text, size);
	close(fd);
	return length;
}

/* PR-22 */
/* SN-05 */
Test(process_info, tells_nobody_the_authkey_by_arguments_or_environment, .timeout = 60)
{
	static const char key[] = "a key that nobody is told";
	static char text[1 << 20];
	struct carom_context *context;

	cr_assert(carom_process_set_authkey(carom_current_process(), key, strlen(key)) == 0);
	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);
		pid_t pid = carom_process_pid(talk.process);
		size_t length = read_of(pid, "cmdline", text, sizeof(text));

		cr_expect(length && !memmem(text, length, key, strlen(key)));
		length = read_of(pid, "environ", text, sizeof(text));
		cr_expect(length && !memmem(text, length, key, strlen(key)));
		tell(&talk, 3);
		cr_expect(exitcode_of(talk.process) == 3);
		end_talk(&talk);
	}
}

/* --- daemon, pid -------------------------------------------------------- */

/* PR-19 */
Test(process_info, daemon_may_be_said_until_it_is_started, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);
		struct carom_process *later = NEW(.context = context);

		cr_expect(carom_process_daemon(later) == 0);
		cr_expect(carom_process_set_daemon(later, 1) == 0);
		cr_expect(carom_process_daemon(later) == 1);
		cr_expect(carom_process_set_daemon(talk.process, 1) == -EBUSY);
		tell(&talk, 1);
		cr_expect(exitcode_of(talk.process) == 1);
		cr_expect(carom_process_set_daemon(talk.process, 1) == -EBUSY);
		cr_expect(carom_process_daemon(talk.process) == 0);
		carom_process_free(later);
		end_talk(&talk);
	}
	cr_expect(carom_process_daemon(carom_current_process()) == 0);
	cr_expect(carom_process_set_daemon(carom_current_process(), 1) == -EBUSY);
}

/* PR-20 */
Test(process_info, pid_is_the_childs_own, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		char text[64], expected[64];
		struct carom_process *process;
		int ends[2], pid;

		cr_assert(pipe(ends) == 0);
		process = NEW(.context = context, .function = tell_pid, .fds = &ends[1],
			      .fd_count = 1);
		cr_expect(carom_process_pid(process) == 0);
		cr_assert(carom_process_start(process) == 0);
		pid = (int)carom_process_pid(process);
		cr_expect(exitcode_of(process) == 0);
		cr_expect(carom_process_pid(process) == pid);
		close(ends[1]);
		read_all(ends[0], text, sizeof(text));
		snprintf(expected, sizeof(expected), "%d %d", pid, pid);
		cr_expect(strcmp(text, expected) == 0, "%s: %s, not %s", methods[each_], text,
			  expected);
		carom_process_free(process);
		close(ends[0]);
	}
	cr_expect(carom_process_pid(carom_current_process()) == getpid());
}

/* PR-25 */
Test(process_info, parent_can_be_asked_and_waited_for, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		int code = RUN(.context = context, .function = ask_parent);

		/* 6: neither without pidfd_open(2), and that is said */
		cr_expect(code == (denial_of("pidfd_open") ? 6 : 0), "%s: %d", methods[each_],
			  code);
	}
}

/* --- one line ----------------------------------------------------------- */

/* PR-28 */
Test(process_info, describes_itself_in_every_state, .timeout = 60)
{
	static const char *const types[] = { "ForkProcess", "SpawnProcess", "ForkServerProcess" };
	int parent = (int)getpid();
	struct carom_context *context;

	EACH_METHOD(context)
	{
		const char *type = types[each_];
		CAROM_CLEANUP(carom_process_freep)
		struct carom_process *fresh =
			NEW(.context = context, .name = "Fresh", .daemon = CAROM_YES);
		struct talk talk =
			TALK(.context = context, .function = wait_for_word, .name = "Talk");
		int pid = (int)carom_process_pid(talk.process);

		expect_text(fresh, "<%s name='Fresh' parent=%d initial daemon>", type, parent);
		expect_text(talk.process, "<%s name='Talk' pid=%d parent=%d started>", type, pid,
			    parent);
		cr_assert(carom_process_terminate(talk.process) == 0);
		cr_expect(exitcode_of(talk.process) == -SIGTERM);
		expect_text(talk.process,
			    "<%s name='Talk' pid=%d parent=%d stopped exitcode=-SIGTERM>", type,
			    pid, parent);
		cr_assert(carom_process_close(talk.process) == 0);
		expect_text(talk.process, "<%s name='Talk' pid=%d parent=%d closed>", type, pid,
			    parent);
		end_talk(&talk);
	}
}

/* PR-28 */
Test(process_info, describes_how_it_ended)
{
	int status = 7, signal_number = SIGRTMIN + 1;
	struct carom_context *context = context_of("fork");
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *exited =
		START(.context = context, .name = "E", .function = return_status,
		      .argument = &status, .argument_size = sizeof(int));
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *killed =
		START(.context = context, .name = "K", .function = kill_self,
		      .argument = &signal_number, .argument_size = sizeof(int));
	int parent = (int)getpid();
	char little[6];

	cr_expect(exitcode_of(exited) == 7);
	cr_expect(exitcode_of(killed) == -signal_number);
	expect_text(exited, "<ForkProcess name='E' pid=%d parent=%d stopped exitcode=7>",
		    (int)carom_process_pid(exited), parent);
	expect_text(killed, "<ForkProcess name='K' pid=%d parent=%d stopped exitcode=-%d>",
		    (int)carom_process_pid(killed), parent, signal_number);
	expect_text(carom_current_process(), "<Process name='MainProcess' pid=%d parent=0 started>",
		    parent);
	carom_process_describe(exited, little, sizeof(little));
	cr_expect(strcmp(little, "<Fork") == 0, "%s", little);
}

/* UT-06 */
Test(process_info, uses_its_parents_temporary_directory_and_leaves_it, .timeout = 60)
{
	struct carom_context *context;
	const char *mine;

	cr_assert(carom_temp_dir(&mine) == 0);
	EACH_METHOD(context)
	{
		char text[256];
		int ends[2];

		cr_assert(pipe(ends) == 0);
		cr_expect(RUN(.context = context, .function = tell_temp_dir, .fds = &ends[1],
			      .fd_count = 1) == 0);
		close(ends[1]);
		read_all(ends[0], text, sizeof(text));
		cr_expect(strcmp(text, mine) == 0, "%s: '%s'", methods[each_], text);
		cr_expect(access(mine, W_OK) == 0);
		close(ends[0]);
	}
}
