//! Everything that goes across rooms, through a real outside: real guests, real servers on loopback, real processes.
//!
//! | module | what it asks |
//! |---|---|
//! | [`main_job`] | does the main job work from one end to the other, with a power cut in the middle? |
//! | [`webhooks`] | are GitHub's own examples taken once, damaged ones never, and acknowledged ones kept over a kill? |
//! | [`syncs`] | does a full refresh take the old place at once, can a run be taken back, do rules and schedules hold? |
//! | [`destinations`] | is what a connection has in the database and in the files too, whoever is killed? |
//! | [`discovery`] | are streams that only the account has streams like any other? |
//! | [`files`] | are attachments there with their records or not at all, within what was granted? |
//! | [`links`] | do two vendors' records say the same, whoever edits what, whatever is lost and whoever is killed? |
//! | [`kills`] | does a sync of 100,000 records killed fifty times end with exactly these? |
//! | [`bad_input`] | does everything that is wrong get one typed error, and is nothing lost? |
//! | [`secrets`] | does a secret stay out of every place that can be read? |
//! | [`keys`] | are keys rotated while the work goes on, and is one that is needed not left out? |
//! | [`api_auth`] | does every route ask for a key, and is every trick around that refused? |
//! | [`peers`] | do floods, dawdlers, missing descriptors and signals leave the server serving, or ended as told? |
//! | [`oauth`] | does a connection come by its credential, keep it fresh, lose it with a sign only, and never show it? |
//! | [`sdks`] | do connectors in JavaScript, Python and C read what the one in Rust reads, and fail with file and line? |
//! | [`garden`] | does a connector in each of these do everything that a connector can, and all give the same? |
//! | [`registrations`] | is a webhook set up at its vendor once, kept up and ended, whatever is lost and whoever is killed? |
//! | [`vendors`] | are every vendor's signatures, questions, certificates and keys taken as the vendor means them, and forged ones never? |
//! | [`localstripe`] | does a Stripe that knows nothing of us get on with the connector, and we with its webhooks? |
//! | [`shipped`] | does each shipped connector take what its vendor sends, read what it lists, and set its webhook up by itself? |
//! | [`aws`] | does an AWS that checks every signature believe ours? |
//! | [`outbound`] | are events delivered, signed so that others believe it, whatever the receiver does and whoever is killed? |
//! | [`packages`] | does a connector come from whom it says it does, whole, and never older than it was? |
//! | [`versions`] | does a version, a grant or a right change what it says, for whom it says, and back again? |
//! | [`workshop`] | is a new connector in each language green at once, and does no cassette have a credential? |
//! | [`contract`] | is a connector that breaks a part of the contract told which one? |
//! | [`hostile`] | does every hostile guest get what `fixtures/guests/expected.toml` says, and nothing else? |
//!
//! and what they stand on:
//!
//! | module | what it gives |
//! |---|---|
//! | [`server`] | the real server as a process, and a client |
//! | [`github`] | a stand-in for GitHub, and the first steps with its connector |
//! | [`ledger`] | a vendor whose records can be written, with revisions and keys |
//! | [`package`] | connector files with the manifests that a test needs |
//! | [`guests`] | the fixture guests as components, built once |
//! | [`receiver`] | a receiver of deliveries that behaves well, badly or not at all |
//! | [`played`] | what the vendors that tests play have in common |
//! | [`counterpart`] | software of others as processes: an OpenID provider, a browser, an AWS |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests are free"
)]

mod counterpart;
mod github;
mod guests;
mod ledger;
mod package;
mod played;
mod receiver;
mod server;

mod api_auth;
mod aws;
mod bad_input;
mod contract;
mod destinations;
mod discovery;
mod files;
mod garden;
mod hostile;
mod keys;
mod kills;
mod links;
mod localstripe;
mod main_job;
mod oauth;
mod outbound;
mod packages;
mod peers;
mod registrations;
mod sdks;
mod secrets;
mod shipped;
mod syncs;
mod vendors;
mod versions;
mod webhooks;
mod workshop;
