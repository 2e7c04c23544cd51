//! Money is exact or refused.

use common::money::{Currency, Extras, GivenMoney, InvalidMoney, Money, MoneyError, Parts};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const USD: Currency = Currency::USD;

fn read(json: &str) -> Result<Money, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn given(json: &str) -> Result<Money, InvalidMoney> {
    serde_json::from_str::<GivenMoney>(json).unwrap().parse()
}

#[test]
fn json_is_minor_units_and_code() {
    let money = Money::new(2500, USD);

    assert_eq!(
        serde_json::to_string(&money).unwrap(),
        r#"{"amount":2500,"currency":"USD"}"#
    );
    assert_eq!(read(r#"{"amount":2500,"currency":"USD"}"#), Ok(money));
    assert_eq!(
        read(r#"{"currency":"USD","amount":-1}"#),
        Ok(Money::new(-1, USD))
    );
    assert_eq!(
        read(r#"{"amount":9223372036854775807,"currency":"USD"}"#),
        Ok(Money::new(i64::MAX, USD))
    );
}

#[test]
fn json_that_is_no_exact_money_is_refused_with_its_reason() {
    for (json, reason) in [
        (r#"{"amount":1.5,"currency":"USD"}"#, "floating point `1.5`"),
        (
            r#"{"amount":25.0,"currency":"USD"}"#,
            "floating point `25.0`",
        ),
        (
            r#"{"amount":1e2,"currency":"USD"}"#,
            "floating point `100.0`",
        ),
        (r#"{"amount":"25","currency":"USD"}"#, "string \"25\""),
        (r#"{"amount":true,"currency":"USD"}"#, "boolean `true`"),
        (r#"{"amount":null,"currency":"USD"}"#, "null"),
        (
            r#"{"amount":9223372036854775808,"currency":"USD"}"#,
            "integer `9223372036854775808`",
        ),
        (r#"{"amount":25}"#, "missing field `currency`"),
        (r#"{"currency":"USD"}"#, "missing field `amount`"),
        (
            r#"{"amount":25,"currency":"usd"}"#,
            "not an active ISO 4217 currency code",
        ),
        (
            r#"{"amount":25,"currency":"XXX"}"#,
            "not an active ISO 4217 currency code",
        ),
        (r#"{"amount":25,"currency":840}"#, "integer `840`"),
    ] {
        let error = read(json).unwrap_err();
        assert!(error.contains(reason), "{json}: {error}");
    }
}

#[test]
fn given_money_names_what_is_wrong_with_it() {
    assert_eq!(
        given(r#"{"amount":25,"currency":"JPY"}"#),
        Ok(Money::new(25, Currency::JPY))
    );
    for amount in [
        "1.5",
        "25.0",
        "1e2",
        "\"25\"",
        "null",
        "[]",
        "9223372036854775808",
    ] {
        let json = format!(r#"{{"amount":{amount},"currency":"USD"}}"#);
        assert_eq!(given(&json), Err(InvalidMoney::Amount), "{json}");
    }
    assert!(matches!(
        given(r#"{"amount":25,"currency":"ABC"}"#),
        Err(InvalidMoney::Currency(_))
    ));
    assert!(serde_json::from_str::<GivenMoney>(r#"{"amount":1,"currency":"USD","x":1}"#).is_err());
}

#[test]
fn it_prints_with_the_decimals_of_its_currency() {
    for (minor, code, text) in [
        (2500, "USD", "25.00 USD"),
        (5, "USD", "0.05 USD"),
        (-5, "USD", "-0.05 USD"),
        (-2550, "BDT", "-25.50 BDT"),
        (0, "EUR", "0.00 EUR"),
        (2500, "JPY", "2500 JPY"),
        (2500, "KWD", "2.500 KWD"),
        (i64::MIN, "USD", "-92233720368547758.08 USD"),
    ] {
        let money = Money::new(minor, Currency::parse(code).unwrap());
        assert_eq!(money.to_string(), text);
    }
}

#[test]
fn the_table_is_sorted_and_whole() {
    let codes: Vec<_> = Currency::all().map(Currency::as_str).collect();

    assert!(codes.is_sorted_by(|a, b| a < b));
    assert!(
        codes
            .iter()
            .all(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()))
    );
    for code in &codes {
        assert_eq!(Currency::parse(code).unwrap().as_str(), *code);
    }
    let with = |exponent| Currency::all().filter(|c| c.exponent() == exponent).count();
    assert_eq!((with(0), with(2), with(3), codes.len()), (16, 132, 7, 155));
}

/// As Stripe's documentation lists them, under "Zero-decimal currencies", "Three-decimal currencies" and "Special cases".
#[test]
fn a_currency_that_can_be_charged_has_the_providers_unit() {
    let zero = [
        "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV",
        "XAF", "XOF", "XPF",
    ];
    let three = ["BHD", "JOD", "KWD", "OMR", "TND"];
    // Without decimals, and given with two of them.
    let special = ["ISK", "UGX"];
    let theirs = |code: &str| {
        if zero.contains(&code) && !special.contains(&code) {
            0
        } else if three.contains(&code) {
            3
        } else {
            2
        }
    };
    let (taken, left): (Vec<_>, Vec<_>) = Currency::all().partition(|it| it.is_chargeable());
    for currency in taken {
        assert_eq!(currency.exponent(), theirs(currency.as_str()), "{currency}");
    }
    let left: Vec<_> = left.into_iter().map(Currency::as_str).collect();
    assert_eq!(
        left,
        [
            "BHD", "IQD", "ISK", "JOD", "KWD", "LYD", "MGA", "OMR", "TND", "UGX"
        ]
    );
}

#[test]
fn sums_never_mix_currencies_and_never_wrap() {
    let one = Money::new(1, USD);

    assert_eq!(one.checked_add(one), Ok(Money::new(2, USD)));
    assert_eq!(one.checked_sub(Money::new(3, USD)), Ok(Money::new(-2, USD)));
    assert_eq!(
        Money::new(i64::MAX, USD).checked_add(one),
        Err(MoneyError::Overflow)
    );
    assert_eq!(
        Money::new(i64::MIN, USD).checked_sub(one),
        Err(MoneyError::Overflow)
    );
    assert_eq!(
        one.checked_add(Money::zero(Currency::EUR)),
        Err(MoneyError::CurrencyMismatch {
            left: USD,
            right: Currency::EUR
        })
    );
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn arithmetic_agrees_with_wider_integers(a: i64, b: i64) {
        let (left, right) = (Money::new(a, USD), Money::new(b, USD));
        let exact = |sum: i128| i64::try_from(sum).map(|minor| Money::new(minor, USD)).map_err(|_| MoneyError::Overflow);

        prop_assert_eq!(left.checked_add(right), exact(i128::from(a) + i128::from(b)));
        prop_assert_eq!(left.checked_sub(right), exact(i128::from(a) - i128::from(b)));
    }

    #[test]
    fn every_money_survives_json(minor: i64, at in 0..155_usize) {
        let money = Money::new(minor, Currency::all().nth(at).unwrap());

        prop_assert_eq!(read(&serde_json::to_string(&money).unwrap()), Ok(money));
    }
}

#[test]
fn a_charge_divides_as_the_donor_chose_and_a_half_goes_to_the_even() {
    let extras = Extras {
        tip: 200,
        covered_fee: 100,
    };
    let parts = |gift, tip, covered_fee| Parts {
        gift,
        tip,
        covered_fee,
    };
    assert_eq!(extras.split(1300, 1300), parts(1000, 200, 100));
    assert_eq!(extras.split(1300, 0), parts(0, 0, 0));
    assert_eq!(extras.split(1300, 650), parts(500, 100, 50));
    let half = Extras {
        tip: 1,
        covered_fee: 0,
    };
    assert_eq!(half.split(2, 1), parts(0, 1, 0));
    assert_eq!(half.split(2, 3), parts(2, 1, 0));
    assert_eq!(Extras::default().split(1300, 7), parts(7, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// Whatever part of a charge is captured or given back, its parts sum to it, none is negative, each grows with
    /// the amount, and nobody gets more than the donor chose.
    #[test]
    fn parts_sum_to_the_amount_and_grow_with_it(
        gift in 1_i64..1_000_000_000, tip in 0_i64..1_000_000_000, covered_fee in 0_i64..1_000_000_000,
        less in 0.0..=1.0_f64, more in 0.0..=1.0_f64,
    ) {
        let extras = Extras { tip, covered_fee };
        let charged = gift + tip + covered_fee;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any part will do")]
        let of = |share: f64| ((charged as f64 * share) as i64).clamp(0, charged);
        let (less, more) = (of(less.min(more)), of(less.max(more)));
        let (a, b) = (extras.split(charged, less), extras.split(charged, more));
        for (parts, amount) in [(a, less), (b, more)] {
            prop_assert_eq!(parts.gift + parts.tip + parts.covered_fee, amount);
            prop_assert!(parts.gift >= 0 && parts.tip >= 0 && parts.covered_fee >= 0);
            prop_assert!(parts.gift <= gift);
        }
        prop_assert!(a.gift <= b.gift && a.tip + a.covered_fee <= b.tip + b.covered_fee);
        prop_assert_eq!(extras.split(charged, charged), Parts { gift, tip, covered_fee });
    }
}
