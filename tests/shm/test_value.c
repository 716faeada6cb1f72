/* Value: one number or struct that processes share, and its lock. */
#include "tests/shm/help.h"

#include <pthread.h>
#include <sys/resource.h>

#include "core/points.h"
#include "shm/array.h"
#include "shm/value.h"

#define NEW(...)                  CAROM_VALUE_OPTIONS(__VA_ARGS__)
#define VALUE                     CAROM_CLEANUP(carom_value_freep) struct carom_value *
#define expect_value(value, what) expect_value_at(value, what, __LINE__)

static struct carom_value *new_value(const struct carom_value_options *options)
{
	struct carom_value *value = NULL;
	int r = carom_value_new(options, &value);

	cr_assert(zero(int, r), "%d", r);
	return value;
}

static void expect_value_at(struct carom_value *value, int64_t expected, int line)
{
	int64_t item = ~expected;

	cr_expect(zero(int, carom_value_get(value, &item)), "line %d", line);
	cr_expect(eq(i64, item, expected), "line %d", line);
}

Test(value, is_one_for_parent_and_child, .timeout = 60)
{
	VALUE done = new_value(&NEW(CAROM_ITEM(int)));
	int64_t sum = 0;
	int count = -1;
	pid_t pid = child();

	if (pid == 0)
		_exit(carom_value_add(done, 1, NULL) < 0 || carom_value_set(done, 41) < 0);
	cr_expect(zero(int, ended(pid)));
	cr_expect(zero(int, carom_value_add(done, 1, &sum)));
	cr_expect(eq(i64, sum, 42));
	cr_expect(zero(int, carom_value_get(done, &count)));
	cr_expect(eq(int, count, 42));
}

/* SC-02 */
Test(value, is_zero_or_what_it_is_told_to_be, .timeout = 60)
{
	VALUE zeroed = new_value(&NEW(CAROM_ITEM(double), .raw = 1));
	VALUE told = new_value(&NEW(CAROM_ITEM(short), .item = &(short){ -7 }, .raw = 1));
	double real = 1;

	cr_expect(zero(int, carom_value_get(zeroed, &real)));
	cr_expect(eq(dbl, real, 0));
	expect_value(told, -7);
	cr_expect(eq(ptr, carom_value_get_lock(told), NULL));
}

/* Does somebody else have it? */
static int is_taken(struct carom_value_lock *lock)
{
	pid_t pid = child();

	if (pid == 0) {
		int r = carom_value_lock_acquire(lock, CAROM_PASSED);

		_exit(r == 0 ? carom_value_lock_release(lock) : r == -ETIMEDOUT);
	}
	return ended(pid);
}

/* SC-04 */
Test(value, has_a_lock_of_its_own_or_none_or_one_that_it_shares, .timeout = 60)
{
	struct carom_value_lock *lock = share(sizeof(*lock));
	VALUE own = new_value(&NEW(CAROM_ITEM(int)));
	VALUE raw = new_value(&NEW(CAROM_ITEM(int), .raw = 1));
	VALUE first = NULL;
	VALUE second = NULL;
	struct carom_value *untouched = NULL;

	cr_assert(zero(int, carom_value_lock_init(lock)));
	first = new_value(&NEW(CAROM_ITEM(int), .lock = lock));
	second = new_value(&NEW(CAROM_ITEM(double), .lock = lock));
	cr_expect(ne(ptr, carom_value_get_lock(own), NULL));
	cr_expect(eq(ptr, carom_value_get_lock(raw), NULL));
	cr_expect(eq(ptr, carom_value_get_lock(first), lock));
	cr_expect(eq(ptr, carom_value_get_lock(second), lock));
	cr_assert(zero(int, carom_value_lock_acquire(carom_value_get_lock(first), CAROM_PASSED)));
	cr_expect(eq(int, is_taken(carom_value_get_lock(second)), 1));
	cr_expect(zero(int, is_taken(carom_value_get_lock(own))));
	expect_value(first, 0); /* whoever has it may take it again */
	cr_expect(zero(int, carom_value_lock_release(lock)));
	cr_expect(zero(int, is_taken(carom_value_get_lock(second))));
	cr_expect(eq(int,
		     carom_value_new(&NEW(CAROM_ITEM(int), .lock = lock, .raw = 1), &untouched),
		     -EINVAL));
	cr_expect(eq(ptr, untouched, NULL));
}

Test(value, is_read_and_written_under_its_lock, .timeout = 60)
{
	VALUE value = new_value(&NEW(CAROM_ITEM(int)));
	_Atomic int *asleep = share(sizeof(*asleep));
	pid_t pid;

	cr_assert(zero(int, carom_value_lock_acquire(carom_value_get_lock(value), CAROM_PASSED)));
	pid = child();
	if (pid == 0) {
		*asleep = 1;
		_exit(carom_value_set(value, 5) < 0);
	}
	await(*asleep);
	await_asleep(pid);
	expect_value(value, 0);
	cr_expect(zero(int, carom_value_lock_release(carom_value_get_lock(value))));
	cr_expect(zero(int, ended(pid)));
	expect_value(value, 5);
}

#define ADDERS    4
#define ADDITIONS 1000000

static void add_from_all(struct carom_value *value, int rounds)
{
	pid_t pids[ADDERS];

	for (int i = 0; i < ADDERS; i++) {
		pids[i] = child();
		if (pids[i] == 0) {
			for (int k = 0; k < rounds; k++)
				if (carom_value_add(value, 1, NULL) < 0)
					_exit(1);
			_exit(0);
		}
	}
	for (int i = 0; i < ADDERS; i++)
		cr_expect(zero(int, ended(pids[i])));
	expect_value(value, (int64_t)ADDERS * rounds);
}

/* SC-06 */
Test(value, is_added_to_by_four_processes_a_million_times, .timeout = 240)
{
	VALUE raw = new_value(&NEW(CAROM_ITEM(int64_t), .raw = 1));

	add_from_all(raw, ADDITIONS);
}

/* SC-06 */
Test(value, with_a_lock_is_added_to_by_four_processes_a_million_times, .timeout = 240)
{
	VALUE value = new_value(&NEW(CAROM_ITEM(int64_t)));

	add_from_all(value, ADDITIONS);
}

/* Python's `value += 1` loses what came in between; who adds to this does not come in between */
Test(value, is_not_added_to_while_somebody_thinks, .timeout = 240)
{
	VALUE value = new_value(&NEW(CAROM_ITEM(int)));
	pid_t pid = child();
	int r = 0, item;

	if (pid == 0) {
		for (int i = 0; i < 100000; i++)
			if (carom_value_add(value, 1, NULL) < 0)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 100000; i++) {
		CAROM_HOLDING(r, carom_value_get_lock(value)) {
			cr_assert(zero(int, carom_value_get(value, &item)));
			cr_assert(zero(int, carom_value_set(value, item + 1)));
		}
		cr_assert(zero(int, r));
	}
	cr_expect(zero(int, ended(pid)));
	expect_value(value, 200000);
}

Test(value, that_is_added_to_wraps_around, .timeout = 60)
{
	static const char types[] = "bBhHiIlLqQ";
	int64_t sum;

	for (const char *type = types; *type; type++) {
		VALUE value = new_value(&NEW(.type = (uint64_t)*type));
		bool has_sign = *type >= 'a';
		unsigned bits = 8 * (unsigned)carom_typecode_size((uint64_t)*type);
		int64_t most = INT64_MAX >> (64 - bits);

		cr_expect(zero(int, carom_value_add(value, -1, &sum)));
		cr_expect(eq(i64, sum, has_sign || bits == 64 ? -1 : 2 * most + 1), "%c", *type);
		cr_expect(zero(int, carom_value_add(value, 1, &sum)));
		cr_expect(zero(i64, sum), "%c", *type);
		cr_expect(zero(int, carom_value_add(value, most, &sum)));
		cr_expect(eq(i64, sum, most), "%c", *type);
		cr_expect(zero(int, carom_value_add(value, 1, &sum)));
		cr_expect(eq(i64, sum, has_sign || bits == 64 ? -most - 1 : most + 1), "%c", *type);
	}
}

Test(value, that_is_no_whole_number_is_not_added_to, .timeout = 60)
{
	VALUE real = new_value(&NEW(CAROM_ITEM(float)));
	VALUE bytes = new_value(&NEW(.type = CAROM_TYPE_STRUCT, .item_size = 8));

	cr_expect(eq(int, carom_value_add(real, 1, NULL), -EINVAL));
	cr_expect(eq(int, carom_value_add(bytes, 1, NULL), -EINVAL));
}

Test(value, takes_numbers_of_any_type_that_it_has, .timeout = 60)
{
	VALUE byte = new_value(&NEW(CAROM_ITEM(unsigned char)));
	VALUE real = new_value(&NEW(CAROM_ITEM(double)));
	unsigned char small = 9;
	double half;

	cr_expect(zero(int, carom_value_set(byte, 255ull)));
	cr_expect(eq(int, carom_value_set(byte, 256), -ERANGE));
	cr_expect(eq(int, carom_value_set(byte, -1), -ERANGE));
	cr_expect(eq(int, carom_value_set(byte, 1.0), -EINVAL));
	expect_value(byte, 255);
	cr_expect(zero(int, carom_value_set(byte, 'x')));
	cr_expect(zero(int, carom_value_get(byte, &small)));
	cr_expect(eq(int, small, 'x'));

	cr_expect(zero(int, carom_value_set(real, 3)));
	cr_expect(zero(int, carom_value_get(real, &half)));
	cr_expect(eq(dbl, half, 3));
	cr_expect(zero(int, carom_value_set(real, 0.5f)));
	cr_expect(eq(int, carom_value_get(real, &small), -EINVAL));
	cr_expect(eq(int, small, 'x'));
}

struct account {
	int64_t from, to;
	double part;
};

Test(value, may_be_a_struct, .timeout = 60)
{
	struct account account = { 1, 2, 0.5 }, seen = { 0 };
	struct {
		char bytes[8];
	} other = { { 0 } };
	int64_t number;
	VALUE value = new_value(&NEW(CAROM_ITEM(struct account), .item = &account));

	cr_expect(zero(int, carom_value_get(value, &seen)));
	cr_expect(zero(int, memcmp(&seen, &account, sizeof(seen))));
	account.to = 7;
	cr_expect(zero(int, carom_value_set(value, account)));
	cr_expect(zero(int, carom_value_get(value, &seen)));
	cr_expect(eq(i64, seen.to, 7));
	cr_expect(eq(int, carom_value_get(value, &other), -EINVAL));
	cr_expect(eq(int, carom_value_set(value, other), -EINVAL));
	cr_expect(eq(int, carom_value_get(value, &number), -EINVAL));
	cr_expect(eq(int, carom_value_set(value, 5), -EINVAL));
}

static int move_money(struct carom_value *value, int rounds)
{
	struct account *account = carom_value_data(value);
	int r = 0;

	for (int i = 0; r == 0 && i < rounds; i++)
		CAROM_HOLDING(r, carom_value_get_lock(value)) {
			account->from -= 1;
			account->to += 1;
			account->part = (double)account->to / 2;
		}
	return r;
}

/* SC-08 */
Test(value, of_several_fields_is_changed_as_a_whole_by_four_processes, .timeout = 240)
{
	VALUE value = new_value(&NEW(CAROM_ITEM(struct account)));
	struct account seen;
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		pids[i] = child();
		if (pids[i] == 0)
			_exit(move_money(value, 20000) < 0);
	}
	for (int i = 0; i < 1000; i++) {
		cr_assert(zero(int, carom_value_get(value, &seen)));
		cr_assert(eq(i64, seen.from, -seen.to));
		cr_assert(eq(dbl, seen.part, (double)seen.to / 2));
	}
	for (int i = 0; i < 4; i++)
		cr_expect(zero(int, ended(pids[i])));
	cr_expect(zero(int, carom_value_get(value, &seen)));
	cr_expect(eq(i64, seen.to, 80000));
}

static int leave_by(const char *way, struct carom_value_lock *lock)
{
	int r = 1, turns = 0;

	CAROM_HOLDING(r, lock) {
		turns++;
		if (strcmp(way, "break") == 0)
			break;
		if (strcmp(way, "continue") == 0)
			continue;
		if (strcmp(way, "return") == 0)
			return 1;
		if (strcmp(way, "goto") == 0)
			goto out;
	}
out:
	cr_expect(zero(int, r), "%s", way);
	return turns;
}

/* SC-08 */
Test(value, lock_is_released_on_every_way_out, .timeout = 60)
{
	static const char *const ways[] = { "end", "break", "continue", "return", "goto" };
	VALUE value = new_value(&NEW(CAROM_ITEM(int)));
	struct carom_value_lock *lock = carom_value_get_lock(value);

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		cr_expect(eq(int, leave_by(ways[i], lock), 1), "%s", ways[i]);
		cr_expect(eq(int, carom_value_lock_release(lock), -EPERM), "%s", ways[i]);
	}
}

Test(value, without_a_lock_is_not_held, .timeout = 60)
{
	VALUE raw = new_value(&NEW(CAROM_ITEM(int), .raw = 1));
	int r = 0;

	CAROM_HOLDING(r, carom_value_get_lock(raw))
		cr_expect(not(true), "nothing holds it");
	cr_expect(eq(int, r, -EINVAL));
}

/* What threads share: a counter without a lock, and a struct with one. */
struct shared {
	struct carom_value *raw, *locked;
};

static void *work_in_thread(void *userdata)
{
	struct shared *shared = userdata;
	struct account *account = carom_value_data(shared->locked), seen;
	intptr_t failures = 0;
	int r = 0;

	for (int i = 0; i < 5000; i++) {
		int64_t number = -1;

		failures += carom_value_add(shared->raw, 1, NULL) < 0;
		failures += carom_value_get(shared->raw, &number) < 0 || number <= i;
		CAROM_HOLDING(r, carom_value_get_lock(shared->locked)) {
			account->from--;
			account->to++;
		}
		failures += r < 0 || carom_value_get(shared->locked, &seen) < 0 ||
			    seen.from != -seen.to;
	}
	return (void *)failures;
}

Test(value, is_used_by_threads, .timeout = 120)
{
	VALUE raw = new_value(&NEW(CAROM_ITEM(int64_t), .raw = 1));
	VALUE locked = new_value(&NEW(CAROM_ITEM(struct account)));
	struct shared shared = { raw, locked };
	struct account seen;
	pthread_t threads[4];
	void *failures;

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, work_in_thread, &shared)));
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failures);
		cr_expect(eq(ptr, failures, NULL));
	}
	expect_value(raw, 20000);
	cr_expect(zero(int, carom_value_get(locked, &seen)));
	cr_expect(eq(i64, seen.to, 20000));
}

/* SC-07 */
Test(value, copy_is_another_value, .timeout = 60)
{
	VALUE value = new_value(&NEW(CAROM_ITEM(int), .item = &(int){ 5 }));
	VALUE copy = NULL;
	VALUE raw = NULL;
	struct carom_value *untouched = NULL;

	cr_expect(zero(int, carom_value_copy(value, NULL, &copy)));
	cr_expect(zero(int, carom_value_copy(value, &NEW(.raw = 1), &raw)));
	cr_expect(zero(int, carom_value_set(value, 6)));
	expect_value(copy, 5);
	expect_value(raw, 5);
	cr_expect(zero(int, carom_value_set(copy, 7)));
	expect_value(value, 6);
	cr_expect(ne(ptr, carom_value_get_lock(copy), carom_value_get_lock(value)));
	cr_expect(eq(ptr, carom_value_get_lock(raw), NULL));
	cr_expect(eq(int, carom_value_copy(value, &NEW(CAROM_ITEM(int)), &untouched), -EINVAL));
	cr_expect(eq(ptr, untouched, NULL));
}

/* SC-07 */
Test(value, is_synchronized_once, .timeout = 60)
{
	struct carom_value_lock *lock = share(sizeof(*lock));
	VALUE own = new_value(&NEW(CAROM_ITEM(int), .raw = 1, .item = &(int){ 5 }));
	VALUE given = new_value(&NEW(CAROM_ITEM(int), .raw = 1));

	cr_assert(zero(int, carom_value_lock_init(lock)));
	cr_expect(zero(int, carom_value_synchronize(own, NULL)));
	cr_expect(zero(int, carom_value_synchronize(given, lock)));
	cr_expect(ne(ptr, carom_value_get_lock(own), NULL));
	cr_expect(eq(ptr, carom_value_get_lock(given), lock));
	expect_value(own, 5);
	cr_expect(eq(int, carom_value_synchronize(own, NULL), -EINVAL));
	cr_expect(eq(int, carom_value_synchronize(own, lock), -EINVAL));
	cr_expect(eq(int, carom_value_synchronize(given, NULL), -EINVAL));
}

/* ---- deaths ---- */

static void die_with_lock(struct carom_value *value)
{
	pid_t pid = child();

	if (pid == 0) {
		struct account *account = carom_value_data(value);

		if (carom_value_lock_acquire(carom_value_get_lock(value), CAROM_NO_DEADLINE) == 0) {
			account->from -= 1;
			raise(SIGKILL);
		}
		_exit(1);
	}
	cr_assert(eq(int, ended(pid), -SIGKILL));
}

static void repair(struct carom_value *value)
{
	struct carom_value_lock *lock = carom_value_get_lock(value);

	cr_expect(eq(int, carom_value_lock_acquire(lock, CAROM_PASSED), -EOWNERDEAD));
	cr_expect(zero(int, carom_value_lock_consistent(lock)));
	cr_expect(eq(int, carom_value_lock_consistent(lock), -EINVAL));
	cr_expect(zero(int, carom_value_lock_release(lock)));
	cr_expect(eq(int, carom_value_lock_consistent(lock), -EPERM));
}

Test(value, says_that_a_holder_died_until_it_is_repaired, .timeout = 60)
{
	VALUE value = new_value(&NEW(CAROM_ITEM(struct account)));
	struct carom_value *untouched = NULL;
	struct account seen = { 0 };
	int r = 0;

	die_with_lock(value);
	for (int i = 0; i < 3; i++) {
		seen.from = 0;
		cr_expect(eq(int, carom_value_get(value, &seen), -EOWNERDEAD));
		cr_expect(eq(i64, seen.from, -1));
		cr_expect(zero(i64, seen.to));
	}
	CAROM_HOLDING(r, carom_value_get_lock(value))
		cr_expect(not(true), "what may be torn is not worked with");
	cr_expect(eq(int, r, -EOWNERDEAD));
	cr_expect(eq(int, carom_value_copy(value, NULL, &untouched), -EOWNERDEAD));
	cr_expect(eq(ptr, untouched, NULL));
	seen.to = 1;
	cr_expect(eq(int, carom_value_set(value, seen), -EOWNERDEAD), "and is done");
	repair(value);
	cr_expect(zero(int, carom_value_get(value, &seen)));
	cr_expect(eq(i64, seen.to, 1));
	die_with_lock(value);
	cr_expect(eq(int, carom_value_get(value, &seen), -EOWNERDEAD));
}

Test(value, says_so_to_other_processes_and_to_all_who_share_the_lock, .timeout = 60)
{
	struct carom_value_lock *lock = share(sizeof(*lock));
	VALUE first = NULL;
	VALUE second = NULL;
	int64_t sum = 0;
	pid_t pid;

	cr_assert(zero(int, carom_value_lock_init(lock)));
	first = new_value(&NEW(CAROM_ITEM(struct account), .lock = lock));
	second = new_value(&NEW(CAROM_ITEM(int), .lock = lock));
	die_with_lock(first);
	cr_expect(eq(int, carom_value_add(second, 2, &sum), -EOWNERDEAD));
	cr_expect(eq(i64, sum, 2));
	pid = child();
	if (pid == 0) {
		struct account seen;

		_exit(carom_value_get(first, &seen) != -EOWNERDEAD ||
		      carom_value_set(second, 3) != -EOWNERDEAD);
	}
	cr_expect(zero(int, ended(pid)));
	repair(second);
	expect_value(second, 3);
	cr_expect(zero(int, carom_value_set(first, (struct account){ 0 })));
}

Test(value, says_so_of_who_repairs_and_dies, .timeout = 60)
{
	VALUE value = new_value(&NEW(CAROM_ITEM(struct account)));
	struct carom_value_lock *lock = carom_value_get_lock(value);
	struct account seen;
	pid_t pid;

	die_with_lock(value);
	pid = child();
	if (pid == 0) {
		if (carom_value_lock_acquire(lock, CAROM_PASSED) == -EOWNERDEAD &&
		    carom_value_lock_consistent(lock) == 0)
			raise(SIGKILL); /* before it has released it */
		_exit(1);
	}
	cr_expect(eq(int, ended(pid), -SIGKILL));
	cr_expect(eq(int, carom_value_get(value, &seen), -EOWNERDEAD));
	repair(value);
}

/* A child that sets a number is killed at @point. */
static void die_at(const char *point, struct carom_value *value)
{
	int r = carom_point_arm_once(point, 1, SIGKILL);
	pid_t pid;

	if (r == -EOPNOTSUPP)
		cr_skip_test("built without points");
	cr_assert(zero(int, r), "%s", point);
	pid = child();
	if (pid == 0)
		_exit(carom_value_set(value, 9) != 0);
	cr_expect(eq(int, ended(pid), -SIGKILL), "%s", point);
	carom_point_disarm_all();
}

Test(value, number_is_old_or_new_wherever_its_writer_dies, .timeout = 60)
{
	VALUE value = new_value(&NEW(CAROM_ITEM(int)));
	int seen = -1;

	die_at("value.locked", value);
	cr_expect(eq(int, carom_value_get(value, &seen), -EOWNERDEAD));
	cr_expect(zero(int, seen));
	repair(value);
	die_at("value.written", value);
	cr_expect(eq(int, carom_value_get(value, &seen), -EOWNERDEAD));
	cr_expect(eq(int, seen, 9));
	repair(value);
	expect_value(value, 9);
}

Test(value, goes_on_saying_so_wherever_the_one_who_was_told_dies, .timeout = 60)
{
	static const char *const points[] = { "value.told", "value.torn", "value.consistent",
					      "value.locked", "value.written" };
	VALUE value = new_value(&NEW(CAROM_ITEM(int)));
	int seen;

	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		die_at("value.locked", value);
		die_at(points[i], value);
		cr_expect(eq(int, carom_value_get(value, &seen), -EOWNERDEAD), "%s", points[i]);
		cr_expect(eq(int, carom_value_get(value, &seen), -EOWNERDEAD), "%s", points[i]);
		repair(value);
		cr_expect(zero(int, carom_value_set(value, 1)));
	}
}

Test(value, whose_maker_died_before_it_was_whole_is_none, .timeout = 60)
{
	size_t size = carom_array_storage_size(sizeof(int), 1);
	struct carom_value *value = NULL;
	void *storage = share(size);
	int r = carom_point_arm_once("value.placed", 1, SIGKILL);
	pid_t pid;

	if (r == -EOPNOTSUPP)
		cr_skip_test("built without points");
	pid = child();
	if (pid == 0)
		_exit(carom_value_new(
			      &NEW(CAROM_ITEM(int), .storage = storage, .storage_size = size),
			      &value) == 0);
	cr_expect(eq(int, ended(pid), -SIGKILL));
	cr_expect(eq(int, carom_value_attach_at(storage, size, NULL, &value), -EBADMSG));
	cr_expect(eq(ptr, value, NULL));
}

Test(value, says_what_there_is_too_little_of, .timeout = 60)
{
	struct carom_value *untouched = NULL;
	VALUE value = new_value(&NEW(CAROM_ITEM(int)));
	struct rlimit limit;
	int fd = dup(carom_value_fd(value)); /* the lowest number that was free */

	cr_assert(ge(int, fd, 0));
	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
	limit.rlim_cur = (rlim_t)fd + 1;
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	cr_expect(eq(int, carom_value_new(&NEW(CAROM_ITEM(int)), &untouched), -EMFILE));
	cr_expect(eq(int, carom_value_attach_dup(fd, NULL, &untouched), -EMFILE));
	cr_expect(eq(int, carom_value_copy(value, NULL, &untouched), -EMFILE));
	cr_expect(eq(ptr, untouched, NULL));
	expect_value(value, 0);
	close(fd);
}
