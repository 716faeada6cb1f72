/* Two sides show each other that they have the same key. */
#include "ipc/auth.h"

#include "tests/ipc/ends.h"

#include <pthread.h>

#include "ipc/challenge.h"
#include "ipc/handshake.h"

#define KEY "secret"

/* ---- vectors ---- */

static const struct carom_secret secret = { KEY, 6, CAROM_DIGEST_SHA256, false };
static const struct carom_secret strict = { KEY, 6, CAROM_DIGEST_SHA256, true };

static const struct {
	const char *name; /* of the challenge */
	size_t chance_size;
	const char *answer_name;
	enum carom_digest digest;
	const char *mac; /* in hexadecimal */
} vectors[] = {
	{ "", 20, "", CAROM_DIGEST_MD5, "7defa9cc46abc3583325d17ccda75190" },
	{ "{md5}", 40, "{md5}", CAROM_DIGEST_MD5, "e8928e8cca3ace2d777017168dc6a0b2" },
	{ "{sha256}", 40, "{sha256}", CAROM_DIGEST_SHA256,
	  "fc57fbe650d6124b98215e7b5d197d5807ad69982d275a9735ea2d56f1fa6989" },
	{ "{sha384}", 40, "{sha384}", CAROM_DIGEST_SHA384,
	  "bae78a3376369f7b803a8473318a9b7062495b47434159ac84fc92ddb33c51b277c44c3edd9a5f9cb7d628f2"
	  "1abe2665" },
	{ "{sha3_256}", 40, "{sha3_256}", CAROM_DIGEST_SHA3_256,
	  "82e8fa62f363295b6655abecf0e98e510224c559e9745af9741c357aec358f90" },
	{ "{sha3_384}", 40, "{sha3_384}", CAROM_DIGEST_SHA3_384,
	  "bfbe71d4e622f58ebf6cbe049af4c8fe518645b482915af0940d678c37c0b46dd1a2a448f9ee5141c91bba42"
	  "b46a7862" },
};

#define VECTOR_COUNT (sizeof(vectors) / sizeof(*vectors))

/* Return: its length, prefix and all */
static size_t make_challenge(const char *name, size_t chance_size, unsigned char *ret_bytes)
{
	size_t size = (size_t)sprintf((char *)ret_bytes, "#CHALLENGE#%s", name);

	for (size_t i = 0; i < chance_size; i++)
		ret_bytes[size++] = (unsigned char)i;
	return size;
}

static size_t unhex(const char *text, unsigned char *ret_bytes)
{
	size_t size = strlen(text) / 2;

	for (size_t i = 0; i < size; i++)
		sscanf(text + 2 * i, "%2hhx", &ret_bytes[i]);
	return size;
}

static size_t make_answer(size_t i, unsigned char *ret_bytes)
{
	size_t size = (size_t)sprintf((char *)ret_bytes, "%s", vectors[i].answer_name);

	return size + unhex(vectors[i].mac, ret_bytes + size);
}

/* WA-06 */
/* WA-08 */
Test(auth, answers_as_python_does_for_each_digest)
{
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		unsigned char challenge[256], expected[256], answer[CAROM_ANSWER_SIZE_MAX];
		size_t size = make_challenge(vectors[i].name, vectors[i].chance_size, challenge);
		size_t expected_size = make_answer(i, expected);
		int n = carom_challenge_answer(&secret, challenge, size, answer);

		cr_assert(eq(int, n, (int)expected_size), "vector %zu", i);
		cr_expect(zero(int, memcmp(answer, expected, (size_t)n)), "vector %zu", i);
		cr_expect(zero(int,
			       carom_challenge_verify(&secret, challenge, size, answer, (size_t)n)),
			  "vector %zu", i);
		n = carom_challenge_answer(&strict, challenge, size, answer);
		cr_expect(eq(int, n,
			     vectors[i].digest == CAROM_DIGEST_MD5 ? -EKEYREJECTED
								   : (int)expected_size));
	}
}

/* WA-09 */
Test(auth, old_client_answers_a_new_challenge)
{
	unsigned char challenge[256], mac[16];
	size_t size = make_challenge("{sha256}", 40, challenge);

	unhex("8e48d2bb349b4b72b9382999ed5b62eb", mac);
	cr_expect(zero(int, carom_challenge_verify(&secret, challenge, size, mac, 16)));
	cr_expect(
		eq(int, carom_challenge_verify(&strict, challenge, size, mac, 16), -EKEYREJECTED));
	mac[0] ^= 1;
	cr_expect(
		eq(int, carom_challenge_verify(&secret, challenge, size, mac, 16), -EKEYREJECTED));
}

/* WA-07 */
Test(auth, answers_that_are_wrong_are_rejected)
{
	unsigned char challenge[256], answer[256];
	size_t size = make_challenge("{sha256}", 40, challenge);
	size_t answer_size = make_answer(2, answer);
	static const char *wrong[] = { "",
				       "{",
				       "{}",
				       "{sha256",
				       "{sha256}",
				       "{sha512}xxxxxxxx",
				       "{sha256789}xxxxxxxxxxxxxxxxxxxxxxx",
				       "sha256}xxx",
				       "{md5}xxxxxxxxxxxxxxxx",
				       "#WELCOME#",
				       "0123456789abcdef0123" /* 20: an old one, of no MD5 */ };

	cr_expect(zero(int, carom_challenge_verify(&secret, challenge, size, answer, answer_size)));
	for (size_t i = 0; i < answer_size; i++) {
		cr_expect(eq(int, carom_challenge_verify(&secret, challenge, size, answer, i),
			     -EKEYREJECTED),
			  "cut to %zu", i);
		answer[i] ^= 0x20;
		cr_expect(eq(int,
			     carom_challenge_verify(&secret, challenge, size, answer, answer_size),
			     -EKEYREJECTED),
			  "byte %zu", i);
		answer[i] ^= 0x20;
	}
	cr_expect(eq(int, carom_challenge_verify(&secret, challenge, size, answer, answer_size + 1),
		     -EKEYREJECTED));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_expect(eq(int,
			     carom_challenge_verify(&secret, challenge, size,
						    (const unsigned char *)wrong[i],
						    strlen(wrong[i])),
			     -EKEYREJECTED),
			  "%s", wrong[i]);
	/* the name is under the MAC as well */
	challenge[16] = '1';
	cr_expect(eq(int, carom_challenge_verify(&secret, challenge, size, answer, answer_size),
		     -EKEYREJECTED));
}

/* WA-10 */
Test(auth, what_is_no_challenge_is_not_answered)
{
	static const char *wrong[] = {
		"",
		"#CHALLENGE#",
		"#CHALLENGE#0123456789012345678",
		"#CHALLENGE!01234567890123456789",
		"#CHALLENGE#012345678901234567890",
		"#CHALLENGE#{sha512}0123456789012345678901234567890123456789",
		"#CHALLENGE#{}012345678901234567890123456789",
		"#WELCOME#"
	};
	unsigned char answer[CAROM_ANSWER_SIZE_MAX];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_expect(eq(int,
			     carom_challenge_answer(&secret, (const unsigned char *)wrong[i],
						    strlen(wrong[i]), answer),
			     -EKEYREJECTED),
			  "%s", wrong[i]);
}

/* ---- both roles ---- */

struct side {
	struct carom_connection *connection;
	struct carom_auth_options options;
	bool is_first; /* delivers first */
	int result;
};

static int show(struct side *side, bool is_delivery)
{
	return is_delivery ? carom_auth_deliver(side->connection, &side->options, soon())
			   : carom_auth_answer(side->connection, &side->options, soon());
}

static void *show_both(void *data)
{
	struct side *side = data;

	side->result = show(side, side->is_first);
	if (side->result == 0)
		side->result = show(side, !side->is_first);
	if (side->result < 0)
		carom_connection_close(side->connection);
	return NULL;
}

static void meet(struct side *first, struct side *second)
{
	CONNECTION mine = NULL;
	CONNECTION theirs = NULL;
	pthread_t thread;

	cr_assert(zero(int, carom_pipe_new(NULL, &mine, &theirs)));
	first->connection = mine;
	first->is_first = true;
	second->connection = theirs;
	cr_assert(zero(int, pthread_create(&thread, NULL, show_both, second)));
	show_both(first);
	pthread_join(thread, NULL);
}

/* LC-12 */
Test(auth, is_mutual_over_any_connection, .timeout = 30)
{
	for (int digest = 0; digest <= CAROM_DIGEST_SHA3_384; digest++) {
		struct side first = { .options = CAROM_AUTH_OPTIONS(.key = KEY, .key_size = 6,
								    .digest = digest) };
		struct side second = { .options = CAROM_AUTH_OPTIONS(.key = KEY, .key_size = 6) };

		meet(&first, &second);
		cr_expect(zero(int, first.result), "digest %d", digest);
		cr_expect(zero(int, second.result), "digest %d", digest);
	}
}

/* ER-04 */
Test(auth, other_keys_are_rejected_on_both_sides, .timeout = 30)
{
	struct side first = { .options = CAROM_AUTH_OPTIONS(.key = KEY, .key_size = 6) };
	struct side second = { .options = CAROM_AUTH_OPTIONS(.key = KEY, .key_size = 5) };

	meet(&first, &second);
	cr_expect(eq(int, first.result, -EKEYREJECTED));
	cr_expect(eq(int, second.result, -EKEYREJECTED));
}

Test(auth, without_md5_an_old_peer_does_not_get_through, .timeout = 30)
{
	struct side first = { .options = CAROM_AUTH_OPTIONS(.key = KEY, .key_size = 6,
							    .digest = CAROM_DIGEST_MD5) };
	struct side second = { .options = CAROM_AUTH_OPTIONS(.key = KEY, .key_size = 6,
							     .is_md5_refused = true) };

	meet(&first, &second);
	cr_expect(eq(int, second.result, -EKEYREJECTED));
	cr_expect(lt(int, first.result, 0));
}

/* WA-11 */
Test(auth, needs_a_key_of_some_length)
{
	PIPE(first, second, );
	const struct carom_auth_options wrong[] = {
		CAROM_AUTH_OPTIONS(),
		CAROM_AUTH_OPTIONS(.key = "", .key_size = 0),
		CAROM_AUTH_OPTIONS(.key = NULL, .key_size = 6),
		CAROM_AUTH_OPTIONS(.key = KEY, .key_size = 6, .digest = 6),
		CAROM_AUTH_OPTIONS(.key = KEY, .key_size = 6, .digest = CAROM_DIGEST_MD5,
				   .is_md5_refused = true),
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		cr_expect(eq(int, carom_auth_deliver(first, &wrong[i], soon()), -EINVAL));
		cr_expect(eq(int, carom_auth_answer(first, &wrong[i], soon()), -EINVAL));
	}
	cr_expect(eq(int, carom_auth_deliver(first, NULL, soon()), -EINVAL));
	cr_expect(eq(int, carom_connection_poll(second, CAROM_PASSED), -EAGAIN), "not a byte");
	/* of any length */
	for (size_t size = 1; size < 300; size += 61) {
		static char key[300];
		struct side one = { .options = CAROM_AUTH_OPTIONS(.key = key, .key_size = size) };
		struct side other = one;

		meet(&one, &other);
		cr_expect(zero(int, one.result));
		cr_expect(zero(int, other.result));
	}
}

/** struct relay - between two sides, keeping all that goes through it */
struct relay {
	int fds[2];
	unsigned char bytes[4096];
	size_t size;
};

/* Return: false: that side has ended. */
static bool pass_on(struct relay *relay, int from)
{
	unsigned char *place = relay->bytes + relay->size;
	ssize_t size = recv(relay->fds[from], place, sizeof(relay->bytes) - relay->size, 0);

	if (size <= 0)
		return false;
	relay->size += (size_t)size;
	put(relay->fds[!from], place, (size_t)size);
	return true;
}

static void *pass_all_on(void *data)
{
	struct relay *relay = data;
	struct pollfd fds[2] = { { relay->fds[0], POLLIN, 0 }, { relay->fds[1], POLLIN, 0 } };
	bool goes_on = true;

	while (goes_on && poll(fds, 2, -1) > 0)
		for (int side = 0; side < 2; side++)
			if (fds[side].revents && !pass_on(relay, side))
				goes_on = false;
	return NULL;
}

/* All that two sides say to each other that have these keys. */
static void overhear(struct relay *relay, const char *key, const char *other_key)
{
	struct side first = { .options = CAROM_AUTH_OPTIONS(.key = key, .key_size = strlen(key)),
			      .is_first = true };
	struct side second = { .options = CAROM_AUTH_OPTIONS(.key = other_key,
							     .key_size = strlen(other_key)) };
	CONNECTION mine = NULL;
	CONNECTION theirs = NULL;
	pthread_t threads[2];

	relay->size = 0;
	relay->fds[0] = half(&CAROM_CONNECTION_OPTIONS(), &mine);
	relay->fds[1] = half(&CAROM_CONNECTION_OPTIONS(), &theirs);
	first.connection = mine;
	second.connection = theirs;
	cr_assert(zero(int, pthread_create(&threads[0], NULL, pass_all_on, relay)));
	cr_assert(zero(int, pthread_create(&threads[1], NULL, show_both, &second)));
	show_both(&first);
	pthread_join(threads[1], NULL);
	cr_expect(eq(int, first.result, second.result));
	carom_connection_close(mine);
	carom_connection_close(theirs);
	pthread_join(threads[0], NULL);
	close(relay->fds[0]);
	close(relay->fds[1]);
}

/* SN-05 */
Test(auth, keys_are_in_nothing_that_goes_over_a_connection, .timeout = 30)
{
	static const char *keys[] = { "a key of some length", "the key of somebody else" };
	struct relay *relay = share(sizeof(*relay));

	for (int other = 0; other < 2; other++) {
		overhear(relay, keys[0], keys[other]);
		cr_expect(le(sz, 100, relay->size));
		for (int i = 0; i < 2; i++)
			cr_expect(eq(ptr, memmem(relay->bytes, relay->size, keys[i], 6), NULL));
	}
}

/* ---- peers that do not mean well ---- */

static const struct carom_auth_options auth = { .size_bytes = sizeof(auth),
						.key = KEY,
						.key_size = 6 };

static void put_message(int fd, const void *data, size_t size)
{
	unsigned char frame[4] = { 0, 0, (unsigned char)(size >> 8), (unsigned char)size };

	put(fd, frame, 4);
	if (size > 0)
		put(fd, data, size);
}

static size_t get_message(int fd, unsigned char *ret_data)
{
	unsigned char frame[4];

	cr_assert(eq(int, (int)recv(fd, frame, 4, MSG_WAITALL), 4));
	cr_assert(eq(int, (int)recv(fd, ret_data, frame[3], MSG_WAITALL), frame[3]));
	return frame[3];
}

/* Is told that it was rejected */
static void expect_failure(int fd)
{
	unsigned char data[256];

	cr_expect(eq(sz, get_message(fd, data), 59));
	cr_expect(zero(int, memcmp(data, "#CHALLENGE#{sha256}", 19)));
	cr_expect(eq(sz, get_message(fd, data), 9));
	cr_expect(zero(int, memcmp(data, "#FAILURE#", 9)));
}

Test(auth, garbage_for_an_answer_is_rejected_and_told_so, .timeout = 30)
{
	static const char *wrong[] = { "", "x", "#WELCOME#", "{sha256}", "GET / HTTP/1.0\r\n\r\n" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		HALF(connection, fd, );

		put_message(fd, wrong[i], strlen(wrong[i]));
		cr_expect(eq(int, carom_auth_deliver(connection, &auth, soon()), -EKEYREJECTED));
		expect_failure(fd);
	}
}

Test(auth, messages_above_256_bytes_are_refused, .timeout = 30)
{
	static const struct {
		const char *frame;
		size_t size;
		int error;
	} wrong[] = {
		{ "\0\0\1\1", 4, -EBADMSG },
		{ "\x7f\xff\xff\xff", 4, -EBADMSG },
		{ "\x80\0\0\0", 4, -EBADMSG },
		{ "\xff\xff\xff\xff\0\0\0\0\x80\0\0\0", 12, -EBADMSG },
		{ "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12, -EBADMSG },
		{ "\x16\x03\x01\x02\0\1\0\1\xfc", 9, -EBADMSG }, /* TLS says hello */
		{ "\0\0\0\x28{sha", 8, -ECONNRESET },
		{ "", 0, -EPIPE },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		for (int role = 0; role < 2; role++) {
			HALF(connection, fd, );

			put(fd, wrong[i].frame, wrong[i].size);
			if (role)
				shutdown(fd, SHUT_WR);
			else
				carom_closep(&fd);
			cr_expect(eq(int,
				     role ? carom_auth_deliver(connection, &auth, soon())
					  : carom_auth_answer(connection, &auth, soon()),
				     wrong[i].error),
				  "line %zu, role %d", i, role);
		}
	}
}

Test(auth, silence_ends_at_the_deadline, .timeout = 30)
{
	HALF(connection, fd, );

	cr_expect(eq(int, carom_auth_deliver(connection, &auth, carom_deadline_after(1000)),
		     -ETIMEDOUT));
	put(fd, "\0\0\0", 3);
	cr_expect(eq(int, carom_auth_answer(connection, &auth, carom_deadline_after(1000)),
		     -ETIMEDOUT));
}

Test(auth, verdict_that_is_no_welcome_is_a_rejection, .timeout = 30)
{
	static const char *verdicts[] = { "#FAILURE#", "", "#WELCOME", "#WELCOME##", "#welcome#" };
	unsigned char challenge[256];
	size_t size = make_challenge("{sha256}", 40, challenge);

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++) {
		HALF(connection, fd, );

		put_message(fd, challenge, size);
		put_message(fd, verdicts[i], strlen(verdicts[i]));
		cr_expect(eq(int, carom_auth_answer(connection, &auth, soon()), -EKEYREJECTED));
	}
}

/* A client whose answer is right, and that sends our challenge back. */
Test(auth, own_challenge_is_not_answered, .timeout = 30)
{
	HALF(connection, fd, );
	struct carom_handshake handshake;
	unsigned char data[256], answer[CAROM_ANSWER_SIZE_MAX];
	size_t size;
	int n;

	carom_handshake_begin(&handshake, CAROM_HANDSHAKE_LISTENER, &secret);
	cr_assert(eq(int, carom_handshake_go(&handshake, connection, CAROM_PASSED), -EAGAIN));
	size = get_message(fd, data);
	n = carom_challenge_answer(&secret, data, size, answer);
	put_message(fd, answer, (size_t)n);
	put_message(fd, data, size);
	cr_expect(eq(int, carom_handshake_go(&handshake, connection, CAROM_PASSED), -EKEYREJECTED));
}

/* What was right once is not right again. */
Test(auth, answer_is_good_for_one_challenge, .timeout = 30)
{
	unsigned char first[CAROM_CHALLENGE_SIZE_MAX], second[CAROM_CHALLENGE_SIZE_MAX];
	unsigned char answer[CAROM_ANSWER_SIZE_MAX];
	int size = carom_challenge_make(&secret, first), n;

	cr_assert(eq(int, carom_challenge_make(&secret, second), size));
	n = carom_challenge_answer(&secret, first, (size_t)size, answer);
	cr_expect(
		zero(int, carom_challenge_verify(&secret, first, (size_t)size, answer, (size_t)n)));
	cr_expect(eq(int, carom_challenge_verify(&secret, second, (size_t)size, answer, (size_t)n),
		     -EKEYREJECTED));
}
