//! Databases that lose replies, are slow, or are held back by a stranger.

use std::time::Duration;

use futures::future::{join, join_all};
use reqwest::{Response, StatusCode};
use sqlx::{Executor, Row};
use testkit::eventually;

use crate::{
    harness::{Gift, Load, Wish, rough, success},
    matrix::told_in_order,
};

const PLEDGES: &str = "select count(*) from pledge.pledges where campaign_id = $1";

#[test]
fn a_pledge_whose_commit_is_not_answered_is_one_row_however_often_it_is_asked_for() {
    rough(async |world| {
        let campaign = world.campaign().await;
        let proxy = world.behind_proxy("pledge").await;
        for (replies, status, rows) in [
            // The writer asks again by itself, and finds what it has done.
            (1, StatusCode::CREATED, 1),
            // The second try is lost as well: the client has to ask.
            (2, StatusCode::SERVICE_UNAVAILABLE, 2),
        ] {
            let wish = Wish::new(&campaign, 700);
            proxy.lose_reply_to(wish.email.as_bytes(), replies);
            let reply = world.send(&wish).await;
            assert_eq!(reply.status(), status, "{replies} replies are lost");
            assert_eq!(proxy.left_to_lose(), 0);
            assert_eq!(
                world.count(PLEDGES, &campaign).await,
                rows,
                "it was committed"
            );
            let gift = Gift::of(&wish, world.send_at_last(&wish).await).await;
            assert_eq!(world.count(PLEDGES, &campaign).await, rows);
            world.pay(&gift).await;
            world.until_payment(&gift, "CAPTURED").await;
        }
        world.until_total(&campaign, "raised", 1400).await;
    });
}

#[test]
fn a_webhook_whose_commit_is_not_answered_is_applied_once() {
    rough(async |world| {
        let gift = world.pledge(&world.campaign().await, 900).await;
        let intent = world.open(&gift).await;
        world.until_quiet().await;
        let proxy = world.behind_proxy("payment").await;
        proxy.lose_reply_to(b"commit", 2);
        success(world.provider.confirm(&intent, "pm_card_visa").await).await;
        eventually("both replies were lost", async || {
            (proxy.left_to_lose() == 0).then_some(())
        })
        .await;
        world.given_once(&gift).await;
    });
}

#[test]
fn a_slow_database_costs_503_where_it_is_used_and_nothing_elsewhere_and_nothing_stays_of_it() {
    rough(async |world| {
        let campaign = world.campaign().await;
        let gift = world.pledge(&campaign, 800).await;
        let proxy = world.behind_proxy("pledge").await;
        let look = || {
            let request = world.get(&format!("/api/pledges/{}", gift.id));
            request.header("x-guest-token", &gift.guest_token).send()
        };
        proxy.delay(Duration::from_millis(500));
        // Five connections, each of which is busy for more than a second at a time.
        let looks = join_all((0..80).map(|_| look()));
        let others = async {
            for _ in 0..20 {
                let reply = world.get("/api/campaigns").send().await;
                success(reply.expect("an answer")).await;
            }
        };
        let (looks, ()) = join(looks, others).await;
        let mut shed = 0;
        for reply in looks {
            shed += usize::from(is_shed(&reply.expect("an answer")));
        }
        assert!(shed > 0, "nothing was shed");

        proxy.heal();
        eventually("it is as fast as before", async || {
            let looks = join_all((0..20).map(|_| look())).await;
            let fine = |reply: &Result<Response, _>| {
                reply
                    .as_ref()
                    .is_ok_and(|reply| reply.status() == StatusCode::OK)
            };
            looks.iter().all(fine).then_some(())
        })
        .await;
        let waiting = "select count(*) from pg_stat_activity
                       where application_name = 'pledge' and state <> 'idle' and $1::uuid is not null";
        eventually("no statement waits any more", async || {
            (world.count(waiting, &campaign).await == 0).then_some(())
        })
        .await;
        world.pledge(&campaign, 800).await;
    });
}

#[test]
fn more_than_fits_is_shed_with_503_and_what_was_acknowledged_is_there() {
    const BURST: usize = 2000;
    rough(async |world| {
        let campaign = world.campaign().await;
        let proxy = world.behind_proxy("pledge").await;
        // The writer has its connection. What fits then is what commits of at most 128 take at this pace.
        world.pledge(&campaign, 200).await;
        proxy.delay(Duration::from_millis(300));
        let wishes: Vec<Wish> = (0..BURST).map(|_| Wish::new(&campaign, 200)).collect();
        let replies = join_all(wishes.iter().map(|wish| world.send(wish))).await;
        let mut taken = Vec::new();
        let mut shed = Vec::new();
        for (wish, reply) in wishes.iter().zip(replies) {
            if is_shed(&reply) {
                shed.push(wish);
            } else {
                taken.push(Gift::of(wish, reply).await);
            }
        }
        assert!(!shed.is_empty(), "all of it did fit");
        assert!(!taken.is_empty(), "nothing was taken");

        proxy.heal();
        let rows = world.count(PLEDGES, &campaign).await;
        assert!(rows > i64::try_from(taken.len()).expect("few"), "{rows}");
        let again = taken.iter().take(200);
        let again = join_all(again.map(|gift| world.send_at_last(&gift.wish))).await;
        for (gift, reply) in taken.iter().zip(again) {
            let again = Gift::of(&gift.wish, reply).await;
            assert_eq!(again.id, gift.id, "what was acknowledged is there");
        }
        // Whoever was put off asks again, and is taken.
        let late = join_all(shed.iter().take(100).map(|wish| world.send_at_last(wish))).await;
        for (wish, reply) in shed.iter().zip(late) {
            Gift::of(wish, reply).await;
        }
    });
}

#[test]
fn a_strangers_transaction_that_stays_open_does_not_hold_up_the_outbox() {
    rough(async |world| {
        let campaign = world.campaign().await;
        let mut stranger = world.db.acquire().await.expect("a connection");
        let begin = "begin isolation level repeatable read";
        stranger.execute(begin).await.expect("a transaction");
        let pinned = stranger.fetch_one("select txid_current(), pg_backend_pid()");
        let pid: i32 = pinned.await.expect("a snapshot").get(1);
        let load = Load::pledging(world, &campaign, 8);
        load.until_more(200).await;
        let gifts = load.stop();
        world.pay(&gifts[0]).await;
        world.until_payment(&gifts[0], "CAPTURED").await;
        eventually("the outbox is empty", async || {
            (world.outbox_rows().await? == 0).then_some(())
        })
        .await;
        let pins =
            "select count(*) from pg_stat_activity where pid = $1 and backend_xmin is not null";
        let pins: i64 = sqlx::query_scalar(pins)
            .bind(pid)
            .fetch_one(&world.db)
            .await
            .expect("the server tells");
        assert_eq!(pins, 1, "it was open all the time");
        stranger.execute("rollback").await.expect("it ends");
        world.until_quiet().await;
        told_in_order(world, "cfa.pledge.events.v1", &gifts);
    });
}

/// Whether a reply asks to come again later. Anything else that is no success is an error of ours.
fn is_shed(reply: &Response) -> bool {
    let status = reply.status();
    if status.is_success() {
        return false;
    }
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.headers().contains_key("retry-after"));
    true
}
