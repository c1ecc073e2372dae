//! Nothing that is asked for is left out, and nobody is taken for somebody else.

use super::super::*;

/// The lines of REQUIREMENTS §8 that name a signature, a token, basic authentication or a challenge, and those that the
/// page says have nothing to verify.
#[test]
fn every_line_of_the_requirements_is_said() {
    let said: Vec<String> = recipes().into_iter().flat_map(|(names, _)| names).collect();
    let systems = [
        "Google (RISC)",
        "Google Workspace",
        "Facebook",
        "LinkedIn",
        "Okta",
        "Auth0",
        "Microsoft Entra ID",
        "OIDC",
        "Twilio Authy",
        "Stripe",
        "PayPal",
        "Square",
        "Braintree",
        "Paddle",
        "Chargebee",
        "Recurly",
        "Zuora",
        "Plaid",
        "Yodlee",
        "Open Banking",
        "Coinbase Commerce",
        "Coinbase",
        "BitPay",
        "Alchemy",
        "SendGrid",
        "Mailgun",
        "Amazon SES",
        "Postmark",
        "Resend",
        "Twilio",
        "MessageBird",
        "Vonage",
        "Plivo",
        "Firebase",
        "OneSignal",
        "Pusher",
        "Amazon SNS",
        "Zoom",
        "Webex",
        "Agora",
        "Agora (version 1)",
        "Daily",
        "Slack",
        "Microsoft Teams (Graph)",
        "Microsoft Teams (outgoing webhook)",
        "Discord",
        "Salesforce",
        "HubSpot",
        "HubSpot (version 1)",
        "HubSpot (version 2)",
        "Pipedrive",
        "Airtable",
        "Asana",
        "Trello",
        "Monday",
        "Jira",
        "Jira (Connect)",
        "Notion",
        "Google Calendar",
        "Outlook",
        "Calendly",
        "Google Drive",
        "Dropbox",
        "OneDrive",
        "Box",
        "Intercom",
        "GitHub",
        "GitLab",
        "GitLab (signing token)",
        "Bitbucket",
        "Linear",
        "Sentry",
        "Vercel",
        "Netlify",
        "AWS",
        "Supabase",
        "AWS S3",
        "Google Cloud Storage",
        "Mailchimp",
        "Google Ads",
        "Facebook Ads",
        "Mixpanel",
        "Segment",
        "PostHog",
        "Standard Webhooks",
        "Standard Webhooks (asymmetric)",
    ];
    for system in systems {
        assert!(said.iter().any(|name| name == system), "{system} has no recipe");
    }
    // And each recipe that verifies anything has a row that proves it.
    let proved: Vec<String> = rows()
        .iter()
        .map(|row| row["system"].as_str().unwrap().to_owned())
        .collect();
    for (names, toml) in recipes() {
        if webhook(&toml).recipe.is_signed() {
            assert!(
                names.iter().any(|name| proved.contains(name)),
                "{names:?} is not proved"
            );
        }
    }
}

/// A hook of one vendor refuses what another vendor's hook accepts, whatever the secrets.
#[test]
fn no_recipe_takes_another_vendors_request() {
    let rows = rows();
    for given in &rows {
        let row = Row::new(given);
        for other in &rows {
            let (one, two) = (
                given["system"].as_str().unwrap(),
                other["system"].as_str().unwrap(),
            );
            let key = Secret::new(b"the key of another hook altogether".to_vec());
            let webhook = webhook_of(two);
            let request = Request {
                method: &row.method,
                url: &row.url,
                headers: &row.headers,
                body: &row.body,
            };
            let now = Timestamp::from_millis(row.now * 1000);
            let verdict = webhook.recipe.verify(&request, &[key], None, now);
            assert!(verdict.is_err(), "{one} at {two}");
        }
    }
}

/// Each vendor's own code accepts these.
#[test]
fn what_the_vendors_accept_is_accepted() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../vendors.json")).unwrap();
    assert_eq!(vectors.len(), 9);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
        let (system, url) = match text("provider").as_str() {
            "github" => ("GitHub", String::new()),
            "stripe" => ("Stripe", String::new()),
            "svix" => ("Resend", String::new()),
            "standardwebhooks" => ("Standard Webhooks", String::new()),
            "slack" => ("Slack", String::new()),
            "twilio" => ("Twilio", text("url")),
            "hubspot" => ("HubSpot", text("url")),
            "sendgrid" => ("SendGrid", String::new()),
            "discord" => ("Discord", String::new()),
            other => panic!("{other}"),
        };
        let mut headers: Vec<_> = vector["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        headers.push((
            "content-type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        ));
        let row = Row {
            method: "POST".to_owned(),
            url,
            headers,
            body: text("body").into_bytes(),
            secrets: vec![Secret::new(
                text("secret").trim_start_matches("pubkey:").as_bytes().to_vec(),
            )],
            fetched: None,
            now: vector["now_unix"].as_u64().unwrap(),
        };
        let verdict = row.verify(&webhook_of(system));
        assert!(verdict.is_ok(), "{system}: {verdict:?}");
        for place in 0..row.body.len() {
            let mut other = row.clone();
            other.body[place] ^= 1;
            assert!(other.verify(&webhook_of(system)).is_err(), "{system} {place}");
        }
    }
}
