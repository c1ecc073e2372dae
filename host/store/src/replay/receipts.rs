//! Receipts that are handled again, the oldest first. What comes in meanwhile does not stand behind all of them: only so many are due
//! at once.

use sluice_model::Timestamp;
use sluice_model::id::{Id, OrgId, ReceiptId, kind};
use sluice_model::receipt::ReceiptState;

use super::{ReceiptScope, Replay, ReplayOf, ReplayState, Scope, WAIT_MS};
use crate::Error;
use crate::due::Work;
use crate::hook::Hook;
use crate::key::{Key, Parts, Span};
use crate::receipt::{self, Receipt};
use crate::table::{Rows, Table, Writer};

/// Receipts that one step looks at.
const STEP: usize = 200;
/// Receipts of an organization that are due, more than which a replay does not add to.
const MAX_DUE: usize = 500;

/// Makes the next receipts due.
pub(super) fn advance(
    rows: &mut Writer<'_>,
    org: OrgId,
    replay: &mut Replay,
    mut scope: ReceiptScope,
    now: Timestamp,
) -> Result<(), Error> {
    let hook: Option<Hook> = rows.get_json(Table::Hooks, &Key::org(org).id(scope.hook))?;
    if hook.is_none() {
        replay.state = ReplayState::Cancelled;
        return Ok(());
    }
    let of_org = Span::prefix(&Key::org(org));
    let due = rows.collect(Work::Receipts.table(), &of_org, false, MAX_DUE, |_, _| {
        Ok(Some(()))
    })?;
    let room = (MAX_DUE - due.len()) as u64;
    if room == 0 {
        replay.due = Some(Timestamp::from_millis(now.as_millis().saturating_add(WAIT_MS)));
        return Ok(());
    }
    let room = room.min(replay.cap - replay.made);
    let ids = next(rows, org, &scope)?;
    let (mut made, mut is_all) = (0, ids.len() < STEP);
    for id in ids {
        if made >= room {
            is_all = false;
            break;
        }
        scope.place = Some(id);
        replay.looked += 1;
        let found: Option<Receipt> = rows.get_json(Table::Receipts, &Key::org(org).id(id))?;
        let Some(found) = found.filter(|found| is_meant(found, replay.what, now)) else {
            continue;
        };
        receipt::rearm(rows, org, found, scope.install, now)?;
        made += 1;
    }
    replay.made += made;
    replay.scope = Scope::Receipts(scope);
    replay.due = Some(now);
    if is_all {
        replay.state = ReplayState::Done;
    } else if replay.made >= replay.cap {
        replay.state = ReplayState::Capped;
    }
    Ok(())
}

/// The receipts behind the last one looked at. Their ids begin with when they were received.
fn next(rows: &mut Writer<'_>, org: OrgId, scope: &ReceiptScope) -> Result<Vec<ReceiptId>, Error> {
    let of_hook = Key::org(org).id(scope.hook);
    let at = |moment| of_hook.clone().id(Id::<kind::Receipt>::new(moment, [0; 10]));
    let span = Span::prefix(&of_hook).before(at(scope.until));
    let span = match scope.place {
        Some(place) => span.after(of_hook.clone().id(place)),
        None => span.from(at(scope.since)),
    };
    if span.is_empty() {
        return Ok(Vec::new());
    }
    rows.collect(Table::ReceiptsByHook, &span, false, STEP, |key, _| {
        Ok(Parts::new(key.get(32..).unwrap_or_default()).id::<kind::Receipt>())
    })
}

/// What is under way is not begun anew: it is handled anyway.
fn is_meant(receipt: &Receipt, what: ReplayOf, now: Timestamp) -> bool {
    match receipt.state {
        ReceiptState::Dead => true,
        ReceiptState::RetryAt => what != ReplayOf::Dead && !receipt.is_with_worker(now),
        ReceiptState::Handled => what == ReplayOf::All,
        ReceiptState::Accepted => false,
    }
}
