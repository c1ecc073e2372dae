//! Webhooks: vendors deliver one twice, and a server that was cut off handles one twice.

use super::Verdict;
use crate::play::{Play, of_handled};
use crate::rehearsal::Rehearsal;

pub(super) async fn repeat(rehearsal: &Rehearsal, play: &Play) -> Verdict {
    for (receipt, hook) in play.hooks.iter().zip(&rehearsal.case.hooks) {
        let mut told = Vec::new();
        let mut session = rehearsal.session();
        for _ in 0..2 {
            let outcome = rehearsal
                .runtime
                .handle(rehearsal.call(&session), receipt.clone())
                .await;
            let answered = rehearsal.take(&mut session, outcome);
            told.push(match answered.result {
                Ok(handled) => of_handled(&handled),
                Err(problem) => problem.value(),
            });
        }
        if told.first() != told.last() {
            let wrong = format!("{}: it means something else the second time", hook.name);
            return Verdict::failed("hooks_repeat", wrong);
        }
    }
    Verdict::over("hooks_repeat", play.hooks.len(), "webhooks", None)
}
