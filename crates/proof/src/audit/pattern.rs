//! What must not stand in a log, by its looks.

/// Beginnings of secrets: the provider's keys, the sharp end of an intent, tokens, passwords in addresses.
const BEGINNINGS: [(&str, &str); 7] = [
    ("sk_test_", "a key of the provider's"),
    ("sk_live_", "a key of the provider's"),
    ("whsec_", "a webhook secret"),
    ("_secret_", "a client secret"),
    ("eyJ", "a token"),
    ("Bearer ", "a token"),
    ("$argon2", "a password's hash"),
];

/// How many characters of a secret's own alphabet make it one.
const LENGTH: usize = 8;

/// What a line tells that it should not, if it does.
pub(super) fn secret(line: &str) -> Option<&'static str> {
    let begun = BEGINNINGS.iter().find(|(beginning, _)| {
        line.match_indices(beginning)
            .any(|(at, _)| is_begun(line, at) && is_secret(&line[at + beginning.len()..]))
    });
    if let Some((_, what)) = begun {
        return Some(what);
    }
    if has_password(line) {
        return Some("a password");
    }
    has_address(line).then_some("an address")
}

/// `scheme://user:password@host`.
fn has_password(line: &str) -> bool {
    line.match_indices("://").any(|(at, _)| {
        let authority = line[at + 3..].split(|c: char| c.is_whitespace() || "/\"<>".contains(c));
        let authority = authority.into_iter().next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.is_some_and(|user| user.contains(':'))
    })
}

/// A secret does not begin in the middle of a word: random ids hold all sorts of letters.
fn is_begun(line: &str, at: usize) -> bool {
    let of_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    !(of_word(line[..at].chars().next_back()) && of_word(line[at..].chars().next()))
}

fn is_secret(rest: &str) -> bool {
    let of_secret = |c: &char| c.is_ascii_alphanumeric() || "-_.=+/$,".contains(*c);
    rest.chars().take_while(of_secret).count() >= LENGTH
}

/// `somebody@some.where`.
fn has_address(line: &str) -> bool {
    line.match_indices('@').any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let of_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let host: &str = line[at + 1..]
            .split(|c| !of_name(c))
            .next()
            .unwrap_or_default();
        let (name, top) = host
            .trim_end_matches('.')
            .rsplit_once('.')
            .unwrap_or_default();
        let is_top = top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic());
        before.is_some_and(|c| of_name(c) || c == '+') && !name.is_empty() && is_top
    })
}
