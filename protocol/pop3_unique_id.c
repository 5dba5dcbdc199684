#include "protocol/pop3_unique_id.h"

#include <string.h>

#define SOURCES 5

/* What "{name}" stands for and how many digits its largest value has. */
static const struct {
	const char *name;
	size_t decimal_digits, hex_digits; // 0: text
} sources[SOURCES] = {
	[POP3_UNIQUE_ID_UID] = { "uid", 10, 8 },
	[POP3_UNIQUE_ID_UIDVALIDITY] = { "uidvalidity", 10, 8 },
	[POP3_UNIQUE_ID_GM_MSGID] = { "gm-msgid", 20, 16 },
	[POP3_UNIQUE_ID_EMAILID] = { "emailid", 0, 0 },
};

/* Every function that can refuse a template says why here and returns false. */
static bool refuse(const char **why, const char *sentence)
{
	*why = sentence;
	return false;
}

static bool is_printable(char c)
{
	return c >= 0x21 && c <= 0x7E;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters of either case: a client may compare unique-ids without regard to case. */
static bool is_hex_digit(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/*
 * Parsing: text into parts.
 */

static bool find_source(struct bytes name, enum pop3_unique_id_source *out)
{
	for (size_t i = POP3_UNIQUE_ID_LITERAL + 1; i < SOURCES; i++) {
		if (bytes_equal(name, bytes_of(sources[i].name))) {
			*out = (enum pop3_unique_id_source)i;
			return true;
		}
	}
	return false;
}

/* "[0][width](d|x|X)", the whole of it. */
static bool parse_format(struct bytes format, struct pop3_unique_id_part *part,
			 const char **why)
{
	unsigned width = 0;

	if (format.len > 0 && format.at[0] == '0') {
		part->zero = true;
		bytes_skip(&format, 1);
	}
	while (format.len > 0 && is_digit(format.at[0])) {
		width = width * 10 + (unsigned)(format.at[0] - '0');
		if (width > POP3_UNIQUE_ID_MAX) {
			return refuse(why,
				      "a width in the unique-id template is too large: "
				      "the whole unique-id may have 70 characters");
		}
		bytes_skip(&format, 1);
	}
	if (format.len != 1 || !strchr("dxX", format.at[0]) || format.at[0] == '\0') {
		return refuse(why, "what follows ':' in the unique-id template must be "
				   "a width and d, x or X, as in {uid:08x}");
	}
	if (part->zero != (width > 0)) {
		return refuse(why, "a width in the unique-id template must begin with 0, "
				   "as in {uid:08x}: spaces cannot be in a unique-id");
	}
	part->width = (uint8_t)width;
	part->hex = format.at[0] != 'd';
	part->upper = format.at[0] == 'X';
	return true;
}

/* What stands between the braces. */
static bool parse_variable(struct bytes inside, struct pop3_unique_id_part *part,
			   const char **why)
{
	const char *colon = inside.len > 0 ? memchr(inside.at, ':', inside.len) : NULL;
	struct bytes name = inside;

	if (colon) {
		name.len = (size_t)(colon - inside.at);
	}
	if (!find_source(name, &part->source)) {
		return refuse(why, "unknown name in the unique-id template: there are "
				   "{uid}, {uidvalidity}, {gm-msgid} and {emailid}");
	}
	if (!colon) {
		return true;
	}
	if (part->source == POP3_UNIQUE_ID_EMAILID) {
		return refuse(why, "{emailid} in the unique-id template is text "
				   "and takes no format: write it without ':'");
	}
	bytes_skip(&inside, name.len + 1);
	return parse_format(inside, part, why);
}

/* "{...}" at the front of the rest. */
static bool take_variable(struct bytes *rest, struct pop3_unique_id_part *part,
			  const char **why)
{
	const char *close = memchr(rest->at, '}', rest->len);

	if (!close) {
		return refuse(why, "a '{' in the unique-id template lacks its '}'");
	}
	struct bytes inside = { rest->at + 1, (size_t)(close - rest->at) - 1 };
	bytes_skip(rest, inside.len + 2);
	return parse_variable(inside, part, why);
}

/* Literal octets up to the next "{" or the end. */
static bool take_literal(struct bytes *rest, const char *text,
			 struct pop3_unique_id_part *part, const char **why)
{
	size_t len = 0;

	for (; len < rest->len && rest->at[len] != '{'; len++) {
		if (rest->at[len] == '}') {
			return refuse(why,
				      "a '}' in the unique-id template lacks its '{'");
		}
		if (!is_printable(rest->at[len])) {
			return refuse(why,
				      "the unique-id template may hold only printable "
				      "ASCII characters and no space");
		}
	}
	part->literal_at = (uint8_t)(rest->at - text);
	part->literal_len = (uint8_t)len;
	bytes_skip(rest, len);
	return true;
}

static bool parse_parts(struct pop3_unique_id_template *template, size_t len,
			const char **why)
{
	struct bytes rest = { template->text, len };

	while (rest.len > 0) {
		if (template->count == POP3_UNIQUE_ID_PARTS) {
			return refuse(why, "the unique-id template has too many parts: "
					   "8 are allowed, literal text included");
		}
		struct pop3_unique_id_part *part = &template->parts[template->count++];
		bool good = rest.at[0] == '{'
				    ? take_variable(&rest, part, why)
				    : take_literal(&rest, template->text, part, why);
		if (!good) {
			return false;
		}
	}
	return true;
}

/*
 * Judging: is every unique-id legal, and does it name one message only?
 */

static size_t most_digits(const struct pop3_unique_id_part *part)
{
	return part->hex ? sources[part->source].hex_digits
			 : sources[part->source].decimal_digits;
}

/* An EMAILID has at least one octet; how many more is seen when it is formatted. */
static size_t longest(const struct pop3_unique_id_part *part)
{
	switch (part->source) {
	case POP3_UNIQUE_ID_LITERAL:
		return part->literal_len;
	case POP3_UNIQUE_ID_EMAILID:
		return 1;
	case POP3_UNIQUE_ID_UID:
	case POP3_UNIQUE_ID_UIDVALIDITY:
	case POP3_UNIQUE_ID_GM_MSGID:
		break;
	}
	return part->width > most_digits(part) ? part->width : most_digits(part);
}

static bool has_fixed_width(const struct pop3_unique_id_part *part)
{
	return part->source == POP3_UNIQUE_ID_LITERAL ||
	       (part->source != POP3_UNIQUE_ID_EMAILID &&
		part->width >= most_digits(part));
}

/* Could c be the next octet of the part's value? An EMAILID may hold any. */
static bool may_hold(const struct pop3_unique_id_part *part, char c)
{
	if (part->source == POP3_UNIQUE_ID_EMAILID) {
		return true;
	}
	return part->hex ? is_hex_digit(c) : is_digit(c);
}

/* Does a literal on the one side (step 1: right, -1: left) show where a part ends? */
static bool is_delimited(const struct pop3_unique_id_template *template, int at, int step)
{
	int beside = at + step;

	if (beside < 0 || beside >= template->count) {
		return false;
	}
	const struct pop3_unique_id_part *literal = &template->parts[beside];
	size_t edge = step > 0 ? 0 : literal->literal_len - 1U;
	return literal->source == POP3_UNIQUE_ID_LITERAL &&
	       !may_hold(&template->parts[at],
			 template->text[literal->literal_at + edge]);
}

/* Walk from one end over the parts whose values can be read off; the first that can't. */
static int first_open(const struct pop3_unique_id_template *template, int from, int step)
{
	int at = from;

	while (at >= 0 && at < template->count &&
	       (has_fixed_width(&template->parts[at]) ||
		is_delimited(template, at, step))) {
		at += step;
	}
	return at;
}

/*
 * Can the values be read back from a unique-id? Read from the left and from the right
 * as far as possible: what one single part in between stands for is known then.
 */
static bool is_unambiguous(const struct pop3_unique_id_template *template)
{
	return first_open(template, 0, 1) >=
	       first_open(template, template->count - 1, -1);
}

static bool judge_sources(const struct pop3_unique_id_template *template, bool uid_only,
			  const char **why)
{
	if (pop3_unique_id_uses(template, POP3_UNIQUE_ID_GM_MSGID) ||
	    pop3_unique_id_uses(template, POP3_UNIQUE_ID_EMAILID)) {
		return true;
	}
	if (!pop3_unique_id_uses(template, POP3_UNIQUE_ID_UID)) {
		return refuse(
			why, "the unique-id template does not tell messages apart: "
			     "it needs {uid} and {uidvalidity}, {gm-msgid} or {emailid}");
	}
	if (!uid_only && !pop3_unique_id_uses(template, POP3_UNIQUE_ID_UIDVALIDITY)) {
		return refuse(
			why,
			"the unique-id template has {uid} without {uidvalidity}: "
			"add it, since UIDs may be given again, or say uid-only: true");
	}
	return true;
}

static bool judge(const struct pop3_unique_id_template *template, bool uid_only,
		  const char **why)
{
	size_t octets = 0;

	for (size_t i = 0; i < template->count; i++) {
		octets += longest(&template->parts[i]);
	}
	if (octets > POP3_UNIQUE_ID_MAX) {
		return refuse(why,
			      "the unique-id template can make unique-ids of more than "
			      "70 characters: shorten its text or its widths");
	}
	if (!judge_sources(template, uid_only, why)) {
		return false;
	}
	if (!is_unambiguous(template)) {
		return refuse(
			why,
			"two values in the unique-id template run into each other: "
			"pad them as in {uid:08x}{uidvalidity:08x} (hex 08x, decimal "
			"010d), or put a character between them that is no digit of "
			"either; {emailid} allows only padded values beside it");
	}
	return true;
}

bool pop3_unique_id_parse(struct bytes text, bool uid_only,
			  struct pop3_unique_id_template *out, const char **why)
{
	struct pop3_unique_id_template template = { 0 };

	if (text.len == 0) {
		return refuse(why, "the unique-id template is empty: write for "
				   "example " POP3_UNIQUE_ID_DEFAULT);
	}
	if (text.len > sizeof(template.text)) {
		return refuse(why,
			      "the unique-id template is longer than 140 characters");
	}
	memcpy(template.text, text.at, text.len);
	if (!parse_parts(&template, text.len, why) || !judge(&template, uid_only, why)) {
		return false;
	}
	*out = template;
	return true;
}

bool pop3_unique_id_uses(const struct pop3_unique_id_template *template,
			 enum pop3_unique_id_source source)
{
	for (size_t i = 0; i < template->count; i++) {
		if (template->parts[i].source == source) {
			return true;
		}
	}
	return false;
}

/*
 * Formatting.
 */

/* The unique-id under construction. */
struct line {
	char *at;
	size_t len;
};

static bool put(struct line *line, struct bytes text)
{
	if (text.len > POP3_UNIQUE_ID_MAX - line->len) {
		return false;
	}
	if (text.len > 0) {
		memcpy(line->at + line->len, text.at, text.len);
		line->len += text.len;
	}
	return true;
}

/* 0 is no UID, no UIDVALIDITY and no X-GM-MSGID: the value is missing. */
static bool put_number(struct line *line, const struct pop3_unique_id_part *part,
		       uint64_t number)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	const char *digits = part->upper ? upper : lower;
	unsigned base = part->hex ? 16 : 10;
	char text[POP3_UNIQUE_ID_MAX];
	size_t at = sizeof(text);

	if (number == 0) {
		return false;
	}
	for (; number > 0; number /= base) {
		text[--at] = digits[number % base];
	}
	while (sizeof(text) - at < part->width) {
		text[--at] = '0';
	}
	return put(line, (struct bytes){ text + at, sizeof(text) - at });
}

static bool put_emailid(struct line *line, struct bytes emailid)
{
	for (size_t i = 0; i < emailid.len; i++) {
		if (!is_printable(emailid.at[i])) {
			return false;
		}
	}
	return emailid.len > 0 && put(line, emailid);
}

static bool put_part(struct line *line, const struct pop3_unique_id_template *template,
		     const struct pop3_unique_id_part *part,
		     const struct pop3_unique_id_values *values)
{
	switch (part->source) {
	case POP3_UNIQUE_ID_LITERAL:
		return put(line, (struct bytes){ template->text + part->literal_at,
						 part->literal_len });
	case POP3_UNIQUE_ID_UID:
		return put_number(line, part, values->imap_uid);
	case POP3_UNIQUE_ID_UIDVALIDITY:
		return put_number(line, part, values->uidvalidity);
	case POP3_UNIQUE_ID_GM_MSGID:
		return put_number(line, part, values->gm_msgid);
	case POP3_UNIQUE_ID_EMAILID:
		return put_emailid(line, values->emailid);
	}
	return false;
}

size_t pop3_unique_id_format(const struct pop3_unique_id_template *template,
			     const struct pop3_unique_id_values *values,
			     char out[POP3_UNIQUE_ID_MAX])
{
	struct line line = { out, 0 };

	for (size_t i = 0; i < template->count; i++) {
		if (!put_part(&line, template, &template->parts[i], values)) {
			return 0;
		}
	}
	return line.len;
}
