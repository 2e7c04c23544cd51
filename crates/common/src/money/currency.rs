//! The currencies a gift can be made in.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One active ISO 4217 currency of a country or monetary union.
///
/// Funds, metals, units of account and test codes (`CLF`, `XAU`, `XDR`, `XXX`, ...) are left out:
/// nobody pays in them, and most have no minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(&'static str);

/// A code that is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an active ISO 4217 currency code")]
pub struct UnknownCurrency(pub String);

/// Sorted, so that a code is found by bisection.
const CODES: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD",
    "BIF", "BMD", "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF",
    "CLP", "CNY", "COP", "CRC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN",
    "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD",
    "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD", "JOD", "JPY", "KES",
    "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL",
    "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN",
    "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP",
    "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK",
    "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT",
    "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VED", "VES",
    "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
];

impl Currency {
    /// Bangladeshi taka.
    pub const BDT: Self = Self("BDT");
    /// Euro.
    pub const EUR: Self = Self("EUR");
    /// Japanese yen, which has no minor unit.
    pub const JPY: Self = Self("JPY");
    /// Kuwaiti dinar, of a thousand fils.
    pub const KWD: Self = Self("KWD");
    /// United States dollar.
    pub const USD: Self = Self("USD");

    /// Finds a currency by its upper-case code.
    pub fn parse(code: &str) -> Result<Self, UnknownCurrency> {
        CODES
            .binary_search(&code)
            .map(|at| Self(CODES[at]))
            .map_err(|_| UnknownCurrency(code.chars().take(16).collect()))
    }

    /// Every currency, by code.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.iter().copied().map(Self)
    }

    /// The upper-case three-letter code.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// How many decimals the minor unit stands for: JPY 0, USD 2, KWD 3.
    pub fn exponent(self) -> u8 {
        match self.0 {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF"
            | "UGX" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }

    /// Whether the payment provider counts this currency's amounts in the same unit as ISO 4217 does, and takes every
    /// whole number of it: only then does a gift charge exactly what was given.
    ///
    /// Stripe's documentation, "Supported currencies" (<https://docs.stripe.com/currencies>), differs under "Zero-decimal
    /// currencies" (MGA, which has two decimals in ISO 4217), under "Special cases" (ISK and UGX, which have none, and are
    /// given with two) and under "Three-decimal currencies" (amounts have to end in 0). It does not name IQD and LYD,
    /// which have three decimals too. HUF and TWD are special for payouts only.
    pub fn is_chargeable(self) -> bool {
        self.exponent() != 3 && !matches!(self.0, "ISK" | "MGA" | "UGX")
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.0)
    }
}

impl std::str::FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::parse(code)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&code).map_err(de::Error::custom)
    }
}
