//! Encryption of what is stored.

use payment::seal::{Sealer, Unopened};

fn sealer() -> Sealer {
    Sealer::new(&testkit::token_secret())
}

#[test]
fn what_is_sealed_opens_for_its_owner_alone() {
    let sealed = sealer().seal(b"evt_1", b"pi_1_secret_2");
    assert_eq!(sealer().open(b"evt_1", &sealed).unwrap(), b"pi_1_secret_2");
    assert_eq!(sealer().open(b"evt_2", &sealed), Err(Unopened));
    let other = Sealer::new(&"another secret, longer than thirty-two bytes".into());
    assert_eq!(other.open(b"evt_1", &sealed), Err(Unopened));
}

#[test]
fn nothing_of_the_clear_text_shows_and_no_two_look_alike() {
    let one = sealer().seal(b"evt_1", b"pi_1_secret_2");
    let two = sealer().seal(b"evt_1", b"pi_1_secret_2");
    assert_ne!(one, two);
    assert!(!one.windows(6).any(|window| window == b"secret"));
}

#[test]
fn changed_or_cut_bytes_do_not_open() {
    let sealed = sealer().seal(b"evt_1", b"body");
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(
            sealer().open(b"evt_1", &changed),
            Err(Unopened),
            "byte {at}"
        );
        assert_eq!(
            sealer().open(b"evt_1", &sealed[..at]),
            Err(Unopened),
            "cut at {at}"
        );
    }
}
