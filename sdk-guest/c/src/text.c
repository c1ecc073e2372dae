/* Texts, the allocator that ends the call when there is nothing left, and errors. */

#include "sluice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inner.h"

/* Nothing is freed, see sluice.h; and nobody has to ask whether there was memory. */
void *sl_room(size_t count, size_t bytes) {
  size_t all;
  if (__builtin_mul_overflow(count, bytes, &all)) __builtin_trap();
  void *room = calloc(1, all == 0 ? 1 : all);
  if (room == NULL) __builtin_trap();
  return room;
}

void sl_more(void **array, size_t *room, size_t count, size_t bytes) {
  if (count < *room) return;
  size_t larger = *room == 0 ? 8 : *room * 2;
  void *grown = sl_room(larger, bytes);
  if (count > 0) memcpy(grown, *array, count * bytes);
  *array = grown;
  *room = larger;
}

/* What the bindings call instead of `free`, see build.py. */
void sl_keep(void *room) { (void)room; }

sl_str sl_of(const char *text) { return text == NULL ? (sl_str){0} : (sl_str){text, strlen(text)}; }

void sl_add(sl_list *list, sl_str text) {
  sl_more((void **)&list->items, &list->room, list->count, sizeof *list->items);
  list->items[list->count++] = text;
}

bool sl_eq(sl_str a, sl_str b) { return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0); }

int sl_compare(sl_str a, sl_str b) {
  size_t both = a.len < b.len ? a.len : b.len;
  int order = both == 0 ? 0 : memcmp(a.ptr, b.ptr, both);
  return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

bool sl_same_name(sl_str a, sl_str b) {
  if (a.len != b.len) return false;
  for (size_t at = 0; at < a.len; at++) {
    if (lower(a.ptr[at]) != lower(b.ptr[at])) return false;
  }
  return true;
}

bool sl_cut(sl_str text, char mark, sl_str *before, sl_str *after) {
  const char *found = text.len == 0 ? NULL : memchr(text.ptr, mark, text.len);
  if (found == NULL) {
    *before = text;
    *after = (sl_str){0};
    return false;
  }
  size_t length = (size_t)(found - text.ptr);
  *before = (sl_str){text.ptr, length};
  *after = (sl_str){found + 1, text.len - length - 1};
  return true;
}

static void reserve(sl_buf *buf, size_t more) {
  size_t wanted;
  if (__builtin_add_overflow(buf->len, more, &wanted)) __builtin_trap();
  if (wanted <= buf->room) return;
  size_t room = buf->room < 64 ? 64 : buf->room;
  while (room < wanted) {
    if (__builtin_mul_overflow(room, (size_t)2, &room)) __builtin_trap();
  }
  char *larger = sl_room(room, 1);
  if (buf->len > 0) memcpy(larger, buf->ptr, buf->len);
  free(buf->ptr);
  buf->ptr = larger;
  buf->room = room;
}

void sl_put(sl_buf *buf, sl_str text) {
  reserve(buf, text.len);
  if (text.len > 0) memcpy(buf->ptr + buf->len, text.ptr, text.len);
  buf->len += text.len;
}

static void print(sl_buf *buf, const char *format, va_list values) {
  va_list again;
  va_copy(again, values);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) __builtin_trap();
  /* One more, for the zero that vsnprintf writes. */
  reserve(buf, (size_t)length + 1);
  vsnprintf(buf->ptr + buf->len, (size_t)length + 1, format, values);
  buf->len += (size_t)length;
}

void sl_printf(sl_buf *buf, const char *format, ...) {
  va_list values;
  va_start(values, format);
  print(buf, format, values);
  va_end(values);
}

sl_str sl_text(const sl_buf *buf) { return (sl_str){buf->ptr, buf->len}; }

sl_str sl_format(const char *format, ...) {
  sl_buf buf = {0};
  va_list values;
  va_start(values, format);
  print(&buf, format, values);
  va_end(values);
  return sl_text(&buf);
}

sl_str sl_encode(sl_str text) {
  sl_buf buf = {0};
  for (size_t at = 0; at < text.len; at++) {
    unsigned char c = (unsigned char)text.ptr[at];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                 c == '_' || c == '~';
    if (plain) sl_put(&buf, (sl_str){text.ptr + at, 1});
    else sl_printf(&buf, "%%%02X", c);
  }
  return sl_text(&buf);
}

bool sl_fail(sl_error *error, sl_case kind, const char *pointer, const char *format, ...) {
  sl_buf buf = {0};
  va_list values;
  va_start(values, format);
  print(&buf, format, values);
  va_end(values);
  *error = (sl_error){.kind = kind, .message = sl_text(&buf), .pointer = sl_of(pointer), .retry_after_ms = -1};
  return false;
}

/* The compiler's path of a file can be this machine's; the author knows it by its last part. */
static const char *last_part(const char *file) {
  const char *slash = strrchr(file, '/');
  return slash == NULL ? file : slash + 1;
}

bool sl_bug(sl_error *error, const char *file, int line, const char *function, const char *format, ...) {
  sl_buf buf = {0};
  va_list values;
  va_start(values, format);
  print(&buf, format, values);
  va_end(values);
  sl_printf(&buf, " at %s:%d in %s", last_part(file), line, function);
  sl_str message = sl_text(&buf);
  sl_log(SL_ERROR, "%.*s", SL_ARG(message));
  *error = (sl_error){.kind = SL_INTERNAL, .message = message, .retry_after_ms = -1};
  return false;
}

/* In the words of a panic of Rust's, which the host takes what the run says from. */
_Noreturn void sl_broken(const char *file, int line, const char *function, const char *condition) {
  fprintf(stderr, "thread 'connector' panicked at %s:%d in %s:\n%s does not hold\n", last_part(file), line, function, condition);
  __builtin_trap();
}

#ifdef __wasm__
/* What `assert` of <assert.h> calls: the place of the C library's. */
_Noreturn void __assert_fail(const char *condition, const char *file, int line, const char *function);
_Noreturn void __assert_fail(const char *condition, const char *file, int line, const char *function) {
  sl_broken(file, line, function, condition);
}
#endif
