//! The pages of a person who connects an account: a link that asks to go on, and the way back from the vendor. Public: the
//! link, and the cookie that it sets, are the key.
//!
//! A look at the link uses nothing up; only its button does. Nothing on these pages comes unescaped from anybody.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sluice_service::auth::{self, Callback, Landed};

use super::app::App;
use super::body::{At, read};
use super::problem::Problem;

/// A vendor's redirect as a form.
const FORM_BYTES: u64 = 64 << 10;

pub(super) async fn look(State(app): State<App>, At(link): At<String>) -> Response {
    match auth::look(&app.service, &link).await {
        Ok(found) => {
            let again = found.account.map_or_else(String::new, |account| {
                format!(
                    "<p>It is connected as <b>{}</b>; that stays until you have finished.</p>",
                    escape(&account)
                )
            });
            let text = format!(
                "<p>Connect <b>{}</b> to <b>{}</b>. You will be asked to sign in there and to allow the access.</p>{again}\
                 <form method=\"post\"><button type=\"submit\">Continue to {}</button></form>",
                escape(&found.connection),
                escape(&found.connector),
                escape(&found.connector),
            );
            page(StatusCode::OK, "Connect an account", &text)
        }
        Err(error) => refused(&error),
    }
}

pub(super) async fn follow(State(app): State<App>, At(link): At<String>) -> Response {
    let public = app.public_url.clone().unwrap_or_default();
    let followed = match auth::follow(&app.service, &link, &public).await {
        Ok(followed) => followed,
        Err(error) => return refused(&error),
    };
    let secure = if public.starts_with("https://") {
        "; Secure"
    } else {
        ""
    };
    // Lax: the way back is a navigation that another site began, and nothing else of theirs may carry it.
    let cookie = format!(
        "{}={}; Path=/connect; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        followed.cookie.0,
        followed.cookie.1,
        followed.lifetime.as_secs(),
    );
    let fields = HeaderValue::from_str(&followed.location)
        .ok()
        .zip(HeaderValue::from_str(&cookie).ok());
    let Some((location, cookie)) = fields else {
        return refused(&auth::Error::Answer("the authorize address is not an address"));
    };
    let headers = [(header::LOCATION, location), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// A form from the vendor comes without our cookie, which browsers keep from other sites' posts; the same as a navigation
/// comes with it.
pub(super) async fn posted(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let body = read(&app, request.into_body(), FORM_BYTES).await?;
    let pairs: Vec<_> = url::form_urlencoded::parse(&body.bytes).collect();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let location = HeaderValue::from_str(&format!("/connect/callback?{query}"))
        .map_err(|_| Problem::new("request.body", "the form is not one"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

pub(super) async fn land(State(app): State<App>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let params = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .take(100)
        .collect();
    let cookies = request
        .headers()
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .take(200)
        .collect();
    // Whatever happens to the browser's connection, a code that was taken is exchanged to its end.
    let service = app.service.clone();
    let landing = tokio::spawn(async move { auth::callback(&service, Callback { params, cookies }).await });
    match landing.await {
        Ok(Ok(landed)) => show(landed),
        Ok(Err(error)) => refused(&error),
        Err(_) => page(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Not connected",
            "<p>The server made a mistake.</p>",
        ),
    }
}

fn show(landed: Landed) -> Response {
    let code = match &landed.outcome {
        Ok(_) => "ok",
        Err(error) => error.code(),
    };
    if let Some(to) = &landed.return_to
        && let Ok(mut url) = url::Url::parse(to)
    {
        url.query_pairs_mut()
            .append_pair("connection", &landed.connection)
            .append_pair("outcome", code);
        if let Ok(location) = HeaderValue::from_str(url.as_str()) {
            return (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
        }
    }
    match landed.outcome {
        Ok(adopted) => {
            let who = match (&adopted.account, &adopted.problem) {
                (Some(account), _) => format!(" as <b>{}</b>", escape(&account.name)),
                (None, Some(problem)) => {
                    format!(", but could not be asked yet: {}", escape(&problem.message))
                }
                (None, None) => String::new(),
            };
            let text = format!(
                "<p><b>{}</b> is connected to {}{who}. You can close this page.</p>",
                escape(&landed.connection),
                escape(&landed.connector),
            );
            page(StatusCode::OK, "Connected", &text)
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &auth::Error) -> Response {
    let hint = error
        .hint()
        .map_or_else(String::new, |hint| format!("<p>{}</p>", escape(&hint)));
    let text = format!(
        "<p>{}.</p>{hint}<p><code>{}</code></p>",
        escape(&sentence(&error.to_string())),
        error.code()
    );
    let status = crate::explain::find(error.code()).map_or(400, |entry| entry.status);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    page(status, "Not connected", &text)
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"></head><body><h1>{title}</h1>{text}</body></html>\n"
    );
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    // The address of these pages carries a key: it is told to nobody (and no longer good once it was used).
    let referrer = (header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    (status, [(header::CONTENT_TYPE, kind), referrer], html).into_response()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
