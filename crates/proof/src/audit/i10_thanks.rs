//! I10: each donor is thanked once, and has one receipt.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Verdict, bench::Bench, mailbox::Mailbox};

/// Compares the payments with the mails that were owed, and those with the mailbox.
pub(super) async fn examine(bench: &mut Bench, mailbox: Option<Mailbox>) -> Result<Verdict> {
    let captured = "select count(*) from payment.payments where captured_minor > 0";
    let captured = bench.count(captured).await?;
    let owed = "select count(*) from notification.deliveries where kind = 'THANK_YOU'";
    let owed = bench.count(owed).await?;
    let mut verdict = Verdict::new(
        "I10",
        "each captured payment is thanked for once and has a receipt",
    );
    verdict.extend(bench.sort_out(OWED).await?);
    for (what, sql) in [
        ("payments that are thanked for twice", TWICE),
        ("years whose receipts have a gap in their numbers", NUMBERS),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    let receipts = bench.count("select count(*) from pledge.receipts").await?;
    let mut compared =
        format!("{captured} captured payments with {receipts} receipts, {owed} thank-yous");
    if let Some(mailbox) = mailbox {
        for (what, sql) in [
            (
                "payments with more mails than attempts to send one",
                TOO_MANY,
            ),
            ("mails that nobody owed", STRAY),
        ] {
            verdict.extend(bench.find(what, sql).await?);
        }
        if mailbox.complete {
            let what = "payments whose mail was taken and is not in the mailbox";
            verdict.extend(bench.find(what, MISSING).await?);
        }
        _ = write!(compared, " and {} mails", mailbox.mails);
        let forgotten = bench.count(FORGOTTEN).await?;
        if forgotten > 0 {
            _ = write!(
                compared,
                ", {forgotten} of them from a time that the database has forgotten"
            );
        }
    } else {
        compared += "; no mailbox was asked";
    }
    Ok(verdict.compared(compared))
}

/// Each payment that took money has one thank-you, to its donor, and one receipt; a gift that went back may have gone before
/// anybody was thanked.
const OWED: &str = "
    with found as (
        select coalesce(p.payment_id, d.payment_id, r.payment_id) as payment_id,
               p.captured_minor > p.refunded_minor + p.disputed_minor
                   and (d.payment_id is null or d.status = 'WITHDRAWN') as is_unthanked,
               d.payment_id is not null and coalesce(p.captured_minor, 0) = 0 as is_undue,
               d.contact_id <> p.contact_id or d.campaign_id <> p.campaign_id as is_astray,
               d.status = 'QUEUED' as is_unsent,
               p.captured_minor > 0 and r.payment_id is null as has_none,
               r.payment_id is not null
                   and (p.pledge_id, p.campaign_id, p.captured_minor, p.currency,
                        pg_temp.gift(p.captured_minor, p.amount_minor, p.tip_minor + p.covered_fee_minor))
                       is distinct from
                       (r.pledge_id, r.campaign_id, r.gift_minor + r.tip_minor + r.covered_fee_minor, r.currency,
                        r.gift_minor) as says_otherwise
        from payment.payments p
        full join (select * from notification.deliveries where kind = 'THANK_YOU') d on d.payment_id = p.payment_id
        full join pledge.receipts r on r.payment_id = p.payment_id
    )
    select distinct what, payment_id::text
    from (select * from found
          where is_unthanked or is_undue or is_astray or is_unsent or has_none or says_otherwise) f
    cross join lateral (values
        (is_unthanked, 'captured payments that are not thanked for'),
        (is_undue, 'thanks for payments that were never captured'),
        (is_astray, 'thanks to somebody else'),
        (is_unsent, 'thanks that are not sent yet'),
        (has_none, 'captured payments without a receipt'),
        (says_otherwise, 'receipts that say otherwise than the payment')
    ) as of_it (is_so, what)
    where is_so
    order by 1, 2";

const TWICE: &str = "
    select payment_id::text from notification.deliveries where kind = 'THANK_YOU'
    group by payment_id having count(*) > 1 order by 1";

const FORGOTTEN: &str = "
    select count(*) from mails where exists (select from lost where at between since - interval '1 second' and until)";

/// When the server's acceptance is lost, the mail is sent again under the same Message-ID: each attempt may have left
/// one copy, and no more. Of a mail that was sent in a time that the database has forgotten nobody knows.
const TOO_MANY: &str = "
    select d.payment_id::text
    from (select payment_id, count(*) as mails from mails
          where not exists (select from lost where at between since - interval '1 second' and until)
          group by payment_id) m
    join (select payment_id, sum(attempts) as attempts from notification.deliveries group by payment_id) d
         on d.payment_id = m.payment_id
    where m.mails > d.attempts
    order by 1";

const STRAY: &str = "
    select distinct m.payment_id::text from mails m
    where not exists (select from notification.deliveries d where d.payment_id = m.payment_id)
    order by 1";

/// The mailbox forgets when it is restarted, so it answers for what came after its oldest mail.
const MISSING: &str = "
    select d.payment_id::text from notification.deliveries d
    where d.status = 'SENT' and d.sent_at > (select min(at) from mails) + interval '30 seconds'
      and not exists (select from mails m where m.payment_id = d.payment_id)
    order by 1";

const NUMBERS: &str = "
    select year::text
    from pledge.receipt_numbers n
    full join (select year, count(*) as receipts, min(number) as first, max(number) as last
               from pledge.receipts group by year) r using (year)
    where (r.receipts, r.first, r.last) is distinct from (n.last, 1::bigint, n.last)
    order by 1";
