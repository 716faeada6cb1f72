/* Annex: what is loaded by who needs it, and by nobody else. */
#include "core/annex.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/cleanup.h"
#include "core/leave.h"
#include "core/log.h"
#include "core/sandbox.h"
#include "ipc/challenge.h"
#include "ipc/digest.h"
#include "tests/core/apart.h"
#include "tests/core/methods.h"
#include "tests/core/sandboxes.h"
#include "tests/ipc/lacking.h"

/* of RFC 4231, test case 2 */
static bool has_keys(void)
{
	static const unsigned char expected[] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
						  0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7 };
	static const char text[] = "what do ya want for nothing?";
	unsigned char mac[CAROM_MAC_SIZE_MAX];

	return carom_digest_mac(CAROM_DIGEST_SHA256, "Jefe", 4, text, sizeof(text) - 1, mac) ==
		       32 &&
	       memcmp(mac, expected, sizeof(expected)) == 0;
}

static int use_keys(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return has_keys() ? 42 : 1;
}

/* "libnettle.so.8"; NULL: it is linked */
static const char *name_of_nettle(void)
{
	struct carom_annex *annex = NULL;

	while ((annex = carom_annex_next(annex)) && !strstr(annex->soname, "nettle"))
		;
	return annex ? annex->soname : NULL;
}

static bool is_loaded(const char *soname)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_NOLOAD);

	if (library)
		dlclose(library);
	return library;
}

/* Where nothing is loaded late there is nothing to see, but all has to work. */
static bool is_loaded_late(void)
{
	return name_of_nettle() && is_loaded(name_of_nettle());
}

static void load_nettle(void)
{
	CHECK(!is_loaded_late());
	CHECK(has_keys());
	CHECK(!name_of_nettle() || is_loaded_late());
}

Test(annex, is_loaded_by_the_first_call_that_needs_it, .timeout = 30)
{
	cr_expect(apart(load_nettle) == 0);
}

static void leave_it_to_the_child(void)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		if (strcmp(methods[each_], "spawn") == 0)
			continue;
		CHECK(RUN(.function = use_keys, .context = context) == 42);
#ifndef __SANITIZE_THREAD__ /* has a thread of its own, a stranger */
		CHECK(!is_loaded_late());
#endif
	}
}

Test(annex, a_child_loads_it_by_itself, .timeout = 30)
{
	cr_expect(apart(leave_it_to_the_child) == 0);
}

static int a_number = 41;

static int tell_number(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return has_keys() ? a_number : 1;
}

/* A server from before a library was loaded is replaced, unless that was for carom's own use. */
static void load_after_the_server(void)
{
	struct carom_context *context = context_of("forkserver");

	if (!context)
		return;
	CHECK(carom_ensure_forkserver() == 0);
	a_number = 42;
	carom_annexes_load();
	CHECK(RUN(.function = tell_number, .context = context) == 41);
	CHECK(dlopen(getenv("CAROM_MODULE"), RTLD_NOW));
	CHECK(RUN(.function = tell_number, .context = context) == 42);
}

Test(annex, the_fork_server_outlives_it, .timeout = 30)
{
	cr_expect(apart(load_after_the_server) == 0);
}

static int tell_if_loaded(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return is_loaded_late() ? 42 : 1;
}

/* ... unless all that will be born are to have it. */
static void load_for_children(void)
{
	struct carom_context *context = context_of("forkserver");

	if (!context || !name_of_nettle())
		return;
	CHECK(carom_ensure_forkserver() == 0);
	CHECK(has_keys());
	CHECK(RUN(.function = tell_if_loaded, .context = context) == 1);
	carom_annexes_load_for_children();
	CHECK(RUN(.function = tell_if_loaded, .context = context) == 42);
}

Test(annex, a_server_that_lacks_what_all_need_is_replaced, .timeout = 30)
{
	cr_expect(apart(load_for_children) == 0);
}

static void use_it_where_no_file_can_be_opened(void)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
	struct carom_context *context;

	/* before there is the sandbox, and so all that it loads: with a server that has none */
	EACH_METHOD(context)
	if (strcmp(methods[each_], "spawn") != 0)
		CHECK(RUN(.function = use_keys, .context = context) == 42);
	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT),
				&sandbox) == 0);
	EACH_METHOD(context)
	if (strcmp(methods[each_], "spawn") != 0)
		CHECK(RUN(.function = use_keys, .context = context, .sandbox = sandbox) == 42);
}

Test(annex, is_there_in_a_sandbox, .timeout = 60)
{
	carom_sandbox_free(sandbox_with(
		(struct carom_sandbox_options)CAROM_SANDBOX_OPTIONS(.profile =
									    CAROM_SANDBOX_STRICT)));
	cr_expect(apart(use_it_where_no_file_can_be_opened) == 0);
}

static void *stop_after(void *stop)
{
	while (!atomic_load((atomic_bool *)stop))
		sched_yield();
	return NULL;
}

static void fork_among_threads(void)
{
	atomic_bool stop = false;
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, stop_after, &stop) == 0);
	CHECK(RUN(.function = use_keys, .context = context_of("fork")) == 42);
	CHECK(!name_of_nettle() || is_loaded_late());
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

Test(annex, who_is_copied_among_threads_finds_it_loaded, .timeout = 30)
{
	cr_expect(apart(fork_among_threads) == 0);
}

/* --- what there is not -------------------------------------------------- */

static int told;

static void count_told(const struct carom_log_record *record, void *expected)
{
	told += record->event == CAROM_LOG_EVENT_LIBRARY_MISSING &&
		strstr(record->text, *(const char **)expected) != NULL;
}

static struct carom_annex absent = { "libcarom-absent.so.9", "nothing", "nothing\0" };
static struct carom_annex partial = { "libc.so.6", "nothing", "strlen\0carom_none\0" };
static struct carom_annex whole = { "libc.so.6", "nothing", "strlen\0strnlen\0" };

static void ask_for(struct carom_annex *annex, const char *name)
{
	carom_log_to(count_told, &name);
	for (int i = 0; i < 3; i++)
		CHECK(carom_annex_symbols(annex) == NULL);
	CHECK(told == 1);
}

static void ask_for_absent(void)
{
	ask_for(&absent, "libcarom-absent.so.9");
}

static void ask_for_part(void)
{
	ask_for(&partial, "carom_none");
}

Test(annex, what_cannot_be_loaded_is_named_once, .timeout = 30)
{
	cr_expect(apart(ask_for_absent) == 0);
	cr_expect(apart(ask_for_part) == 0);
}

static struct carom_annex late = { "libnettle.so.8", "nothing", "nettle_md5\0" };

static void ask_without_descriptors(void)
{
	struct carom_auth_options options = CAROM_AUTH_OPTIONS(.key = "key", .key_size = 3);
	struct rlimit before, none;
	const char *name = "lib";
	struct carom_secret secret;

	late.soname = name_of_nettle();
	carom_log_to(count_told, &name);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = (struct rlimit){ 0, before.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(carom_annex_symbols(&late) == NULL && carom_annex_error() == -EMFILE);
	CHECK(carom_secret_take(&options, &secret) == -EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(carom_secret_take(&options, &secret) == 0);
	CHECK(carom_annex_symbols(&late));
	CHECK(told == 0);
}

Test(annex, what_there_is_no_descriptor_for_is_tried_again, .timeout = 30)
{
	if (!name_of_nettle())
		cr_skip_test("skipped: this library has them in itself");
	cr_expect(apart(ask_without_descriptors) == 0);
}

/* Whatever stands on one of them says so, each by its own name for it. */
static void refuse_without_descriptors(void)
{
	struct carom_auth_options auth = CAROM_AUTH_OPTIONS(.key = "key", .key_size = 3);
	static const char text[] = "<params></params>";
	struct carom_connection *ends[2];
	struct carom_document *bytes = NULL, *read = NULL;
	struct carom_manager *manager = NULL, *other = NULL;
	struct carom_server *server = NULL;
	struct rlimit before, none;
	void *data;
	size_t size;

	CHECK(carom_pipe_new(NULL, &ends[0], &ends[1]) == 0);
	CHECK(carom_document_new(NULL, &bytes) == 0);
	CHECK(carom_document_finish(bytes, carom_document_bytes(bytes, "abc", 3)) == 0);
	CHECK(carom_manager_new(NULL, &manager) == 0);
	CHECK(carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = "/nowhere/at/all"), &other) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = (struct rlimit){ 0, before.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(carom_auth_deliver(ends[0], &auth, CAROM_PASSED) == -EMFILE);
	CHECK(carom_auth_answer(ends[1], &auth, CAROM_PASSED) == -EMFILE);
	CHECK(carom_server_new(NULL, &server) == -EMFILE && !server);
	CHECK(carom_manager_start(manager) == -EMFILE);
	CHECK(carom_manager_connect(other, CAROM_PASSED) == -EMFILE);
	CHECK(carom_xmlrpc_load(text, strlen(text), NULL, &read) == -EMFILE && !read);
	CHECK(carom_xmlrpc_dump(carom_document_root(bytes), &data, &size) == -EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(carom_server_new(NULL, &server) == 0);
	CHECK(carom_xmlrpc_dump(carom_document_root(bytes), &data, &size) == 0);
	free(data);
	carom_server_free(server);
	carom_manager_free(other);
	carom_manager_free(manager);
	carom_document_free(bytes);
	carom_connection_free(ends[0]);
	carom_connection_free(ends[1]);
	carom_leave(); /* no exit handler is run here */
}

/* Apart: who asks has loaded it. */
static void look_for_expat(void)
{
	struct carom_document *document = NULL;

	_exit(carom_xmlrpc_load("", 0, NULL, &document) == -EOPNOTSUPP);
}

Test(annex, who_needs_one_and_has_no_descriptor_is_told, .timeout = 30)
{
	if (!name_of_nettle())
		cr_skip_test("skipped: this library has them in itself");
	if (apart(look_for_expat) != 0)
		cr_skip_test("skipped: no expat");
	cr_expect(apart(refuse_without_descriptors) == 0);
}

/* of libraries, as the loader counts */
static int note_loads(struct dl_phdr_info *info, size_t size, void *ret_count)
{
	*(unsigned long long *)ret_count = info->dlpi_adds;
	return 1;
}

static unsigned long long load_count(void)
{
	unsigned long long count = 0;

	dl_iterate_phdr(note_loads, &count);
	return count;
}

/* What cannot be loaded whole was counted by the loader all the same: fork servers see that. */
static void ask_again_for_torn(void)
{
	static char path[512];
	unsigned long long before = load_count(), after_first;
	const char *module = getenv("CAROM_MODULE");

	snprintf(path, sizeof(path), "%.*s/torn.so", (int)(strrchr(module, '/') - module), module);
	late.soname = path;
	CHECK(carom_annex_symbols(&late) == NULL && carom_annex_error() == -EOPNOTSUPP);
	after_first = load_count();
	CHECK(before < after_first);
	CHECK(carom_annex_symbols(&late) == NULL && carom_annex_error() == -EOPNOTSUPP);
	CHECK(load_count() == after_first);
}

Test(annex, what_is_found_and_lacks_something_is_looked_for_once, .timeout = 30)
{
	cr_expect(apart(ask_again_for_torn) == 0);
}

/* A folder before all others where each of them is a file of no bytes. */
static void hide_all(char *folder)
{
	struct carom_annex *annex = NULL;
	char path[128];

	CHECK(mkdtemp(folder));
	while ((annex = carom_annex_next(annex))) {
		snprintf(path, sizeof(path), "%s/%s", folder, annex->soname);
		CHECK(close(open(path, O_CREAT | O_WRONLY, 0600)) == 0);
	}
	CHECK(setenv("LD_LIBRARY_PATH", folder, 1) == 0);
}

static void show_all(const char *folder)
{
	struct carom_annex *annex = NULL;
	char path[128];

	while ((annex = carom_annex_next(annex))) {
		snprintf(path, sizeof(path), "%s/%s", folder, annex->soname);
		CHECK(unlink(path) == 0);
	}
	CHECK(rmdir(folder) == 0);
}

static void lack_all_in_a_child(void)
{
	char folder[] = "/tmp/carom-annex-XXXXXX";
	int status;

	hide_all(folder);
	status = RUN(.function = lack_all, .context = context_of("spawn"));
	show_all(folder);
	CHECK(status == 42);
}

Test(annex, who_lacks_them_is_told_by_each_call, .timeout = 60)
{
	if (!name_of_nettle())
		cr_skip_test("skipped: this library has them in itself");
	cr_expect(apart(lack_all_in_a_child) == 0);
}

static void settle(void)
{
	void **symbols = carom_annex_symbols(&whole);

	CHECK(symbols && symbols[1]);
	CHECK(((__typeof__(&strlen))symbols[0])("four") == 4);
	carom_annexes_settle();
	CHECK(carom_annex_symbols(&whole) == symbols);
	ask_for(&partial, "it was not loaded while it could be");
}

Test(annex, later_nothing_is_looked_for, .timeout = 30)
{
	cr_expect(apart(settle) == 0);
}

/* --- threads ------------------------------------------------------------ */

/* The wait status of a copy of this process that says by it whether it can load. */
static int status_of_copy(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(carom_annexes_are_settled() ? 3 : has_keys() ? 4 : 5);
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void *fork_beside(void *ret_status)
{
	*(int *)ret_status = status_of_copy();
	return NULL;
}

/* One that never ends a load, since it waits for who forks: X2 in core/annex.c. */
static void fork_while_nobody_lets_go(void)
{
	pthread_t thread;
	int status;

	carom_annexes_enter();
	CHECK(pthread_create(&thread, NULL, fork_beside, &status) == 0);
	pthread_join(thread, NULL);
	CHECK(status == W_EXITCODE(3, 0));
	CHECK(!carom_annexes_are_settled());
	carom_annexes_leave();
	CHECK(status_of_copy() == W_EXITCODE(4, 0));
}

Test(annex, a_fork_is_not_held_for_ever, .timeout = 30)
{
	cr_expect(apart(fork_while_nobody_lets_go) == 0);
}

static pthread_mutex_t of_the_program = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_forking;

static void lock_the_program(void)
{
	is_forking = true;
	pthread_mutex_lock(&of_the_program);
}

static void unlock_the_program(void)
{
	pthread_mutex_unlock(&of_the_program);
}

/* A fork waits for a lock of the program's, whose holder is to load: it does not wait for the fork. */
static void load_with_a_lock(void)
{
	pthread_t thread;
	int status;

	CHECK(pthread_atfork(lock_the_program, unlock_the_program, unlock_the_program) == 0);
	pthread_mutex_lock(&of_the_program);
	CHECK(pthread_create(&thread, NULL, fork_beside, &status) == 0);
	while (!is_forking)
		sched_yield();
	CHECK(has_keys());
	unlock_the_program();
	pthread_join(thread, NULL);
	CHECK(status == W_EXITCODE(4, 0));
}

Test(annex, who_forks_takes_the_programs_locks_first, .timeout = 30)
{
	cr_expect(apart(load_with_a_lock) == 0);
}

static void *load_at_once(void *barrier)
{
	pthread_barrier_wait(barrier);
	return has_keys() ? barrier : NULL;
}

/* A child that is made while others load it either has it whole, or loads it by itself. */
static void fork_while_it_is_loaded(void)
{
	struct carom_context *context = context_of("forkserver");
	pthread_barrier_t barrier;
	pthread_t threads[2];
	void *good;

	CHECK(pthread_barrier_init(&barrier, NULL, 3) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, load_at_once, &barrier) == 0);
	pthread_barrier_wait(&barrier);
	if (context)
		CHECK(RUN(.function = use_keys, .context = context) == 42);
	CHECK(status_of_copy() == W_EXITCODE(4, 0));
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &good);
		CHECK(good);
	}
}

Test(annex, a_child_never_meets_a_half_loaded_one, .timeout = 120)
{
	for (int i = 0; i < 50; i++)
		cr_assert(apart(fork_while_it_is_loaded) == 0);
}
