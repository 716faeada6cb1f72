/*
 * Escape: none of the attempts in escapes.h works, and each ends as it is written there
 *
 * Under "strict" and "basic", as root and as another user, with namespaces and without, with
 * landlock and with what stands in for it. And where that does not stand in, for the list of
 * calls is longer, what may work then is refused to who has not asked for it by name.
 */
#include "tests/core/methods.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/sandbox_private.h"
#include "tests/core/apart.h"
#include "tests/core/escapes.h"
#include "tests/core/prey.h"

#ifdef __x86_64__
#define HAS_TABLE 1
#else
#define HAS_TABLE 0 /* calls of old names are not there on others */
#endif

_Static_assert(ESCAPE_COUNT >= 60, "so many at least");

#define SECRET 4711
static uint64_t secret = SECRET;

/* What is tried, and from where. */
static struct world the_world;
static int given[3] = { -1, -1, -1 };
static int listening_fd = -1;

static void listen_for_datagrams(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, the_world.listening);
	unlink(the_world.listening);
	listening_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK(bind(listening_fd, (void *)&address, sizeof(address)) == 0);
}

static void make_prey(void)
{
	remove_prey(&the_world);
	secret = SECRET;
	close(open(the_world.file, O_CREAT | O_EXCL | O_WRONLY, 0600));
}

static void make_world(void)
{
	int ends[2];

	the_world.parent = getpid();
	the_world.secret = (uintptr_t)&secret;
	make_prey();
	listen_for_datagrams();
	CHECK(pipe(ends) == 0);
	given[0] = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	given[1] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (given[1] < 0)
		given[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
	given[2] = ends[1];
	for (int i = 0; i < 3; i++)
		CHECK(given[i] >= 0);
}

static void end_world(void)
{
	struct stat status;
	char byte;

	CHECK(secret == SECRET);
	CHECK(stat(the_world.file, &status) == 0 && (status.st_mode & 07777) == 0600);
	CHECK(access(the_world.fresh, F_OK) < 0 && access(the_world.moved, F_OK) < 0);
	CHECK(access(the_world.shared, F_OK) < 0);
	CHECK(recv(listening_fd, &byte, 1, 0) < 0 && errno == EAGAIN);
}

/* How it ended, in the words of the table. */
static void tell_end(struct carom_process *process, int code, char *text, size_t size)
{
	struct carom_violation violation;

	if (carom_process_violation(process, &violation) == 0)
		snprintf(text, size, "%s", violation.name);
	else if (code < 0)
		snprintf(text, size, "died");
	else if (code == HAS_WORKED)
		snprintf(text, size, HARMLESS);
	else
		snprintf(text, size, "%s", strerrorname_np(code) ? strerrorname_np(code) : "?");
}

/* Does it want a file, which landlock lets "basic" have, or not? */
static bool is_by_path(const struct escape *escape)
{
	return strcmp(escape->strict, escape->basic) != 0 &&
	       (strcmp(escape->basic, "EACCES") == 0 || strcmp(escape->strict, "openat") == 0 ||
		strcmp(escape->strict, "EACCES") == 0);
}

static const char *expected_of(const struct escape *escape, bool is_strict, bool has_landlock)
{
	return is_strict || (!has_landlock && is_by_path(escape)) ? escape->strict : escape->basic;
}

static bool is_expected(const char *expected, const char *end)
{
	if (strcmp(expected, end) == 0)
		return true;
	/* a file that is being executed is refused for that first */
	if (strcmp(expected, "EACCES") == 0 && strcmp(end, "ETXTBSY") == 0)
		return true;
	/* a kernel without this way into it ends the process by another signal */
	return strcmp(expected, "unknown") == 0 && strcmp(end, "died") == 0;
}

static void try_one(struct carom_sandbox *sandbox, uint32_t index, char *end, size_t size)
{
	struct carom_process *process;

	the_world.index = index;
	process = START(.function = try_escape, .argument = &the_world,
			.argument_size = sizeof(the_world), .fds = given, .fd_count = 3,
			.sandbox = sandbox, .context = context_of("fork"));
	tell_end(process, exitcode_of(process), end, size);
	carom_process_free(process);
}

/* Is it what it has to be? */
static bool judge(uint32_t index, const char *expected, const char *end, const char *where)
{
	if (is_expected(expected, end))
		return true;
	dprintf(STDERR_FILENO, "%s under %s: %s, not %s\n", escapes[index].name, where, end,
		expected);
	return false;
}

/* NULL: there is no such sandbox here, which is said */
static struct carom_sandbox *make_sandbox(const struct carom_sandbox_options *options)
{
	struct carom_sandbox *sandbox = NULL;
	char text[512];
	int r = carom_sandbox_check(options, text, sizeof(text));

	if (r == -EOPNOTSUPP) {
		dprintf(STDERR_FILENO, "skipped: %s\n", text);
		return NULL;
	}
	CHECK(r == 0 && carom_sandbox_new(options, &sandbox) == 0);
	return sandbox;
}

static void try_all(enum carom_sandbox_profile profile, uint64_t layers)
{
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = profile, .layers = layers);
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = make_sandbox(&options);
	bool is_strict = profile == CAROM_SANDBOX_STRICT, has_landlock;
	int failures = 0;
	char end[64];

	if (!sandbox)
		return;
	has_landlock = carom_sandbox_layers(sandbox) & CAROM_SANDBOX_LANDLOCK;
	make_world();
	for (uint32_t i = 0; i < ESCAPE_COUNT; i++) {
		try_one(sandbox, i, end, sizeof(end));
		failures += !judge(i, expected_of(&escapes[i], is_strict, has_landlock), end,
				   is_strict ? "strict" : "basic");
	}
	end_world();
	CHECK(failures == 0);
}

static void from_strict(void)
{
	try_all(CAROM_SANDBOX_STRICT, 0);
}

static void from_basic(void)
{
	try_all(CAROM_SANDBOX_BASIC, 0);
}

static void from_strict_with_namespaces(void)
{
	try_all(CAROM_SANDBOX_STRICT, CAROM_SANDBOX_NAMESPACES);
}

static void from_basic_with_namespaces(void)
{
	try_all(CAROM_SANDBOX_BASIC, CAROM_SANDBOX_NAMESPACES);
}

static void be_nobody(void)
{
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	prctl(PR_SET_DUMPABLE, 1); /* as any program of that user is */
}

static void from_strict_as_nobody(void)
{
	be_nobody();
	from_strict();
}

static void from_basic_as_nobody(void)
{
	be_nobody();
	from_basic();
}

static void with_namespaces_as_nobody(void)
{
	be_nobody();
	from_basic_with_namespaces();
	from_strict_with_namespaces();
}

/* --- without landlock -------------------------------------------------- */

/* Who has asked for no more than "strict" or "basic" is refused, or has what stands in for it. */
static void with_what_stands_in(void)
{
	const uint64_t both = CAROM_SANDBOX_PARENT | CAROM_SANDBOX_NAMESPACES;
	struct carom_sandbox *sandbox = NULL;

	for (int i = CAROM_SANDBOX_BASIC; i <= CAROM_SANDBOX_STRICT; i++) {
		enum carom_sandbox_profile profile = (enum carom_sandbox_profile)i;

		CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = profile), &sandbox) ==
		      -EOPNOTSUPP);
		CHECK(!sandbox);
		try_all(profile, CAROM_SANDBOX_PARENT);
		try_all(profile, both);
	}
}

static void with_what_stands_in_as_nobody(void)
{
	be_nobody();
	with_what_stands_in();
}

#define CALLS_MAX 32

/* Each call once that landlock stands behind in "basic", by what ends it in "strict". */
static void list_calls(const char **calls)
{
	size_t count = 0;

	for (size_t i = 0; i < ESCAPE_COUNT; i++) {
		size_t k = 0;

		if (strcmp(escapes[i].basic, "EACCES") != 0)
			continue;
		while (k < count && strcmp(calls[k], escapes[i].strict) != 0)
			k++;
		if (k == count)
			calls[count++] = escapes[i].strict;
		CHECK(count < CALLS_MAX);
	}
	calls[count] = NULL;
	CHECK(count > 8);
}

static bool is_about_parent(const struct escape *escape)
{
	return strstr(escape->name, "parent") != NULL;
}

/* How many of those work that landlock would refuse; of those about the parent, or of the others. */
static int count_successes(struct carom_sandbox *sandbox, bool about_parent)
{
	int count = 0;
	char end[64];

	for (uint32_t i = 0; i < ESCAPE_COUNT; i++) {
		if (strcmp(escapes[i].basic, "EACCES") != 0 ||
		    is_about_parent(&escapes[i]) != about_parent)
			continue;
		make_prey();
		try_one(sandbox, i, end, sizeof(end));
		count += strcmp(end, HARMLESS) == 0;
	}
	return count;
}

static void expect_refused(const struct carom_sandbox_options *options, const char *word)
{
	struct carom_sandbox *sandbox = NULL;
	char text[512];

	CHECK(carom_sandbox_check(options, text, sizeof(text)) == -EOPNOTSUPP);
	CHECK(strstr(text, word));
	CHECK(carom_sandbox_new(options, &sandbox) == -EOPNOTSUPP && !sandbox);
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
}

/* In this order: what closes the parent does so for good. */
static void with_calls_of_files(void)
{
	const char *calls[CALLS_MAX];
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_BASIC, .allow = calls);
	struct carom_sandbox *sandbox;
	int of_parent;

	list_calls(calls);
	expect_refused(&options, "no landlock here: ");
	options.layers = CAROM_SANDBOX_PARENT; /* which is no stand-in for files */
	expect_refused(&options, calls[0]);

	options.layers = 0;
	options.optional = CAROM_SANDBOX_LANDLOCK;
	make_world();
	sandbox = make_sandbox(&options);
	CHECK(!(carom_sandbox_layers(sandbox) & (CAROM_SANDBOX_LANDLOCK | CAROM_SANDBOX_PARENT)));
	CHECK(count_successes(sandbox, false) > 0); /* else this looks for nothing */
	of_parent = count_successes(sandbox, true);
	carom_sandbox_free(sandbox);

	options.layers = CAROM_SANDBOX_PARENT;
	sandbox = make_sandbox(&options);
	CHECK((carom_sandbox_layers(sandbox) & (CAROM_SANDBOX_LANDLOCK | CAROM_SANDBOX_PARENT)) ==
	      CAROM_SANDBOX_PARENT);
	CHECK(count_successes(sandbox, true) == 0 && secret == SECRET);
	dprintf(STDERR_FILENO, "an open parent: %d successes; closed: none\n", of_parent);
	carom_sandbox_free(sandbox);
}

static void with_calls_of_files_as_nobody(void)
{
	be_nobody();
	with_calls_of_files();
}

static void need_table(void)
{
	if (!HAS_TABLE)
		cr_skip_test("skipped: the table is of x86-64's calls");
}

static void need_root(void)
{
	need_table();
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can be somebody else");
}

static void expect_none(void (*body)(void))
{
	int status;

	take_names(&the_world);
	status = apart(body);
	give_names_back();
	cr_expect(status == 0, "%d", status);
}

static void expect_none_without_landlock(void (*body)(void))
{
	setenv("CAROM_DENY", "landlock", 1);
	expect_none(body);
	unsetenv("CAROM_DENY");
}

Test(escape, none_from_strict, .timeout = 240, .init = need_table)
{
	expect_none(from_strict);
}

Test(escape, none_from_basic, .timeout = 240, .init = need_table)
{
	expect_none(from_basic);
}

Test(escape, none_from_strict_with_namespaces, .timeout = 240, .init = need_table)
{
	expect_none(from_strict_with_namespaces);
}

Test(escape, none_from_basic_with_namespaces, .timeout = 240, .init = need_table)
{
	expect_none(from_basic_with_namespaces);
}

Test(escape, none_for_another_user, .timeout = 480, .init = need_root)
{
	expect_none(from_strict_as_nobody);
	expect_none(from_basic_as_nobody);
}

Test(escape, none_for_another_user_with_namespaces, .timeout = 480, .init = need_root)
{
	expect_none(with_namespaces_as_nobody);
}

Test(escape, none_where_something_stands_in_for_landlock, .timeout = 480, .init = need_table)
{
	expect_none_without_landlock(with_what_stands_in);
}

Test(escape, none_for_another_user_where_something_stands_in, .timeout = 480, .init = need_root)
{
	expect_none_without_landlock(with_what_stands_in_as_nobody);
}

Test(escape, to_files_without_landlock_is_only_for_who_asks, .timeout = 240, .init = need_table)
{
	expect_none_without_landlock(with_calls_of_files);
}

Test(escape, of_another_user_to_files_is_only_for_who_asks, .timeout = 240, .init = need_root)
{
	expect_none_without_landlock(with_calls_of_files_as_nobody);
}
