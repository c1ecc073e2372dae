/* JSON as slices: a scanner that never reads past its text, and a writer of texts. */

#include <string.h>

#include "inner.h"

enum { DEPTH = 100 };

static const char *space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

static bool hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* The end of the text that begins at `at` with its quote; NULL where it has none. */
static const char *text_end(const char *at, const char *end) {
  if (at == end || *at != '"') return NULL;
  for (at++; at < end; at++) {
    unsigned char c = (unsigned char)*at;
    if (c == '"') return at + 1;
    if (c < 0x20) return NULL;
    if (c != '\\') continue;
    at++;
    if (at == end) return NULL;
    if (*at == 'u') {
      if (end - at < 5 || !hex(at[1]) || !hex(at[2]) || !hex(at[3]) || !hex(at[4])) return NULL;
      at += 4;
    } else if (memchr("\"\\/bfnrt", *at, 8) == NULL) {
      return NULL;
    }
  }
  return NULL;
}

static const char *digits(const char *at, const char *end) {
  const char *first = at;
  while (at < end && *at >= '0' && *at <= '9') at++;
  return at == first ? NULL : at;
}

static const char *number_end(const char *at, const char *end) {
  if (at < end && *at == '-') at++;
  const char *whole = at;
  at = digits(at, end);
  if (at == NULL || (*whole == '0' && at - whole > 1)) return NULL;
  if (at < end && *at == '.') at = digits(at + 1, end);
  if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    at = digits(at, end);
  }
  return at;
}

static const char *word_end(const char *at, const char *end, const char *word) {
  size_t length = strlen(word);
  return (size_t)(end - at) >= length && memcmp(at, word, length) == 0 ? at + length : NULL;
}

/* The end of the value that begins at `at`; NULL where it is not JSON. */
static const char *value_end(const char *at, const char *end, int depth) {
  if (at == end || depth == DEPTH) return NULL;
  switch (*at) {
    case '"':
      return text_end(at, end);
    case 't':
      return word_end(at, end, "true");
    case 'f':
      return word_end(at, end, "false");
    case 'n':
      return word_end(at, end, "null");
    case '[':
    case '{':
      break;
    default:
      return number_end(at, end);
  }
  char open = *at, close = open == '[' ? ']' : '}';
  at = space(at + 1, end);
  if (at < end && *at == close) return at + 1;
  for (;;) {
    if (open == '{') {
      at = text_end(at, end);
      if (at == NULL) return NULL;
      at = space(at, end);
      if (at == end || *at != ':') return NULL;
      at = space(at + 1, end);
    }
    at = value_end(at, end, depth + 1);
    if (at == NULL) return NULL;
    at = space(at, end);
    if (at == end) return NULL;
    if (*at == close) return at + 1;
    if (*at != ',') return NULL;
    at = space(at + 1, end);
  }
}

bool sl_json_valid(sl_str text) {
  if (text.len == 0) return false;
  const char *end = text.ptr + text.len;
  const char *after = value_end(space(text.ptr, end), end, 0);
  return after != NULL && space(after, end) == end;
}

sl_walk sl_walk_of(sl_str text) {
  sl_walk walk = {.broken = true, .first = true};
  if (text.len == 0) return walk;
  walk.end = text.ptr + text.len;
  walk.at = space(text.ptr, walk.end);
  if (walk.at == walk.end || (*walk.at != '[' && *walk.at != '{')) return walk;
  walk.close = *walk.at == '[' ? ']' : '}';
  walk.at = space(walk.at + 1, walk.end);
  walk.broken = false;
  return walk;
}

static bool broken(sl_walk *walk) {
  walk->broken = true;
  walk->at = NULL;
  return false;
}

bool sl_next(sl_walk *walk) {
  if (walk->broken || walk->at == NULL) return false;
  const char *at = walk->at, *end = walk->end;
  if (at == end) return broken(walk);
  if (*at == walk->close) {
    walk->at = NULL;
    walk->broken = space(at + 1, end) != end;
    return false;
  }
  if (!walk->first) {
    if (*at != ',') return broken(walk);
    at = space(at + 1, end);
  }
  walk->first = false;
  if (walk->close == '}') {
    const char *after = text_end(at, end);
    if (after == NULL) return broken(walk);
    walk->name = (sl_str){at + 1, (size_t)(after - at) - 2};
    at = space(after, end);
    if (at == end || *at != ':') return broken(walk);
    at = space(at + 1, end);
  }
  const char *after = value_end(at, end, 1);
  if (after == NULL) return broken(walk);
  walk->value = (sl_str){at, (size_t)(after - at)};
  walk->at = space(after, end);
  return true;
}

sl_str sl_member(sl_str object, const char *name) {
  sl_str wanted = sl_of(name);
  sl_walk walk = sl_walk_of(object);
  if (walk.close != '}') return (sl_str){0};
  while (sl_next(&walk)) {
    if (sl_eq(walk.name, wanted)) return walk.value;
  }
  return (sl_str){0};
}

static unsigned four(const char *at) {
  unsigned value = 0;
  for (int digit = 0; digit < 4; digit++) {
    char c = at[digit];
    value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

static void put_character(sl_buf *buf, unsigned c) {
  char bytes[4];
  size_t length;
  if (c < 0x80) {
    bytes[0] = (char)c;
    length = 1;
  } else if (c < 0x800) {
    bytes[0] = (char)(0xc0 | c >> 6);
    bytes[1] = (char)(0x80 | (c & 0x3f));
    length = 2;
  } else if (c < 0x10000) {
    bytes[0] = (char)(0xe0 | c >> 12);
    bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
    bytes[2] = (char)(0x80 | (c & 0x3f));
    length = 3;
  } else {
    bytes[0] = (char)(0xf0 | c >> 18);
    bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
    bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
    bytes[3] = (char)(0x80 | (c & 0x3f));
    length = 4;
  }
  sl_put(buf, (sl_str){bytes, length});
}

bool sl_json_text(sl_str value, sl_str *text) {
  if (value.len < 2 || text_end(value.ptr, value.ptr + value.len) != value.ptr + value.len) return false;
  const char *at = value.ptr + 1, *end = value.ptr + value.len - 1;
  if (memchr(at, '\\', (size_t)(end - at)) == NULL) {
    *text = (sl_str){at, (size_t)(end - at)};
    return true;
  }
  sl_buf buf = {0};
  while (at < end) {
    if (*at != '\\') {
      sl_put(&buf, (sl_str){at++, 1});
      continue;
    }
    at++;
    static const char ESCAPES[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (*at != 'u') {
      for (size_t pair = 0; pair + 1 < sizeof ESCAPES; pair += 2) {
        if (ESCAPES[pair] == *at) sl_put(&buf, (sl_str){&ESCAPES[pair + 1], 1});
      }
      at++;
      continue;
    }
    unsigned c = four(at + 1);
    at += 5;
    bool pair = c >= 0xd800 && c < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u';
    unsigned low = pair ? four(at + 2) : 0;
    if (pair && low >= 0xdc00 && low < 0xe000) {
      c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    } else if (c >= 0xd800 && c < 0xe000) {
      /* Half of a pair is no character. */
      c = 0xfffd;
    }
    put_character(&buf, c);
  }
  *text = sl_text(&buf);
  return true;
}

bool sl_json_u64(sl_str value, uint64_t *number) {
  uint64_t read = 0;
  for (size_t at = 0; at < value.len; at++) {
    char c = value.ptr[at];
    if (c < '0' || c > '9') return false;
    if (__builtin_mul_overflow(read, (uint64_t)10, &read) || __builtin_add_overflow(read, (uint64_t)(c - '0'), &read)) return false;
  }
  *number = read;
  return value.len > 0;
}

sl_str sl_json_id(sl_str value) {
  sl_str text;
  uint64_t number;
  if (sl_json_u64(value, &number)) return value;
  return sl_json_text(value, &text) ? text : (sl_str){0};
}

bool sl_json_there(sl_str value) { return value.len > 0 && !sl_eq(value, SL("null")); }

void sl_put_json(sl_buf *buf, sl_str text) {
  sl_put(buf, SL("\""));
  for (size_t at = 0; at < text.len; at++) {
    unsigned char c = (unsigned char)text.ptr[at];
    if (c == '"' || c == '\\') {
      sl_printf(buf, "\\%c", c);
    } else if (c < 0x20) {
      sl_printf(buf, "\\u%04x", c);
    } else {
      sl_put(buf, (sl_str){text.ptr + at, 1});
    }
  }
  sl_put(buf, SL("\""));
}
