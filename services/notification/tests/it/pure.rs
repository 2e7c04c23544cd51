use chrono::Duration;
use common::{
    ids::{CampaignId, PaymentId, PledgeId},
    money::{Currency, Money},
};
use notification::{Channel, backoff, thank_you};

#[test]
fn the_pause_doubles_from_a_second_to_an_hour() {
    let seconds: Vec<_> = (1..=14)
        .map(|attempts| backoff(attempts).num_seconds())
        .collect();
    assert_eq!(
        seconds,
        [
            1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600
        ]
    );
    assert_eq!(backoff(i32::MAX), Duration::hours(1));
    assert_eq!(backoff(i32::MIN), Duration::seconds(1));
}

#[test]
fn a_channel_is_a_campaign_written_in_the_usual_way() {
    let id = CampaignId::new();
    assert_eq!(
        Channel::parse(&format!("campaign:{id}")),
        Some(Channel::Campaign(id))
    );
    for other in [
        "",
        "campaign:",
        "campaign: ",
        "user:me",
        &format!(" campaign:{id}"),
        &format!("campaign:{{{id}}}"),
    ] {
        assert_eq!(Channel::parse(other), None, "{other}");
    }
}

#[test]
fn a_letter_has_one_line_of_subject_whatever_the_title_is() {
    let payment = PaymentId::of(PledgeId::new(), 1);
    let letter = thank_you(
        "Ada",
        Money::new(1234, Currency::KWD),
        Some("Well\r\nBcc: eve@example.org"),
        payment,
    );
    assert_eq!(
        letter.subject,
        "Thank you for your gift to Well  Bcc: eve@example.org"
    );
    assert!(
        letter.body.contains("1.234 KWD") && letter.body.contains(&payment.to_string()),
        "{}",
        letter.body
    );
    let letter = thank_you("Ada", Money::new(1, Currency::USD), None, payment);
    assert!(
        letter
            .body
            .contains("0.01 USD to the campaign of your choice."),
        "{}",
        letter.body
    );
}
