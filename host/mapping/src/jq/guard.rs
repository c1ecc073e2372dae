//! Bounds a program before jaq's lexer and parser, which recurse, see it.

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::parse::Term;
use jaq_core::load::{Lexer, Parser};

/// Brackets and strings inside each other.
const MAX_NESTING: usize = 32;

/// Words, numbers, operators and brackets.
const MAX_TOKENS: usize = 1_500;

/// Operators and words after which the parser goes down a level, each of which takes one to three KiB of stack.
const MAX_LEVELS: usize = 256;

/// The tree of a program.
pub(super) fn parse(text: &str) -> Result<Term<&str>, String> {
    nesting(text)?;
    let tokens = Lexer::new(text).lex().map_err(|errors| {
        let at = errors.first().map_or("", |error| error.1);
        format!("the program cannot be read at {}", near(text, at))
    })?;
    let mut count = Count::default();
    count.all(&tokens);
    if count.tokens > MAX_TOKENS {
        return Err(format!("a program has at most {MAX_TOKENS} words and signs"));
    }
    if count.levels > MAX_LEVELS {
        return Err(format!("a program has at most {MAX_LEVELS} operators"));
    }
    Parser::new(&tokens)
        .parse(|parser| parser.term())
        .map_err(|errors| match errors.first() {
            Some((expected, Some(Token(found, _)))) => {
                format!("expected {}, found {}", expected.as_str(), near(text, found))
            }
            Some((expected, None)) => format!("expected {} at the end", expected.as_str()),
            None => "the program cannot be read".to_owned(),
        })
}

/// The start of what stands at a place, with its line.
fn near(text: &str, found: &str) -> String {
    let range = jaq_core::load::span(text, found);
    let line = text.get(..range.start).unwrap_or_default().matches('\n').count() + 1;
    let start: String = found.chars().take(20).collect();
    if start.is_empty() {
        "the end".to_owned()
    } else {
        format!("`{start}` (line {line})")
    }
}

#[derive(Default)]
struct Count {
    tokens: usize,
    levels: usize,
}

impl Count {
    fn all(&mut self, tokens: &[Token<&str>]) {
        for token in tokens {
            self.one(token);
        }
    }

    fn one(&mut self, Token(text, kind): &Token<&str>) {
        self.tokens += 1;
        match kind {
            Tok::Block(tokens) => self.all(tokens),
            Tok::Str(parts) => {
                for part in parts {
                    if let StrPart::Term(token) = part {
                        self.one(token);
                    }
                }
            }
            Tok::Word => {
                let goes_down = [
                    "try", "catch", "if", "elif", "reduce", "foreach", "as", "label", "def", "and", "or",
                ];
                self.levels += usize::from(goes_down.contains(text));
            }
            Tok::Sym => {
                self.levels += usize::from(!text.starts_with(['.', ',', ':', ';', '?', ')', ']', '}']))
            }
            _ => {}
        }
    }
}

/// Refuses deep nesting, without recursion. It reads what the lexer would: strings with terms inside them, and comments.
fn nesting(text: &str) -> Result<(), String> {
    let mut open: Vec<u8> = Vec::new();
    let mut bytes = text.bytes();
    let mut is_comment = false;
    while let Some(byte) = bytes.next() {
        if is_comment {
            // In jq a backslash can make the next line part of the comment; nobody expects it, so that it only serves to mislead.
            if byte == b'\\' {
                return Err("a comment may not have a backslash".to_owned());
            }
            is_comment = byte != b'\n';
            continue;
        }
        if open.last() == Some(&b'"') {
            match byte {
                b'"' => {
                    open.pop();
                }
                b'\\' if bytes.next() == Some(b'(') => open.push(b'('),
                _ => {}
            }
        } else {
            match byte {
                b'(' | b'[' | b'{' | b'"' => open.push(byte),
                b')' | b']' | b'}' => {
                    open.pop();
                }
                b'#' => is_comment = true,
                _ => {}
            }
        }
        if open.len() > MAX_NESTING {
            return Err(format!("brackets are nested deeper than {MAX_NESTING} levels"));
        }
    }
    Ok(())
}
