/*
 * The configuration: one struct, checked whole, immutable while it is used.
 *
 * YAML by libcyaml; its structural errors carry file, line and column. Then every
 * mistake of meaning is reported at once by its path ("routes[2].server"), each with
 * what would be right. Everything has a default but routes. All strings are owned by
 * the struct; NULL where the setting is absent.
 */
#ifndef PROXY_CONFIG_CONFIG_H
#define PROXY_CONFIG_CONFIG_H

#include "protocol/buffer.h"
#include "protocol/pop3_unique_id.h"
#include "proxy/base/log.h"
#include "proxy/config/config_provider.h"
#include "proxy/rt/stream.h"
#include "proxy/rt/tls.h"

enum config_tls { CONFIG_TLS_NONE, CONFIG_TLS_STARTTLS, CONFIG_TLS_IMPLICIT };

struct config_network { // "192.0.2.0/24", "2001:db8::/32", "10.1.2.3"
	struct address address;
	unsigned prefix_bits;
};

struct config_networks {
	struct config_network *list;
	size_t count;
};

struct config_listener {
	struct address address; // "0.0.0.0:110", "[::]:995", "127.0.0.1:0"
	enum config_tls tls;
	size_t certificate_first; // those it shows: a run in config.certificates,
	size_t certificate_count; // the run's first is its default. 0: no TLS
	struct config_networks plain_from;      // may sign in without TLS
	struct config_networks legacy_tls_from; // may speak TLS 1.0 and 1.1
	struct config_networks proxy_from; // balancers, whose PROXY header is required.
					   // None: no header is read
};

enum config_security {
	CONFIG_IMAPS,         // imaps://host[:993]
	CONFIG_IMAP_STARTTLS, // imap+starttls://host[:143]
	CONFIG_IMAP_PLAIN,    // imap://host[:143]: loopback only unless allow-plain
};

enum config_without_uidplus {
	CONFIG_LEAVE,   // flag only, QUIT answers -ERR, hidden from later snapshots
	CONFIG_CAREFUL, // unflag foreign ones, expunge, flag them again
	CONFIG_NEVER,   // DELE is refused
};

enum config_forward_client { CONFIG_FORWARD_NONE, CONFIG_FORWARD_ID };
enum config_when_locked { CONFIG_REFUSE, CONFIG_WAIT, CONFIG_TAKE_OVER, CONFIG_SHARE };
enum config_addresses {
	CONFIG_ADDRESSES_FULL,
	CONFIG_ADDRESSES_TRUNCATED, // the network: /24 or /48
	CONFIG_ADDRESSES_HASHED,    // under a key of this start
};
enum config_nul { CONFIG_NUL_KEEP, CONFIG_NUL_REPLACE };

struct config_route {
	char *match;  // on the POP3 user name: "*" is any run, letters in any case
	char *server; // the URL as written, for messages
	enum config_security security;
	char *host;
	uint16_t port;
	bool allow_plain;
	char *user; // "{user}", "{local}", "{domain}" and literal text
	char *ca_file;
	char *client_certificate, *client_key;
	char **pins; // base64 of SHA-256 of SubjectPublicKeyInfo
	size_t pin_count;
	char *folder;          // "INBOX"
	char folder_separator; // "user+Folder"; 0: off
	struct pop3_unique_id_template unique_id;
	bool mark_read;
	bool read_ahead; // default true
	bool compress;
	enum config_without_uidplus without_uidplus;
	enum config_forward_client forward_client;
	enum config_when_locked when_locked;
	enum config_nul nul;
	uint32_t login_delay_s; // between two sign-ins of an account; 0: any
	/* What the server is asked for at most, by all workers; 0: any. */
	uint32_t server_connections;
	uint32_t server_connections_per_account;
	uint32_t server_sign_in_rate;   // a second
	uint64_t server_octets_per_day; // of an account
	uint64_t min_poll_ms; // how long a list answers for the server; 0: not at all
};

struct config_limits {
	uint32_t sessions;                // 10000
	uint32_t sessions_per_address;    // 64; not from loopback or shared_addresses
	uint32_t sessions_per_account;    // 20
	uint32_t accept_rate;             // 2000 connections a second
	uint32_t accept_rate_per_address; // 20
	uint64_t idle_ms;                 // 10m
	uint64_t write_stall_ms;          // default: idle
	uint64_t sign_in_ms;              // 60s, the client's part, absolute
	uint64_t upstream_sign_in_ms;     // 55s, from the password to the snapshot
	uint64_t drain_ms;        // 120s, for transactions once we are told to end
	uint64_t connect_ms;      // 10s upstream steps
	uint64_t tls_ms;          // 10s, both sides
	uint64_t authenticate_ms; // 30s
	uint64_t command_ms;      // 60s each other upstream command
	uint64_t minimum_rate;    // 1KiB octets a second of a body, over 60 s; 0: off
	uint64_t parking_ms;      // 5m; 0: off
	uint32_t parked;          // 256 in each worker
	uint64_t sign_in_delay_min_ms; // 2s..15s; 0..0 for off
	uint64_t sign_in_delay_max_ms;
};

/* Health, metrics and the status page, over HTTP. */
struct config_web {
	bool wanted;
	struct address address; // "127.0.0.1:9110"
	char **host_names;      // besides numeric addresses and localhost
	size_t host_name_count;
};

/* The page where invited people consent by themselves, over HTTPS. */
struct config_consent {
	bool wanted;
	struct address address; // "0.0.0.0:8443"
	char *url;              // "https://pop.example.com:8443": its origin, no path
	char *certificate, *key;
	char *pop3_host; // what devices are told
	uint16_t pop3_port;
	enum config_tls pop3_tls;
	uint64_t invitation_ms; // 72h: how long a link is good
};

struct config {
	struct config_listener *listeners;
	size_t listener_count;
	struct tls_certificate
		*certificates; // of the tls section, then the listeners' own
	size_t certificate_count;
	bool self_signed; // the last one is ours: tls_self_signed_ensure() first
	enum tls_version minimum_tls;
	char *user;    // whom root becomes; NULL: popbridge or nobody
	char *state;   // NULL: nothing is kept
	char *control; // the socket for operators; NULL: none
	uint32_t workers;
	struct config_networks shared_addresses; // many people behind one address
	struct config_route *routes;             // first match wins
	size_t route_count;
	struct config_provider *providers; // OAuth2; by name
	size_t provider_count;
	char *master_key; // file; NULL: no secrets can be stored
	struct config_limits limits;
	enum log_level log_level;
	enum log_format log_format;
	enum config_addresses log_addresses;
	char **log_trace; // patterns of users whose dialogue is logged
	size_t log_trace_count;
	struct config_web web;
	struct config_consent consent;
};

/*
 * All mistakes found, one line each:
 * "popbridge.yaml:3:7: ..." or "routes[2].server: ...".
 */
struct config_errors {
	struct buffer text;
	size_t count;
};

/*
 * Read and check; at most 1 MiB. NULL where errors->count > 0. *errors is written whole,
 * whatever was in it, and is released by the caller in either case.
 *
 * Without `listen`: 0.0.0.0:110 with STARTTLS and 0.0.0.0:995 with TLS where there is a
 * certificate, else 127.0.0.1:1110 without TLS.
 */
struct config *config_load(const char *path, struct config_errors *errors);

/*
 * From now on this process does not look whether the files a configuration names can be
 * read: the one that gave it the text has.
 */
void config_trust_files(void);

/*
 * What `popbridge URL` runs: one loopback listener on 1110 without TLS, one route "*"
 * to url, defaults for the rest.
 */
struct config *config_from_url(const char *url, struct config_errors *errors);

void config_free(struct config *config);
void config_errors_release(struct config_errors *errors);

/* First match wins; NULL: no route for this user. */
const struct config_route *config_route_for(const struct config *config,
					    struct bytes user);

/* Is the dialogue of this user to be logged? */
bool config_is_traced(const struct config *config, struct bytes user);

/*
 * The upstream user: the route's template filled with the POP3 name ("{local}" is all of
 * it and "{domain}" empty where it has no "@"). False where it does not fit or is empty.
 */
bool config_upstream_user(const struct config_route *route, struct bytes user,
			  struct buffer *out);

/* NULL: there is none of that name. */
const struct config_provider *config_provider_named(const struct config *config,
						    struct bytes name);

/*
 * Where the control socket of a configuration is that may be broken: what it says of
 * `control` or `state` in front of the first mistake of spelling. Owned by the caller;
 * NULL: nothing.
 */
char *config_find_control(struct bytes text);

/* Bound to loopback, and no balancer brings clients from elsewhere. */
bool config_is_for_this_host(const struct config_listener *listener);

bool config_networks_contain(const struct config_networks *networks,
			     const struct address *address);

/*
 * Of texts that are not in the file: is it a network or an address (*why is what would be
 * right), and is this address, IPv6 or IPv4 mapped into it, in it?
 */
bool config_network_is(struct bytes text, const char **why);
bool config_network_has(struct bytes text, const unsigned char address[16]);

/* What it understood, as `popbridge check` prints it, defaults included. */
void config_describe(const struct config *config, struct buffer *out);

/*
 * A line for each file with a secret that every user of this machine may read: before,
 * which setting names it, and what to do.
 */
void config_describe_exposed(const struct config *config, const char *before,
			     struct buffer *out);

#endif
