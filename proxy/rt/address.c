#include "proxy/rt/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

size_t address_octets(const struct address *address, const unsigned char **out)
{
	if (address->socket.ss_family == AF_INET) {
		const struct sockaddr_in *v4 =
			(const struct sockaddr_in *)&address->socket;
		*out = (const unsigned char *)&v4->sin_addr;
		return 4;
	}
	if (address->socket.ss_family != AF_INET6) {
		*out = (const unsigned char *)"";
		return 0;
	}
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;
	bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
	*out = v6->sin6_addr.s6_addr + (mapped ? 12 : 0);
	return mapped ? 4 : 16;
}

void address_text(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
	const unsigned char *at;
	size_t len = address_octets(address, &at);
	if (len == 0 ||
	    !inet_ntop(len == 4 ? AF_INET : AF_INET6, at, out, ADDRESS_TEXT_MAX)) {
		memcpy(out, "unknown", sizeof("unknown"));
	}
}

void address_network_text(const struct address *address, char out[ADDRESS_TEXT_MAX + 4])
{
	unsigned char network[16] = { 0 };
	struct address masked;
	const unsigned char *at;
	size_t len = address_octets(address, &at);
	memcpy(network, at, len == 4 ? 3 : len == 16 ? 6 : 0);
	if (len > 0) {
		address_from_octets(network, len, 0, &masked);
	}
	address_text(len > 0 ? &masked : address, out);
	memcpy(out + strlen(out), len == 4 ? "/24" : len == 16 ? "/48" : "", 4);
}

uint16_t address_port(const struct address *address)
{
	if (address->socket.ss_family == AF_INET) {
		return ntohs(((const struct sockaddr_in *)&address->socket)->sin_port);
	}
	if (address->socket.ss_family == AF_INET6) {
		return ntohs(((const struct sockaddr_in6 *)&address->socket)->sin6_port);
	}
	return 0;
}

bool address_is_loopback(const struct address *address)
{
	const unsigned char *at;
	size_t len = address_octets(address, &at);
	if (len == 4) {
		return at[0] == 127;
	}
	return len == 16 && memcmp(at, &in6addr_loopback, 16) == 0;
}

bool address_in_network(const struct address *address, const struct address *network,
			unsigned prefix_bits)
{
	const unsigned char *a;
	const unsigned char *b;
	size_t len = address_octets(address, &a);
	if (len == 0 || address_octets(network, &b) != len || prefix_bits > len * 8) {
		return false;
	}
	size_t whole = prefix_bits / 8;
	unsigned rest = prefix_bits % 8;
	if (memcmp(a, b, whole) != 0) {
		return false;
	}
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

void address_from_octets(const unsigned char *from, size_t len, uint16_t port,
			 struct address *out)
{
	memset(out, 0, sizeof(*out));
	if (len == 4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)&out->socket;
		*v4 = (struct sockaddr_in){ .sin_family = AF_INET,
					    .sin_port = htons(port) };
		memcpy(&v4->sin_addr, from, sizeof(v4->sin_addr));
		out->len = sizeof(*v4);
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->socket;
		*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					     .sin6_port = htons(port) };
		memcpy(&v6->sin6_addr, from, sizeof(v6->sin6_addr));
		out->len = sizeof(*v6);
	}
}

bool address_parse(struct bytes text, uint16_t port, struct address *out)
{
	char copy[ADDRESS_TEXT_MAX];
	unsigned char found[16];
	if (text.len == 0 || text.len >= sizeof(copy) ||
	    memchr(text.at, '\0', text.len)) {
		return false;
	}
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, copy, found) == 1) {
		address_from_octets(found, 4, port, out);
		return true;
	}
	if (inet_pton(AF_INET6, copy, found) == 1) {
		address_from_octets(found, 16, port, out);
		return true;
	}
	return false;
}
