/* What processes share, in documents that go through a queue. */
#include "ipc/shared.h"

#include "tests/ipc/ends.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "ipc/client.h"
#include "ipc/exchange.h"
#include "ipc/listener.h"
#include "ipc/queue_private.h"

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *
#define QUEUE(queue, ...)                                                  \
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL; \
	cr_assert(zero(int, carom_queue_new(&CAROM_QUEUE_OPTIONS(__VA_ARGS__), &queue)))
#define LOCK(lock)                                                      \
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = NULL; \
	cr_assert(zero(int, carom_lock_new(NULL, &lock)))

TestSuite(shared, .init = need_robust_lists);

static struct carom_document *begin(void)
{
	struct carom_document *document = NULL;

	cr_assert(zero(int, carom_document_new(NULL, &document)));
	return document;
}

static struct carom_document *of_fd(int fd)
{
	struct carom_document *document = begin();

	cr_assert(zero(int, carom_document_finish(document, carom_document_fd(document, fd))));
	return document;
}

static int fd_of(const struct carom_document *document)
{
	int fd = -1;

	cr_assert(zero(int, carom_object_fd(carom_document_root(document), &fd)));
	return fd;
}

static ino_t inode_of(int fd)
{
	struct stat status;

	cr_assert(zero(int, fstat(fd, &status)));
	return status.st_ino;
}

/* Both ends of @count pipes. */
static void make_pipes(int (*ends)[2], size_t count)
{
	for (size_t i = 0; i < count; i++)
		cr_assert(zero(int, pipe2(ends[i], O_CLOEXEC)));
}

static int put_fd(struct carom_queue *queue, int fd, uint64_t deadline_ns)
{
	DOCUMENT document = of_fd(fd);

	return carom_queue_put_document(queue, document, deadline_ns);
}

/* Which file came; or the error. */
static int64_t get_inode(struct carom_queue *queue)
{
	DOCUMENT document = NULL;
	int r = carom_queue_get_document(queue, NULL, soon(), &document);

	return r < 0 ? r : (int64_t)inode_of(fd_of(document));
}

static int64_t open_count(void)
{
	int64_t count = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* In a process that has nothing but the queue: what comes is used, and what is not is NULL. */
static int use_all(struct carom_queue *queue)
{
	DOCUMENT document = NULL;
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = NULL;
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *answers = NULL;
	CONNECTION connection = NULL;
	const struct carom_object *list;

	if (carom_queue_get_document(queue, NULL, soon(), &document) < 0)
		return 1;
	list = carom_document_root(document);
	if (carom_object_lock(carom_object_item(list, 0), &lock) < 0 ||
	    carom_object_connection(carom_object_item(list, 1), &connection) < 0 ||
	    carom_object_segment(carom_object_item(list, 2), &segment) < 0 ||
	    carom_object_queue(carom_object_item(list, 3), &answers) < 0)
		return 2;
	document = carom_document_free(document);
	if (carom_lock_try(lock) != -EBUSY)
		return 3;
	strcpy(carom_segment_data(segment), "was here");
	if (give(connection, "hello", 5) < 0 || carom_queue_put(answers, "done", 4, soon()) < 0)
		return 4;
	return carom_lock_release(lock) < 0 ? 5 : 0;
}

/* RD-07 */
Test(shared, goes_through_a_queue_to_a_process_that_had_none_of_it, .timeout = 60)
{
	QUEUE(queue, .carries_fds = true);
	pid_t pid = child();

	if (pid == 0)
		_exit(use_all(queue));
	else {
		/* which the child does not inherit */
		LOCK(lock);
		QUEUE(answers);
		PIPE(mine, theirs, );
		CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
		DOCUMENT document = begin();
		struct carom_object *list = carom_document_list(document);
		char text[8];
		size_t size = 0;

		cr_assert(zero(int,
			       carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 4096), &segment)));
		cr_assert(zero(int, carom_lock_acquire(lock, soon())));
		carom_document_append(document, list, carom_document_lock(document, lock));
		carom_document_append(document, list, carom_document_connection(document, theirs));
		carom_document_append(document, list, carom_document_segment(document, segment));
		carom_document_append(document, list, carom_document_queue(document, answers));
		cr_assert(zero(int, carom_document_finish(document, list)));
		cr_assert(zero(int, carom_queue_put_document(queue, document, soon())));
		carom_connection_close(theirs);

		expect_message(mine, "hello");
		cr_assert(zero(int, carom_queue_get(answers, text, sizeof(text), soon(), &size)));
		cr_expect(eq(sz, size, 4));
		cr_expect(zero(int, ended(pid)));
		cr_expect(eq(str, (char *)carom_segment_data(segment), (char *)"was here"));
		cr_expect(zero(int, carom_lock_try(lock)), "the other process has released it");
	}
}

/* RD-05 */
Test(shared, listening_socket_goes_through_a_queue_to_a_process_that_comes_later, .timeout = 60)
{
	QUEUE(queue, .carries_fds = true);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
	pid_t putter, worker;
	char byte = 0;

	cr_assert(zero(int, bind(listening, (struct sockaddr *)&address, size)));
	cr_assert(zero(int, listen(listening, 1)));
	cr_assert(zero(int, getsockname(listening, (struct sockaddr *)&address, &size)));
	putter = child();
	if (putter == 0)
		_exit(-put_fd(queue, listening, soon()));
	cr_assert(zero(int, ended(putter)), "its owner has ended");
	close(listening);

	worker = child();
	if (worker == 0) {
		DOCUMENT document = NULL;
		int accepted;

		if (carom_queue_get_document(queue, NULL, soon(), &document) < 0)
			_exit(1);
		accepted = accept(fd_of(document), NULL, NULL);
		_exit(write(accepted, "x", 1) == 1 ? 0 : 2);
	}
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(zero(int, connect(client, (struct sockaddr *)&address, size)));
	cr_expect(eq(int, (int)read(client, &byte, 1), 1));
	cr_expect(eq(chr, byte, 'x'));
	cr_expect(zero(int, ended(worker)));
	cr_expect(eq(int, (int)get_inode(queue), -EPIPE), "it went once");
	close(client);
}

Test(shared, queue_with_descriptors_is_attached_to_by_its_one_descriptor, .timeout = 20)
{
	QUEUE(queue, .carries_fds = true);
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *other = NULL;
	int ends[1][2];

	make_pipes(ends, 1);
	cr_assert(zero(int, carom_queue_attach_dup(carom_queue_fd(queue), &other)));
	cr_assert(zero(int, put_fd(other, ends[0][0], soon())));
	cr_expect(eq(i64, get_inode(queue), (int64_t)inode_of(ends[0][0])));
	cr_assert(zero(int, put_fd(queue, ends[0][1], soon())));
	cr_expect(eq(i64, get_inode(other), (int64_t)inode_of(ends[0][1])));
}

Test(shared, descriptors_are_those_of_their_message, .timeout = 60)
{
	enum { COUNT = 20 };
	QUEUE(queue, .carries_fds = true);
	DOCUMENT plain = begin();
	DOCUMENT got = NULL;
	int ends[COUNT][2];
	int64_t before;

	make_pipes(ends, COUNT);
	before = open_count();
	cr_assert(zero(int, carom_document_finish(plain, carom_document_none(plain))));
	for (int i = 0; i < COUNT; i++) {
		cr_assert(zero(int, put_fd(queue, ends[i][0], soon())));
		cr_assert(zero(int, carom_queue_put_document(queue, plain, soon())));
	}
	for (int i = 0; i < COUNT; i++) {
		cr_expect(eq(i64, get_inode(queue), (int64_t)inode_of(ends[i][0])));
		cr_assert(zero(int, carom_queue_get_document(queue, NULL, soon(), &got)));
		got = carom_document_free(got);
	}
	cr_expect(eq(i64, open_count(), before));
}

/* Three get, of whom each is killed between two messages or within one. */
Test(shared, descriptors_of_one_who_died_are_nobodys, .timeout = 60)
{
	QUEUE(queue, .carries_fds = true);
	int ends[3][2];
	void *data;
	size_t size;

	make_pipes(ends, 3);
	for (int i = 0; i < 3; i++) {
		cr_assert(zero(int, put_fd(queue, ends[i][1], soon())));
		close(ends[i][1]);
	}
	/* who dies with a message in hand leaves what this one leaves */
	cr_assert(zero(int, carom_queue_get_bytes(queue, 0, soon(), &data, &size)));
	free(data);
	cr_expect(eq(i64, get_inode(queue), (int64_t)inode_of(ends[1][0])));
	cr_expect(zero(int, (int)read(ends[0][0], &size, 1)), "the last writer is gone");
	cr_expect(zero(int, (int)read(ends[1][0], &size, 1)));
	cr_expect(eq(i64, get_inode(queue), (int64_t)inode_of(ends[2][0])));
}

Test(shared, descriptors_that_were_never_sent_are_told_of, .timeout = 20)
{
	QUEUE(queue, .carries_fds = true);
	DOCUMENT document = of_fd(0);
	void *data;
	size_t size;
	int ends[1][2];

	make_pipes(ends, 1);
	/* who dies between the message and its descriptors leaves what this one leaves */
	cr_assert(zero(int, carom_queue_put_document(queue, document, soon())));
	cr_assert(zero(int, carom_queue_get_bytes(queue, 0, soon(), &data, &size)));
	carom_hatch_clear(queue->hatch);
	cr_assert(zero(int, carom_queue_put(queue, data, size, soon())));
	cr_expect(eq(i64, get_inode(queue), -ENODATA));

	cr_assert(zero(int, carom_queue_put(queue, data, size, soon())));
	cr_assert(zero(int, put_fd(queue, ends[0][0], soon())));
	cr_expect(eq(i64, get_inode(queue), -ENODATA), "others' are not taken for it");
	cr_expect(eq(i64, get_inode(queue), (int64_t)inode_of(ends[0][0])));
	free(data);
}

Test(shared, descriptors_end_with_the_queue, .timeout = 20)
{
	QUEUE(queue, .carries_fds = true);
	int ends[1][2];
	char byte;

	make_pipes(ends, 1);
	cr_assert(zero(int, put_fd(queue, ends[0][1], soon())));
	close(ends[0][1]);
	queue = carom_queue_free(queue);
	cr_expect(zero(int, (int)read(ends[0][0], &byte, 1)), "the last writer is gone");
}

/* What fills the hatch, and was got by none who lives, makes room for what comes. */
Test(shared, queue_does_not_fill_up_with_what_the_dead_had, .timeout = 60)
{
	QUEUE(queue, .carries_fds = true);
	int ends[1][2], i, r = 0;
	void *data;
	size_t size;

	make_pipes(ends, 1);
	for (i = 0; i < 5000 && r == 0; i++) {
		r = put_fd(queue, ends[0][0], CAROM_PASSED);
		if (r == 0) {
			cr_assert(zero(int, carom_queue_get_bytes(queue, 0, soon(), &data, &size)));
			free(data);
		}
	}
	cr_expect(r == 0 || r == -ETOOMANYREFS, "%d after %d", r, i);
}

Test(shared, queue_says_when_it_is_full, .timeout = 60)
{
	QUEUE(queue, .carries_fds = true, .size_max = 2);

	cr_assert(zero(int, put_fd(queue, 0, soon())));
	cr_assert(zero(int, put_fd(queue, 0, soon())));
	cr_expect(eq(int, put_fd(queue, 0, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, put_fd(queue, 0, carom_deadline_after(1000)), -ETIMEDOUT));
	cr_expect(eq(i64, get_inode(queue), (int64_t)inode_of(0)));
	cr_expect(zero(int, put_fd(queue, 0, soon())));
	cr_expect(eq(i64, get_inode(queue), (int64_t)inode_of(0)));
	cr_expect(eq(i64, get_inode(queue), (int64_t)inode_of(0)));
}

Test(shared, queue_without_a_hatch_refuses_descriptors, .timeout = 20)
{
	QUEUE(queue);
	struct carom_queue *never = NULL;

	cr_expect(eq(int, put_fd(queue, 0, soon()), -EPERM));
	cr_expect(zero(u32, carom_queue_qsize(queue)));
	cr_expect(eq(int,
		     carom_queue_new(&CAROM_QUEUE_OPTIONS(.carries_fds = true,
							  .tasks = CAROM_QUEUE_TASKS_REQUEUE),
				     &never),
		     -EINVAL));
}

Test(shared, getter_waits_for_what_comes, .timeout = 60)
{
	QUEUE(queue, .carries_fds = true);
	pid_t pid = child();
	DOCUMENT document = NULL;

	if (pid == 0)
		_exit(get_inode(queue) == (int64_t)inode_of(0) ? 0 : 1);
	await_asleep(pid);
	cr_expect(eq(int,
		     carom_queue_get_document(queue, NULL, carom_deadline_after(1000), &document),
		     -ETIMEDOUT));
	cr_expect(eq(int, carom_queue_get_document(queue, NULL, CAROM_PASSED, &document), -EAGAIN));
	cr_assert(zero(int, put_fd(queue, 0, soon())));
	cr_expect(zero(int, ended(pid)));
}

Test(shared, says_what_is_something_else, .timeout = 20)
{
	LOCK(lock);
	DOCUMENT document = begin();
	DOCUMENT bare = begin();
	struct carom_object *object = carom_document_lock(document, lock);
	struct carom_segment *segment = NULL;
	struct carom_queue *queue = NULL;
	struct carom_connection *connection = NULL;
	struct carom_lock *other = NULL;

	cr_assert(zero(int, carom_document_finish(document, object)));
	cr_expect(eq(int, carom_object_segment(object, &segment), -EBADMSG));
	cr_expect(eq(int, carom_object_queue(object, &queue), -EBADMSG));
	cr_expect(eq(int, carom_object_connection(object, &connection), -EBADMSG));
	object = carom_document_tagged(bare, CAROM_TAG_LOCK, carom_document_int(bare, 3));
	cr_expect(eq(int, carom_object_lock(object, &other), -EBADMSG));
	object = carom_document_tagged(bare, CAROM_TAG_QUEUE, carom_document_fd(bare, 0));
	cr_expect(lt(int, carom_object_queue(object, &queue), 0));
}

/* ---- whoever is killed ---- */

/* A number, and a file in which the same number stands. */
static struct carom_document *numbered(int64_t number)
{
	struct carom_document *document = begin();
	struct carom_object *list = carom_document_list(document);
	int fd = memfd_create("number", MFD_CLOEXEC);

	if (pwrite(fd, &number, sizeof(number), 0) != sizeof(number))
		_exit(10);
	carom_document_append(document, list, carom_document_int(document, number));
	carom_document_append(document, list, carom_document_fd(document, fd));
	close(fd);
	cr_assert(zero(int, carom_document_finish(document, list)));
	return document;
}

/* The number, if both are the same. */
static int64_t number_of(const struct carom_document *document)
{
	const struct carom_object *list = carom_document_root(document);
	int64_t number = -1, written = -2;
	int fd = -1;

	if (carom_object_int(carom_object_item(list, 0), &number) < 0 ||
	    carom_object_fd(carom_object_item(list, 1), &fd) < 0 ||
	    pread(fd, &written, sizeof(written), 0) != sizeof(written))
		return -1;
	return number == written ? number : -1;
}

static void produce(struct carom_queue *queue)
{
	for (int64_t i = 0;; i++) {
		DOCUMENT document = numbered((int64_t)getpid() << 32 | i);

		if (carom_queue_put_document(queue, document, CAROM_NO_DEADLINE) < 0)
			_exit(11);
	}
}

static void consume(struct carom_queue *queue)
{
	for (;;) {
		DOCUMENT document = NULL;
		int r = carom_queue_get_document(queue, NULL, CAROM_NO_DEADLINE, &document);

		if (r < 0 && r != -ENODATA && r != -EPIPE)
			_exit(12);
		if (r == 0 && number_of(document) < 0)
			_exit(13); /* another's */
	}
}

static pid_t start_one(struct carom_queue *queue, int index)
{
	pid_t pid = child();

	if (pid > 0)
		return pid;
	if (index % 2)
		consume(queue);
	else
		produce(queue);
	_exit(0);
}

Test(shared, descriptors_are_those_of_their_message_whoever_is_killed, .timeout = 60)
{
	enum { COUNT = 4 };
	QUEUE(queue, .carries_fds = true, .size_max = 20);
	uint64_t end_ns = carom_deadline_after(CAROM_MILLISECONDS(1500));
	unsigned int chance = 1;
	int64_t before = open_count(), mine = 77, last;
	DOCUMENT document = numbered(mine);
	pid_t pids[COUNT];

	for (int i = 0; i < COUNT; i++)
		pids[i] = start_one(queue, i);
	while (carom_now() < end_ns) {
		int i = rand_r(&chance) % COUNT;

		usleep((useconds_t)(rand_r(&chance) % 4000));
		kill(pids[i], SIGKILL);
		cr_assert(eq(int, ended(pids[i]), -SIGKILL));
		pids[i] = start_one(queue, i);
	}
	for (int i = 0; i < COUNT; i++) {
		kill(pids[i], SIGKILL);
		cr_assert(eq(int, ended(pids[i]), -SIGKILL));
	}
	do { /* it goes on, and what they left is in order */
		DOCUMENT got = NULL;
		int r = carom_queue_get_document(queue, NULL, CAROM_PASSED, &got);

		last = r == 0 ? number_of(got) : r;
		cr_assert(last >= 0 || r == -ENODATA || r == -EPIPE || r == -EAGAIN, "%d", r);
	} while (last != -EPIPE && last != -EAGAIN);
	cr_assert(zero(int, carom_queue_put_document(queue, document, soon())));
	document = carom_document_free(document);
	cr_assert(zero(int, carom_queue_get_document(queue, NULL, soon(), &document)));
	cr_expect(eq(i64, number_of(document), mine));
	document = carom_document_free(document);
	cr_expect(eq(i64, open_count(), before));
}
