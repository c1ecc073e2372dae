//! Nothing that is asked for is left out, and nobody is taken for somebody else.

use super::super::*;

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
