//! The sample traffic: who pays what where, what the partner does, and what must come of it.
//!
//! It is data for the built-in default configuration and is worthless with any other. Codes and
//! card numbers are invented, or numbers that the networks publish for tests.

use std::time::Duration;

/// One message of a terminal, and what must become of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// What it is, for people.
    pub(super) what: &'static str,
    /// The MTI.
    pub(super) mti: &'static str,
    /// DE 3.
    pub(super) processing: &'static str,
    /// DE 4, in minor units.
    pub(super) minor: u64,
    /// DE 49.
    pub(super) currency: (u16, &'static str),
    /// What pays.
    pub(super) pays: Pays,
    /// DE 42.
    pub(super) merchant: &'static str,
    /// What is wrong with its bytes.
    pub(super) damage: Damage,
    /// What the partner does with it.
    pub(super) partner: Reaction,
    /// What must come of it.
    pub(super) expected: Expected,
}

/// What pays.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pays {
    /// A payment code that the terminal scanned: DE 59 tag A3, DE 22 = 031.
    Code(&'static str),
    /// A card: DE 2, DE 22 = 071.
    Card(&'static str),
}

/// What is wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// Nothing.
    None,
    /// A digit of DE 4 is none.
    Amount,
    /// The frame claims to be longer than any frame may be.
    Length,
}

/// What a simulated partner does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reaction {
    /// DE 39 of its answer.
    pub(super) code: u8,
    /// How long it thinks.
    pub(super) hold: Duration,
}

/// What must come of a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// It is sent to a partner.
    Sent {
        /// As which network.
        network: &'static str,
        /// On which route.
        route: &'static str,
        /// To whom.
        partner: &'static str,
        /// What the terminal gets to hear.
        code: &'static str,
    },
    /// The switch answers it itself.
    Refused {
        /// With this DE 39.
        code: &'static str,
        /// Why, for people.
        why: &'static str,
    },
    /// The switch closes the connection.
    Closed {
        /// Why, for people.
        why: &'static str,
    },
}

impl Case {
    /// DE 39 that the terminal must get; nothing if its connection is closed.
    pub(super) const fn code(&self) -> Option<&'static str> {
        match self.expected {
            Expected::Sent { code, .. } | Expected::Refused { code, .. } => Some(code),
            Expected::Closed { .. } => None,
        }
    }

    /// The same payment without anything going wrong at the partner or on the line.
    pub(super) const fn undisturbed(&self) -> Self {
        let expected = match self.expected {
            Expected::Sent { network, route, partner, .. } => {
                Expected::Sent { network, route, partner, code: "00" }
            }
            other => other,
        };
        Self { damage: Damage::None, partner: AT_ONCE, expected, ..*self }
    }
}

/// Approves without thinking: for messages that are only measured.
const AT_ONCE: Reaction = Reaction { code: 0, hold: Duration::ZERO };

/// Approves after as long as a near host takes.
const APPROVES: Reaction = Reaction { code: 0, hold: Duration::from_millis(8) };

const DECLINES: Reaction = Reaction { code: 51, hold: Duration::from_millis(8) };

/// Later than the shortest budget of the default routes, 1500 ms, also on a machine that is busy.
const TOO_LATE: Reaction = Reaction { code: 0, hold: Duration::from_millis(1900) };

const KRW: (u16, &str) = (410, "KRW");
const CNY: (u16, &str) = (156, "CNY");
const JPY: (u16, &str) = (392, "JPY");
const HKD: (u16, &str) = (344, "HKD");
const INR: (u16, &str) = (356, "INR");
const SGD: (u16, &str) = (702, "SGD");

const KAKAO: Pays = Pays::Code("281006012345678901234567");
const NAVER: Pays = Pays::Code("281011098765432109876543");
const PAYTM: Pays = Pays::Code("281091555566667777888899");
const ALIPAY: Pays = Pays::Code("283912345678901234");
const ALIPAY_HK: Pays = Pays::Code("281234567890123456");
const PLUS_WALLET: Pays = Pays::Code("2893612204263667830");
const UNION_CODE: Pays = Pays::Code("6221234567890123456");
const UNION_CARD: Pays = Pays::Card("6212345678901265");
const WECHAT: Pays = Pays::Code("134567890123456789");
const NOBODYS: Pays = Pays::Code("9912345678901234");

const SALE: Case = Case {
    what: "",
    mti: "0200",
    processing: "000000",
    minor: 0,
    currency: KRW,
    pays: KAKAO,
    merchant: "",
    damage: Damage::None,
    partner: APPROVES,
    expected: Expected::Closed { why: "" },
};

/// Goes to `partner` on `route` as `network`, and is approved.
const fn sent(
    network: &'static str,
    route: &'static str,
    partner: &'static str,
    code: &'static str,
) -> Expected {
    Expected::Sent { network, route, partner, code }
}

const fn refused(code: &'static str, why: &'static str) -> Expected {
    Expected::Refused { code, why }
}

/// The messages, in the order they are sent. The one that times out comes last: the partner
/// session it holds up takes no other.
pub(super) const CASES: [Case; 18] = [
    Case {
        what: "Kakao Pay, cafe in Seoul",
        minor: 4_500,
        merchant: "KAKAO-0001",
        expected: sent("KAKAOPAY", "kakaopay-home", "kakaopay", "00"),
        ..SALE
    },
    Case {
        what: "Kakao Pay, shop in Hangzhou",
        minor: 12_850,
        currency: CNY,
        merchant: "HANGZHOU-00001",
        expected: sent("KAKAOPAY", "alipayplus-cn", "alipayplus-cn", "00"),
        ..SALE
    },
    Case {
        what: "Alipay, store in Seoul",
        minor: 189_000,
        pays: ALIPAY,
        merchant: "SEOUL-DEPT-01",
        expected: sent("ALIPAY", "alipayplus-kr", "alipayplus-kr", "00"),
        ..SALE
    },
    Case {
        what: "Alipay+ wallet, bar in Osaka",
        minor: 3_240,
        currency: JPY,
        pays: PLUS_WALLET,
        merchant: "JP-OSAKA-0042",
        expected: sent("ALIPAYPLUS", "alipayplus-jp", "alipayplus-jp", "00"),
        ..SALE
    },
    Case {
        what: "Alipay+ wallet, Singapore MRT",
        minor: 215,
        currency: SGD,
        pays: PLUS_WALLET,
        merchant: "SG-MRT-0042",
        expected: sent("ALIPAYPLUS", "alipayplus-abroad", "alipayplus-cn", "00"),
        ..SALE
    },
    Case {
        what: "UnionPay code, store in Tokyo",
        minor: 58_000,
        currency: JPY,
        pays: UNION_CODE,
        merchant: "TOKYO-GINZA-1",
        expected: sent("UNIONPAY", "unionpay", "unionpay", "00"),
        ..SALE
    },
    Case {
        what: "UnionPay card, market in Tokyo",
        mti: "0100",
        minor: 7_120,
        currency: JPY,
        pays: UNION_CARD,
        merchant: "JP-M1",
        expected: sent("UNIONPAY", "unionpay", "unionpay", "00"),
        ..SALE
    },
    Case {
        what: "AlipayHK, cafe in Hong Kong",
        minor: 8_860,
        currency: HKD,
        pays: ALIPAY_HK,
        merchant: "HK-PEAK-0001",
        expected: sent("ALIPAYHK", "alipayhk-home", "alipayhk", "00"),
        ..SALE
    },
    Case {
        what: "Paytm, tea stall in Delhi",
        minor: 12_000,
        currency: INR,
        pays: PAYTM,
        merchant: "IN-DELHI-0007",
        expected: sent("PAYTM", "paytm-home", "paytm", "00"),
        ..SALE
    },
    Case {
        what: "Naver Pay, taxi in Busan",
        minor: 13_700,
        pays: NAVER,
        merchant: "KR-TAXI-0815",
        expected: sent("NAVERPAY", "naverpay-home", "naverpay", "00"),
        ..SALE
    },
    Case {
        what: "Kakao Pay, refund in Hangzhou",
        processing: "200000",
        minor: 12_850,
        currency: CNY,
        merchant: "HANGZHOU-00001",
        expected: sent("KAKAOPAY", "alipayplus-cn", "alipayplus-cn", "00"),
        ..SALE
    },
    Case {
        what: "Alipay, airport in Shanghai",
        minor: 1_299_900,
        currency: CNY,
        pays: ALIPAY,
        merchant: "SHANGHAI-PVG-7",
        partner: DECLINES,
        expected: sent("ALIPAY", "alipayplus-cn", "alipayplus-cn", "51"),
        ..SALE
    },
    Case {
        what: "WeChat Pay, taxi in Shanghai",
        minor: 4_800,
        currency: CNY,
        pays: WECHAT,
        merchant: "CN-TAXI-0123",
        expected: refused("92", "WECHATPAY has no route"),
        ..SALE
    },
    Case {
        what: "Kakao Pay, market in Tokyo",
        minor: 2_980,
        currency: JPY,
        merchant: "JP-M1",
        expected: refused("58", "the merchant takes UNIONPAY only"),
        ..SALE
    },
    Case {
        what: "a code of nobody, Seoul",
        minor: 9_900,
        pays: NOBODYS,
        merchant: "SEOUL-DEPT-01",
        expected: refused("14", "no network has such codes"),
        ..SALE
    },
    Case {
        what: "a letter in the amount",
        minor: 6_000,
        merchant: "KR-BAKERY-01",
        damage: Damage::Amount,
        expected: refused("30", "DE 4 is not a number"),
        ..SALE
    },
    Case {
        what: "a frame of 65,535 bytes",
        merchant: "KR-BAKERY-02",
        damage: Damage::Length,
        expected: Expected::Closed { why: "no message is that long" },
        ..SALE
    },
    Case {
        what: "Kakao Pay, partner is silent",
        minor: 5_300,
        merchant: "KAKAO-0001",
        partner: TOO_LATE,
        expected: sent("KAKAOPAY", "kakaopay-home", "kakaopay", "91"),
        ..SALE
    },
];
