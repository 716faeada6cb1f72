/* Sandbox: what it lets through, what it says, and what cannot be one. Escapes: test_escape.c. */
#include "tests/core/methods.h"

#include <dirent.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "core/after_fork.h"
#include "core/cleanup.h"
#include "core/points.h"
#include "core/sandbox_private.h"
#include "tests/core/apart.h"
#include "tests/core/confined.h"
#include "tests/core/sandboxes.h"

static void have(uint64_t layers)
{
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT, .layers = layers);
	char text[512];

	if (carom_sandbox_check(&options, text, sizeof(text)) < 0)
		_exit(EXIT_FAILURE);
}

static void have_sandbox(void)
{
	have(0);
}

static void have_closed_parent(void)
{
	have(CAROM_SANDBOX_PARENT);
}

/* The exit status of a body that cannot begin. */
#define CANNOT 77

/* Before a test that takes something away: what there is, is found out once a process. */
static void need_sandbox(void)
{
	if (apart(have_sandbox) != 0)
		cr_skip_test("skipped: no sandbox here");
}

static void need_closed_parent(void)
{
	if (apart(have_closed_parent) != 0)
		cr_skip_test("skipped: no sandbox here, whatever stands in for landlock");
}

/* The name of the call that has ended a child; "" if it ended otherwise. Frees it. */
static void violation_of(struct carom_process *process, struct carom_violation *ret_violation)
{
	int code = exitcode_of(process);

	*ret_violation = (struct carom_violation){ .number = -2 };
	cr_assert(carom_process_violation(process, ret_violation) ==
		  (code == -SIGSYS ? 0 : -ENODATA));
	carom_process_free(process);
}

Test(sandbox, lets_a_child_compute_under_every_method, .timeout = 60)
{
	enum carom_sandbox_profile profiles[] = { CAROM_SANDBOX_BASIC, CAROM_SANDBOX_STRICT };
	struct carom_context *context;

	for (size_t i = 0; i < 2; i++) {
		CAROM_CLEANUP(carom_sandbox_freep)
		struct carom_sandbox *sandbox = SANDBOX(.profile = profiles[i]);

		EACH_METHOD(context)
		{
			int in[2], out[2], code;
			char byte = 0;

			cr_assert(pipe(in) == 0 && pipe(out) == 0 && write(in[1], "x", 1) == 1);
			code = RUN(.function = compute, .context = context, .sandbox = sandbox,
				   .fds = (int[]){ in[0], out[1] }, .fd_count = 2);
			cr_assert(code == 42, "%s: %d", methods[each_], code);
			cr_assert(read(out[0], &byte, 1) == 1 && byte == 'x');
			for (int k = 0; k < 2; k++)
				cr_assert(close(in[k]) == 0 && close(out[k]) == 0);
		}
	}
}

Test(sandbox, names_the_call_that_has_ended_a_child_under_every_method, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	struct carom_violation violation;
	struct carom_context *context;
	int number = SYS_socket;

	EACH_METHOD(context)
	{
		violation_of(START(.function = call_number, .argument = &number,
				   .argument_size = sizeof(number), .context = context,
				   .sandbox = sandbox),
			     &violation);
		cr_expect(violation.number == SYS_socket, "%s: %lld", methods[each_],
			  (long long)violation.number);
		cr_expect_str_eq(violation.name, "socket");
	}
}

Test(sandbox, a_call_without_a_name_is_told_by_its_number, .timeout = 30)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	struct carom_violation violation;
	int number = 4000;

	violation_of(START(.function = call_number, .argument = &number,
			   .argument_size = sizeof(number), .sandbox = sandbox,
			   .context = context_of("fork")),
		     &violation);
	cr_expect_str_eq(violation.name, "system call 4000");
}

Test(sandbox, who_sends_itself_the_signal_has_violated_something_unknown, .timeout = 30)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	struct carom_process *process;
	struct carom_violation violation;

	violation_of(
		START(.function = end_by_sigsys, .sandbox = sandbox, .context = context_of("fork")),
		&violation);
	cr_expect(violation.number == -1);
	cr_expect_str_eq(violation.name, "unknown");

	/* and without a sandbox it has violated nothing */
	process = START(.function = end_by_sigsys, .context = context_of("fork"));
	cr_expect(exitcode_of(process) == -SIGSYS);
	cr_expect(carom_process_violation(process, &violation) == -ENODATA);
	carom_process_free(process);
}

Test(sandbox, a_violation_is_asked_for_when_a_child_has_ended, .timeout = 30)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	struct carom_process *process = NULL;
	struct carom_violation violation;

	cr_assert(carom_process_new(&CAROM_PROCESS_OPTIONS(.function = compute,
							   .context = context_of("fork"),
							   .sandbox = sandbox),
				    &process) == 0);
	cr_expect(carom_process_violation(process, &violation) == -EINPROGRESS);
	cr_assert(carom_process_start(process) == 0);
	cr_expect(exitcode_of(process) == 42);
	cr_expect(carom_process_violation(process, &violation) == -ENODATA);
	cr_expect(carom_process_close(process) == 0);
	cr_expect(carom_process_violation(process, &violation) == -EBADF);
	carom_process_free(process);
}

Test(sandbox, a_child_has_the_descriptors_it_was_given_and_no_others, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	struct carom_context *context;
	int ends[2], code;

	cr_assert(pipe(ends) == 0);
	EACH_METHOD(context)
	{
		code = RUN(.function = count_strangers, .context = context, .sandbox = sandbox,
			   .fds = ends, .fd_count = 2);
		cr_expect(code == 0, "%s: %d", methods[each_], code);
	}
}

/* What the C library asks of a descriptor it asks by a call that takes paths. */
static void expect_ordinary_output(struct carom_sandbox *sandbox)
{
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ASSERT(sandbox && null_fd >= 0);
	ASSERT(RUN(.function = write_by_stdio, .sandbox = sandbox, .context = context_of("fork"),
		   .fds = &null_fd, .fd_count = 1) == 42);
	close(null_fd);
}

Test(sandbox, has_ordinary_output_in_all_profiles, .timeout = 60)
{
	for (int i = CAROM_SANDBOX_BASIC; i <= CAROM_SANDBOX_CUSTOM; i++) {
		CAROM_CLEANUP(carom_sandbox_freep)
		struct carom_sandbox *sandbox = SANDBOX(.profile = (enum carom_sandbox_profile)i);

		expect_ordinary_output(sandbox);
	}
}

Test(sandbox, strict_opens_nothing, .timeout = 30)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	struct carom_violation violation;

	violation_of(START(.function = open_to_read, .argument = "/dev/null", .argument_size = 10,
			   .sandbox = sandbox, .context = context_of("fork")),
		     &violation);
	cr_expect_str_eq(violation.name, "openat");
}

#define OPEN_IN(box, how, path)                                                                   \
	RUN(.function = how, .argument = path, .argument_size = strlen(path) + 1, .sandbox = box, \
	    .context = context_of("fork"))

Test(sandbox, basic_reads_and_writes_where_it_may, .timeout = 60, .init = need_sandbox)
{
	char directory[] = "/tmp/carom-sandbox-XXXXXX", inside[64], outside[64];
	const char *write_paths[] = { directory, NULL };
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *reads = NULL;
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *writes = NULL;

	cr_assert(mkdtemp(directory) != NULL);
	snprintf(inside, sizeof(inside), "%s/inside", directory);
	snprintf(outside, sizeof(outside), "%s-outside", directory);
	reads = SANDBOX(.profile = CAROM_SANDBOX_BASIC);
	writes = SANDBOX(.profile = CAROM_SANDBOX_BASIC, .write_paths = write_paths,
			 .read_paths = (const char *[]){ "/dev", NULL });
	cr_expect(OPEN_IN(reads, open_to_read, "/etc/passwd") == 0);
	cr_expect(OPEN_IN(reads, open_to_write, inside) == EACCES);
	cr_expect(OPEN_IN(reads, open_to_write, "/dev/null") == 0);
	cr_expect(OPEN_IN(writes, open_to_write, inside) == 0);
	cr_expect(OPEN_IN(writes, open_to_write, outside) == EACCES);
	cr_expect(OPEN_IN(writes, open_to_read, "/dev/zero") == 0);
	cr_expect(OPEN_IN(writes, open_to_read, "/etc/passwd") == EACCES);
	unlink(inside);
	unlink(outside);
	rmdir(directory);
}

/* What a call does in a child of this sandbox: the name that ended it, or "" */
static void try_number(struct carom_sandbox *sandbox, int number, struct carom_violation *ret)
{
	violation_of(START(.function = call_number, .argument = &number,
			   .argument_size = sizeof(number), .sandbox = sandbox,
			   .context = context_of("fork")),
		     ret);
}

Test(sandbox, lists_add_and_take_away, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT,
						.allow = (const char *[]){ "socket", NULL },
						.deny = (const char *[]){ "uname", "clone", NULL });
	struct carom_violation violation;

	try_number(sandbox, SYS_socket, &violation);
	cr_expect(violation.number == -2);
	try_number(sandbox, SYS_uname, &violation);
	cr_expect_str_eq(violation.name, "uname");
	/* no handler can run while the C library makes a thread: it blocks all signals */
	violation_of(START(.function = compute, .sandbox = sandbox, .context = context_of("fork")),
		     &violation);
	cr_expect_str_eq(violation.name, "unknown");
}

Test(sandbox, custom_has_what_the_library_needs_and_what_is_allowed, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_CUSTOM,
						.allow = (const char *[]){ "uname", NULL });
	struct carom_violation violation;

	try_number(sandbox, SYS_uname, &violation);
	cr_expect(violation.number == -2);
	try_number(sandbox, SYS_sched_yield, &violation);
	cr_expect(violation.number == -2);
	try_number(sandbox, SYS_getuid, &violation);
	cr_expect_str_eq(violation.name, "getuid");
}

/* --- what there is, and what cannot be --------------------------------- */

Test(sandbox, tells_which_layers_are_in_force, .timeout = 30)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	uint64_t layers = carom_sandbox_layers(sandbox);
	char text[320];

	for (int i = 0; i < 7; i++)
		cr_expect(0 != (layers & (1U << i)), "%s",
			  carom_sandbox_layer_name((enum carom_sandbox_layer)(1 << i)));
	cr_expect(layers < CAROM_SANDBOX_USER_NAMESPACE);
	carom_sandbox_describe(sandbox, text, sizeof(text));
	cr_expect(strstr(text, "strict: descriptors, ") == text, "%s", text);
	cr_expect(strstr(text, "landlock (ABI ") && !strstr(text, "; without "), "%s", text);
	cr_expect(carom_sandbox_layer_name((enum carom_sandbox_layer)0) == NULL);
}

static void text_about(struct carom_process *process, const char *name, char *text, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", carom_process_pid(process), name);
	file = fopen(path, "re");
	cr_assert(file != NULL, "%s", path);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

/* soft and hard, of a line that begins so */
static void expect_at_most(const char *limits, const char *name, unsigned long long most)
{
	const char *line = strstr(limits, name);
	unsigned long long soft = ULLONG_MAX, hard = ULLONG_MAX;

	int count = line ? sscanf(line + strlen(name), "%llu %llu", &soft, &hard) : 0;

	cr_expect(count == 2 && soft <= most && hard <= most, "%s: %s", name, line);
}

/* Each for itself, for what one layer keeps from a child another one often does as well. */
Test(sandbox, limits_and_capabilities_are_gone_by_the_kernels_own_word, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *strict =
		SANDBOX(.profile = CAROM_SANDBOX_STRICT, .file_size_max_bytes = 12345);
	struct carom_context *context;
	char text[4096], byte;

	/* Criterion allows no core dumps; as root it can be undone */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	EACH_METHOD(context)
	{
		struct carom_process *process;
		int ready[2];

		cr_assert(pipe(ready) == 0);
		process = START(.function = say_and_pause, .context = context, .sandbox = strict,
				.fds = &ready[1], .fd_count = 1);
		cr_assert(read(ready[0], &byte, 1) == 1);
		text_about(process, "status", text, sizeof(text));
		cr_expect(strstr(text, "\nCapInh:\t0000000000000000\n") != NULL, "%s", text);
		cr_expect(strstr(text, "\nCapPrm:\t0000000000000000\n") != NULL, "%s", text);
		cr_expect(strstr(text, "\nCapEff:\t0000000000000000\n") != NULL, "%s", text);
		cr_expect(strstr(text, "\nCapAmb:\t0000000000000000\n") != NULL, "%s", text);
		cr_expect(strstr(text, "\nNoNewPrivs:\t1\n") != NULL, "%s", text);
		cr_expect(strstr(text, "\nSeccomp:\t2\n") != NULL, "%s", text);
		text_about(process, "limits", text, sizeof(text));
		expect_at_most(text, "Max core file size", 0);
		expect_at_most(text, "Max open files", 64);
		expect_at_most(text, "Max file size", 12345);
		expect_at_most(text, "Max msgqueue size", 0);
		cr_expect(carom_process_kill(process) == 0);
		cr_expect(exitcode_of(process) == -SIGKILL);
		carom_process_free(process);
		cr_assert(close(ready[0]) == 0 && close(ready[1]) == 0);
	}
}

/* By who has no right but to be the same user: from outside of landlock's domain. */
static void look_into_it(void)
{
	struct carom_sandbox *sandbox = NULL;
	struct carom_process *process;
	char path[64], byte;
	int ready[2];

	if (geteuid() == 0)
		CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0); /* as any program of that user is */
	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_BASIC), &sandbox) ==
	      0);
	CHECK(pipe(ready) == 0);
	process = START(.function = say_and_pause, .context = context_of("fork"),
			.sandbox = sandbox, .fds = &ready[1], .fd_count = 1);
	CHECK(read(ready[0], &byte, 1) == 1);
	snprintf(path, sizeof(path), "/proc/%d/mem", carom_process_pid(process));
	CHECK(open(path, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHECK(carom_process_kill(process) == 0);
	carom_process_free(process);
}

Test(sandbox, who_is_in_it_cannot_be_looked_into, .timeout = 60, .init = need_sandbox)
{
	cr_expect(apart(look_into_it) == 0);
}

#define LIST(...)                 \
	(const char *[])          \
	{                         \
		__VA_ARGS__, NULL \
	}

/* Landlock, where it can: a filter that lets these through is not what refuses them. */
Test(sandbox, landlock_keeps_signals_and_connections_inside, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox =
		SANDBOX(.profile = CAROM_SANDBOX_BASIC, .allow = LIST("kill", "socket", "connect"));
	int abi = carom_sandbox_landlock_abi(), parent = getpid();

	if (abi >= 4)
		cr_expect(RUN(.function = connect_to_port, .sandbox = sandbox,
			      .context = context_of("fork")) == EACCES);
	if (abi >= 6)
		cr_expect(RUN(.function = look_for_parent, .argument = &parent,
			      .argument_size = sizeof(parent), .sandbox = sandbox,
			      .context = context_of("fork")) == EPERM);
}

/* Is it another one than this process's? */
static bool has_own_namespace(struct carom_process *process, const char *name)
{
	char ours[64] = "", theirs[64] = "", path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	cr_expect(readlink(path, ours, sizeof(ours) - 1) > 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", carom_process_pid(process), name);
	cr_expect(readlink(path, theirs, sizeof(theirs) - 1) > 0);
	return strcmp(ours, theirs) != 0;
}

static int count_files_of(struct carom_process *process)
{
	char path[64];
	DIR *root;
	int count = -2; /* . and .. */

	snprintf(path, sizeof(path), "/proc/%d/root", carom_process_pid(process));
	root = opendir(path);
	while (root && readdir(root))
		count++;
	if (root)
		closedir(root);
	return count;
}

Test(sandbox, namespaces_are_its_own_by_the_kernels_own_word, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
	struct carom_process *process;
	char byte;
	int ready[2];

	if (prctl(PR_CAPBSET_READ, CAP_SYS_PTRACE) != 1 || geteuid() != 0)
		cr_skip_test("skipped: only root, with CAP_SYS_PTRACE, can look into it");
	sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT, .layers = CAROM_SANDBOX_NAMESPACES);
	cr_assert(pipe(ready) == 0);
	process = START(.function = say_and_pause, .context = context_of("fork"),
			.sandbox = sandbox, .fds = &ready[1], .fd_count = 1);
	cr_assert(read(ready[0], &byte, 1) == 1);
	cr_expect(has_own_namespace(process, "user"));
	cr_expect(has_own_namespace(process, "net"));
	cr_expect(has_own_namespace(process, "ipc"));
	cr_expect(has_own_namespace(process, "mnt"));
	cr_expect(count_files_of(process) == 0);
	cr_expect(carom_process_kill(process) == 0);
	carom_process_free(process);
}

/* The answer, and a sentence that has @word in it. */
#define REFUSES(error, word, ...)                                                            \
	do {                                                                                 \
		struct carom_sandbox_options options_ = CAROM_SANDBOX_OPTIONS(__VA_ARGS__);  \
		struct carom_sandbox *none_ = NULL;                                          \
		char text_[512] = "";                                                        \
		int r_ = carom_sandbox_check(&options_, text_, sizeof(text_));               \
                                                                                             \
		cr_expect(r_ == (error) && strstr(text_, word), "%d: %s", r_, text_);        \
		cr_expect(carom_sandbox_new(&options_, &none_) == (error) && none_ == NULL); \
	} while (0)

Test(sandbox, refuses_what_it_cannot_be_by_name, .timeout = 60, .init = need_sandbox)
{
	REFUSES(-ENOENT, "\"opne\"", .profile = CAROM_SANDBOX_BASIC, .allow = LIST("opne"));
	REFUSES(-ENOENT, "\"opne\"", .profile = CAROM_SANDBOX_BASIC, .deny = LIST("uname", "opne"));
	REFUSES(-EPERM, "\"io_uring_setup\"", .profile = CAROM_SANDBOX_CUSTOM,
		.allow = LIST("uname", "io_uring_setup"));
	REFUSES(-EPERM, "\"ptrace\"", .profile = CAROM_SANDBOX_BASIC, .allow = LIST("ptrace"));
	REFUSES(-EINVAL, "\"futex\"", .profile = CAROM_SANDBOX_STRICT, .deny = LIST("futex"));
	REFUSES(-EINVAL, "\"exit_group\"", .profile = CAROM_SANDBOX_CUSTOM,
		.deny = LIST("uname", "exit_group"));
	REFUSES(-EINVAL, "profile", .profile = 17);
	REFUSES(-EINVAL, "layer", .profile = CAROM_SANDBOX_BASIC, .layers = UINT64_C(1) << 40);
	REFUSES(-EINVAL, "profile", .profile = CAROM_SANDBOX_NONE, .allow = LIST("read"));
	REFUSES(-ENOENT, "/nowhere", .profile = CAROM_SANDBOX_BASIC,
		.read_paths = LIST("/nowhere"));
}

static void refuse_all(void)
{
	REFUSES(-ENOENT, "\"opne\"", .profile = CAROM_SANDBOX_BASIC, .allow = LIST("opne"));
	REFUSES(-EINVAL, "\"futex\"", .profile = CAROM_SANDBOX_STRICT, .deny = LIST("futex"));
	REFUSES(-ENOENT, "/nowhere", .profile = CAROM_SANDBOX_BASIC,
		.read_paths = LIST("/nowhere"));
}

Test(sandbox, that_is_refused_leaves_nothing_behind, .timeout = 60, .init = need_sandbox)
{
	int before;

	refuse_all(); /* what was asked of the kernel is asked once */
	before = count_fds();
	for (int i = 0; i < 10; i++)
		refuse_all();
	cr_expect(count_fds() == before);
	cr_expect(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
}

Test(sandbox, options_of_another_age_are_taken_or_refused, .init = need_sandbox)
{
	struct {
		struct carom_sandbox_options options;
		uint64_t newer;
	} later = { CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_NONE), 1 };
	struct carom_sandbox *sandbox = NULL;

	later.options.size_bytes = sizeof(later);
	cr_expect(carom_sandbox_new(&later.options, &sandbox) == -E2BIG);
	cr_expect(carom_sandbox_new(&(struct carom_sandbox_options){ 0 }, &sandbox) == -EINVAL);
	cr_expect(carom_sandbox_new(NULL, &sandbox) == 0);
	cr_expect(carom_sandbox_layers(sandbox) == 0);
	cr_expect(RUN(.function = compute, .sandbox = sandbox, .context = context_of("fork")) ==
		  42);
	cr_expect(carom_sandbox_free(sandbox) == NULL && carom_sandbox_free(NULL) == NULL);
}

Test(sandbox, is_nothing_for_a_thread)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_BASIC);
	struct carom_process *process = NULL;

	cr_expect(carom_process_new(&CAROM_PROCESS_OPTIONS(.function = compute,
							   .context = context_of("thread"),
							   .sandbox = sandbox),
				    &process) == -EOPNOTSUPP);
}

Test(sandbox, outlives_its_handle_in_those_who_have_it, .timeout = 30)
{
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	struct carom_process *process = NULL;
	struct carom_violation violation;
	int number = SYS_socket;

	cr_assert(carom_process_new(
			  &CAROM_PROCESS_OPTIONS(.function = call_number, .argument = &number,
						 .argument_size = sizeof(number),
						 .context = context_of("fork"), .sandbox = sandbox),
			  &process) == 0);
	carom_sandbox_free(sandbox);
	cr_assert(carom_process_start(process) == 0);
	violation_of(process, &violation);
	cr_expect_str_eq(violation.name, "socket");
}

static void *never_end(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

/* A layer would hold one of them and not the other. */
static int start_a_thread(void *userdata)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, never_end, NULL);
}

static void with_a_thread_at_its_beginning(void)
{
	struct carom_sandbox *sandbox = NULL;

	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_BASIC), &sandbox) ==
	      0);
	CHECK(carom_after_fork_add(start_a_thread, NULL) == 0);
	CHECK(RUN(.function = compute, .context = context_of("fork"), .sandbox = sandbox) == 1);
}

Test(sandbox, is_not_entered_by_a_child_that_has_threads, .timeout = 30, .init = need_sandbox)
{
	cr_assert(apart(with_a_thread_at_its_beginning) == 0);
}

/* --- where not all of it can be had ------------------------------------ */

/* Landlock is needed for files; without it there are none. */
static void without_landlock(void)
{
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_BASIC);
	struct carom_sandbox *sandbox = NULL;
	struct carom_process *process;
	struct carom_violation violation;
	char text[512];

	CHECK(carom_sandbox_check(&options, text, sizeof(text)) == -EOPNOTSUPP);
	CHECK(strstr(text, "no landlock") && strstr(text, "CAROM_SANDBOX_PARENT"));
	CHECK(carom_sandbox_new(&options, &sandbox) == -EOPNOTSUPP && !sandbox);
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
	options.layers = CAROM_SANDBOX_PARENT;
	CHECK(carom_sandbox_check(&options, text, sizeof(text)) == 0);
	CHECK(strstr(text, "; without landlock: "));
	CHECK(prctl(PR_GET_DUMPABLE) == 1); /* it only looks */
	CHECK(carom_sandbox_new(&options, &sandbox) == 0);
	CHECK(prctl(PR_GET_DUMPABLE) == 0);
	CHECK(!(carom_sandbox_layers(sandbox) & CAROM_SANDBOX_LANDLOCK));
	CHECK(carom_sandbox_layers(sandbox) & CAROM_SANDBOX_PARENT);
	CHECK(RUN(.function = compute, .sandbox = sandbox, .context = context_of("fork")) == 42);
	expect_ordinary_output(sandbox);
	process = START(.function = open_to_read, .argument = "/dev/null", .argument_size = 10,
			.sandbox = sandbox, .context = context_of("fork"));
	CHECK(exitcode_of(process) == -SIGSYS);
	CHECK(carom_process_violation(process, &violation) == 0);
	CHECK(strcmp(violation.name, "openat") == 0);
}

Test(sandbox, without_landlock_the_parent_can_be_closed, .timeout = 60, .init = need_closed_parent)
{
	cr_expect(apart_with("CAROM_DENY", "landlock", without_landlock) == 0);
}

/* Users are mapped by a file of the process's own, which is root's where it is not dumpable. */
static void with_parent_and_user_namespace(void)
{
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT,
				      .layers =
					      CAROM_SANDBOX_PARENT | CAROM_SANDBOX_USER_NAMESPACE);
	struct carom_sandbox *sandbox = NULL;

	if (geteuid() == 0)
		CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0); /* as any program of that user is */
	if (carom_sandbox_new(&options, &sandbox) == -EOPNOTSUPP)
		return;
	CHECK(RUN(.function = compute, .sandbox = sandbox, .context = context_of("fork")) == 42);
}

Test(sandbox, that_a_closed_parent_cannot_have_children_in_is_refused, .timeout = 60,
     .init = need_closed_parent)
{
	cr_expect(apart(with_parent_and_user_namespace) == 0);
}

static void without_seccomp(void)
{
	char text[512];

	CHECK(carom_sandbox_check(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT), text,
				  sizeof(text)) == -EOPNOTSUPP);
	CHECK(strstr(text, "no seccomp"));
}

Test(sandbox, without_seccomp_there_is_none, .timeout = 60, .init = need_sandbox)
{
	cr_expect(apart_with("CAROM_DENY", "seccomp", without_seccomp) == 0);
}

#define LOAD_NUMBER                                                               \
	{                                                                         \
		BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr) \
	}
#define REFUSE(number, error)                                      \
	{ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number },               \
	{                                                          \
		BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | (error) \
	}

/* As container runtimes do: no namespaces, clone3 unknown, and no landlock either. */
static void be_contained(void)
{
	struct sock_filter filter[] = { LOAD_NUMBER,
					REFUSE(SYS_unshare, EPERM),
					REFUSE(SYS_clone3, ENOSYS),
					REFUSE(444, ENOSYS),
					REFUSE(SYS_pidfd_getfd, EPERM),
					{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

static void in_a_container(void)
{
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT,
				      .layers = CAROM_SANDBOX_USER_NAMESPACE |
						CAROM_SANDBOX_NET_NAMESPACE);
	struct carom_sandbox *sandbox = NULL;
	char text[512];

	be_contained();
	CHECK(carom_sandbox_check(&options, text, sizeof(text)) == -EOPNOTSUPP);
	CHECK(strstr(text, "no user namespace here: "));
	options.optional = options.layers | CAROM_SANDBOX_LANDLOCK;
	CHECK(carom_sandbox_new(&options, &sandbox) == 0);
	CHECK(carom_sandbox_layers(sandbox) ==
	      (CAROM_SANDBOX_MANDATORY & ~(uint64_t)CAROM_SANDBOX_LANDLOCK));
	CHECK(strstr(carom_sandbox_describe(sandbox, text, sizeof(text)), "; without landlock: "));
	CHECK(RUN(.function = compute, .sandbox = sandbox, .context = context_of("fork")) == 42);
	CHECK(RUN(.function = compute, .sandbox = sandbox, .context = context_of("spawn")) == 42);
}

Test(sandbox, stands_within_another_filter, .timeout = 60, .init = need_sandbox)
{
	cr_expect(apart(in_a_container) == 0);
}

/* --- hostile code ------------------------------------------------------ */

static sigjmp_buf elsewhere;

static void leave_the_handler(const void *context)
{
	siglongjmp(elsewhere, 1);
}

/* Code that has got hold of the handler, whichever way: it goes on after its first violation. */
static void survive_twice(void)
{
	struct carom_sandbox *sandbox = NULL;
	struct carom_sandbox_page *page = NULL;
	struct carom_violation violation;
	struct carom_exit ended = { .kind = CAROM_EXIT_KILLED, .status = SIGSYS };
	int status;
	pid_t pid;

	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT),
				&sandbox) == 0);
	CHECK(carom_sandbox_page_new(sandbox, &page) == 0);
	pid = fork();
	if (pid == 0) {
		volatile int survived = 0;

		CHECK(carom_sandbox_enter(carom_sandbox_page_fd(page), NULL, 0,
					  leave_the_handler) == 0);
		sigsetjmp(elsewhere, 1);
		if (survived++ < 10)
			syscall(survived == 1 ? SYS_socket : SYS_openat, 1, 1, 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	CHECK(carom_sandbox_page_violation(page, &ended, &violation));
	CHECK(strcmp(violation.name, "socket") == 0);
	carom_sandbox_page_free(page);
}

Test(sandbox, nobody_survives_a_second_violation, .timeout = 30, .init = need_sandbox)
{
	cr_expect(apart(survive_twice) == 0);
}

Test(sandbox, a_number_that_is_a_lie_is_only_a_number, .timeout = 30)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	static const uint64_t words[] = { UINT64_MAX, CAROM_SANDBOX_VIOLATED | INT32_MAX,
					  CAROM_SANDBOX_VIOLATED | (UINT64_C(7) << 40) | 41, 41 };
	static const char *const names[] = { "unknown", "system call 2147483647", "socket",
					     "unknown" };
	struct carom_exit ended = { .kind = CAROM_EXIT_KILLED, .status = SIGSYS };
	struct carom_sandbox_page *page = NULL;
	struct carom_violation violation;
	bool is_one;

	cr_assert(carom_sandbox_page_new(sandbox, &page) == 0);
	for (size_t i = 0; i < 4; i++) {
		atomic_store(&carom_sandbox_page_report(page)->violation, words[i]);
		is_one = carom_sandbox_page_violation(page, &ended, &violation);
		cr_expect(is_one == true);
		cr_expect_str_eq(violation.name, names[i]);
	}
	ended.status = SIGSEGV; /* the kernel has the last word */
	is_one = carom_sandbox_page_violation(page, &ended, &violation);
	cr_expect(is_one == false);
	cr_expect(ftruncate(carom_sandbox_page_fd(page), 0) < 0 && errno == EPERM);
	carom_sandbox_page_free(page);
}

Test(sandbox, leaves_no_core, .timeout = 30)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	struct rlimit before, all = { RLIM_INFINITY, RLIM_INFINITY };
	struct carom_process *process;
	struct carom_exit ended;

	cr_assert(getrlimit(RLIMIT_CORE, &before) == 0);
	if (setrlimit(RLIMIT_CORE, &all) < 0)
		cr_skip_test("skipped: no core would be left anyway");
	process = START(.function = crash_here, .sandbox = sandbox, .context = context_of("fork"));
	setrlimit(RLIMIT_CORE, &before);
	cr_expect(exitcode_of(process) == -SIGSEGV);
	cr_expect(carom_process_exit(process, &ended) == 0 && ended.kind == CAROM_EXIT_KILLED);
	carom_process_free(process);
}

/* As a program is of which all that can be read can be executed. */
static void execute_data_of_an_old_program(void)
{
	struct carom_sandbox *sandbox = NULL;

	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT),
				&sandbox) == 0);
	if (personality(READ_IMPLIES_EXEC) < 0)
		_exit(CANNOT);
	CHECK(RUN(.function = execute_data, .context = context_of("fork")) == 42);
	CHECK(RUN(.function = execute_data, .context = context_of("fork"), .sandbox = sandbox) ==
	      -SIGSEGV);
}

Test(sandbox, data_is_not_code_whatever_the_program_is, .timeout = 30, .init = need_sandbox)
{
	int status;

#if !defined(__x86_64__) && !defined(__aarch64__)
	cr_skip_test("skipped: what a function is on this machine is not known here");
#endif
	status = apart(execute_data_of_an_old_program);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
		cr_skip_test("skipped: a personality cannot be chosen here");
	cr_expect(status == 0);
}

/* --- what it costs ------------------------------------------------------ */

/* In a child, the time that the kernel takes for a filter; UINT64_MAX: it was refused. */
static uint64_t time_to_load(const struct carom_sandbox_order *order)
{
	struct sock_fprog program = { (unsigned short)order->program_length,
				      carom_sandbox_program(order) };
	uint64_t took = UINT64_MAX;
	int ends[2];
	pid_t pid;

	cr_assert(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		took = carom_now();
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
			took = carom_now() - took;
		_exit(write(ends[1], &took, sizeof(took)) < 0);
	}
	close(ends[1]);
	if (read(ends[0], &took, sizeof(took)) != sizeof(took))
		took = UINT64_MAX;
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return took;
}

/* It is some 60 to 100 us, and milliseconds where the machine itself is emulated. */
Test(sandbox, filter_is_loaded_in_no_time, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		uint64_t took = time_to_load(carom_sandbox_order(sandbox));

		best = took < best ? took : best;
	}
	dprintf(STDERR_FILENO, "the filter of strict is loaded in %.1f us\n", (double)best / 1e3);
	cr_expect(best < CAROM_MILLISECONDS(50));
}

/* --- its end ----------------------------------------------------------- */

/* Its child holds @end_fd; everybody else lets go of it. */
static void start_and_be_killed(int end_fd)
{
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT,
				      .layers = CAROM_SANDBOX_NAMESPACES,
				      .optional = CAROM_SANDBOX_NAMESPACES);
	struct carom_sandbox *sandbox = NULL;
	int ready[2];
	char byte;

	CHECK(carom_sandbox_new(&options, &sandbox) == 0 && pipe(ready) == 0);
	START(.function = say_and_pause, .fds = (int[]){ ready[1], end_fd }, .fd_count = 2,
	      .sandbox = sandbox, .context = context_of("fork"));
	CHECK(read(ready[0], &byte, 1) == 1);
	kill(getpid(), SIGKILL);
}

/* signal handler: credentials that change, and change back, have the kernel forget its promise */
static void change_credentials(int number)
{
	setfsuid(65534);
	setfsuid(0);
}

static void start_one_that_is_forgotten(void)
{
	struct carom_sandbox *sandbox = NULL;
	int ready[2];
	char byte;

	signal(SIGUSR1, change_credentials);
	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT),
				&sandbox) == 0);
	CHECK(carom_point_arm_once("sandbox.step", 3, SIGUSR1) == 0 && pipe(ready) == 0);
	START(.function = say_and_wait_for_alarm, .fds = &ready[1], .fd_count = 1,
	      .sandbox = sandbox, .context = context_of("fork"));
	CHECK(read(ready[0], &byte, 1) == 1 && carom_point_hits("sandbox.step") == 1);
	kill(getpid(), SIGKILL);
}

/* V2 in core/sandbox_enter.c */
Test(sandbox, ends_with_its_parent_though_its_credentials_change_on_the_way_in, .timeout = 60,
     .init = need_sandbox)
{
	int status;

	if (geteuid() != 0)
		cr_skip_test("skipped: only root can be somebody else");
	if (carom_point_arm_once("sandbox.step", 1, SIGKILL) == -EOPNOTSUPP)
		cr_skip_test("skipped: built without points");
	carom_point_disarm_all();
	cr_assert(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	status = apart(start_one_that_is_forgotten);
	cr_assert(eq(int, status, SIGKILL));
	cr_assert(waitpid(-1, &status, 0) > 0); /* the orphan */
	cr_expect(eq(int, status, SIGKILL));
}

static void try_while_children_vanish(void)
{
	struct carom_sandbox *sandbox = NULL;

	signal(SIGCHLD, SIG_IGN); /* their status is lost */
	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT),
				&sandbox) == 0);
	sandbox = carom_sandbox_free(sandbox);
	if (carom_point_arm_once("sandbox.step", 3, SIGKILL) == -EOPNOTSUPP)
		return;
	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT),
				&sandbox) == -EOPNOTSUPP);
	CHECK(sandbox == NULL);
}

Test(sandbox, is_believed_by_its_report_and_not_by_a_status, .timeout = 30, .init = need_sandbox)
{
	cr_expect(apart(try_while_children_vanish) == 0);
}

Test(sandbox, a_child_that_is_killed_on_its_way_in_runs_nothing, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	uint32_t step = 0;
	int code = -SIGKILL;

	if (carom_point_arm_once("sandbox.step", 1, SIGKILL) == -EOPNOTSUPP)
		cr_skip_test("skipped: built without points");
	while (code == -SIGKILL) {
		carom_point_disarm_all();
		cr_assert(carom_point_arm_once("sandbox.step", ++step, SIGKILL) == 0);
		code = RUN(.function = compute, .sandbox = sandbox, .context = context_of("fork"));
	}
	carom_point_disarm_all();
	cr_expect(code == 42 && step > 7, "%d at step %u", code, step);
}

Test(sandbox, ends_with_its_parent_whatever_namespaces_it_is_in, .timeout = 60)
{
	int ends[2], status;
	char byte;
	pid_t pid;

	cr_assert(pipe2(ends, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0)
		start_and_be_killed(ends[1]);
	close(ends[1]);
	cr_assert(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status))
		cr_skip_test("skipped: no sandbox here");
	cr_expect(read(ends[0], &byte, 1) == 0); /* the end of file comes when it is gone */
}
