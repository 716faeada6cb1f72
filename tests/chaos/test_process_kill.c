/*
 * Processes are killed, at random moments and at every named step of a birth: parents,
 * fork servers and children. Nothing survives its parent, nothing hangs, and nobody is
 * told a wrong exit code.
 *
 * CAROM_SEED replays a run; CAROM_CHAOS_ROUNDS and CAROM_CHAOS_SECONDS make it longer.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/descriptors.h"
#include "core/pidfd.h"
#include "core/points.h"
#include "tests/chaos/dead.h"
#include "tests/core/apart.h"
#include "tests/core/kin.h"
#include "tests/core/methods.h"

/* a program with a sanitizer's shadow is born slowly */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS           25
#define DEATHS           4
#define PARENT_DEATHS    12
#define MEMORY_SLACK_KIB 262144
#else
#define ROUNDS           200
#define DEATHS           40
#define PARENT_DEATHS    24
#define MEMORY_SLACK_KIB 2048
#endif

/* --- the parent, at random ---------------------------------------------- */

/* What the family says is read from @ret_told_fd. */
static pid_t start_head(int *ret_told_fd)
{
	pid_t head;
	int ends[2];

	cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
	fflush(NULL);
	head = fork();
	if (head == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody either */
		carom_set_executable(getenv("CAROM_CHILD"));
		have_children(1, ends[1]);
		for (;;)
			pause();
	}
	cr_assert(lt(int, 0, head));
	close(ends[1]);
	*ret_told_fd = ends[0];
	return head;
}

static int told_so_far(int fd)
{
	char bytes[256];
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	n = read(fd, bytes, sizeof(bytes));
	return n > 0 ? (int)n : 0;
}

static void kill_head(pid_t head, int told_fd)
{
	cr_assert(zero(int, kill(head, SIGKILL)));
	cr_assert(lt(int, 0, bury_all()), "something survives its parent's end");
	close(told_fd);
}

/* How long it takes until all are there: none of them ends with the thread that made it. */
static uint64_t whole_family_ns(void)
{
	uint64_t begin_ns = carom_now(), ns;
	char byte;
	int told_fd;
	pid_t head = start_head(&told_fd);

	alarm(HANG_SECONDS);
	for (int i = 0; i < family_size(1); i++)
		cr_assert(eq(int, (int)read(told_fd, &byte, 1), 1), "only %d are there", i);
	alarm(0);
	ns = carom_now() - begin_ns;
	cr_assert(eq(int, told_so_far(told_fd), 0));
	kill_head(head, told_fd);
	return ns;
}

/* @told: when so many have said that they are there, and a little later */
static void kill_family_at(int told, uint64_t later_ns)
{
	int told_fd, pidfd;
	pid_t head = start_head(&told_fd);
	char byte;

	alarm(HANG_SECONDS);
	for (int i = 0; i < told; i++)
		cr_assert(eq(int, (int)read(told_fd, &byte, 1), 1), "only %d are there", i);
	alarm(0);
	pidfd = carom_pidfd_open(head);
	/* the time is the moment's, not waited for by anybody */
	cr_assert(eq(int, carom_descriptor_wait(pidfd, carom_deadline_after(later_ns)), -ETIMEDOUT),
		  "it has ended by itself");
	close(pidfd);
	kill_head(head, told_fd);
}

/* SN-03 */
Test(process_kill, nothing_survives_its_parent, .timeout = 300)
{
	uint64_t rounds = number_from_environment("CAROM_CHAOS_ROUNDS", ROUNDS);
	uint64_t seed = new_seed();
	int size = family_size(1);
	uint64_t step_ns;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	step_ns = whole_family_ns() / (uint64_t)size;
	for (uint64_t i = 0; i < rounds; i++)
		kill_family_at((int)(i % ((uint64_t)size + 1)),
			       (uint64_t)chance(&seed) * 2 * step_ns >> 32);
	fprintf(stderr, "# one more was there every %" PRIu64 " us\n", step_ns / 1000);
}

/* --- who hangs ---------------------------------------------------------- */

/* What is being done now, said when it takes too long. */
static _Atomic(const char *) doing_step = "no step", doing_method = "any method";

static void name_what_hangs(int signal_number)
{
	dprintf(STDERR_FILENO, "# hangs: a child by %s, killed at %s\n", atomic_load(&doing_method),
		atomic_load(&doing_step));
	name_survivors();
	abort();
}

static void watch_for_hangs(const char *step, const char *method)
{
	atomic_store(&doing_step, step);
	atomic_store(&doing_method, method);
	signal(SIGALRM, name_what_hangs);
	alarm(HANG_SECONDS);
}

/* --- what must be as before --------------------------------------------- */

/* The library's thread gives a child's descriptor and handle back when it has seen its end. */
static void expect_all_given_back(int fd_count)
{
	uint64_t deadline_ns = carom_deadline_after(CAROM_SECONDS(HANG_SECONDS));

	carom_stop_forkserver();
	while ((carom_process_count() || count_fds() != fd_count) && carom_now() < deadline_ns)
		poll(NULL, 0, 1);
	if (count_fds() != fd_count)
		name_fds();
	cr_expect(zero(sz, carom_process_count()));
	cr_expect(eq(int, count_fds(), fd_count));
	cr_expect(has_no_children(), "a zombie, or worse");
}

/* What a fork server dies of may be all that it was asked for: then there is an error, in time. */
static void *start_one(void *userdata)
{
	struct carom_context *context = userdata;
	struct carom_process *process = NULL;
	int code = 1000, r;

	cr_assert(
		zero(int, carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process)));
	r = carom_process_start(process);
	if (r == 0) {
		code = exitcode_of(process);
		cr_expect(code == 0 || code == -SIGKILL, "%d", code);
	} else {
		cr_expect(r == -EPIPE || r == -EDEADLK, "%s at %s: %d", doing_method, doing_step,
			  r);
		cr_expect(strcmp(doing_method, "forkserver") == 0);
	}
	carom_process_free(process);
	return NULL;
}

/* After one child of each kind: what is made once is made. */
static int settle(void)
{
	struct carom_context *context;
	pthread_t thread;
	int before;

	EACH_METHOD(context)
	{
		start_one(context);
		cr_assert(zero(int, pthread_create(&thread, NULL, start_one, context)));
		pthread_join(thread, NULL);
	}
	carom_stop_forkserver();
	let_library_see();
	before = count_fds();
	expect_all_given_back(before);
	return before;
}

/* --- children and fork servers, at every step --------------------------- */

static void skip_without_points(void)
{
	if (!carom_point_name(0))
		cr_skip_test("built without points (-Dpoints=true)");
}

static bool begins_with(const char *name, const char *const *prefixes)
{
	while (*prefixes && strncmp(name, *prefixes, strlen(*prefixes)) != 0)
		prefixes++;
	return *prefixes != NULL;
}

/* The next step of a birth, each name once; NULL at the end. */
static const char *next_step(size_t *index)
{
	static const char *const layers[] = { "process.", "start.", "guard.",      "fork.",
					      "spawn.",   "child.", "forkserver.", NULL };
	/* of ways to make a child that are not gone here: see core/test_clone.c */
	static const char *const elsewhere[] = { "fork.between", "fork.admitted", NULL };
	static const char *const of_servers[] = { "start.born", "forkserver.", NULL };
	bool has_servers = context_of("forkserver") != NULL;
	const char *name;

	while ((name = carom_point_name((*index)++))) {
		size_t earlier = 0;

		while (strcmp(carom_point_name(earlier), name) != 0)
			earlier++;
		if (earlier == *index - 1 && begins_with(name, layers) &&
		    !begins_with(name, elsewhere) &&
		    (has_servers || !begins_with(name, of_servers)))
			return name;
	}
	return NULL;
}

static bool is_of_the_parent(const char *name)
{
	static const char *const steps[] = {
		"process.",  "start.",     "guard.taken",          "fork.made",
		"fork.held", "spawn.made", "forkserver.requested", "forkserver.ending",
		NULL
	};

	return begins_with(name, steps);
}

/* Half of them from a thread that ends: they are guarded in another way. */
static void start_somewhere(struct carom_context *context, uint64_t *seed)
{
	pthread_t thread;

	if (chance(seed) % 2) {
		start_one(context);
	} else {
		cr_assert(zero(int, pthread_create(&thread, NULL, start_one, context)));
		pthread_join(thread, NULL);
	}
}

static uint32_t kill_births_at(const char *name, const char *method, uint64_t *seed)
{
	struct carom_context *context = context_of(method);
	uint32_t hits = 0;

	/* never each one: then there would be no fork server at all */
	cr_assert(zero(int, carom_point_arm(name, 2 + chance(seed) % 3)));
	for (int i = 0; i < 20 * DEATHS && hits < DEATHS && (hits || i < 40); i++) {
		watch_for_hangs(name, method);
		if (chance(seed) % 2)
			carom_stop_forkserver(); /* so that the next one is born as well */
		start_somewhere(context, seed);
		hits = carom_point_hits(name);
	}
	carom_point_disarm_all();
	cr_expect(eq(int, RUN(.context = context), 0), "%s after %s", method, name);
	alarm(0);
	return hits;
}

Test(process_kill, a_child_or_a_fork_server_at_every_step, .timeout = 300)
{
	uint64_t seed = new_seed();
	const char *name;
	int fds;

	skip_without_points();
	fds = settle();
	for (size_t i = 0; (name = next_step(&i));) {
		uint32_t hits = 0;

		for (int method = 0; method < 3; method++)
			hits += kill_births_at(name, methods[method], &seed);
		fprintf(stderr, "# %-24s %4u deaths\n", name, hits);
		if (is_of_the_parent(name))
			cr_expect(zero(u32, hits), "%s", name);
		else
			cr_expect(ge(u32, hits, DEATHS), "%s: %u", name, hits);
	}
	expect_all_given_back(fds);
}

/* --- the parent, at every step ------------------------------------------ */

static void *have_some_children(void *unused)
{
	struct carom_context *context;
	struct carom_process *process;

	for (int i = 0; i < 6; i++) {
		context = NULL;
		process = NULL;
		carom_context_get(methods[i % 3], &context);
		if (carom_process_new(
			    &CAROM_PROCESS_OPTIONS(.context = context,
						   .function = i < 3 ? wait_for_ever : NULL),
			    &process) == 0 &&
		    carom_process_start(process) == 0 && i >= 3)
			carom_process_join(process, CAROM_NO_DEADLINE);
		if (i == 4)
			carom_stop_forkserver();
	}
	return NULL;
}

static _Noreturn void troubled_head(void)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	carom_set_executable(getenv("CAROM_CHILD"));
	have_some_children(NULL);
	if (pthread_create(&thread, NULL, have_some_children, NULL) == 0)
		pthread_join(thread, NULL);
	_exit(EXIT_SUCCESS); /* without a word to its children */
}

/* Return: whether it was the head that was hit. */
static bool kill_head_at(const char *name, uint32_t nth)
{
	int status = -1;
	pid_t head;

	watch_for_hangs(name, "any method, of a parent");
	cr_assert(zero(int, carom_point_arm_once(name, nth, SIGKILL)));
	fflush(NULL);
	head = fork();
	if (head == 0)
		troubled_head();
	cr_assert(eq(int, waitpid(head, &status, 0), head));
	cr_expect(status == 0 || status == SIGKILL, "%s: %x", name, (unsigned int)status);
	cr_assert(ge(int, bury_all(), 0), "%s: something survives its parent's end", name);
	return status == SIGKILL;
}

Test(process_kill, the_parent_at_every_step, .timeout = 300)
{
	uint64_t seed = new_seed();
	const char *name;

	skip_without_points();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (size_t i = 0; (name = next_step(&i));) {
		uint32_t hits = 0, heads = 0;

		for (int round = 0; round < PARENT_DEATHS; round++) {
			heads += kill_head_at(name, 1 + chance(&seed) % 3);
			hits += carom_point_hits(name);
			carom_point_disarm_all();
		}
		fprintf(stderr, "# %-24s %3u deaths, %3u of them parents\n", name, hits, heads);
		cr_expect(lt(u32, PARENT_DEATHS / 12, hits), "%s", name);
		if (is_of_the_parent(name))
			cr_expect(eq(u32, heads, hits), "%s", name);
	}
}

/* --- the parent, while threads of it fork ------------------------------- */

static void *fork_for_ever(void *context)
{
	struct carom_process *process = NULL;

	while (carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) == 0 &&
	       carom_process_start(process) == 0)
		process = carom_process_free(process);
	return NULL;
}

static void forking_head(void)
{
	struct carom_context *context = context_of("fork");
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, fork_for_ever, context);
	fork_for_ever(context);
}

/* A child that is half born has copies of what belongs to the birth of another. */
Test(process_kill, a_parent_while_its_threads_fork, .timeout = 300)
{
	uint64_t seed = new_seed();

	skip_without_points();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int round = 0; round < ROUNDS; round++) {
		cr_assert(zero(int,
			       carom_point_arm_once("fork.made", 5 + chance(&seed) % 20, SIGKILL)));
		fflush(NULL);
		if (fork() == 0)
			forking_head();
		cr_assert(ge(int, bury_all(), 1), "something survives its parent's end");
		carom_point_disarm_all();
	}
}

/* --- under load --------------------------------------------------------- */

#define STARTER_COUNT     4
#define SERVER_DEATHS_MIN 6

static _Atomic bool is_enough; /* of the load */

/**
 * struct starter - a thread that starts children and joins them, or kills them
 * @doing, @method: what it does now
 * @killed: of its children; or fork servers
 */
struct starter {
	pthread_t thread;
	uint64_t seed;
	_Atomic(const char *) doing;
	_Atomic(const char *) method;
	_Atomic uint32_t killed;
	uint32_t started, refused, wrong;
};

static void spin(uint32_t ns)
{
	uint64_t until_ns = carom_now() + ns;

	while (carom_now() < until_ns)
		sched_yield();
}

static void check_end(struct starter *self, struct carom_process *process, int status)
{
	int code = 1000;

	atomic_store(&self->doing, "join");
	if (carom_process_join(process, CAROM_NO_DEADLINE) < 0 ||
	    carom_process_exitcode(process, &code) < 0 || (code != status && code != -SIGKILL)) {
		fprintf(stderr, "# by %s: exit code %d for %d\n", self->method, code, status);
		self->wrong++;
	}
	self->killed += code == -SIGKILL;
}

static void start_one_under_load(struct starter *self)
{
	int status = (int)(chance(&self->seed) % 128);
	bool is_to_stay = chance(&self->seed) % 4 == 0;
	struct carom_process *process = NULL;
	struct carom_context *context = NULL;
	int r;

	atomic_store(&self->method, methods[chance(&self->seed) % 3]);
	carom_context_get(self->method, &context); /* or the default one */
	r = carom_process_new(
		&CAROM_PROCESS_OPTIONS(.context = context,
				       .function = is_to_stay ? wait_for_ever : return_status,
				       .argument = &status, .argument_size = sizeof(status)),
		&process);
	atomic_store(&self->doing, "start");
	if (r == 0)
		r = carom_process_start(process);
	if (r == 0) {
		self->started++;
		if (is_to_stay || chance(&self->seed) % 8 == 0) {
			spin(chance(&self->seed) % 1000000);
			r = carom_process_kill(process);
		}
		check_end(self, process, is_to_stay ? -SIGKILL : status);
	} else if (r == -EPIPE || r == -EDEADLK) {
		self->refused++;
		r = 0;
	}
	self->wrong += r < 0;
	carom_process_free(process);
}

static void *start_under_load(void *userdata)
{
	struct starter *self = userdata;

	while (!atomic_load(&is_enough))
		start_one_under_load(self);
	return NULL;
}

static void kill_one_of_all(uint64_t *seed)
{
	struct carom_process *children[16];
	size_t count = carom_active_children(children, 16);

	if (count > 16)
		count = 16;
	if (count)
		carom_process_kill(children[chance(seed) % count]);
	while (count)
		carom_process_free(children[--count]);
}

/* By a pidfd of which it is known that it is a child of ours. */
static bool kill_fork_server(void)
{
	pid_t pid = carom_ensured_forkserver_pid();
	int pidfd = pid > 0 ? carom_pidfd_open(pid) : -1;
	bool done = pidfd >= 0 && carom_pidfd_is_child(pidfd) &&
		    carom_pidfd_signal(pidfd, SIGKILL) == 0;

	if (pidfd >= 0)
		close(pidfd);
	return done;
}

static void *kill_under_load(void *userdata)
{
	struct starter *self = userdata;

	while (!atomic_load(&is_enough)) {
		spin(chance(&self->seed) % 4000000);
		if (chance(&self->seed) % 8 == 0)
			self->killed += kill_fork_server();
		else
			kill_one_of_all(&self->seed);
	}
	return NULL;
}

static void join_or_name(struct starter *starter)
{
	struct timespec deadline = { .tv_sec = time(NULL) + HANG_SECONDS };

	if (pthread_timedjoin_np(starter->thread, NULL, &deadline) == 0)
		return;
	fprintf(stderr, "# hangs: %s, a child by %s\n", atomic_load(&starter->doing),
		atomic_load(&starter->method));
	name_survivors();
	abort();
}

static uint32_t killed_of_all(const struct starter *starters)
{
	uint32_t killed = 0;

	for (int i = 0; i < STARTER_COUNT; i++)
		killed += atomic_load(&starters[i].killed);
	return killed;
}

/* So long, and on until a child was killed, and so many fork servers. */
static void load_for(double seconds, uint64_t *seed, uint32_t server_deaths)
{
	struct starter starters[STARTER_COUNT + 1] = { 0 };
	struct starter *killer = &starters[STARTER_COUNT];
	uint32_t started = 0, refused = 0;

	atomic_store(&is_enough, false);
	for (int i = 0; i <= STARTER_COUNT; i++) {
		starters[i].seed = chance(seed);
		starters[i].doing = "kill";
		starters[i].method = "any method";
		cr_assert(zero(
			int, pthread_create(&starters[i].thread, NULL,
					    i < STARTER_COUNT ? start_under_load : kill_under_load,
					    &starters[i])));
	}
	poll(NULL, 0, (int)(seconds * 1000));
	while (killed_of_all(starters) == 0 || atomic_load(&killer->killed) < server_deaths)
		poll(NULL, 0, 1); /* until the test's time is up */
	atomic_store(&is_enough, true);
	for (int i = 0; i <= STARTER_COUNT; i++) {
		join_or_name(&starters[i]);
		cr_expect(zero(u32, starters[i].wrong));
		started += starters[i].started;
		refused += starters[i].refused;
	}
	fprintf(stderr, "# %u children, %u killed, %u refused; %u fork servers killed\n", started,
		killed_of_all(starters), refused, killer->killed);
	/* nobody is refused but for deaths, and each is met by each starter once at most */
	cr_expect(le(u32, refused, STARTER_COUNT * killer->killed));
}

static uint64_t resident_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	uint64_t kib = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "RssAnon: %" SCNu64, &kib);
	if (file)
		fclose(file);
	return kib;
}

Test(process_kill, children_and_fork_servers_under_load, .timeout = 300)
{
	double seconds = (double)number_from_environment("CAROM_CHAOS_SECONDS", 5);
	uint64_t seed = new_seed();
	uint64_t memory;
	int fds;

	context_of("spawn");
	load_for(seconds / 5, &seed, 0);
	fds = settle();
	memory = resident_kib();
	load_for(seconds, &seed, context_of("forkserver") ? SERVER_DEATHS_MIN : 0);
	expect_all_given_back(fds);
	cr_expect(lt(u64, resident_kib(), memory + MEMORY_SLACK_KIB),
		  "%" PRIu64 " KiB, before %" PRIu64, resident_kib(), memory);
}
