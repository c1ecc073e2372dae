//! The `Link` header of RFC 8288: where the next page is.

/// One link of a header: where it leads, and its relations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The target, as written between `<` and `>`.
    pub target: String,
    /// The relation types of the first `rel`, in lower case.
    pub relations: Vec<String>,
}

/// All links of one header value. What is malformed ends the list: a broken tail never invents a link.
///
/// ```
/// use sluice_sdk::http::link;
/// let header = r#"<https://a.example/x?page=2>; rel="next", <https://a.example/x?page=9>; rel=last"#;
/// let links = link::parse(header);
/// assert_eq!(links.len(), 2);
/// assert_eq!(link::target(header, "last").as_deref(), Some("https://a.example/x?page=9"));
/// ```
#[must_use]
pub fn parse(value: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((link, tail)) = one(rest) else {
            return links;
        };
        links.push(link);
        rest = tail;
    }
}

/// The target of the first link that has this relation.
#[must_use]
pub fn target(value: &str, relation: &str) -> Option<String> {
    let relation = relation.to_ascii_lowercase();
    parse(value)
        .into_iter()
        .find(|link| link.relations.contains(&relation))
        .map(|link| link.target)
}

/// A link and what follows it.
fn one(text: &str) -> Option<(Link, &str)> {
    let (target, mut rest) = text.strip_prefix('<')?.split_once('>')?;
    let mut relations: Option<Vec<String>> = None;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let Some(parameter) = rest.strip_prefix(';') else {
            break;
        };
        let (name, value, tail) = parameter_of(parameter)?;
        rest = tail;
        // RFC 8288 §3.3: occurrences of `rel` after the first are ignored.
        if name.eq_ignore_ascii_case("rel") && relations.is_none() {
            relations = Some(
                value
                    .split_ascii_whitespace()
                    .map(str::to_ascii_lowercase)
                    .collect(),
            );
        }
    }
    (rest.is_empty() || rest.starts_with(',')).then(|| {
        (
            Link {
                target: target.to_owned(),
                relations: relations.unwrap_or_default(),
            },
            rest,
        )
    })
}

/// A parameter's name and value, and what follows it. An empty parameter (`;;`) is allowed.
fn parameter_of(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let end = text.find([' ', '\t', '=', ';', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let Some(value) = rest.strip_prefix('=') else {
        return Some((name, String::new(), rest));
    };
    let value = value.trim_start_matches([' ', '\t']);
    if let Some(quoted) = value.strip_prefix('"') {
        let (value, rest) = unquote(quoted)?;
        return Some((name, value, rest));
    }
    let end = value.find([' ', '\t', ';', ',']).unwrap_or(value.len());
    let (value, rest) = value.split_at_checked(end)?;
    Some((name, value.to_owned(), rest))
}

/// A quoted string (RFC 9110 §5.6.4) after its opening quote, and what follows the closing one.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(header: &str, expected: &[(&str, &[&str])]) {
        let links: Vec<Link> = expected
            .iter()
            .map(|(target, relations)| Link {
                target: (*target).to_owned(),
                relations: relations.iter().map(|relation| (*relation).to_owned()).collect(),
            })
            .collect();
        assert_eq!(parse(header), links, "{header}");
    }

    #[test]
    fn what_vendors_and_the_rfc_write() {
        check("", &[]);
        check(
            "<https://a/?page=2>; rel=\"next\"",
            &[("https://a/?page=2", &["next"])],
        );
        check(
            "<a,b;c>;rel=next,<d>;rel=last",
            &[("a,b;c", &["next"]), ("d", &["last"])],
        );
        check(
            "<a>; title=\"x, <y>; rel=\\\"no\\\"\"; rel=\"Next Start\"",
            &[("a", &["next", "start"])],
        );
        check("<a>; rel=next; rel=last", &[("a", &["next"])]);
        check(
            "<a>;; crossorigin ; rel = next , , <b>",
            &[("a", &["next"]), ("b", &[])],
        );
    }

    #[test]
    fn a_broken_tail_invents_nothing() {
        check("<a>; rel=next, <b; rel=last", &[("a", &["next"])]);
        check("<a>; rel=\"next", &[]);
        check("a; rel=next", &[]);
        check("<a> junk; rel=next", &[]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            links in proptest::collection::vec(("[a-z0-9:/?&=,;% ]{0,20}", "[a-z]{1,8}", "[ -~]{0,12}"), 0..6),
        ) {
            let header = links
                .iter()
                .map(|(target, relation, title)| {
                    let title = title.replace('\\', "\\\\").replace('"', "\\\"");
                    format!("<{target}>; title=\"{title}\"; rel=\"{relation}\"")
                })
                .collect::<Vec<_>>()
                .join(", ");
            let read: Vec<(String, Vec<String>)> =
                parse(&header).into_iter().map(|link| (link.target, link.relations)).collect();
            let written: Vec<(String, Vec<String>)> =
                links.into_iter().map(|(target, relation, _)| (target, vec![relation])).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn any_text_is_answered(text in "[<>;,=\" \\\\a-zé]{0,60}") {
            let _ = parse(&text);
        }
    }
}
