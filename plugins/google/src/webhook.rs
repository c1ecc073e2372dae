//! Notifications of channels (Calendar API, "Receive notifications"; Drive API, "Respond to notifications"). One has no body and says that
//! something changed, and not what: that is asked for. The host has checked the channel's token.

use sluice_sdk::{Error, Event, Handled, Receipt, log, record};

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let header = |name: &str| {
        let found = receipt.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let (channel, number) = (header("x-goog-channel-id"), header("x-goog-message-number"));
    let (state, resource) = (header("x-goog-resource-state"), header("x-goog-resource-uri"));
    if channel.is_empty() || number.is_empty() || state.is_empty() {
        return Err(Error::invalid_data(
            "not a notification of Google's: it names no channel, number or state",
        ));
    }
    let mut handled = Handled::nothing();
    // The channel is open; nothing has changed yet.
    if state == "sync" {
        return Ok(handled);
    }
    let path = resource.split('?').next().unwrap_or_default();
    let stream = match path {
        _ if path.contains("/drive/v3/changes") => "files",
        _ if path.contains("/calendarList") => "calendars",
        _ if path.contains("/calendar/v3/calendars/") => "events",
        _ => {
            log::info("a notification of something else: passed over");
            return Ok(handled);
        }
    };
    handled.resync.push(stream.to_owned());
    handled.events.push(Event {
        kind: format!("{stream}.changed"),
        id: record::key(&[channel, number]),
        occurred: None,
        data: record::text(&serde_json::json!({"channel": channel, "resource": path, "state": state}))?,
    });
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::receipt;

    fn of(state: &str, resource: &str) -> Result<Handled, Error> {
        let headers = [
            ("x-goog-channel-id", "hok_1-0-0"),
            ("x-goog-message-number", "10"),
            ("x-goog-resource-state", state),
            ("x-goog-resource-uri", resource),
            ("x-goog-channel-token", "a made up secret"),
        ];
        handle(&receipt(&headers, ""))
    }

    #[test]
    fn what_changed_is_asked_for() {
        let root = "https://www.googleapis.com";
        for (path, stream) in [
            (
                "/calendar/v3/calendars/mona%40doors.example/events?alt=json",
                "events",
            ),
            ("/calendar/v3/users/me/calendarList?alt=json", "calendars"),
            ("/drive/v3/changes?pageToken=70&alt=json", "files"),
        ] {
            let handled = of("exists", &format!("{root}{path}")).unwrap();
            assert_eq!(handled.resync, [stream]);
            let event = &handled.events[0];
            assert_eq!(
                (event.kind.as_str(), event.id.as_str()),
                (format!("{stream}.changed").as_str(), "hok_1-0-0/10")
            );
            assert!(!event.data.contains("a made up secret") && !event.data.contains("pageToken"));
        }
        assert!(of("sync", root).unwrap().events.is_empty());
        assert!(
            of("exists", "https://www.googleapis.com/admin/x")
                .unwrap()
                .resync
                .is_empty()
        );
        assert!(matches!(of("", root), Err(Error::InvalidData(_))));
        assert!(handle(&receipt(&[], "{}")).is_err());
    }
}
