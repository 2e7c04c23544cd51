use common::contact::{Email, Name};
use user::Password;

#[test]
fn addresses_of_one_mailbox_have_one_key_and_keep_their_spelling() {
    let (one, two) = (
        Email::parse(" Ada@Example.org").unwrap(),
        Email::parse("ada@example.ORG ").unwrap(),
    );
    assert_eq!(one.key(), two.key());
    assert_eq!(one.as_str(), "Ada@Example.org");
}

#[test]
fn only_addresses_that_mail_can_reach_are_accepted() {
    for good in [
        "a@b.c",
        "ada+gift@example.org",
        "o'hara@example.co.uk",
        "x_y-z@xn--bcher-kva.example",
    ] {
        assert!(Email::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a",
        "@b.c",
        "a@",
        "a b@c.d",
        "a@b@c",
        "a@b..c",
        ".a@b.c",
        "a.@b.c",
        "a..b@c.d",
        "ä@b.c",
        "a@b.c\n.d",
        "\"a\"@b.c",
    ] {
        assert!(Email::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn names_of_every_script_are_accepted_and_control_characters_in_none() {
    for good in ["Ada", "আনিকা", "Ñuñez-O'Hara", "José María de la Cruz", "李"] {
        assert_eq!(Name::parse(&format!(" {good} ")).unwrap().as_str(), good);
    }
    assert!(Name::parse(&"é".repeat(100)).is_ok());
    for bad in ["", " ", "a\nb", "a\rb", "a\tb", "a\u{85}b", "a\u{7f}b"] {
        assert!(Name::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_password_may_be_anything_long_enough_that_guessers_do_not_try_first() {
    let email = Email::parse("ada.lovelace@example.org").unwrap();
    for good in [
        "8 chars!",
        "পাসওয়ার্ড-দীর্ঘ",
        &"xy".repeat(64),
        "\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}",
    ] {
        assert!(Password::parse(good, &email).is_ok(), "{good:?}");
    }
    for bad in [
        "seven c",
        &"xy".repeat(65),
        "PASSWORD123",
        "qwertyuiop",
        "Ada.Lovelace",
        "ada.lovelace@EXAMPLE.org",
        "zzzzzzzzzzzz",
    ] {
        assert!(Password::parse(bad, &email).is_err(), "{bad:?}");
    }
}
