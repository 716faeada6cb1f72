/*
 * Escape: none of the attempts in escapes.h works, and each ends as it is written there
 *
 * Under "strict" and "basic", as root and as another user, with namespaces and without.
 */
#include "tests/core/methods.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/sandbox_private.h"
#include "tests/core/apart.h"
#include "tests/core/escapes.h"

#ifdef __x86_64__
#define HAS_TABLE 1
#else
#define HAS_TABLE 0 /* calls of old names are not there on others */
#endif

_Static_assert(ESCAPE_COUNT >= 60, "so many at least");

static uint64_t secret = 4711;

/* What was tried, and from where. */
static struct world the_world;
static int given[3] = { -1, -1, -1 };

static void make_world(void)
{
	int ends[2];

	the_world = (struct world){ .parent = getpid(), .secret = (uintptr_t)&secret };
	snprintf(the_world.file, sizeof(the_world.file), "/tmp/carom-prey-%d", (int)getpid());
	close(open(the_world.file, O_CREAT | O_WRONLY, 0600));
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

	CHECK(secret == 4711);
	CHECK(stat(the_world.file, &status) == 0 && (status.st_mode & 07777) == 0600);
	CHECK(unlink(the_world.file) == 0);
	CHECK(access("/tmp/carom-escape", F_OK) < 0 && access("/tmp/carom-escaped", F_OK) < 0);
	CHECK(access("/dev/shm/carom-escape", F_OK) < 0);
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

static bool try_one(struct carom_sandbox *sandbox, bool is_strict, uint32_t index)
{
	const struct escape *escape = &escapes[index];
	const char *expected = is_strict ? escape->strict : escape->basic;
	struct carom_process *process;
	char end[64];
	int code;

	the_world.index = index;
	process = START(.function = try_escape, .argument = &the_world,
			.argument_size = sizeof(the_world), .fds = given, .fd_count = 3,
			.sandbox = sandbox, .context = context_of("fork"));
	code = exitcode_of(process);
	tell_end(process, code, end, sizeof(end));
	carom_process_free(process);
	if (is_expected(expected, end))
		return true;
	dprintf(STDERR_FILENO, "%s under %s: %s, not %s (exit code %d)\n", escape->name,
		is_strict ? "strict" : "basic", end, expected, code);
	return false;
}

static void try_all(enum carom_sandbox_profile profile, uint64_t layers)
{
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = profile, .layers = layers);
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
	char text[512];
	int failures = 0;
	int r = carom_sandbox_check(&options, text, sizeof(text));

	if (r == -EOPNOTSUPP) {
		dprintf(STDERR_FILENO, "skipped: %s\n", text);
		return;
	}
	CHECK(r == 0 && carom_sandbox_new(&options, &sandbox) == 0);
	make_world();
	for (uint32_t i = 0; i < ESCAPE_COUNT; i++)
		failures += !try_one(sandbox, profile == CAROM_SANDBOX_STRICT, i);
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

Test(escape, none_from_strict, .timeout = 240, .init = need_table)
{
	cr_expect(apart(from_strict) == 0);
}

Test(escape, none_from_basic, .timeout = 240, .init = need_table)
{
	cr_expect(apart(from_basic) == 0);
}

Test(escape, none_from_strict_with_namespaces, .timeout = 240, .init = need_table)
{
	cr_expect(apart(from_strict_with_namespaces) == 0);
}

Test(escape, none_from_basic_with_namespaces, .timeout = 240, .init = need_table)
{
	cr_expect(apart(from_basic_with_namespaces) == 0);
}

Test(escape, none_for_another_user, .timeout = 480, .init = need_root)
{
	cr_expect(apart(from_strict_as_nobody) == 0);
	cr_expect(apart(from_basic_as_nobody) == 0);
}

Test(escape, none_for_another_user_with_namespaces, .timeout = 480, .init = need_root)
{
	cr_expect(apart(with_namespaces_as_nobody) == 0);
}
