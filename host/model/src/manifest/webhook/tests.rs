use crate::manifest::{Manifest, ManifestError};
use crate::signature::{Recipe, SecretUse};

const HEAD: &str = "manifest = 1\nid = \"acme\"\nversion = \"1.0.0\"\ncontract = \"0.1\"\nname = \"Acme\"\n\
    description = \"An example.\"\ncategory = \"examples\"\nlicence = \"Apache-2.0\"\n\n[[webhooks]]\nname = \"events\"\n\
    events = [{ kind = \"*\" }]\ndedupe = \"body\"\n";
const HMAC: &str = "scheme = \"hmac\"\nalgorithm = \"sha256\"\nencoding = \"hex\"\n";
const RSA: &str = "scheme = \"rsa\"\nalgorithm = \"sha256\"\nencoding = \"base64\"\nheader = \"s\"\n";
const JWT: &str = "scheme = \"jwt\"\nheader = \"s\"\n";

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(&format!("{HEAD}{text}"))
}

/// A recipe has to be refused at this key of it and with these words.
fn refused(recipe: &str, key: &str, words: &str) {
    let error = parse(&format!("[webhooks.signature]\n{recipe}")).err();
    let error = error.unwrap_or_else(|| panic!("{recipe} was accepted"));
    let path = match key {
        "" => "webhooks[0].signature".to_owned(),
        key => format!("webhooks[0].signature.{key}"),
    };
    assert_eq!(error.path, path, "{recipe}: {error}");
    assert!(error.message.contains(words), "{recipe}: {error}");
}

#[test]
fn recipes_that_prove_nothing_are_refused() {
    let hmac = |rest: &str, key: &str, words: &str| refused(&format!("{HMAC}{rest}"), key, words);
    hmac("", "header", "missing");
    hmac("header = \"S\"", "header", "lower case");
    hmac("header = \"s\"\nquery = \"q\"", "", "has to have one of");
    hmac("headers = [\"s\"]\nheader = \"s\"", "headers", "does not go");
    hmac("headers = []", "headers", "empty");
    hmac("pointer = \"x\"", "pointer", "JSON pointer");
    hmac(
        "header = \"s\"\nsigned = \"{timestamp}.{body}\"",
        "timestamp",
        "missing",
    );
    hmac(
        "header = \"s\"\nsigned = \"{header:a}{body}\"",
        "signed",
        "beside",
    );
    hmac(
        "header = \"s\"\nsigned = \"{secret}.{body}\"",
        "signed",
        "{secret}",
    );
    hmac(
        "header = \"s\"\ntimestamp = { header = \"t\" }",
        "signed",
        "unsigned time",
    );
    hmac(
        "header = \"s\"\ntimestamp = { pointer = \"/t\" }\nsigned = \"{header:a}\"",
        "signed",
        "unsigned time",
    );
    hmac(
        "header = \"s\"\nsigned = \"{timestamp}.{body}\"\ntimestamp = { first = true }",
        "list_separator",
        "missing",
    );
    hmac(
        "header = \"s\"\nsigned = \"{timestamp}.{body}\"\ntimestamp = { field = \"t\" }",
        "signature_field",
        "missing",
    );
    hmac(
        "header = \"s\"\nsigned = \"{timestamp}.{body}\"\ntimestamp = { header = \"t\", first = true }",
        "timestamp",
        "either",
    );
    hmac(
        "header = \"s\"\ntolerance_s = 5",
        "tolerance_s",
        "needs a `timestamp`",
    );
    hmac(
        "header = \"s\"\nsigned = \"{timestamp}.{body}\"\ntimestamp = { header = \"t\" }\ntolerance_s = 86401",
        "tolerance_s",
        "between",
    );
    hmac(
        "header = \"s\"\npair_separator = \"|\"",
        "list_separator",
        "missing",
    );
    hmac(
        "header = \"s\"\nkey = { url = \"https://a.test/k\" }",
        "key",
        "rsa",
    );
    hmac(
        "headers = [\"s\", \"t\"]\nsigned = \"{timestamp}.{body}\"\nlist_separator = \",\"\ntimestamp = { first = true }",
        "timestamp",
        "several",
    );
    refused(
        "scheme = \"ed25519\"\nalgorithm = \"sha256\"\nencoding = \"hex\"\nheader = \"s\"",
        "algorithm",
        "has one",
    );
    let rsa = |rest: &str, key: &str, words: &str| refused(&format!("{RSA}{rest}"), key, words);
    rsa("key = { url = \"http://a.test/k\" }", "key.url", "https");
    rsa("key = { url = \"https://a.test/*\" }", "key.url", "one address");
    rsa(
        "signed = \"{header:a}|{crc32}\"\nkey = { url = \"https://a.test/k\" }",
        "signed",
        "all its customers",
    );
    let fetched = "signed = \"{secret}|{crc32}\"\nkey = { certificate = { header = \"u\" }, ";
    rsa(
        &format!("{fetched}names = [\"a.test\"] }}"),
        "key.allowed",
        "missing",
    );
    rsa(
        &format!("{fetched}names = [], allowed = [\"https://a.test/*\"] }}"),
        "key.names",
        "empty",
    );
    rsa(
        &format!("{fetched}names = [\"a.test\"], allowed = [\"https://*.test/x\"] }}"),
        "key.allowed[0]",
        "host",
    );
    rsa(
        &format!("{fetched}names = [\"a.test\"], allowed = [\"https://{{region}}.test/x\"] }}"),
        "key.allowed[0]",
        "domain",
    );
    refused("scheme = \"sns\"\nheader = \"s\"", "header", "not a key here");
    refused("scheme = \"token\"\nbody = true", "", "whole body");
    refused("scheme = \"token\"", "", "has to have one of");
}

#[test]
fn tokens_that_anybody_could_have_are_refused() {
    let jwt = |rest: &str, key: &str, words: &str| refused(&format!("{JWT}{rest}"), key, words);
    let keys = "keys = { url = \"https://a.test/jwks\" }";
    jwt("algorithm = \"none\"", "algorithm", "can only be");
    jwt("algorithm = \"HS256\"", "bound", "missing");
    jwt("algorithm = \"RS256\"\nbound = \"exp\"", "keys", "missing");
    jwt(
        &format!("algorithm = \"HS256\"\nbound = \"exp\"\n{keys}"),
        "keys",
        "shared secret",
    );
    jwt(
        &format!("algorithm = \"RS256\"\nbound = \"exp\"\n{keys}"),
        "claims",
        "all its customers",
    );
    jwt(
        &format!("algorithm = \"RS256\"\nbound = \"exp\"\n{keys}\nclaims = {{ aud = \"{{any}}\" }}"),
        "claims",
        "all its customers",
    );
    jwt(
        &format!("algorithm = \"RS256\"\nbound = \"exp\"\n{keys}\nclaims = {{ aud = \"{{host}}\" }}"),
        "claims.aud",
        "braces",
    );
    jwt(
        &format!("algorithm = \"RS256\"\nbound = \"exp\"\n{keys}\nclaims = {{ aud = false }}"),
        "claims.aud",
        "neither",
    );
}

#[test]
fn questions_that_could_be_abused_are_refused() {
    let challenge = |text: &str, key: &str, words: &str| {
        let text = format!("signature = \"none\"\nreason = \"x\"\n[[webhooks.challenges]]\n{text}");
        let error = parse(&text)
            .err()
            .unwrap_or_else(|| panic!("{text} was accepted"));
        assert_eq!(
            error.path,
            format!("webhooks[0].challenges[0].{key}"),
            "{text}: {error}"
        );
        assert!(error.message.contains(words), "{text}: {error}");
    };
    challenge("verified = false", "when", "every webhook");
    challenge("method = \"POST\"\nverified = false", "when", "every webhook");
    challenge("method = \"GET\"", "verified", "missing");
    challenge(
        "method = \"GET\"\nverified = false\ntext = \"{value}\"",
        "value",
        "missing",
    );
    challenge(
        "method = \"GET\"\nverified = false\ntext = \"{signature}\"",
        "sign",
        "belong together",
    );
    let value = "method = \"GET\"\nvalue = { query = \"c\" }\n";
    challenge(
        &format!("{value}verified = false\nvisit = [\"https://a.test/?*\"]"),
        "visit",
        "verified",
    );
    challenge(
        &format!("{value}verified = true\nkeep = true"),
        "keep",
        "no secret yet",
    );
    challenge(
        &format!("{value}verified = false\necho = \"location\""),
        "echo",
        "x-",
    );
    challenge(
        &format!("{value}verified = false\necho = \"set-cookie\""),
        "echo",
        "x-",
    );
    challenge(
        &format!("{value}verified = false\ntext = \"a\"\njson = {{ a = 1 }}"),
        "text",
        "does not go",
    );
}

#[test]
fn sources_are_ranges() {
    let text = "sources = [\"192.0.2.0/24\", \"2001:db8::1\"]\nsignature = \"none\"\nreason = \"x\"";
    let manifest = parse(text).unwrap();
    let sources: Vec<_> = manifest.webhooks[0]
        .sources
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(sources, ["192.0.2.0/24", "2001:db8::1/128"]);
    let error = parse("sources = [\"0.0.0.0/0\"]\nsignature = \"none\"\nreason = \"x\"").unwrap_err();
    assert_eq!(error.path, "webhooks[0].sources[0]");
}

#[test]
fn what_the_recipe_wants_for_a_secret() {
    let check = |recipe: &str, expected: SecretUse| {
        let manifest = parse(&format!("[webhooks.signature]\n{recipe}"))
            .unwrap_or_else(|error| panic!("{recipe}: {error}"));
        assert_eq!(manifest.webhooks[0].recipe.secret_use(), expected, "{recipe}");
    };
    check(&format!("{HMAC}header = \"s\""), SecretUse::Made);
    check(
        &format!("{HMAC}header = \"s\"\nkey_id = {{ header = \"k\" }}"),
        SecretUse::Entered,
    );
    check(RSA, SecretUse::Entered);
    check(
        &format!("{RSA}key = {{ url = \"https://a.test/k\" }}"),
        SecretUse::Unused,
    );
    check("scheme = \"basic\"", SecretUse::Entered);
    check("scheme = \"sns\"", SecretUse::Entered);
    check("scheme = \"token\"\nheader = \"t\"", SecretUse::Made);
    let keys = "algorithm = \"RS256\"\nbound = \"exp\"\nkeys = { url = \"https://a.test/jwks\" }";
    check(
        &format!("{JWT}{keys}\nclaims = {{ aud = \"{{url}}\" }}"),
        SecretUse::Unused,
    );
    check(
        &format!("{JWT}{keys}\nclaims = {{ aud = \"{{secret}}\" }}"),
        SecretUse::Entered,
    );
    check(
        &format!("{JWT}algorithm = \"HS256\"\nbound = \"exp\""),
        SecretUse::Made,
    );
    let unsigned = Recipe::Unsigned {
        reason: "x".to_owned(),
    };
    assert_eq!(unsigned.secret_use(), SecretUse::Unused);
}

#[test]
fn a_registration_says_where_its_secret_comes_from() {
    use crate::manifest::RegisteredSecret;
    let egress =
        "[[capabilities.egress]]\nhost = \"api.acme.test\"\nmethods = [\"POST\"]\npaths = [\"/hooks\"]\n";
    let read = |registration: &str| {
        let (head, webhooks) = HEAD.split_once("[[webhooks]]").unwrap();
        let text = format!(
            "{head}{egress}[[webhooks]]{webhooks}registration = {{ {registration} }}\n\
             steps = [\"Enter {{url}} under Settings.\"]\n[webhooks.signature]\n{HMAC}header = \"s\"\n"
        );
        Manifest::parse(&text).map(|manifest| manifest.webhooks[0].clone())
    };
    let webhook = read("secret = \"sent\", origins = [\"https://api.acme.test\"]").unwrap();
    assert_eq!(webhook.steps, ["Enter {url} under Settings."]);
    let Some(RegisteredSecret::Sent(origins)) = webhook.registration.map(|of| of.secret) else {
        panic!("not sent")
    };
    assert_eq!(origins[0].to_string(), "https://api.acme.test");
    let given = read("secret = \"given\"").unwrap().registration.unwrap();
    assert_eq!(given.secret, RegisteredSecret::Given);
    let apart = read("secret = \"apart\"").unwrap().registration.unwrap();
    assert_eq!(apart.secret, RegisteredSecret::Apart);
    for (bad, path) in [
        ("secret = \"sent\"", "webhooks[0].registration.origins"),
        (
            "secret = \"sent\", origins = [\"https://evil.test\"]",
            "webhooks[0].registration.origins[0]",
        ),
        (
            "secret = \"given\", origins = [\"https://api.acme.test\"]",
            "webhooks[0].registration.origins",
        ),
        ("secret = \"other\"", "webhooks[0].registration.secret"),
        ("", "webhooks[0].registration.secret"),
    ] {
        assert_eq!(read(bad).unwrap_err().path, path, "{bad}");
    }
}
