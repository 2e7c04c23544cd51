//! The campaign's machine, as a whole table.

use campaign::{Campaign, Move, Proposal, Refusal};
use common::{
    events::{CampaignKind, CampaignStatus},
    ids::UserId,
};
use serde_json::json;

use crate::helpers::{NOON, at, proposal, proposal_with};

fn draft(body: serde_json::Value) -> Campaign {
    let proposal: Proposal = serde_json::from_value(body).unwrap();
    proposal.draft(UserId::new(), at(NOON)).unwrap()
}

fn moves() -> [Move; 7] {
    let reason = || "too vague".to_owned();
    [
        Move::Submit,
        Move::Approve,
        Move::Reject { reason: reason() },
        Move::Close,
        Move::Cancel { reason: reason() },
        Move::Suspend { reason: reason() },
        Move::Resume,
    ]
}

#[test]
fn every_status_and_every_move() {
    const OFF: Option<&str> = Some("CANCELLED");
    const STOP: Option<&str> = Some("SUSPENDED");
    #[rustfmt::skip]
    let table = [
        //             submit             approve         reject            close              cancel suspend resume
        ("DRAFT",     [Some("SUBMITTED"), None,           None,             None,              None, None, None]),
        ("SUBMITTED", [None,              Some("ACTIVE"), Some("REJECTED"), None,              None, None, None]),
        ("ACTIVE",    [None,              None,           None,             Some("COMPLETED"), OFF,  STOP, None]),
        ("PAUSED",    [None,              None,           None,             None,              OFF,  STOP, None]),
        ("COMPLETED", [None,              None,           None,             None,              None, None, None]),
        ("CANCELLED", [None,              None,           None,             None,              None, None, None]),
        ("REJECTED",  [None,              None,           None,             None,              None, None, None]),
        ("SUSPENDED", [None,              None,           None,             None,              OFF,  None, Some("ACTIVE")]),
    ];
    assert_eq!(table.len(), CampaignStatus::ALL.len());
    for (from, row) in table {
        let status: CampaignStatus = from.parse().unwrap();
        let campaign = Campaign {
            status,
            version: 7,
            ..draft(proposal())
        };
        for (step, to) in moves().iter().zip(row) {
            let moved = campaign.moved(step, at("2026-03-02T00:00:00Z"));
            match to {
                None => assert_eq!(
                    moved,
                    Err(Refusal::InvalidTransition(status)),
                    "{from} and {step:?}"
                ),
                Some(to) => {
                    let moved = moved.unwrap();
                    assert_eq!(moved.status.as_str(), to, "{from} and {step:?}");
                    assert_eq!(moved.version, 8);
                    assert_eq!(moved.updated_at, at("2026-03-02T00:00:00Z"));
                    assert_eq!(moved.created_at, campaign.created_at);
                }
            }
        }
    }
}

#[test]
fn each_move_has_its_event() {
    let kinds = moves().map(|step| step.kind());

    assert_eq!(
        kinds,
        [
            CampaignKind::Submitted,
            CampaignKind::Approved,
            CampaignKind::Rejected,
            CampaignKind::Closed,
            CampaignKind::Cancelled,
            CampaignKind::Suspended,
            CampaignKind::Resumed,
        ]
    );
}

#[test]
fn a_campaign_that_is_over_does_not_go_public_and_can_still_be_ended() {
    let end = at("2026-03-01T13:00:00Z");
    let begun = draft(proposal_with("ends_at", json!(end)));
    let in_status = |status| Campaign {
        status,
        ..begun.clone()
    };

    assert!(
        begun
            .moved(&Move::Submit, at("2026-03-01T12:59:59Z"))
            .is_ok()
    );
    assert_eq!(begun.moved(&Move::Submit, end), Err(Refusal::Ended));
    assert_eq!(
        in_status(CampaignStatus::Submitted).moved(&Move::Approve, end),
        Err(Refusal::Ended)
    );
    assert!(
        in_status(CampaignStatus::Submitted)
            .moved(&moves()[2], end)
            .is_ok()
    );
    assert!(
        in_status(CampaignStatus::Active)
            .moved(&Move::Close, end)
            .is_ok()
    );
}
