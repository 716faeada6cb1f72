/*
 * Auth
 *
 * One half of a handshake, for a connection that is there already.
 */
#include "ipc/auth.h"

#include "core/options.h"
#include "ipc/handshake.h"

static int show(struct carom_connection *connection, enum carom_handshake_role role,
		const struct carom_auth_options *options, uint64_t deadline_ns)
{
	struct carom_handshake handshake;
	struct carom_auth_options o;
	struct carom_secret secret;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0)
		r = carom_secret_take(&o, &secret);
	if (r < 0)
		return r;
	carom_handshake_begin(&handshake, role, &secret);
	return carom_handshake_go(&handshake, connection, deadline_ns);
}

int carom_auth_deliver(struct carom_connection *connection,
		       const struct carom_auth_options *options, uint64_t deadline_ns)
{
	return show(connection, CAROM_HANDSHAKE_DELIVER, options, deadline_ns);
}

int carom_auth_answer(struct carom_connection *connection, const struct carom_auth_options *options,
		      uint64_t deadline_ns)
{
	return show(connection, CAROM_HANDSHAKE_ANSWER, options, deadline_ns);
}
