/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The '@' options of a port name: "@name:key=value,key=value" and "@name=value", the latter
 * for the option's default key; more keys may follow that, too. What the options mean is in
 * portoption.c.
 */
#include <errno.h>
#include <libnetmap.h>
#include <string.h>

static int refuse(struct nmctx *ctx, const char *where, const char *why)
{
	nmctx_ferror(ctx, "port option '%s': %s", where, why);
	errno = EINVAL;
	return -1;
}

/* Keys may be written with '-' for '_'. */
static int same_key(const char *key, const char *text)
{
	for (; *key && *text; key++, text++) {
		if (*key != (*text == '-' ? '_' : *text))
			return 0;
	}
	return *key == *text;
}

static struct nmreq_opt_parser *find_parser(struct nmreq_opt_parser *parsers, const char *name)
{
	for (; parsers; parsers = parsers->next) {
		if (!strcmp(parsers->name, name))
			break;
	}
	return parsers;
}

/* Index of the key so named, or of the default key if text is NULL; -1 if there is none. */
static int find_key(const struct nmreq_opt_parser *parser, const char *text)
{
	unsigned int i;

	for (i = 0; i < parser->nr_keys; i++) {
		const struct nmreq_opt_key *k = &parser->keys[i];

		if (text ? same_key(k->key, text) : (k->flags & NMREQ_OPTK_DEFAULT) != 0)
			return (int)i;
	}
	return -1;
}

/* One "key=value", or "value" for the default key (key NULL). */
static int set_key(struct nmreq_parse_ctx *p, const char *key, const char *value)
{
	int i = find_key(p->parser, key);

	if (i < 0)
		return refuse(p->ctx, key ? key : p->parser->name,
			      key ? "no such key" : "needs a key: @option:key=value");
	if (!value || !*value)
		return refuse(p->ctx, p->parser->keys[i].key, "no value");
	if (p->keys[i])
		return refuse(p->ctx, p->parser->keys[i].key, "given twice");
	p->keys[i] = value;
	return 0;
}

/* "key=value,key=value"; cut up in place. */
static int set_keys(struct nmreq_parse_ctx *p, char *list)
{
	char *item;

	while ((item = strsep(&list, ","))) {
		char *value = strchr(item, '=');

		if (value)
			*value++ = '\0';
		if (set_key(p, item, value))
			return -1;
	}
	return 0;
}

/* One option without its '@'; cut up in place. */
static int decode_one(char *text, struct nmreq_opt_parser *parsers, void *token, struct nmctx *ctx)
{
	struct nmreq_parse_ctx p = {.ctx = ctx, .token = token};
	size_t name_len = strcspn(text, ":=");
	char separator = text[name_len];
	char *rest = separator ? text + name_len + 1 : NULL;
	unsigned int i;

	text[name_len] = '\0';
	p.parser = find_parser(parsers, text);
	if (!p.parser)
		return refuse(ctx, text, "no such option");
	if (p.parser->flags & NMREQ_OPTF_DISABLED) {
		nmctx_ferror(ctx, "port option '%s': not enabled in this program", text);
		errno = EOPNOTSUPP;
		return -1;
	}
	if (separator == '=') {
		char *value = strsep(&rest, ",");

		if (set_key(&p, NULL, value))
			return -1;
	}
	if (rest && set_keys(&p, rest))
		return -1;
	for (i = 0; i < p.parser->nr_keys; i++) {
		if ((p.parser->keys[i].flags & NMREQ_OPTK_MUSTSET) && !p.keys[i])
			return refuse(ctx, p.parser->keys[i].key, "must be given");
	}
	return p.parser->parse(&p);
}

int nmreq_options_decode(const char *opt, struct nmreq_opt_parser *parsers, void *token,
			 struct nmctx *ctx)
{
	char *copy, *scan, *item;
	size_t size;
	int error = 0;

	if (!*opt)
		return 0;
	if (*opt != '@')
		return refuse(ctx, opt, "it should start with '@'");
	size = strlen(opt); /* without the '@', with the NUL */
	copy = nmctx_malloc(ctx, size);
	if (!copy) {
		nmctx_ferror(ctx, "out of memory");
		errno = ENOMEM;
		return -1;
	}
	memcpy(copy, opt + 1, size);
	scan = copy;
	while (!error && (item = strsep(&scan, "@")))
		error = decode_one(item, parsers, token, ctx);
	nmctx_free(ctx, copy);
	return error;
}
