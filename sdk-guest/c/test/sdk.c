/* The SDK's own pieces on this machine, with every check that the compiler can build in: texts, JSON, time, links. Prints nothing and
 * ends with 0 where all holds. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/inner.h"

static int failed;

#define HOLDS(condition) ((condition) ? (void)0 : (void)(failed++, printf("%s:%d: %s\n", __FILE__, __LINE__, #condition)))

void sl_log(sl_level level, const char *format, ...) { (void)level, (void)format; }

/* A copy that ends where its room ends: reading one byte more is seen by the checks. */
static sl_str exact(sl_str text) {
  char *room = malloc(text.len == 0 ? 1 : text.len);
  if (text.len > 0) memcpy(room, text.ptr, text.len);
  return (sl_str){room, text.len};
}

static void everything(sl_str text) {
  sl_str json = exact(text), out;
  uint64_t number;
  bool valid = sl_json_valid(json);
  sl_walk walk = sl_walk_of(json);
  size_t seen = 0;
  while (sl_next(&walk)) {
    HOLDS(walk.value.ptr >= json.ptr && walk.value.ptr + walk.value.len <= json.ptr + json.len);
    HOLDS(sl_json_valid(walk.value));
    seen++;
  }
  HOLDS(seen <= json.len);
  bool container = valid && (memchr(json.ptr, '[', json.len) || memchr(json.ptr, '{', json.len));
  HOLDS(!container || !walk.broken || strchr("[{", json.ptr[strspn(json.ptr, " ")]) == NULL);
  sl_member(json, "a");
  sl_json_text(json, &out);
  sl_json_u64(json, &number);
  sl_json_id(json);
  sl_time(json);
}

static void json(void) {
  static const char *const GOOD[] = {"null", "true", "0", "-1.5e+7", "\"\\u00e9\\n\"", "[]", " [1, {\"a\":[]}] ", "{\"a\":\"}\",\"b\":{}}"};
  static const char *const BAD[] = {"", " ", "nul", "01", "1.", "-", "+1", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\n\"", "[", "[1", "[1,]",
                                    "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}", "[1]]", "[}", "1e", "\"\\u123"};
  for (size_t at = 0; at < sizeof GOOD / sizeof *GOOD; at++) HOLDS(sl_json_valid(exact(sl_of(GOOD[at]))));
  for (size_t at = 0; at < sizeof BAD / sizeof *BAD; at++) HOLDS(!sl_json_valid(exact(sl_of(BAD[at]))));

  sl_buf deep = {0};
  for (int at = 0; at < 99; at++) sl_put(&deep, SL("["));
  for (int at = 0; at < 99; at++) sl_put(&deep, SL("]"));
  HOLDS(sl_json_valid(sl_text(&deep)));
  sl_buf deeper = {0};
  for (int at = 0; at < 100000; at++) sl_put(&deeper, SL("["));
  HOLDS(!sl_json_valid(sl_text(&deeper)));

  sl_str page = SL(" [ {\"id\": 9007199254740993, \"a\":[1.10,\"],\\\"{\"]} ,{\"id\":\"b\\u00e9\\ud83d\\ude00\"}, 7 ] ");
  sl_walk walk = sl_walk_of(page);
  HOLDS(sl_next(&walk) && sl_eq(walk.value, SL("{\"id\": 9007199254740993, \"a\":[1.10,\"],\\\"{\"]}")));
  HOLDS(sl_eq(sl_json_id(sl_member(walk.value, "id")), SL("9007199254740993")));
  HOLDS(sl_next(&walk) && sl_eq(sl_json_id(sl_member(walk.value, "id")), SL("b\xc3\xa9\xf0\x9f\x98\x80")));
  HOLDS(sl_next(&walk) && sl_eq(walk.value, SL("7")) && sl_member(walk.value, "id").len == 0);
  HOLDS(!sl_next(&walk) && !walk.broken);
  sl_walk cut = sl_walk_of(SL("[1, 2"));
  while (sl_next(&cut)) continue;
  HOLDS(cut.broken);
  HOLDS(sl_walk_of(SL("7")).broken);

  sl_str text;
  uint64_t number;
  HOLDS(sl_json_text(SL("\"\\ud800x\""), &text) && sl_eq(text, SL("\xef\xbf\xbdx")));
  HOLDS(!sl_json_u64(SL("18446744073709551616"), &number) && !sl_json_u64(SL("-1"), &number) && !sl_json_u64(SL(""), &number));
  sl_buf written = {0};
  sl_put_json(&written, SL("a\"\\\n\x01\xc3\xa9"));
  HOLDS(sl_eq(sl_text(&written), SL("\"a\\\"\\\\\\u000a\\u0001\xc3\xa9\"")));
  HOLDS(sl_json_text(sl_text(&written), &text) && sl_eq(text, SL("a\"\\\n\x01\xc3\xa9")));

  /* Every text of a page, cut off anywhere and with any byte changed. */
  unsigned state = 1;
  for (int round = 0; round < 20000; round++) {
    char room[128];
    size_t length = page.len < sizeof room ? page.len : sizeof room;
    memcpy(room, page.ptr, length);
    for (int change = 0; change < 3; change++) {
      state = state * 1664525u + 1013904223u;
      room[(state >> 8) % length] = "[]{}\",:\\u0e-\n\xff 1n"[(state >> 20) % 17];
    }
    everything((sl_str){room, (state >> 4) % (length + 1)});
  }
}

static void times(void) {
  HOLDS(sl_time(SL("1970-01-01T00:00:01Z")) == 1000);
  HOLDS(sl_time(SL("1970-01-01T01:00:00.250+01:00")) == 250);
  HOLDS(sl_time(SL("2024-02-29T23:59:60Z")) == 1709251200000);
  static const char *const BAD[] = {"", "yesterday", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z",
                                    "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00Zx", "1969-12-31T23:59:59Z"};
  for (size_t at = 0; at < sizeof BAD / sizeof *BAD; at++) HOLDS(sl_time(exact(sl_of(BAD[at]))) == -1);
  for (int64_t ms = 0; ms < 4102444800000; ms += 86399000 * 7) HOLDS(sl_time(sl_time_text(ms)) == ms);
}

static void texts(void) {
  sl_list list = {0};
  for (int at = 0; at < 100; at++) sl_add(&list, sl_format("%d", at));
  HOLDS(list.count == 100 && sl_eq(list.items[0], SL("0")) && sl_eq(list.items[99], SL("99")));
  HOLDS(sl_eq(sl_encode(SL("a/b c#d~\xc3\xa9")), SL("a%2Fb%20c%23d~%C3%A9")));
  HOLDS(sl_compare(SL("a"), SL("ab")) < 0 && sl_compare(SL("b"), SL("ab")) > 0 && sl_compare(SL(""), SL("")) == 0);
  HOLDS(strcmp(sl_format("%s/%d", "list", 7).ptr, "list/7") == 0);
  sl_error error;
  HOLDS(!sl_fail(&error, SL_CONFIG, "/list", "%d of %s", 1, "two") && sl_eq(error.message, SL("1 of two")));
  HOLDS(!sl_bug(&error, "/somewhere/a.c", 7, "f", "no") && sl_eq(error.message, SL("no at a.c:7 in f")));
}

int main(void) {
  texts();
  json();
  times();
  return failed != 0;
}
