use super::*;

fn run(program: &str, record: &str) -> Result<String, String> {
    let program = Program::compile(program).map_err(|reason| format!("compile: {reason}"))?;
    program
        .run(record)
        .map_err(|(code, reason)| format!("{code}: {reason}"))
}

#[test]
fn programs_do_what_jq_does() {
    let record = r#"{"a":{"b":[3,1,2]},"s":"Ab","n":null,"t":["x","y"]}"#;
    for (program, expected) in [
        (".", record),
        ("{x: .a.b[0], y: .s}", r#"{"x":3,"y":"Ab"}"#),
        (".a.b |= sort | {b: .a.b}", r#"{"b":[1,2,3]}"#),
        ("del(.a, .t) | .n //= 5", r#"{"n":5,"s":"Ab"}"#),
        (
            "{s: (.s | ascii_downcase), l: (.a.b | length), j: (.t | join(\"-\"))}",
            r#"{"s":"ab","l":3,"j":"x-y"}"#,
        ),
        ("{m: (.a.b | map(. * 2) | add)}", r#"{"m":12}"#),
        ("with_entries(select(.value != null)) | keys", r#"["a","s","t"]"#),
        ("reduce .a.b[] as $x ({sum: 0}; .sum += $x)", r#"{"sum":6}"#),
        ("[limit(2; .a.b[])]", "[3,1]"),
        ("if .s == \"Ab\" then {ok: true} else {} end", r#"{"ok":true}"#),
        ("try error(\"no\") catch {caught: .}", r#"{"caught":"no"}"#),
        ("{t: \"\\(.s)-\\(.a.b[1])\"}", r#"{"t":"Ab-1"}"#),
        ("[paths] | length", "10"),
        (
            "{c: (.t | contains([\"x\"])), d: (.s | contains(\"b\"))}",
            r#"{"c":true,"d":true}"#,
        ),
        ("[.. | numbers] | max", "3"),
        ("{p: ([\"12.50\", \"7\"] | map(tonumber))}", r#"{"p":[12.50,7]}"#),
        ("\"[1,{\\\"a\\\":2}]\" | fromjson", r#"[1,{"a":2}]"#),
        (". as {a: {b: [$x, $y]}} | [$x, $y]", "[3,1]"),
        ("[foreach .a.b[] as $x (0; . + $x)]", "[3,4,6]"),
        (".a.b[1:] = [9] | .a.b", "[3,9]"),
        (
            "walk(if type == \"number\" then . + 1 else . end) | .a.b",
            "[4,2,3]",
        ),
        ("[.a.b[] | select(. > 1)]", "[3,2]"),
        (".s * 2", "\"AbAb\""),
        ("group_by(.)? // \"none\"", "\"none\""),
        ("{\"a\": 1} * {\"b\": {\"c\": 2}}", r#"{"a":1,"b":{"c":2}}"#),
        ("to_entries | map(.key) | unique", r#"["a","n","s","t"]"#),
        ("getpath([\"a\", \"b\", 0])", "3"),
        ("setpath([\"a\"]; 1) | .a", "1"),
        (".a.b -= [1] | .a.b", "[3,2]"),
        ("{(.s): .n, \"k\\(.s)\": 1}", r#"{"Ab":null,"kAb":1}"#),
        ("[range(3)]", "[0,1,2]"),
        (". # a comment\n | .s", "\"Ab\""),
    ] {
        assert_eq!(run(program, record).as_deref(), Ok(expected), "{program}");
    }
}

#[test]
fn numbers_that_are_not_calculated_with_stay() {
    let record =
        r#"{"a":9007199254740993,"b":1e400,"c":-0,"d":1.10,"e":123456789012345678901234567890,"f":1E-7}"#;
    assert_eq!(run(".", record).as_deref(), Ok(record));
    assert_eq!(
        run("{x: .a, y: [.d, .b]}", record).as_deref(),
        Ok(r#"{"x":9007199254740993,"y":[1.10,1e400]}"#)
    );
    assert_eq!(run(".a + 1", record).as_deref(), Ok("9007199254740994"));
    assert_eq!(
        run(".e + 1", record).as_deref(),
        Ok("123456789012345678901234567891")
    );
    assert!(
        run("[.b + 1]", record)
            .unwrap_err()
            .starts_with("mapping.program_result")
    );
    let long = format!("{{\"n\":{}}}", "7".repeat(5_000));
    assert_eq!(run(".", &long).as_deref(), Ok(long.as_str()));
}

#[test]
fn what_is_not_of_the_language_is_refused_when_it_is_saved() {
    for program in [
        "",
        "def f: f; f",
        "def f(g): g | f(g); f(.)",
        "repeat(1)",
        "[limit(1e9; repeat(1))]",
        "recurse(.)",
        "until(false; .)",
        "while(true; .)",
        "label $out | break $out",
        "input",
        "inputs",
        "env",
        "$ENV",
        "$__loc__",
        "$__prog_args",
        "now",
        "debug",
        "stderr",
        "input_filename",
        "halt",
        "halt_error",
        "halt(0)",
        "include \"a\"; .",
        "import \"a\" as a; .",
        "a::b",
        "@base64",
        "@sh \"\\(.)\"",
        "test(\"(a*)*b\")",
        "splits(\"a\")",
        "ltrimstr",
        "combinations",
        "tobytes",
        "now | todate",
        "limit(1; input)",
        "[1, (input)]",
        "{a: input}",
        "{(env): 1}",
        "\"\\(env)\"",
        ".[env]",
        ".[env:]",
        ". as {a: $x, (env): $y} | $x",
        "reduce input as $x (0; .)",
        "if input then . else . end",
        "try input catch .",
        "-input",
        ". # \\\n) input",
        "!step",
        "(",
        ". |",
        "$x",
        "\"abc",
    ] {
        assert!(Program::compile(program).is_err(), "{program}");
    }
}

#[test]
fn a_program_cannot_be_too_deep_for_the_stack() {
    let many = |text: &str, count: usize| text.repeat(count);
    for program in [
        format!("{}.{}", many("(", 5_000), many(")", 5_000)),
        format!("{}.{}", many("[", 5_000), many("]", 5_000)),
        format!("{}.{}", many("\"\\(", 5_000), many(")\"", 5_000)),
        format!("{} {}1{}", many("\")\" | ", 100), many("(", 60), many(")", 60)),
        format!(".{}", many("|.", 5_000)),
        format!(".{}", many("|.", 700)),
        format!(".{}", many("+.", 700)),
        format!("{}.", many("try ", 1_400)),
        format!("{}.", many("-", 8_000)),
        format!("{}.", many("- ", 1_400)),
        format!("{}.", many(". as $x | ", 200)),
        format!("{}.{}", many("if . then ", 400), many(" end", 400)),
        format!("{}.{}", many("if . then . elif ", 400), " end"),
        format!(".{}", many("[0]", 5_000)),
        format!(". as {}$x{} | .", many("[", 200), many("]", 200)),
        format!("{}.", many("reduce . as $x (.; ", 47)),
        "x".repeat(MAX_PROGRAM_BYTES + 1),
        "9".repeat(100),
    ] {
        assert!(
            Program::compile(&program).is_err(),
            "{}",
            program.chars().take(40).collect::<String>()
        );
    }
}

#[test]
fn what_is_just_allowed_fits_the_stack() {
    let many = |text: &str, count: usize| text.repeat(count);
    for (program, expected) in [
        (format!(".{}", many("|.", 90)), "{}"),
        (format!("1{}", many("+1", 90)), "91"),
        (format!("{}.{} | length", many("[", 30), many("]", 30)), "1"),
        (format!("{}.", many("try ", 90)), "{}"),
        (format!("{}1", many("1 as $x | ", 40)), "1"),
        (format!(".{}", many(" // .", 90)), "{}"),
        (format!("[{}1] | length", many("1,", 90)), "91"),
    ] {
        assert_eq!(
            run(&program, "{}").as_deref(),
            Ok(expected),
            "{}",
            program.chars().take(40).collect::<String>()
        );
    }
    let maps = format!("{}.{}", many("map(", 30), many(")", 30));
    let deep = format!("{}{}", many("[", 31), many("]", 31));
    assert_eq!(run(&maps, &deep).as_deref(), Ok(deep.as_str()));
}

/// Each of these would run for ever, or take the machine's memory, without a meter.
#[test]
fn hostile_programs_end() {
    let list: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let list = format!("{{\"l\":[{}]}}", list.join(","));
    let text = format!("{{\"s\":\"{}\"}}", "a".repeat(1 << 20));
    let mut escaped = Vec::new();
    for (program, record) in [
        ("[range(1e12)]", "{}"),
        ("range(1e12) | empty", "{}"),
        ("[range(0; 1; 0)]", "{}"),
        ("range(\"\"; \"b\"; \"a\") | empty", "{}"),
        ("reduce range(1e12) as $i (0; .)", "{}"),
        ("[limit(1e12; range(1e12))]", "{}"),
        ("last(range(1e12))", "{}"),
        ("[skip(1e11; range(1e12))]", "{}"),
        ("first(range(1e12) | select(. < 0))", "{}"),
        ("isempty(range(1e12) | select(false))", "{}"),
        ("any(range(1e12); false)", "{}"),
        ("all(range(1e12); true)", "{}"),
        ("add(range(1e12))", "{}"),
        ("range(1e12) | try error(\"x\") catch empty", "{}"),
        ("try (range(1e12) | error) catch 1 | range(1e12) | empty", "{}"),
        ("(range(1e12) | empty) // 1", "{}"),
        ("[range(1e12)?]", "{}"),
        ("[.. , range(1e12)] | length", "{}"),
        ("range(1e6) | range(1e6) | empty", "{}"),
        (
            "[range(1000) | . as $a | range(1000) | . as $b | range(1000)] | length",
            "{}",
        ),
        ("reduce range(100) as $i (\"a\"; . + .)", "{}"),
        ("reduce range(100) as $i (\"ab\"; . * 2)", "{}"),
        ("\"a\" * 10000000000", "{}"),
        ("\"a\" * 99999999999999999999999", "{}"),
        ("\"\" * 10000000000", "{}"),
        ("{a: \"a\"} | .a *= 10000000000", "{}"),
        ("reduce range(100) as $i ([1]; . + .)", "{}"),
        ("reduce range(100) as $i (1; [., .])", "{}"),
        ("reduce range(100) as $i (1; {a: ., b: .})", "{}"),
        ("reduce range(100) as $i (1; {a: ., b: .}) | tojson", "{}"),
        ("reduce range(30) as $i (1; [., .]) | . == .", "{}"),
        ("reduce range(1e5) as $i (0; [.])", "{}"),
        ("reduce range(1e5) as $i (0; {a: .})", "{}"),
        ("reduce range(1e5) as $i ({}; .a |= {b: $i, c: .})", "{}"),
        ("reduce range(1e5) as $i ({}; {a: 1} * {a: .})", "{}"),
        ("reduce range(64) as $i (10; . * .)", "{}"),
        ("reduce range(1e9) as $i (10; . * 10)", "{}"),
        ("[.s | range(1e6) as $i | . + \"b\"]", &text),
        ("[.s | range(1e6) as $i | explode] | length", &text),
        (".s | range(1e6) as $i | .[1000000:] | empty", &text),
        (".s | range(1e6) as $i | length | empty", &text),
        (".s | range(1e6) as $i | contains(\"b\") | empty", &text),
        (".s | range(1e6) as $i | split(\"a\") | empty", &text),
        (".l as $l | [.l[] as $x | $l | contains([$x + 0.5])]", &list),
        (".l as $l | reduce range(1e6) as $i (0; $l - $l)", &list),
        (".l as $l | [range(1e6) | $l | sort] | length", &list),
        (".l as $l | range(1e6) | first($l[]) | empty", &list),
        (".l as $l | range(1e6) | $l[$l] | empty", &list),
        (".l as $l | [range(1e6) as $i | $l | .[$i] = 1] | length", &list),
        ("del(.l[range(1e12)]?)", &list),
        (".l as $l | range(1e6) | $l | group_by(. % 7) | empty", &list),
        (".l | [paths(..)] | [range(1e9)] | length", &list),
        ("[.l[] as $a | .l[] as $b | .l[] | $a] | length", &list),
        (
            "(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|empty",
            "{}",
        ),
        (
            "{a:(1,2),b:(1,2),c:(1,2),d:(1,2),e:(1,2),f:(1,2),g:(1,2),h:(1,2),i:(1,2),j:(1,2),k:(1,2),l:(1,2),m:(1,2),n:(1,2),o:(1,2),p:(1,2),q:(1,2),r:(1,2),s:(1,2),t:(1,2),u:(1,2),v:(1,2),w:(1,2),x:(1,2),z:empty}",
            "{}",
        ),
        (
            ".[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?[(0,0)]?",
            "\"x\"",
        ),
        (
            "\"\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\\(1,2)\" | empty",
            "{}",
        ),
        ("[paths | range(1e12)]", r#"{"a":1}"#),
        (".a |= (range(1e12) | empty)", "{}"),
        (".[range(1e12)]? |= 1", r#"[]"#),
        (".a |= last(range(1e12))", "{}"),
        ("flatten(1e12) | range(1e12) | empty", "[[1]]"),
        ("sort_by(range(1e12))", "[1,2]"),
        ("group_by(range(1e12))", "[1,2]"),
        ("min_by(range(1e12))", "[1,2]"),
        ("map_values(range(1e12) | select(. < 0))", "[1]"),
        ("walk(range(1e12) | select(. < 0))", "[1]"),
        ("[foreach range(1e12) as $x (0; .; empty)]", "{}"),
        ("pick(.[range(1e12) | tostring])", "{}"),
        ("from_entries | range(1e12) | empty", "[]"),
        (
            "join(\"a\" * 1000000)",
            "[1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5]",
        ),
    ] {
        let ended = run(program, record);
        if !ended
            .as_ref()
            .is_err_and(|error| error.starts_with("mapping.program_budget"))
        {
            let ended = format!("{ended:?}").chars().take(100).collect::<String>();
            escaped.push(format!("{program}: {ended}"));
        }
    }
    assert!(escaped.is_empty(), "{escaped:#?}");
}

#[test]
fn results_and_records_that_cannot_be() {
    for (program, record, code) in [
        ("empty", "{}", "mapping.program_result"),
        ("1, 2", "{}", "mapping.program_result"),
        ("1 / 0", "{}", "mapping.program_"),
        (
            "{(1 | tostring): 1, a: (1e308 * 10)}",
            "{}",
            "mapping.program_result",
        ),
        (".a.b", "{\"a\":1}", "mapping.program_failed"),
        (
            "error(\"secret \\(.a)\")",
            "{\"a\":\"hunter2\"}",
            "mapping.program_failed",
        ),
        (".", "{\"a\":1,\"a\":2}", "mapping.program_failed"),
        (".", "{", "mapping.program_failed"),
    ] {
        let error = run(program, record).unwrap_err();
        assert!(
            error.starts_with(code) && !error.contains("hunter2"),
            "{program}: {error}"
        );
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert!(run(".", &deep).unwrap_err().starts_with("mapping.program_failed"));
}

#[test]
fn a_budget_is_enough_for_honest_work() {
    let rows: Vec<String> = (0..5_000)
        .map(|n| format!("{{\"id\":{n},\"name\":\"row {n}\",\"tags\":[\"a\",\"b\"]}}"))
        .collect();
    let record = format!("{{\"rows\":[{}]}}", rows.join(","));
    let result = run(
        ".rows |= map({id, name: (.name | ascii_upcase), n: (.tags | length)}) | .count = (.rows | length)",
        &record,
    );
    assert!(result.is_ok_and(|text| text.ends_with("\"count\":5000}")));
}
