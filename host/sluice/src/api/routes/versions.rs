//! The rows about other versions and other grants.

use super::table::PAGED;
use super::{Operation, Route, route};

pub(super) const ROUTES: &[Route] = &[
    route(
        "POST",
        "/api/v1/approvals",
        Operation::OfferVersion,
        "offer a version: it is installed where the policy needs no approval, or waits for one",
    )
    .query(&[
        ("from", "where the package is, instead of a body"),
        (
            "component",
            "the digest that the whole file must have, with `from`",
        ),
        ("channel", "the channel that it is for"),
        ("reason", "why, for whoever decides"),
    ])
    .takes("binary")
    .gives(201, "Offered"),
    route(
        "GET",
        "/api/v1/approvals",
        Operation::ListApprovals,
        "what waits for an approval, and what was decided",
    )
    .query(PAGED)
    .gives(200, "[Approval]"),
    route(
        "GET",
        "/api/v1/approvals/{approval}",
        Operation::GetApproval,
        "an approval, with what it would permit",
    )
    .gives(200, "ApprovalDetail"),
    route(
        "POST",
        "/api/v1/approvals/{approval}/approve",
        Operation::Approve,
        "approve it: it is installed, and who follows its channel goes over",
    )
    .approver()
    .takes("ApprovalConsent")
    .gives(200, "Offered"),
    route(
        "POST",
        "/api/v1/approvals/{approval}/decline",
        Operation::Decline,
        "decline it: nothing changes",
    )
    .approver()
    .takes("ApprovalRefusal")
    .gives(200, "Approval"),
    route(
        "GET",
        "/api/v1/upgrades",
        Operation::GetUpgradePolicy,
        "what of other versions needs nobody's approval",
    )
    .gives(200, "UpgradePolicy"),
    route(
        "PUT",
        "/api/v1/upgrades",
        Operation::SetUpgradePolicy,
        "change that",
    )
    .approver()
    .takes("UpgradePolicy")
    .gives(200, "UpgradePolicy"),
    route(
        "GET",
        "/api/v1/channels",
        Operation::ListChannels,
        "the channels and what they offer",
    )
    .gives(200, "[Channel]"),
    route(
        "PUT",
        "/api/v1/connectors/{connector}/channels/{channel}",
        Operation::PublishToChannel,
        "publish an install to a channel: who follows it goes over",
    )
    .approver()
    .takes("Publication")
    .gives(200, "Moved"),
    route(
        "PUT",
        "/api/v1/connections/{connection}/channel",
        Operation::FollowChannel,
        "follow a channel, or stay with the install that it uses",
    )
    .takes("Following")
    .gives(200, "Connection"),
    route(
        "POST",
        "/api/v1/connections/{connection}/rollback",
        Operation::RollBackConnection,
        "take its last move to another install back, or say what that would mean",
    )
    .takes("RollbackRequest")
    .gives(200, "Rollback"),
    route(
        "GET",
        "/api/v1/installs/{install}/advice",
        Operation::AdviseInstall,
        "what an install may do and did not do",
    )
    .query(&[("days", "1 to 400 days to look at; 30 without it")])
    .gives(200, "Advice"),
    route(
        "GET",
        "/api/v1/installs/{install}/trial",
        Operation::TryInstall,
        "what an install means for each connection of its connector that uses another; nothing is changed",
    )
    .query(PAGED)
    .gives(200, "[InstallTrial]"),
    route(
        "PUT",
        "/api/v1/installs/{install}/grant",
        Operation::ChangeGrant,
        "withdraw rights, or switch optional ones on; also for calls that are under way",
    )
    .approver()
    .takes("GrantChange")
    .gives(200, "ChangedGrant"),
];
