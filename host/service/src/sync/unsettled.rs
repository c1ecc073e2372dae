//! Pages that were read and are not committed yet.
//!
//! While one commit is being synced the next pages are read; they wait, and go into the next commit together. Commits of
//! a run follow one another: one begins only after the one before succeeded and nobody has asked to end the run, so no
//! cursor is ever kept without every record before it. What waits when a commit fails is dropped, and read again from
//! the cursor that was committed; only what its calls asked and said is kept. What may wait is bounded, in pages, in bytes and in time.

use std::time::Duration;

use sluice_store::Error;
use sluice_store::checkpoint::{PageCommit, PageOutcome};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until};

use crate::Service;

/// Pages that may wait.
const PAGES: u64 = 16;
/// Bytes of records that may wait; the last page may go over it.
const BYTES: usize = 2 << 20;
/// The same while others keep writing: whoever sends a webhook waits for the commit of these, a page or two.
const BYTES_PRESSED: usize = 128 << 10;
/// From the begin of one commit to that of the next, unless as much waits as may: a commit costs about as much as a
/// page, however little is in it.
const BETWEEN: Duration = Duration::from_millis(200);

/// The tail of a run: read, but not durable.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    under_way: Option<JoinHandle<Result<PageOutcome, Error>>>,
    /// As many pages as came, in one.
    waiting: Option<PageCommit>,
    /// What waited when a commit failed.
    dropped: Option<PageCommit>,
    bytes: usize,
    /// When the last commit began.
    began: Option<Instant>,
    committed: bool,
    quarantined: u64,
    cancelled: bool,
}

impl Unsettled {
    /// Whether anything was committed.
    pub(crate) const fn committed(&self) -> bool {
        self.committed
    }

    /// How many records of what was committed were refused.
    pub(crate) const fn quarantined(&self) -> u64 {
        self.quarantined
    }

    /// Whether a commit found that a person asked to end the run. Nothing is committed then.
    pub(crate) const fn cancelled(&self) -> bool {
        self.cancelled
    }

    /// Takes the next page. Waits only where too much waits already, where the page before has refused records (a record
    /// of this one may be the well version of one of them), or where the page has writes to the connector's storage or files:
    /// those have a commit of their own, which is over when the next page is read.
    pub(crate) async fn add(&mut self, service: &Service, page: PageCommit) -> Result<(), Error> {
        let alone = !page.storage.is_empty();
        let refused = self
            .waiting
            .as_ref()
            .is_some_and(|page| !page.quarantined.is_empty());
        if (alone || refused)
            && let Err(error) = self.settle(service).await
        {
            behind(&mut self.dropped, page);
            return Err(error);
        }
        if self.cancelled {
            return Ok(());
        }
        self.bytes += page.changes.iter().map(|change| change.bytes()).sum::<usize>();
        behind(&mut self.waiting, page);
        if alone {
            return self.settle(service).await;
        }
        let bytes = if service.store().is_pressed() {
            BYTES_PRESSED
        } else {
            BYTES
        };
        if self.bytes >= bytes || self.waiting.as_ref().is_some_and(|page| page.pages >= PAGES) {
            self.end(service).await?;
            self.begin(service);
        }
        Ok(())
    }

    /// Goes on with the commits while something else is waited for; waits for ever when nothing is left. Cancel-safe.
    pub(crate) async fn go_on(&mut self, service: &Service) -> Result<(), Error> {
        if self.under_way.is_some() {
            return self.end(service).await;
        }
        if self.waiting.is_none() {
            return std::future::pending().await;
        }
        if let Some(began) = self.began {
            sleep_until(began + BETWEEN).await;
        }
        self.begin(service);
        Ok(())
    }

    /// Waits until nothing is left.
    pub(crate) async fn settle(&mut self, service: &Service) -> Result<(), Error> {
        while self.under_way.is_some() || self.waiting.is_some() {
            self.end(service).await?;
            self.begin(service);
        }
        Ok(())
    }

    /// Lets go of what waits; what is under way is waited for.
    pub(crate) async fn give_up(&mut self, service: &Service) -> Result<(), Error> {
        self.waiting = None;
        self.end(service).await
    }

    /// Keeps what the calls asked and said whose pages waited when a commit failed. Nothing else of them is kept.
    pub(crate) async fn tell_dropped(&mut self, service: &Service) -> Result<(), Error> {
        let Some(page) = self.dropped.take() else {
            return Ok(());
        };
        let store = service.store();
        store
            .note_run(page.org, page.run, page.fencing, page.exchanges, page.logs)
            .await
    }

    /// Waits for the commit under way. Cancel-safe.
    async fn end(&mut self, service: &Service) -> Result<(), Error> {
        let Some(task) = &mut self.under_way else {
            return Ok(());
        };
        let done = task.await;
        self.under_way = None;
        let outcome = outcome(done).inspect_err(|_| self.dropped = self.waiting.take())?;
        count(service, &outcome);
        self.committed = true;
        self.quarantined += outcome.counts.quarantined;
        self.cancelled |= outcome.cancel;
        if self.cancelled {
            self.waiting = None;
        }
        Ok(())
    }

    /// Begins to commit what waits.
    fn begin(&mut self, service: &Service) {
        let Some(page) = self.waiting.take() else { return };
        self.bytes = 0;
        self.began = Some(Instant::now());
        service.metrics().pages.add(page.pages);
        let store = service.store().clone();
        self.under_way = Some(tokio::spawn(async move { store.commit_page(page).await }));
    }
}

fn behind(pages: &mut Option<PageCommit>, page: PageCommit) {
    match pages {
        Some(pages) => pages.append(page),
        None => *pages = Some(page),
    }
}

fn outcome(done: Result<Result<PageOutcome, Error>, JoinError>) -> Result<PageOutcome, Error> {
    done.unwrap_or(Err(Error::Broken("a commit was cut off")))
}

fn count(service: &Service, outcome: &PageOutcome) {
    let (metrics, counts) = (service.metrics(), &outcome.counts);
    metrics
        .records_changed
        .add(counts.added + counts.updated + counts.deleted);
    metrics.records_unchanged.add(counts.unchanged);
    metrics.records_quarantined.add(counts.quarantined);
}
