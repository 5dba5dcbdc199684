/*
 * What the files of the keeper role share: the workers it serves and the sign-ins they
 * have under way. Nothing outside of keeper includes this.
 */
#ifndef PROXY_KEEPER_KEEPER_INTERNAL_H
#define PROXY_KEEPER_KEEPER_INTERNAL_H

#include "proxy/ipc/outbox.h"
#include "proxy/keeper/consents.h"
#include "proxy/keeper/keeper.h"
#include "proxy/keeper/lock_table.h"
#include "proxy/keeper/login_delay.h"
#include "proxy/keeper/store.h"
#include "proxy/keeper/suspects.h"
#include "proxy/keeper/throttle.h"
#include "proxy/keeper/tokens.h"
#include "proxy/keeper/vault.h"

/* A sign-in that was allowed and has not been told the end of. */
struct attempt {
	struct attempt *next; // worker::attempts
	unsigned char address[KEEPER_ADDRESS_BYTES];
	bool shared, known;
	uint64_t hash;
	char *account; // owned
	size_t account_len;
	uint64_t asked_ms;
	struct throttle_charge charge;
};

/* An index that a worker is passing on. Zeroed: none. */
struct index_inflow {
	uint64_t id; // in the store
	uint32_t pieces;
	uint64_t octets;
};

/* What a worker may say: a HELLO; the locks it holds; everything else; nothing more. */
enum worker_state { WORKER_NEW, WORKER_DECLARING, WORKER_SERVED, WORKER_LEAVING };

struct worker {
	struct worker *next; // keeper::workers or keeper::leaving
	struct keeper *keeper;
	uint32_t id; // never used again
	uint32_t slot;
	enum worker_state state;
	struct channel *channel;
	struct outbox outbox;
	struct task *task;
	struct attempt *attempts; // attempt::next, the newest first
	size_t attempt_count;
	struct index_inflow index;
	char *packet; // CHANNEL_MESSAGE_MAX
};

struct keeper {
	struct store *store;
	bool is_in_memory;
	struct throttle *throttle;
	struct suspects *suspects;
	struct login_delay *login_delays;
	struct lock_table *locks;
	struct worker *workers; // worker::next, served
	struct worker *leaving; // worker::next, their tasks end
	uint32_t last_id;
	size_t undeclared;    // workers that have not said what they hold
	struct gate declared; // undeclared fell
	struct task *ticker;
	struct admin *admin; // NULL: no control socket
	struct vault *vault; // registered accounts: this and the next three
	struct tokens *tokens;
	struct prover *prover;
	struct page *page;
	struct consents consents;
	bool has_accepted; // other unique-ids, by the configuration of this digest
	uint64_t accepted;
};

uint64_t keeper_wall_s(void);

/* NULL: it is gone. */
struct worker *keeper_worker_by_id(const struct keeper *keeper, uint32_t id);

/* To every worker that may be asked. How many there are. */
size_t keeper_say_to_all(struct keeper *keeper, const struct keeper_message *message);

/* Device passwords have changed: workers hear whether APOP is to be offered. */
void keeper_tell_apop(struct keeper *keeper);

/* KEEPER_KEEP_INDEX, KEEPER_ASK_INDEX, KEEPER_KNOWN */
void keeper_index_keep(struct worker *worker, const struct keeper_message *message);
void keeper_index_ask(struct worker *worker, const struct keeper_message *message);
void keeper_note_known(struct worker *worker, const struct keeper_message *message);

/* An operator wants other unique-ids, by the configuration of this digest. */
void keeper_accept(struct keeper *keeper, uint64_t digest);

/* KEEPER_ASK: the number of the verdict. False: no sane worker has so many open. */
bool keeper_sign_in_ask(struct worker *worker, const struct keeper_message *message,
			uint32_t *number);

/* KEEPER_TELL */
void keeper_sign_in_tell(struct worker *worker, const struct keeper_message *message);

/* Those nobody will tell the end of any more. */
void keeper_sign_in_expire(struct worker *worker);

/* The worker is gone; is_dead: it did not go by itself. Frees the attempts. */
void keeper_sign_in_end(struct worker *worker, bool is_dead);

#endif
