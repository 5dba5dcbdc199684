/*
 * The header a load balancer puts in front of a connection (HAProxy's PROXY protocol,
 * versions 1 and 2): who the client behind it is.
 *
 * Pure and incremental: given all octets received so far, at any chunking. Whether a
 * header may stand there at all is the caller's knowledge and never guessed from octets.
 * Strict: one spelling of numbers and spaces. What version 2 may carry besides the
 * addresses (TLVs) is skipped.
 */
#ifndef PROTOCOL_PROXY_HEADER_H
#define PROTOCOL_PROXY_HEADER_H

#include "protocol/bytes.h"

#define PROXY_HEADER_TEXT_MAX 107   // octets of version 1, CR LF included
#define PROXY_HEADER_FIXED 16       // octets of version 2 before the addresses
#define PROXY_HEADER_BLOCK_MAX 4096 // octets of version 2 after those, TLVs included

enum proxy_header_result {
	PROXY_HEADER_NEED_MORE, // a header begins like that
	PROXY_HEADER_READY,
	PROXY_HEADER_MALFORMED, // no header, whatever may follow
};

enum proxy_header_family { PROXY_HEADER_IPV4, PROXY_HEADER_IPV6 };

struct proxy_header_end {
	unsigned char address[16]; // network order; IPv4: the first four
	uint16_t port;             // host order
};

struct proxy_header {
	bool is_local;    // LOCAL: the balancer speaks for itself, as in a health check
	bool has_address; // else UNKNOWN, or neither TCP over IPv4 nor over IPv6
	enum proxy_header_family family;
	struct proxy_header_end source, destination;
};

/*
 * Writes *consumed (the header's own octets) and *out only on PROXY_HEADER_READY. A
 * verdict other than NEED_MORE stays the same however much follows.
 */
enum proxy_header_result proxy_header_parse(struct bytes input, size_t *consumed,
					    struct proxy_header *out);

/*
 * After NEED_MORE: so many octets, one or more, are surely still the header's. Who reads
 * no more than these at a time reads nothing of what follows the header.
 */
size_t proxy_header_wanted(struct bytes input);

#endif
