/*
 * What the messages between the roles consist of: numbers, the least octet first, and
 * texts, a number of two octets and as many as it says. The decoders' rest is untrusted;
 * false: it has no such field. What is taken points into it.
 */
#ifndef PROXY_IPC_FIELD_H
#define PROXY_IPC_FIELD_H

#include "protocol/buffer.h"

/* False: there is no room. octets: at most 8. */
bool field_put_number(struct buffer *out, uint64_t number, size_t octets);
/* False: longer than max, or there is no room. */
bool field_put_text(struct buffer *out, struct bytes text, size_t max);

bool field_take_number(struct bytes *rest, size_t octets, uint64_t *out);
bool field_take_u32(struct bytes *rest, size_t octets, uint32_t *out); // at most 4
bool field_take_text(struct bytes *rest, size_t max, struct bytes *out);

/* Of an array those whose bits are set, in order; numbers are of 8 octets. */
bool field_put_numbers(struct buffer *out, const uint64_t *numbers, unsigned which);
bool field_put_texts(struct buffer *out, const struct bytes *texts, unsigned which,
		     size_t max);
bool field_take_numbers(struct bytes *rest, unsigned which, uint64_t *numbers);
bool field_take_texts(struct bytes *rest, unsigned which, size_t max,
		      struct bytes *texts);

#endif
