//! The requests that the load is made of.
//!
//! A pool of complete frames is built once; a request is a copy of one with its own values patched
//! in, so that building costs a copy of some 200 bytes. Without a mix these are 0100s of 64 cards
//! in turn; with one, a frame for each combination of network, region and kind, whose account,
//! merchant and amount are drawn. It is not an encoder: no field is ever omitted or moved.

mod sketch;
#[cfg(test)]
mod tests;

use self::sketch::{Account, Sketch, build, checked, pan};
use crate::clock::{Moment, NS_PER_S, wall_ns};
use crate::frame::{self, Form, bcd_of_number};
use crate::mix::{self, Draw, Mix, Traffic};

/// Builds requests; one per thread of load.
pub(crate) struct Requests {
    templates: Vec<Template>,
    mix: Option<Mixed>,
    rrn: [u8; RRN_BYTES],
    second: u64,
}

/// What was put into a request, to be held against its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// DE 37.
    pub(crate) rrn: [u8; RRN_BYTES],
    /// DE 4, packed.
    pub(crate) amount: [u8; 6],
    /// Which template it was made of.
    pub(crate) template: u16,
}

/// Where the values of a request come from if they are drawn.
struct Mixed {
    mix: Mix,
    regions: usize,
    kinds: usize,
}

struct Template {
    frame: Vec<u8>,
    places: Places,
    account: Counted,
    merchant: Counted,
    answer_mti: [u8; 2],
}

/// Digits that count accounts or merchants: where they begin, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
enum Counted {
    /// Nothing is counted.
    #[default]
    None,
    /// Characters.
    Digits(usize, usize),
    /// A packed card number with its check digit, whose first characters are these.
    Card(usize, [u8; 15], usize),
}

/// Where in its frame a template is patched, in bytes from the length prefix.
#[derive(Default)]
struct Places {
    pan: usize,
    amount: usize,
    sent: usize,
    stan: usize,
    time: usize,
    rrn: usize,
    terminal: usize,
    merchant: usize,
    /// 0 if there is no chip data.
    chip_amount: usize,
    chip_date: usize,
    /// The end of the payment code.
    code_end: usize,
}

impl Requests {
    /// A pool of requests in `form`, dated now. The RRN counts up from the time of day in units
    /// of 200 ns, so that two runs against one switch do not repeat each other's numbers.
    pub(crate) fn new(form: Form) -> Requests {
        let templates = (0..TEMPLATES).map(|index| Template::new(form, index)).collect();
        Requests::of(templates, None)
    }

    /// Requests as this traffic has them, drawn by this seed. Codes that are used once begin where
    /// the time of day says, for the same reason.
    pub(crate) fn mixed(form: Form, traffic: &Traffic, seed: u64) -> Requests {
        let mut templates = Vec::new();
        for network in &traffic.networks {
            for region in &traffic.regions {
                let kinds = traffic.kinds.iter();
                templates.extend(kinds.map(|kind| Template::mixed(form, network, region, kind)));
            }
        }
        let mix = Mix::new(traffic, seed, wall_ns() / 1_000);
        let (regions, kinds) = (traffic.regions.len(), traffic.kinds.len());
        Requests::of(templates, Some(Mixed { mix, regions, kinds }))
    }

    fn of(templates: Vec<Template>, mix: Option<Mixed>) -> Requests {
        let wall_ns = wall_ns();
        let mut rrn = [b'0'; RRN_BYTES];
        let mut rest = wall_ns / 200;
        for digit in rrn.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let mut requests = Requests { templates, mix, rrn, second: 0 };
        requests.date(wall_ns);
        requests
    }

    /// Puts the date and time into every template, if the second has changed.
    pub(crate) fn date(&mut self, wall_ns: u64) {
        let second = wall_ns / NS_PER_S;
        if second != self.second {
            self.second = second;
            let moment = Moment::of(second);
            self.templates.iter_mut().for_each(|template| template.date(moment));
        }
    }

    /// Appends one request of the session `fleet`. The terminal follows from session and STAN, so
    /// that no two requests of a second have one key. Without a mix the amount follows from the
    /// STAN, which makes an answer with another request's amount visible.
    #[inline]
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, stan: u32, fleet: Fleet) -> Asked {
        count_up(&mut self.rrn);
        let digits = bcd_of_number(stan);
        let turn = stan as usize % TEMPLATES;
        let (index, amount, draw) = match &mut self.mix {
            None => (turn, [0, 0, 0, digits[0], digits[1], digits[2]], None),
            Some(Mixed { mix, regions, kinds }) => {
                let draw = mix.draw();
                let index = (draw.network * *regions + draw.region) * *kinds + draw.kind;
                (index, bcd_of_amount(draw.amount), Some(draw))
            }
        };
        let template = &self.templates[index];
        let places = &template.places;
        let begin = out.len();
        out.extend_from_slice(&template.frame);
        let frame = &mut out[begin..];
        if let Some(draw) = draw {
            template.fill(frame, &draw);
        }
        frame[places.stan..][..3].copy_from_slice(&digits);
        frame[places.amount..][..6].copy_from_slice(&amount);
        if places.chip_amount != 0 {
            frame[places.chip_amount..][..6].copy_from_slice(&amount);
        }
        frame[places.rrn..][..RRN_BYTES].copy_from_slice(&self.rrn);
        let terminal = &mut frame[places.terminal + 1..][..TERMINAL_BYTES - 1];
        terminal[..FLEET_BYTES].copy_from_slice(&fleet.0);
        terminal[FLEET_BYTES..].copy_from_slice(&tail(turn));
        Asked { rrn: self.rrn, amount, template: index as u16 }
    }

    /// True if `terminal` is DE 41 of the request of this session with this STAN.
    #[inline]
    pub(crate) fn is_terminal(&self, terminal: &[u8], stan: u32, fleet: Fleet) -> bool {
        terminal.len() == TERMINAL_BYTES
            && terminal[0] == b'T'
            && terminal[1..=FLEET_BYTES] == fleet.0
            && terminal[1 + FLEET_BYTES..] == tail(stan as usize % TEMPLATES)
    }

    /// The MTI of an answer to a request of this template.
    #[inline]
    pub(crate) fn answer_mti(&self, template: u16) -> [u8; 2] {
        self.templates[usize::from(template)].answer_mti
    }

    /// Network, region and kind of this template; zeros without a mix.
    #[inline]
    pub(crate) fn dimensions(&self, template: u16) -> [usize; 3] {
        let Some(Mixed { regions, kinds, .. }) = &self.mix else { return [0; 3] };
        let rest = usize::from(template);
        [rest / kinds / regions, rest / kinds % regions, rest % kinds]
    }
}

/// Whose terminals a session carries: the middle of DE 41.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fleet([u8; FLEET_BYTES]);

impl Fleet {
    /// That of the session of this number.
    pub(crate) fn of(session: usize) -> Fleet {
        let mut digits = [b'0'; FLEET_BYTES];
        let mut rest = session;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 36) as u8;
            if *digit > b'9' {
                *digit += b'A' - b'9' - 1;
            }
            rest /= 36;
        }
        Fleet(digits)
    }
}

impl Template {
    /// The one of this number without a mix.
    fn new(form: Form, index: usize) -> Template {
        let sketch = Sketch {
            mti: [0x01, 0x00],
            account: Account::Card(pan(index)),
            processing: [0; 3],
            category: [0x54, 0x11], // groceries
            entry: if index.is_multiple_of(4) { [0x00, 0x21] } else { [0x00, 0x51] },
            terminal: tail(index),
            merchant: &format!("MERCHANT{:07}", index / 4 + 1),
            currency: "156",
        };
        Template::of(form, &sketch)
    }

    /// That of a combination.
    fn mixed(
        form: Form,
        network: &mix::Network,
        region: &mix::Region,
        kind: &mix::Kind,
    ) -> Template {
        let (name, digits) = region.name_and_digits();
        let merchant = format!("{name}{}", "0".repeat(digits));
        let (mti, processing) = kind.packed();
        let account = network.account();
        let (first, counted) = match &account {
            mix::Account::Card(first) => (first, network.digits - 1 - first.len()),
            mix::Account::Code(first) => (first, network.digits - first.len()),
        };
        let whole = format!("{first}{}", "0".repeat(counted));
        let mut own = [b'0'; 15];
        let is_card = matches!(account, mix::Account::Card(_));
        if is_card {
            own.copy_from_slice(whole.as_bytes());
        }
        let sketch = Sketch {
            mti,
            account: if is_card { Account::Card(checked(own)) } else { Account::Code(&whole) },
            processing,
            category: bcd_of_number(u32::from(region.category))[1..].try_into().unwrap_or([0; 2]),
            entry: if is_card { [0x00, 0x51] } else { [0x00, 0x31] },
            terminal: tail(0),
            merchant: &merchant,
            currency: &region.currency,
        };
        let mut template = Template::of(form, &sketch);
        let places = &template.places;
        template.account = if is_card {
            Counted::Card(places.pan, own, counted)
        } else {
            Counted::Digits(places.code_end - counted, counted)
        };
        if digits > 0 {
            template.merchant = Counted::Digits(places.merchant + name.len(), digits);
        }
        template
    }

    fn of(form: Form, sketch: &Sketch<'_>) -> Template {
        let frame = build(form, sketch);
        let mut places = Places::default();
        frame::walk(&frame, form, |field| {
            let at = field.start;
            match field.de {
                2 => places.pan = at + 1,
                4 => places.amount = at,
                7 => places.sent = at,
                11 => places.stan = at,
                12 => places.time = at,
                37 => places.rrn = at,
                41 => places.terminal = at,
                42 => places.merchant = at,
                55 => {
                    places.chip_amount = at + 2 + CHIP_AMOUNT_AT;
                    places.chip_date = at + 2 + CHIP_DATE_AT;
                }
                59 => places.code_end = field.end,
                _ => {}
            }
            true
        })
        .expect("a template is a whole frame");
        let [class, function] = sketch.mti;
        let answer_mti = [class, (function & 0xFE) + 0x10];
        let (account, merchant) = (Counted::None, Counted::None);
        Template { frame, places, account, merchant, answer_mti }
    }

    /// Writes account and merchant.
    #[inline]
    fn fill(&self, frame: &mut [u8], draw: &Draw) {
        for (counted, number) in [(self.account, draw.account), (self.merchant, draw.merchant)] {
            match counted {
                Counted::None => {}
                Counted::Digits(at, digits) => write_digits(&mut frame[at..at + digits], number),
                Counted::Card(at, mut own, digits) => {
                    write_digits(&mut own[15 - digits..], number);
                    frame[at..at + 8].copy_from_slice(&checked(own));
                }
            }
        }
    }

    fn date(&mut self, moment: Moment) {
        let [year, month, day] = [moment.year % 100, moment.month, moment.day].map(pair);
        let [hour, minute, second] = [moment.hour, moment.minute, moment.second].map(pair);
        let places = &self.places;
        let mut put = |at: usize, bytes: &[u8]| {
            self.frame[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(places.sent, &[month, day, hour, minute, second]);
        // DE 12 and DE 13 lie side by side.
        put(places.time, &[hour, minute, second, month, day]);
        if places.chip_date != 0 {
            put(places.chip_date, &[year, month, day]);
        }
    }
}

/// Adds one to a number written in ASCII digits.
#[inline]
fn count_up(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}

/// The number in as many digits as there are; what is too long loses its front.
#[inline]
fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// An amount below 10^12 as 6 bytes of packed digits.
#[inline]
fn bcd_of_amount(amount: u64) -> [u8; 6] {
    let high = bcd_of_number((amount / 1_000_000) as u32);
    let low = bcd_of_number((amount % 1_000_000) as u32);
    [high[0], high[1], high[2], low[0], low[1], low[2]]
}

/// The end of DE 41 of the terminal of this number.
#[inline]
fn tail(index: usize) -> [u8; 3] {
    let number = index as u8 + 1;
    [b'0', b'0' + number / 10, b'0' + number % 10]
}

fn pair(value: u32) -> u8 {
    (((value / 10) << 4) | (value % 10)) as u8
}

/// Size of DE 37 in bytes.
pub(crate) const RRN_BYTES: usize = 12;
/// Size of DE 41 in bytes.
const TERMINAL_BYTES: usize = 8;

/// Characters of DE 41 that say whose terminal it is: 36^4 sessions.
const FLEET_BYTES: usize = 4;

/// Different terminals and cards of a session.
const TEMPLATES: usize = 64;
const CHIP_DATE_AT: usize = 50;
const CHIP_AMOUNT_AT: usize = 59;
