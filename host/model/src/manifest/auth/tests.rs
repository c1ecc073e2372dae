mod bounds;

use serde_json::json;

use crate::auth::{Apply, AssertionUse, ClientAuth, OAuth2, Obtain, Part};
use crate::manifest::{AuthScheme, Manifest};

/// A manifest with every key of `[[auth]]`.
const FULL: &str = include_str!("../../../tests/auth.toml");

fn full() -> Manifest {
    Manifest::parse(FULL).unwrap_or_else(|error| panic!("{error}"))
}

fn scheme(name: &str) -> AuthScheme {
    full().auth(name).unwrap().clone()
}

fn oauth2(name: &str) -> OAuth2 {
    match scheme(name).obtain {
        Obtain::OAuth2(oauth) => *oauth,
        other => panic!("{other:?}"),
    }
}

fn names(parts: &[Part]) -> Vec<String> {
    let shown = |part: &Part| {
        let marks = [
            (!part.secret, " shown"),
            (part.optional, " optional"),
            (part.multiline, " lines"),
        ];
        let marks: String = marks
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, mark)| *mark)
            .collect();
        format!("{}{marks}", part.name)
    };
    parts.iter().map(shown).collect()
}

#[test]
fn every_scheme_is_read() {
    assert_eq!(
        scheme("key").apply,
        Apply::Body {
            name: "api_key".into()
        }
    );
    assert!(matches!(scheme("aws").apply, Apply::SigV4 { service, .. } if service == "s3"));
    assert_eq!(scheme("mtls").apply, Apply::ClientCertificate);
    assert!(matches!(scheme("oauth").apply, Apply::Header { prefix, .. } if prefix == "token "));
    assert_eq!(scheme("account").apply, Apply::Bearer);
    assert!(matches!(scheme("oauth1").apply, Apply::OAuth1 { .. }));
    assert_eq!(scheme("own").obtain, Obtain::Custom);
    let oauth = oauth2("oauth");
    assert_eq!(
        (oauth.client_auth, oauth.pkce, oauth.idle_refresh_s),
        (ClientAuth::Body, false, Some(86_400))
    );
    assert_eq!(
        (oauth.scope_separator.as_str(), oauth.refresh_margin_s),
        (",", 60)
    );
    assert_eq!(oauth.answer.access_token, "/data/token");
    assert_eq!(oauth.answer.ended, ["invalid_grant", "token_revoked"]);
    let signs: Vec<_> = oauth
        .expired
        .iter()
        .map(|sign| (sign.status, &sign.body))
        .collect();
    let body = Some(("/error".to_owned(), vec!["token_expired".to_owned()]));
    assert_eq!(signs, [(401, &None), (200, &body)]);
    assert_eq!(oauth.revoke_token, crate::auth::RevokedToken::Access);
    assert_eq!(
        oauth
            .revoke_success
            .as_ref()
            .map(|success| success.pointer.clone()),
        Some("/revoked".to_owned())
    );
    let account = oauth2("account");
    assert_eq!(
        account.assertion.as_ref().map(|assertion| assertion.used),
        Some(AssertionUse::Grant)
    );
    assert!(account.pkce && account.expired.is_empty() && account.refresh_margin_s == 300);
    assert_eq!(account.metadata, None);
}

#[test]
fn what_is_asked_for_follows_the_scheme() {
    for (name, parts, app) in [
        ("key", &["secret"][..], &[][..]),
        ("login", &["user shown", "password"], &[]),
        (
            "aws",
            &[
                "access_key_id shown",
                "secret_access_key",
                "session_token optional",
            ],
            &[],
        ),
        ("signed", &["key_id shown", "key"], &[]),
        ("mtls", &["certificate shown lines", "private_key lines"], &[]),
        ("oauth", &[], &["client_id shown", "client_secret"]),
        ("account", &["account lines"], &[]),
        ("oidc", &[], &["client_id shown", "signing_key lines"]),
        ("oauth1", &[], &["client_id shown", "client_secret"]),
        ("own", &["pin shown optional"], &["partner"]),
    ] {
        let scheme = scheme(name);
        assert_eq!(names(&scheme.parts), parts, "{name}");
        assert_eq!(names(&scheme.app), app, "{name}");
    }
    assert_eq!(scheme("key").parts[0].title, "API key");
    let public = FULL.replace("client_auth = \"body\"", "client_auth = \"none\"");
    let public = Manifest::parse(&public).unwrap();
    assert_eq!(
        names(&public.auth("oauth").unwrap().app),
        ["client_id shown", "client_secret optional"]
    );
}

#[test]
fn what_the_host_asks_is_known() {
    let reach = |name: &str, config: serde_json::Value| {
        let rules = scheme(name).reach(&config);
        rules.map(|rules| rules.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let posts = [
        "POST https://login.acme.example/common/token",
        "POST https://login.acme.example/device",
        "POST https://login.acme.example/revoke",
        "GET https://graph.acme.example/access_token",
    ];
    assert_eq!(reach("oauth", json!({"tenant": "common"})).unwrap(), posts);
    let told = reach(
        "oauth",
        json!({"tenant": "common", "instance": "eu1.acme.example"}),
    )
    .unwrap();
    assert_eq!(told.last().unwrap(), "GET https://eu1.acme.example/metadata");
    assert!(
        reach("oauth", json!({})).is_err(),
        "the tenant is nobody's to tell later"
    );
    assert!(reach("oauth", json!({"tenant": "a/../b"})).is_err());
    assert_eq!(
        reach("oidc", json!({})).unwrap(),
        [
            "GET, POST https://id.acme.example/**",
            "GET https://keys.acme.example/jwks"
        ]
    );
    assert_eq!(
        reach("oauth1", json!({})).unwrap(),
        [
            "POST https://acme.example/1/OAuthGetRequestToken",
            "POST https://acme.example/1/OAuthGetAccessToken"
        ]
    );
    for name in ["key", "aws", "mtls", "own"] {
        assert_eq!(reach(name, json!({})).unwrap(), [""; 0]);
    }
}

#[test]
fn the_broker_is_given_what_the_configuration_says() {
    let apply = scheme("aws").apply;
    let expanded = apply.expand(&json!({"region": "eu-central-1"})).unwrap();
    assert!(
        matches!(expanded, Apply::SigV4 { region, .. } if region.fill_config(&json!({})).unwrap() == "eu-central-1")
    );
    for config in [json!({}), json!({"region": "EU"}), json!({"region": "a/b"})] {
        assert!(apply.expand(&config).is_err(), "{config}");
    }
    let signed = scheme("signed").apply;
    assert_eq!(signed.expand(&json!({})).unwrap(), signed);
}

#[test]
fn bad_schemes_are_refused_where_they_stand() {
    let token_url = "token_url = \"https://login.acme.example/${config.tenant}/token\"";
    for (from, to, path, words) in [
        ("field = \"api_key\"", "", "auth[0].field", "missing"),
        (
            "field = \"api_key\"",
            "field = \"a b\"",
            "auth[0].field",
            "parameter",
        ),
        (
            "field = \"api_key\"",
            "field = \"k\"\nparameter = \"k\"",
            "auth[0].parameter",
            "does not belong",
        ),
        (
            "name = \"secret\", title = \"API key\"",
            "name = \"secrets\", title = \"x\"",
            "auth[0].parts",
            "no part `secret`",
        ),
        (
            "title = \"API key\"",
            "title = \"x\", secret = false",
            "auth[0].parts[0].secret",
            "secret",
        ),
        (
            "title = \"API key\"",
            "optional = true",
            "auth[0].parts[0]",
            "does not go without",
        ),
        (
            "title = \"API key\" }",
            "title = \"x\" }, { name = \"pin\", title = \"x\" }",
            "auth[0].parts",
            "does not take",
        ),
        (
            "title = \"API key\" }",
            "title = \"x\" }, { name = \"secret\" }",
            "auth[0].parts[1]",
            "second",
        ),
        (
            "service = \"s3\"",
            "service = \"S3\"",
            "auth[2].service",
            "service",
        ),
        (
            "region = \"${config.region}\"",
            "region = \"x-${config.region}\"",
            "auth[2].region",
            "neither",
        ),
        (
            "region = \"${config.region}\"",
            "region = \"${config.nope}\"",
            "auth[2].region",
            "no property",
        ),
        (
            "region = \"${config.region}\"",
            "region = \"${secret.key}\"",
            "auth[2].region",
            "no place",
        ),
        (
            "${parameters}\"",
            "${parametres}\"",
            "auth[3].sign.message",
            "not known here",
        ),
        (
            "message = \"${date}\\n${method}\\n${host}\\n${path}\\n${parameters}\"",
            "message = \"${key_id}\"",
            "auth[3].sign.message",
            "proves nothing",
        ),
        (
            "value = \"${timestamp}\"",
            "value = \"${signature}\"",
            "auth[3].sign.before[1].value",
            "not known here",
        ),
        (
            "{ header = \"x-sig\", value",
            "{ header = \"x-sig\", query = \"x\", value",
            "auth[3].sign.after[1]",
            "one of",
        ),
        (
            "header = \"x-sig\"",
            "header = \"host\"",
            "auth[3].sign.after[1].header",
            "itself",
        ),
        (
            "basic = [\"${key_id}\", \"${signature}\"]",
            "basic = [\"${key_id}\"]",
            "auth[3].sign.after[0].basic",
            "list of two",
        ),
        (
            "apply = { scheme = \"header\", header = \"x-token\", prefix = \"token \" }",
            "apply = { scheme = \"aws-sigv4\", service = \"s3\", region = \"auto\" }",
            "auth[5].apply.scheme",
            "several parts",
        ),
        (
            "apply = { scheme = \"header\", header = \"x-token\", prefix = \"token \" }",
            "apply = { scheme = \"bearer\", prefix = \"x\" }",
            "auth[5].apply.prefix",
            "does not belong",
        ),
        (
            "grants = [\"authorization-code\", \"device-code\", \"client-credentials\"]",
            "grants = []",
            "auth[5].oauth2.grants",
            "empty",
        ),
        (
            "grants = [\"authorization-code\", \"device-code\", \"client-credentials\"]",
            "grants = [\"authorization-code\", \"implicit\"]",
            "auth[5].oauth2.grants[1]",
            "can only be",
        ),
        (
            "grants = [\"authorization-code\", \"device-code\", \"client-credentials\"]",
            "grants = [\"authorization-code\"]",
            "auth[5].oauth2.device_url",
            "device-code",
        ),
        (
            "grants = [\"authorization-code\", \"device-code\", \"client-credentials\"]",
            "grants = [\"client-credentials\", \"device-code\"]",
            "auth[5].oauth2.authorize_url",
            "authorization-code",
        ),
        (
            "grants = [\"authorization-code\", \"device-code\", \"client-credentials\"]",
            "grants = [\"authorization-code\", \"device-code\", \"jwt-bearer\"]",
            "auth[5].oauth2.assertion",
            "missing",
        ),
        (token_url, "", "auth[5].oauth2.token_url", "missing"),
        (
            token_url,
            "token_url = \"http://login.acme.example/t\"",
            "auth[5].oauth2.token_url",
            "not `https`",
        ),
        (
            token_url,
            "token_url = \"https://login.acme.example/${secret.account}\"",
            "auth[5].oauth2.token_url",
            "takes",
        ),
        (
            token_url,
            "token_url = \"https://login.acme.example/${config.nope}\"",
            "auth[5].oauth2.token_url",
            "no property",
        ),
        (
            token_url,
            "token_url = \"https://login.acme.example/${config.depth}\"",
            "auth[5].oauth2.token_url",
            "not \"string\"",
        ),
        (
            "revoke_url =",
            "revoke_uri =",
            "auth[5].oauth2.revoke_uri",
            "`revoke_url`",
        ),
        (
            "revoke_url = \"https://login.acme.example/revoke\"\n",
            "",
            "auth[5].oauth2.revoke_token",
            "belongs to",
        ),
        (
            "revoke_token = \"access\"",
            "revoke_token = \"both\"",
            "auth[5].oauth2.revoke_token",
            "can only be",
        ),
        (
            "revoke_success = { pointer = \"/revoked\", equals = true }",
            "revoke_success = { pointer = \"/revoked\" }",
            "auth[5].oauth2.revoke_success.equals",
            "missing",
        ),
        (
            "scopes = [\"repo\", \"user:email\"]",
            "scopes = [\"repo,user\"]",
            "auth[5].oauth2.scopes[0]",
            "not a scope",
        ),
        (
            "optional_scopes = [\"admin\"]",
            "optional_scopes = [\"repo\"]",
            "auth[5].oauth2.optional_scopes[0]",
            "twice",
        ),
        (
            "scope_separator = \",\"",
            "scope_separator = \"x\"",
            "auth[5].oauth2.scope_separator",
            "one of",
        ),
        (
            "app = \"${app.client_id}\"",
            "app = \"${app.client_secret}\"",
            "auth[5].oauth2.authorize_params.app",
            "browser",
        ),
        (
            "app = \"${app.client_id}\"",
            "app = \"${app.nope}\"",
            "auth[5].oauth2.authorize_params.app",
            "`app`",
        ),
        (
            "access_type = \"offline\"",
            "state = \"x\"",
            "auth[5].oauth2.authorize_params.state",
            "itself",
        ),
        (
            "access_type = \"offline\"",
            "user_scope = \"x\"",
            "auth[5].oauth2.authorize_params.user_scope",
            "itself",
        ),
        (
            "audience = \"https://${config.sub}\"",
            "audience = \"${secret.x}\"",
            "auth[5].oauth2.token_params.audience",
            "`parts`",
        ),
        (
            "idle_refresh_s = 86_400",
            "idle_refresh_s = 5",
            "auth[5].oauth2.idle_refresh_s",
            "between 3600",
        ),
        (
            "{ status = 200, pointer = \"/error\", equals = [\"token_expired\"] }",
            "{ status = 200 }",
            "auth[5].oauth2.expired[1]",
            "every good answer",
        ),
        (
            "{ status = 200, pointer = \"/error\", equals = [\"token_expired\"] }",
            "{ status = 403, pointer = \"/error\" }",
            "auth[5].oauth2.expired[1]",
            "only one",
        ),
        (
            "config = \"instance\"",
            "config = \"nope\"",
            "auth[5].oauth2.fill[0].config",
            "no property",
        ),
        (
            "config = \"region\", from",
            "config = \"instance\", from",
            "auth[5].oauth2.fill[1].config",
            "twice",
        ),
        (
            "pointer = \"/dc\"",
            "pointer = \"dc\"",
            "auth[5].oauth2.fill[1].pointer",
            "pointer",
        ),
        (
            "access_token = \"/data/token\"",
            "access_token = \"\"",
            "auth[5].oauth2.answer.access_token",
            "pointer",
        ),
        (
            "success = { pointer = \"/ok\", equals = true }",
            "success = { pointer = \"/ok\", equals = [] }",
            "auth[5].oauth2.answer.success.equals",
            "neither",
        ),
        (
            "token = \"${token}\"",
            "token = \"x\"",
            "auth[5].oauth2.exchange.params",
            "nowhere",
        ),
        (
            "token = \"${token}\"",
            "token = \"${token}\", a = \"${secret.x}\"",
            "auth[5].oauth2.exchange.params.a",
            "no place",
        ),
        (
            "prefix = \"OAuth \"",
            "prefix = \"a\\r\\nb\"",
            "auth[5].oauth2.metadata.prefix",
            "character",
        ),
        (
            "key = \"${secret.account#/private_key}\"",
            "key = \"x${secret.account}\"",
            "auth[6].oauth2.assertion.key",
            "is not one",
        ),
        (
            "key = \"${secret.account#/private_key}\"",
            "key = \"${secret.acount}\"",
            "auth[6].oauth2.assertion.key",
            "`parts`",
        ),
        (
            "key = \"${app.signing_key}\"",
            "key = \"${app.client_id}\"",
            "auth[7].oauth2.assertion.key",
            "secret",
        ),
        (
            "scope = \"${scopes}\" }",
            "exp = \"1\" }",
            "auth[6].oauth2.assertion.claims.exp",
            "itself",
        ),
        (
            "lifetime_s = 600",
            "lifetime_s = 0",
            "auth[6].oauth2.assertion.lifetime_s",
            "between 1",
        ),
        (
            "use = \"grant\"",
            "use = \"client\"",
            "auth[6].oauth2.assertion",
            "client",
        ),
        (
            "use = \"client\"",
            "use = \"bearer\"",
            "auth[7].app",
            "client_secret",
        ),
        (
            "issuer = \"https://id.acme.example/tenant\"\n",
            "authorize_url = \"https://id.acme.example/a\"\n",
            "auth[7].oauth2.keys_url",
            "issuer",
        ),
        (
            "app = [{ name = \"client_id\" }, ",
            "app = [",
            "auth[7].app",
            "`client_id`",
        ),
        (
            "access_url = \"https://acme.example/1/OAuthGetAccessToken\"\n",
            "",
            "auth[8].oauth1.access_url",
            "missing",
        ),
        (
            "name = \"Sluice\"",
            "oauth_callback = \"x\"",
            "auth[8].oauth1.authorize_params.oauth_callback",
            "itself",
        ),
        (
            "apply = { scheme = \"query\", parameter = \"sid\" }",
            "sign = {}",
            "auth[9].sign",
            "`hmac` only",
        ),
    ] {
        assert!(FULL.contains(from), "{from}");
        let text = FULL.replacen(from, to, 1);
        match Manifest::parse(&text) {
            Ok(_) => panic!("{to} was accepted"),
            Err(error) => {
                assert_eq!(error.path, path, "{to}: {error}");
                assert!(error.message.contains(words), "{to}: {error}");
                assert!(error.line > 1, "{to}: {error}");
            }
        }
    }
}
