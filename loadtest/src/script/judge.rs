//! Was it as expected? What was expected and what came, in words, account data masked.
//!
//! Looked at in any case: the MTI of an answer and its DE 11, 37, 41 and 42, which must be those of
//! the request; and of a request at a partner its DE 37, 41, 42, 4 and 49. The rest is looked at
//! where the scenario says what it must be.

use std::collections::BTreeMap;

use super::compose::{Asked, Composer};
use super::scenario::{Answer, Key, Reach, Values, Wanted};
use super::stage::{Heard, Party, Reached};
use crate::books::message::Message;

/// Matches what was heard with what was asked, and says what is not as it must be.
pub(crate) fn answers(
    expected: &Answer,
    asked: &mut [Asked],
    heard: &[Heard],
    composer: &Composer,
) -> Vec<String> {
    let mut misses = Misses::default();
    let places: BTreeMap<(usize, String), usize> = asked
        .iter()
        .enumerate()
        .map(|(place, it)| ((it.connection, it.message.of(11).to_owned()), place))
        .collect();
    for it in heard {
        let stan = it.message.as_ref().map(|message| message.of(11).to_owned());
        let place = match &asked[..] {
            [only] if expected.unnamed && only.connection == it.connection => Some(&0),
            _ => stan.and_then(|stan| places.get(&(it.connection, stan))),
        };
        let (Some(place), Some(message)) = (place, &it.message) else {
            misses.add(format!("expected answers to what was asked, and {}", self::heard(it)));
            continue;
        };
        let request = &mut asked[*place];
        if expected.none || request.answer.is_some() {
            let which = if expected.none { "no answer" } else { "one answer" };
            misses.add(format!("expected {which}, and {}", self::heard(it)));
        }
        let took_ns = it.at_ns.saturating_sub(request.at_ns);
        let most = if message.of(39) == "00" { expected.within } else { expected.declined_within };
        let (least, most) = (expected.not_before.as_nanos(), most.as_nanos());
        if !(least..=most).contains(&u128::from(took_ns)) {
            let (ms, least, most) = (took_ns / 1_000_000, least / 1_000_000, most / 1_000_000);
            misses.add(format!("expected the answer in {least} to {most} ms, it took {ms}"));
        }
        let ms = took_ns / 1_000_000;
        let wrong = answer(expected, &request.message, message);
        misses.all(wrong.into_iter().map(|miss| format!("{miss} (after {ms} ms)")).collect());
        request.answer = Some(message.clone());
    }
    for request in asked.iter().filter(|request| request.answer.is_none() && !expected.none) {
        let what = shown(&request.message);
        misses.add(format!("expected an answer to {what}, none came"));
    }
    for (code, least, most) in &expected.codes {
        let is_it = |request: &&Asked| request.answer.as_ref().is_some_and(|it| it.of(39) == code);
        let count = asked.iter().filter(is_it).count() as u64;
        if !(least..=most).contains(&&count) {
            misses.add(format!("expected {least} to {most} answers {code}, {count} came"));
        }
    }
    if let Some(name) = &expected.same_as {
        let first = composer.asked(name).ok().and_then(|first| first.answer.as_ref());
        for request in asked.iter().filter(|request| request.answer.is_some()) {
            let fields = request.answer.as_ref().map(|answer| &answer.fields);
            if fields != first.map(|first| &first.fields) {
                let came = request.answer.as_ref().map(shown).unwrap_or_default();
                let first = first.map(shown).unwrap_or_default();
                misses.add(format!("expected the same as before, {first}, came {came}"));
            }
        }
    }
    misses.0
}

fn answer(expected: &Answer, request: &Message, message: &Message) -> Vec<String> {
    let mut misses = values(&expected.values, message, "in the answer");
    let mti = (request.mti & !1) + 0x10;
    if message.mti != mti && !expected.values.iter().any(|(key, _)| *key == Key::Mti) {
        misses.push(format!("expected {mti:04X}, came {}", shown(message)));
    }
    if !expected.unnamed {
        misses.extend(kept(&[11, 37, 41, 42], request, message, "of the request in its answer"));
    }
    misses
}

/// Matches what reached partners and acquirers with what must have, and says what is not so.
pub(crate) fn reaches(
    expected: &[Reach],
    asked: &[Asked],
    reached: &[Reached],
    parties: &[Party],
) -> Vec<String> {
    let mut misses = Misses::default();
    let mut counts = vec![0; expected.len()];
    let requests: BTreeMap<&str, &Message> =
        asked.iter().map(|it| (it.message.of(37), &it.message)).collect();
    let own = asked.first().map(|it| it.message.mti & !1);
    for it in reached {
        let (message, name) = (&it.message, &parties[it.party].name);
        // An expected message that names no MTI is what was sent.
        let fits = |reach: &Reach| {
            let said = reach.values.iter().find(|(key, _)| *key == Key::Mti);
            reach.party == *name
                && match said {
                    Some((key, wanted)) => meets(wanted, value(*key, message).as_deref()),
                    None => own.is_none_or(|mti| message.mti & !1 == mti),
                }
        };
        let mut places = (0..expected.len()).filter(|place| fits(&expected[*place]));
        let free = places.find(|place| counts[*place] < expected[*place].most);
        let Some(place) = free else {
            misses.add(format!("nothing more was to reach {name}, and {} did", shown(message)));
            continue;
        };
        counts[place] += 1;
        let at = format!("at {name}");
        misses.all(values(&expected[place].values, message, &at));
        if let Some(request) = requests.get(message.of(37)).filter(|it| it.mti == message.mti) {
            let said =
                |de: &u8| expected[place].values.iter().any(|(key, _)| *key == Key::Element(*de));
            let same: Vec<u8> = [4, 37, 41, 42, 49].into_iter().filter(|de| !said(de)).collect();
            misses.all(kept(&same, request, message, &at));
        }
    }
    for (reach, count) in expected.iter().zip(counts).filter(|(reach, count)| *count < reach.least)
    {
        let (name, wanted) = (&reach.party, reach.least);
        misses.add(format!("expected {wanted} at {name}, {count} came"));
    }
    misses.0
}

/// What an acquirer heard.
pub(crate) fn heard(it: &Heard) -> String {
    it.message.as_ref().map_or("the connection was closed".to_owned(), |message| {
        format!("{} came", shown(message))
    })
}

fn values(expected: &Values, message: &Message, place: &str) -> Vec<String> {
    let miss = |(key, wanted): &(Key, Wanted)| {
        let found = value(*key, message);
        if meets(wanted, found.as_deref()) {
            return None;
        }
        let masked = |text: &str| match key {
            Key::Element(de) => mask(*de, text),
            _ => mask(59, text),
        };
        let wanted = match wanted {
            Wanted::OneOf(texts) => {
                texts.iter().map(|text| masked(text)).collect::<Vec<_>>().join(" or ")
            }
            Wanted::Present => "present".to_owned(),
            Wanted::Absent => "absent".to_owned(),
        };
        let found = found.map_or("absent".to_owned(), |text| masked(&text));
        Some(format!("expected {key} {place} to be {wanted}, it is {found}"))
    };
    expected.iter().filter_map(miss).collect()
}

/// Elements of `request` that must be in `message` as well.
fn kept(elements: &[u8], request: &Message, message: &Message, place: &str) -> Vec<String> {
    let differs = |de: &&u8| {
        let asked = request.fields.get(*de).map(|value| value.trim_end());
        asked.is_some() && message.fields.get(*de).map(|value| value.trim_end()) != asked
    };
    let said = |de: &u8| {
        let (asked, came) = (mask(*de, request.of(*de)), mask(*de, message.of(*de)));
        format!("expected DE {de} {place} to be {asked:?}, it is {came:?}")
    };
    elements.iter().filter(differs).map(said).collect()
}

fn value(key: Key, message: &Message) -> Option<String> {
    match key {
        Key::Mti => Some(message.mti_text()),
        Key::Element(de) => message.fields.get(&de).cloned(),
        Key::Code => tag(message.fields.get(&59)?, "A3"),
    }
}

/// A value in DE 59: two characters of tag, three digits of length.
fn tag(mut text: &str, tag: &str) -> Option<String> {
    loop {
        let length = text.get(2..5)?.parse::<usize>().ok()?;
        let value = text.get(5..5 + length)?;
        if text.starts_with(tag) {
            return Some(value.to_owned());
        }
        text = &text[5 + length..];
    }
}

fn meets(wanted: &Wanted, found: Option<&str>) -> bool {
    match wanted {
        Wanted::Present => found.is_some(),
        Wanted::Absent => found.is_none(),
        Wanted::OneOf(texts) => {
            found.is_some_and(|found| texts.iter().any(|text| text.trim_end() == found.trim_end()))
        }
    }
}

/// A message in a few words.
fn shown(message: &Message) -> String {
    let mut text = message.mti_text();
    for de in [3, 4, 11, 37, 39, 42, 49] {
        if let Some(value) = message.fields.get(&de) {
            text.push_str(&format!(" {de}={}", mask(de, value).trim_end()));
        }
    }
    text
}

/// A value as it may be printed: of what may name an account, the ends.
pub(crate) fn mask(de: u8, text: &str) -> String {
    let is_account = matches!(de, 2 | 34..=36 | 45 | 48 | 52 | 55 | 59..=63 | 102 | 103);
    let count = text.chars().count();
    if !is_account || count <= 10 {
        return text.to_owned();
    }
    let shown = |(place, character)| {
        if (6..count - 4).contains(&place) { '*' } else { character }
    };
    text.chars().enumerate().map(shown).collect()
}

/// The first few, and how many more.
#[derive(Default)]
struct Misses(Vec<String>);

impl Misses {
    fn add(&mut self, miss: String) {
        match self.0.len() {
            0..MISSES_MAX => self.0.push(miss),
            MISSES_MAX => self.0.push("and more".to_owned()),
            _ => {}
        }
    }

    fn all(&mut self, misses: Vec<String>) {
        misses.into_iter().for_each(|miss| self.add(miss));
    }
}

const MISSES_MAX: usize = 5;
