/*
 * The keeper role: maildrop locks, sign-in throttle, statistics of accounts, and the
 * store they live in (SQLite in WAL mode in the state directory; in memory without one).
 * One process, no network, no certificate. It answers workers, each over a channel of
 * its own, and believes nothing they say beyond what they may know.
 */
#ifndef PROXY_KEEPER_KEEPER_H
#define PROXY_KEEPER_KEEPER_H

#include "proxy/config/config_unique_ids.h"
#include "proxy/rt/channel.h"

struct keeper;

/*
 * Opens the store: state_directory NULL keeps everything in memory. FAILURE_PERMANENT:
 * not writable (with the command that mends it), another instance has it, a schema
 * newer than this program, a damaged store.
 */
struct keeper *keeper_open(const char *state_directory,
			   const struct config_limits *limits, struct failure *failure);

/*
 * The same, beginning with what keeper_close_to_memory() of another one gave; -1:
 * nothing. It stays the caller's, and with a state directory it is not looked at.
 */
struct keeper *keeper_open_from(const char *state_directory, int memory,
				const struct config_limits *limits,
				struct failure *failure);

/*
 * Registered accounts, with the master key and the providers of config, which is borrowed
 * until the next keeper_describe() or the end. Before anything is served.
 * FAILURE_PERMANENT: the master key is not the one of the store's secrets.
 */
bool keeper_use_accounts(struct keeper *keeper, const struct config *config,
			 struct failure *failure);

/*
 * Does this configuration leave the unique-ids of known accounts as they are?
 * FAILURE_PERMANENT: no. accept, or the operator has: they are known no more.
 */
bool keeper_agrees(struct keeper *keeper, const struct config *config, bool accept,
		   struct failure *failure);

/*
 * The same for the state directory of a service that does not run: *verdict. Nothing is
 * changed in it. FAILURE_PERMANENT: it cannot be read.
 */
bool keeper_judge_at(const char *state_directory, const struct config *config,
		     struct config_verdict *verdict, struct failure *failure);

/* The oauth role is at the other end (taken over). */
SUSPENDS void keeper_ask_for_tokens(struct keeper *keeper, int fd);

/* The web role is at the other end (taken over): it asks for people at the consent page.
 */
SUSPENDS void keeper_serve_page(struct keeper *keeper, int fd);

/*
 * A worker is at the other end of this descriptor (taken over): served by a task of its
 * own. All workers that live when the keeper starts have to be given to it before the
 * loop runs: no lock is granted until each of them has declared what it holds, or had a
 * second for it.
 */
void keeper_serve(struct keeper *keeper, int fd);

/*
 * Answers operators at config->control, where there is one. Where that cannot be made it
 * is logged, and mail is served all the same. config is borrowed until the next
 * keeper_describe() or the end.
 */
void keeper_answer_operators(struct keeper *keeper, const struct config *config);

/* Another configuration: its providers, and what operators are told from now on. */
void keeper_describe(struct keeper *keeper, const struct config *config);

/* New limits, from now on. */
void keeper_limit(struct keeper *keeper, const struct config_limits *limits);

/* Writes what is in memory, closes the store. Workers' channels are closed. */
SUSPENDS void keeper_close(struct keeper *keeper); // NULL is fine

/* The same. A keeper without a state directory leaves a memory file; else -1. */
SUSPENDS int keeper_close_to_memory(struct keeper *keeper);

#endif
