//! Processes that are killed, frozen or told to end while donors give.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use reqwest::StatusCode;
use sqlx::Row;
use testkit::eventually;
use tokio::task::block_in_place;
use xtask::fleet::Backends;

use crate::{
    harness::{Gift, Load, Wish, World, rough, sum},
    matrix::told_in_order,
};

/// By when whatever was told to end has ended, or is killed by who told it.
const GRACE: Duration = Duration::from_secs(20);

#[test]
fn a_pledge_service_that_is_killed_under_load_loses_no_acknowledged_pledge_and_a_retry_gets_the_same()
 {
    rough(async |world| {
        let campaign = world.campaign().await;
        let load = Load::pledging(world, &campaign, 8);
        for _ in 0..3 {
            load.until_more(25).await;
            world.kill("pledge");
            world.start_again("pledge");
        }
        load.until_more(25).await;
        let gifts = load.stop();
        for gift in &gifts {
            let again = Gift::of(&gift.wish, world.send(&gift.wish).await).await;
            assert_eq!(again.bytes, gift.bytes, "the same key, the same reply");
        }
        let rows = "select count(*) from pledge.pledges where campaign_id = $1";
        let rows = world.count(rows, &campaign).await;
        assert_eq!(rows, i64::try_from(gifts.len()).expect("few"));
        world.until_quiet().await;
        told_in_order(world, "cfa.pledge.events.v1", &gifts);
    });
}

#[test]
fn a_relay_that_is_frozen_loses_its_lead_and_tells_nothing_out_of_order_when_it_goes_on() {
    rough(async |world| {
        let campaign = world.campaign().await;
        let first = until_led_by_another_than(world, None).await;
        world.start_again("pledge-2");
        let mut gifts = Vec::new();
        for _ in 0..10 {
            gifts.push(world.pledge_at("pledge", &campaign, 400).await);
        }
        world.freeze("pledge");
        for _ in 0..10 {
            gifts.push(world.pledge_at("pledge-2", &campaign, 400).await);
        }
        // The server ends the session that holds the lead, since it does nothing.
        let second = until_led_by_another_than(world, Some(first)).await;
        eventually("the other relay has told everything", async || {
            (world.outbox_rows().await? == 0).then_some(())
        })
        .await;
        told_in_order(world, "cfa.pledge.events.v1", &gifts);

        world.thaw("pledge");
        for n in 0..20 {
            let name = if n % 2 == 0 { "pledge" } else { "pledge-2" };
            gifts.push(world.pledge_at(name, &campaign, 400).await);
        }
        for gift in [&gifts[0], &gifts[15], &gifts[39]] {
            world.pay(gift).await;
            world.until_pledge(gift, "COMPLETED").await;
        }
        world.until_quiet().await;
        assert_eq!(
            until_led_by_another_than(world, Some(first)).await,
            second,
            "who lost the lead does not take it back"
        );
        told_in_order(world, "cfa.pledge.events.v1", &gifts);
        let totals = world.until_total(&campaign, "raised", 1200).await;
        assert_eq!(totals["donors"], 3);
    });
}

#[test]
fn kafka_killed_in_the_middle_of_a_batch_loses_no_event_and_tells_each_in_order() {
    rough(async |world| {
        let campaign = world.campaign().await;
        let load = Load::pledging(world, &campaign, 2);
        load.until_more(20).await;
        // A batch is on its way from here on, and is not answered.
        world.freeze_backend(Backends::kafka);
        load.until_more(40).await;
        world.stop_backend(Backends::kafka);
        load.until_more(20).await;
        world.start_backend(Backends::kafka);
        load.until_more(20).await;
        let gifts = load.stop();
        world.pay(&gifts[0]).await;
        world.until_pledge(&gifts[0], "COMPLETED").await;
        world.until_quiet().await;
        told_in_order(world, "cfa.pledge.events.v1", &gifts);
        let pledged = sum(&gifts[1..]);
        world.until_total(&campaign, "pledged", pledged).await;
    });
}

#[test]
fn a_service_that_is_told_to_end_says_so_first_ends_what_it_has_begun_and_no_donor_notices() {
    rough(async |world| {
        let campaign = world.campaign().await;
        world.start_with("pledge-2", &[("STOP_AFTER_MS", "3000")]);
        let load = Load::pledging_once(world, &campaign, 8);
        eventually("both processes are asked", async || {
            let taken = world
                .counter("pledge-2", "http_requests_total", "POST")
                .await;
            (taken > 20.0).then_some(())
        })
        .await;
        // A request that has begun, and whose body is still to come.
        let wish = Wish::new(&campaign, 300);
        let body = wish.body.to_string();
        let mut slow = dial(world, "pledge-2");
        let head = format!(
            "POST /api/pledges HTTP/1.1\r\nhost: pledge\r\ncontent-type: application/json\r\n\
             idempotency-key: {}\r\ncontent-length: {}\r\n\r\n",
            wish.key,
            body.len()
        );
        slow.write_all(head.as_bytes()).expect("it takes the head");

        world.ask_to_end("pledge-2");
        let readiness = format!("{}/readyz", world.url_of("pledge-2"));
        eventually("it says that it is not ready", async || {
            let reply = world.client.get(&readiness).send().await.ok()?;
            (reply.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
        })
        .await;
        // Whoever has not noticed yet is served.
        world.pledge_at("pledge-2", &campaign, 300).await;
        slow.write_all(body.as_bytes()).expect("it takes the body");
        let reply = block_in_place(|| read(&mut slow));
        assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");

        let (status, took) = world.until_ended("pledge-2");
        assert!(status.success(), "{status}");
        assert!(took < GRACE, "it took {took:?}");
        load.until_more(50).await;
        let gifts = load.stop();
        let rows = "select count(*) from pledge.pledges where campaign_id = $1";
        let given = i64::try_from(gifts.len()).expect("few") + 2;
        assert_eq!(world.count(rows, &campaign).await, given);
    });
}

#[test]
fn a_service_that_is_told_to_end_does_not_wait_for_clients_that_hang() {
    rough(async |world| {
        world.start_again("pledge-2");
        let mut half_a_head = dial(world, "pledge-2");
        let begun = half_a_head.write_all(b"POST /api/pledges HTTP/1.1\r\nhost: ple");
        begun.expect("it takes the beginning");
        let mut no_body = dial(world, "pledge-2");
        let head = "POST /api/pledges HTTP/1.1\r\nhost: pledge\r\ncontent-type: application/json\r\n\
                    content-length: 300\r\n\r\n{";
        no_body
            .write_all(head.as_bytes())
            .expect("it takes the head");
        // This one asks for more than the buffers in between can hold, and reads nothing.
        let mut deaf = dial(world, "pledge-2");
        let again = "GET /openapi.json HTTP/1.1\r\nhost: pledge\r\n\r\n";
        let wait = Some(Duration::from_millis(300));
        deaf.set_write_timeout(wait).expect("a timeout can be set");
        block_in_place(|| while deaf.write_all(again.repeat(100).as_bytes()).is_ok() {});

        world.ask_to_end("pledge-2");
        let (status, took) = world.until_ended("pledge-2");
        assert!(status.success(), "{status}");
        assert!(took < GRACE, "it took {took:?}");
    });
}

/// The server's process that holds the lead of pledge's relays, once it is another one.
async fn until_led_by_another_than(world: &World, known: Option<i32>) -> i32 {
    eventually("somebody leads", async || {
        let led = sqlx::query(
            "select l.pid from pg_locks l join pg_stat_activity a using (pid)
             where l.locktype = 'advisory' and l.granted and a.application_name = 'pledge'
               and a.datname = current_database() and l.classid = 28514",
        );
        let leader: i32 = led.fetch_optional(&world.db).await.ok()??.get(0);
        (Some(leader) != known).then_some(leader)
    })
    .await
}

fn dial(world: &World, name: &str) -> TcpStream {
    let url = world.url_of(name);
    let address = url.trim_start_matches("http://");
    TcpStream::connect(address).expect("the service listens")
}

/// Reads until the first bytes of a reply are there.
fn read(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 64];
    let length = stream.read(&mut bytes).expect("a reply");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}
