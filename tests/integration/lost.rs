//! Partners that are lost in the middle of traffic, in each way there is.
//!
//! Two banks serve one route. Now one of them is lost, now the other, and a bank of another network
//! goes on beside them. The banks keep books of their own, and at the end the books and what the
//! tills were told are held against each other: each sale was asked of one bank at most, what was
//! approved was approved by one bank and never taken back, and what was declined is in no book, or
//! was taken back there.

#![expect(clippy::disallowed_types, reason = "banks are outside of the switch, and may wait")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::message::{Plain, answer_to, dialect, probe};
use crate::rig::{Folder, Heard, Line, PATIENCE, Serve, ms, now, pause};

/// How a bank is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// It is there and answers.
    None,
    /// The connection is reset with approved sales on it, and so is each new one.
    Reset,
    /// The connection ends, and nobody listens any more.
    Closed,
    /// It reads and approves, and says nothing.
    Silent,
    /// It stands still, and reads nothing: as a process that was stopped.
    Stopped,
    /// It sends half of an answer, and then the connection ends.
    Half,
}

const LOSSES: [Loss; 6] =
    [Loss::None, Loss::Reset, Loss::Closed, Loss::Silent, Loss::Stopped, Loss::Half];

/// What a bank knows of its sales, by DE 37.
#[derive(Debug, Default)]
struct Books {
    approved: BTreeSet<String>,
    reversed: BTreeSet<String>,
    /// Approved more than once, under one DE 37.
    twice: Vec<String>,
}

#[derive(Debug)]
struct Bank {
    address: SocketAddr,
    loss: AtomicUsize,
    is_over: AtomicBool,
    books: Mutex<Books>,
}

impl Bank {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let bank = Arc::new(Self {
            address,
            loss: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            books: Mutex::default(),
        });
        let host = Arc::clone(&bank);
        thread::spawn(move || host.listen(listener));
        bank
    }

    fn loss(&self) -> Loss {
        LOSSES[self.loss.load(Ordering::Relaxed)]
    }

    fn lose(&self, loss: Loss) {
        let place = LOSSES.iter().position(|other| *other == loss).expect("one of them");
        self.loss.store(place, Ordering::Relaxed);
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is asked: who was lost before is left alone for a while, each time longer.
    #[track_caller]
    fn sells_again(&self, after: Loss) {
        let deadline = now() + PATIENCE;
        let before = self.books().approved.len();
        while self.books().approved.len() < before + 10 {
            assert!(now() < deadline, "{after:?}: nobody steps in");
            pause(ms(10));
        }
    }

    /// Accepts; while the bank is closed there is no listener.
    fn listen(self: Arc<Self>, listener: TcpListener) {
        let mut listener = Some(listener);
        while !self.is_over.load(Ordering::Relaxed) {
            pause(ms(2));
            if self.loss() == Loss::Closed {
                listener = None;
                continue;
            }
            let listener = listener
                .get_or_insert_with(|| TcpListener::bind(self.address).expect("it was ours"));
            listener.set_nonblocking(true).expect("a socket");
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("a socket");
                    let (bank, line) = (Arc::clone(&self), Line::new(stream, dialect("pos-bcd")));
                    thread::spawn(move || bank.serve(line));
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    /// One connection, until one of both ends it.
    fn serve(&self, mut line: Line) {
        while !self.is_over.load(Ordering::Relaxed) {
            match self.loss() {
                Loss::Stopped => {
                    pause(ms(5));
                    continue;
                }
                Loss::Closed => return,
                _ => {}
            }
            let request = match line.hear(ms(10)) {
                Heard::Message(request) => request,
                Heard::Nothing => continue,
                Heard::End => return,
            };
            self.note(&request);
            let frame = line.frame(&answer_to(&request, "00"));
            let (told, goes_on) = match self.loss() {
                Loss::None | Loss::Stopped => (&frame[..], true),
                Loss::Silent => (&[][..], true),
                Loss::Reset => return line.reset(),
                Loss::Closed => return,
                Loss::Half => (&frame[..frame.len() / 2], false),
            };
            if line.stream.write_all(told).is_err() || !goes_on {
                return;
            }
        }
    }

    /// In the books before anything is said.
    fn note(&self, request: &Plain) {
        let Some(number) = request.of(37).map(str::to_owned) else { return };
        let mut books = self.books();
        if request.is_reversal() {
            books.reversed.insert(number);
        } else if !books.approved.insert(number.clone()) {
            books.twice.push(number);
        }
    }
}

/// What a till was told, by DE 37, and how long each answer took while all banks were there, and
/// while one was lost.
#[derive(Debug, Default)]
struct Told {
    codes: BTreeMap<String, String>,
    took: [Vec<Duration>; 2],
}

/// What the tills go by.
#[derive(Debug, Default)]
struct Course {
    is_over: AtomicBool,
    is_lost: AtomicBool,
}

/// Sells, one sale after the other, until it is over.
fn sell(serve: &Serve, card: &'static str, course: &Arc<Course>) -> thread::JoinHandle<Told> {
    let (mut line, course) = (serve.call(), Arc::clone(course));
    thread::spawn(move || {
        let mut told = Told::default();
        while !course.is_over.load(Ordering::Relaxed) {
            let request = probe().with(2, card);
            let asked = now();
            let answer = line.ask(&request);
            let is_lost = course.is_lost.load(Ordering::Relaxed);
            told.took[usize::from(is_lost)].push(asked.elapsed());
            answer.answers(&request, answer.code());
            let number = request.of(37).expect("sales have one").to_owned();
            told.codes.insert(number, answer.code().to_owned());
            pause(ms(2));
        }
        line.hears_nothing(ms(50));
        told
    })
}

fn site(banks: &[Arc<Bank>; 3]) -> Folder {
    let partner = |(name, bank): (&str, &Arc<Bank>)| {
        format!(
            "[[partner]]\nname = \"{name}\"\nconnect = \"{}\"\nsessions = 1\n\
             dialect = \"pos-bcd\"\nsign_on = false\necho_interval = \"0s\"\n\
             breaker_failures = 3\nbreaker_pause = \"100ms\"\n",
            bank.address
        )
    };
    let partners: String = ["one", "two", "three"].into_iter().zip(banks).map(partner).collect();
    let switch = format!(
        "workers = 2\n[[acquirer]]\nname = \"pos\"\nlisten = \"127.0.0.1:0\"\n\
         dialect = \"pos-bcd\"\n{partners}"
    );
    let network = |name: &str, digit: &str, partners: &str| {
        format!(
            "[[network]]\nname = \"{name}\"\npans = [{{ prefix = \"{digit}\", length = 16 }}]\n\
             [[route]]\nname = \"{name}\"\nnetwork = \"{name}\"\nregion = \"*\"\n\
             partners = [{partners}]\nbudget = \"300ms\"\n"
        )
    };
    let (pair, third) = ("\"one\", \"two\"", "\"three\"");
    let networks = network("PAIR", "4", pair) + &network("THIRD", "5", third);
    let routes = format!("check_merchants = false\n{networks}");
    Folder::new("lost", &[("switch.toml", &switch), ("routes.toml", &routes)])
}

/// The first sale of which tills and books do not tell one truth.
fn contradiction(told: &BTreeMap<String, String>, banks: &[Arc<Bank>; 3]) -> Option<String> {
    let books = banks.each_ref().map(|bank| bank.books());
    if let Some(number) = books.iter().flat_map(|books| &books.twice).next() {
        return Some(format!("{number} was asked twice of one bank"));
    }
    for (number, code) in told {
        let approved = books.iter().filter(|books| books.approved.contains(number)).count();
        let standing = |books: &&std::sync::MutexGuard<'_, Books>| {
            books.approved.contains(number) && !books.reversed.contains(number)
        };
        let standing = books.iter().filter(standing).count();
        let expected = usize::from(code == "00");
        if approved > 1 || standing != expected {
            return Some(format!(
                "{number}: the till was told {code}, {approved} approved, {standing} in the end"
            ));
        }
    }
    None
}

#[test]
fn whichever_way_a_partner_is_lost_each_sale_has_one_truth() {
    let banks = [Bank::start(), Bank::start(), Bank::start()];
    let folder = site(&banks);
    let mut serve = Serve::with(&["--config", &folder.path("")]);
    for _ in &banks {
        serve.wait_for_line("connected");
    }
    let course = Arc::new(Course::default());
    let pair: Vec<_> = (0..4).map(|_| sell(&serve, "4761340000000019", &course)).collect();
    let third: Vec<_> = (0..2).map(|_| sell(&serve, "5413330000000019", &course)).collect();
    for loss in (0..rounds()).flat_map(|_| LOSSES) {
        for (lost, other) in [(0, 1), (1, 0)] {
            pause(HEALTHY);
            course.is_lost.store(loss != Loss::None, Ordering::Relaxed);
            banks[lost].lose(loss);
            pause(LOST);
            // Without a loss the first in the row has all the sales.
            if loss != Loss::None {
                banks[other].sells_again(loss);
            }
            banks[lost].lose(Loss::None);
            course.is_lost.store(false, Ordering::Relaxed);
            banks[0].sells_again(loss);
        }
    }
    pause(HEALTHY);
    course.is_over.store(true, Ordering::Relaxed);
    let mut told = BTreeMap::new();
    for till in pair {
        told.append(&mut till.join().expect("each sale has one answer").codes);
    }
    let declined = told.values().filter(|code| *code != "00").count();
    assert!(declined > 0 && declined < told.len(), "{declined} of {}", told.len());
    let mut took = [Vec::new(), Vec::new()];
    for till in third {
        let mut one = till.join().expect("each sale has one answer");
        assert!(one.codes.values().all(|code| code == "00"), "the third is untouched");
        took.iter_mut().zip(&mut one.took).for_each(|(all, one)| all.append(one));
        told.append(&mut one.codes);
    }
    println!("{} sales, {declined} declined", told.len());
    untouched(took);
    let deadline = now() + PATIENCE;
    while let Some(wrong) = contradiction(&told, &banks) {
        assert!(now() < deadline, "{wrong}");
        pause(ms(50));
    }
    // Nothing that comes later changes that.
    pause(ms(500));
    assert_eq!(contradiction(&told, &banks), None);
    banks.iter().for_each(|bank| bank.is_over.store(true, Ordering::Relaxed));
}

/// Holds the third bank's time while another was lost against the time when none was. Tills that
/// wait for their answers sell fewer when those are late: so goodput is in the mean.
fn untouched(took: [Vec<Duration>; 2]) {
    let [healthy, lost] = took.map(|mut took| {
        took.sort_unstable();
        let mean = took.iter().sum::<Duration>() / took.len() as u32;
        let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!("third: {} sales, mean {mean:?}, median {median:?}, p99 {p99:?}", took.len());
        (mean, p99)
    });
    // Other tests have the processor as well: what waits for a silent bank waits 300 ms.
    assert!(lost.1 < healthy.1 * 4 + ms(50), "p99 {:?} and {:?}", healthy.1, lost.1);
    assert!(lost.0 < healthy.0 * 4 + ms(5), "mean {:?} and {:?}", healthy.0, lost.0);
}

/// How often each loss comes: once, or as often as `LOST_ROUNDS` says.
fn rounds() -> usize {
    std::env::var("LOST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// How long banks are there and lost: silence is noticed after the budget of the route.
const HEALTHY: Duration = ms(400);
const LOST: Duration = ms(1_000);
