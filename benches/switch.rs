//! The core as a whole: request in, forwarded; answer in, handed back. Also the ring and the
//! deadline lists alone.
//!
//! Each benchmark checks what it computed: a transaction that was declined, or an answer that was
//! not handed over, would otherwise look fast.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use authswitch::app::dialect_file;
use authswitch::base::ids::{LinkId, SessionId, WorkerId};
use authswitch::base::time::{Instant, Now, Wall};
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::encode::{Composer, template_header};
use authswitch::iso8583::mti::Mti;
use authswitch::routing::RouteTable;
use authswitch::switch::pending::{Fate, Pending, Share};
use authswitch::switch::transaction::Transactions;
use authswitch::switch::{Counter, Event, LinkSetup, Outbox, Role, Setup, Switch};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const POS: SessionId = SessionId { slot: 0, generation: 1 };
const HOST: SessionId = SessionId { slot: 1, generation: 1 };

/// A 229-byte 0100 (frame length included) in `pos-bcd`: PAN, amount, dates, terminal, 100 bytes
/// of EMV data and a private element. Made for this benchmark; no real account.
fn request(dialect: &Dialect) -> Vec<u8> {
    let emv = [
        "9F2608112233445566778E9F2701809F100706010A03A0A8009F3704AABBCCDD9F36020001950500000080",
        "009A032611229C01009F02060000000012505F2A02015682021C009F1A0201569F03060000000000009F33",
        "03E0F8C89F34034203009F410100",
    ]
    .concat();
    let emv: Vec<u8> = (0..emv.len() / 2)
        .map(|i| u8::from_str_radix(&emv[2 * i..2 * i + 2], 16).expect("hex"))
        .collect();
    assert_eq!(emv.len(), 100);
    let values: [(u8, &[u8]); 19] = [
        (2, b"4242424242424242"),
        (3, b"000000"),
        (4, b"000000001250"),
        (7, b"1122021245"),
        (11, b"000042"),
        (12, b"021245"),
        (13, b"1122"),
        (14, b"2912"),
        (18, b"5411"),
        (22, b"051"),
        (23, b"001"),
        (25, b"00"),
        (32, b"12345678"),
        (37, b"632602000042"),
        (41, b"TERM0001"),
        (42, b"MERCHANT0000001"),
        (49, b"156"),
        (55, &emv),
        (63, b"0123456789012345678901234"),
    ];
    let mut out = Vec::new();
    let elements = values.iter().map(|(element, _)| *element).collect();
    let mti = Mti::from_packed(0x0100).expect("digits");
    let header = |out: &mut Vec<u8>| template_header(dialect, out);
    let mut composer = Composer::begin(dialect, &mut out, header, mti, &elements);
    for (element, value) in values {
        composer.value(element, value).expect("fits");
    }
    composer.finish().expect("fits");
    out
}

fn dialect() -> Arc<Dialect> {
    let spec = dialect_file::load("pos-bcd", None).expect("the shipped dialect loads");
    Arc::new(Dialect::compile(spec))
}

struct Rig {
    switch: Switch,
    outbox: Outbox,
    now: Now,
}

fn rig(budget: Duration) -> Rig {
    let dialect = dialect();
    let link = |role| LinkSetup { role, dialect: Arc::clone(&dialect), ..LinkSetup::default() };
    let setup = Setup {
        links: vec![link(Role::Acquirer), link(Role::Partner)],
        ..Setup::new(Arc::new(RouteTable::single(vec![LinkId(1)], budget)))
    };
    let now = Now { instant: Instant::from_ns(1), wall: Wall::from_unix_s(1_795_313_565) };
    let mut rig = Rig { switch: Switch::new(setup), outbox: Outbox::default(), now };
    for (session, link) in [(POS, LinkId(0)), (HOST, LinkId(1))] {
        let event = Event::Opened { session, link, shared: false };
        rig.switch.handle(rig.now, event, &mut rig.outbox);
    }
    rig
}

impl Rig {
    fn receive(&mut self, session: SessionId, bytes: &[u8]) {
        let taken =
            self.switch.handle(self.now, Event::Received { session, bytes }, &mut self.outbox);
        assert_eq!(taken, bytes.len());
    }

    /// Moves what waits for `session` into `bytes`.
    fn take(&mut self, session: SessionId, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(self.outbox.unwritten(session));
        while self.outbox.next_dirty().is_some() {}
        self.outbox.wrote(session, bytes.len());
    }
}

/// Turns forwarded 0100s into 0110s in place: as answers they only need another MTI and DE 39,
/// which takes the place of DE 41's neighbour in the bitmap.
fn answers(requests: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = requests;
    while let [high, low, ..] = *rest {
        let length = usize::from(high) << 8 | usize::from(low);
        let (frame, next) = rest.split_at(2 + length);
        let start = out.len();
        out.extend_from_slice(frame);
        // MTI behind length and TPDU; DE 39 goes in front of DE 41.
        out[start + 8] = 0x10;
        out[start + 9 + 4] |= 0x02;
        let at = start + DE_41_AT;
        out.splice(at..at, *b"00");
        let length = length + 2;
        out[start] = (length >> 8) as u8;
        out[start + 1] = length as u8;
        rest = next;
    }
}

/// Makes the requests new ones: what was asked before is not forwarded.
fn renew(stream: &mut [u8], size: usize, asked: &mut u32) {
    for frame in stream.chunks_exact_mut(size) {
        *asked += 1;
        frame[DE_41_AT..DE_41_AT + 8].copy_from_slice(format!("{asked:08}").as_bytes());
    }
}

/// Where DE 41 stands in the request, frame length included.
const DE_41_AT: usize = 2 + 5 + 2 + 8 + 9 + 3 + 6 + 5 + 3 + 3 + 2 + 2 + 2 + 2 + 2 + 1 + 5 + 12;

fn transaction(c: &mut Criterion) {
    let request = request(&dialect());
    assert_eq!(&request[DE_41_AT..DE_41_AT + 8], b"TERM0001");
    assert_eq!(request.len(), 229);
    let mut group = c.benchmark_group("switch");
    // How many come at once, and how many times that wait for their answers meanwhile: a
    // thousand that wait are no longer in the nearest cache when they are answered.
    for (batch, waiting) in [(1usize, 0), (16, 0), (16, 64)] {
        let mut stream: Vec<u8> = request.repeat(batch);
        let mut asked = 0;
        let mut rig = rig(Duration::from_secs(60));
        let (mut sent, mut handed) = (Vec::new(), Vec::new());
        let (mut queue, mut spare) = (VecDeque::new(), Vec::new());
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("transaction/{batch}, {} waiting", batch * waiting), |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                let mut round = 0;
                while round < rounds {
                    renew(&mut stream, request.len(), &mut asked);
                    let start = clock();
                    rig.receive(POS, black_box(&stream));
                    rig.take(HOST, &mut sent);
                    let there = clock().duration_since(start);
                    answers(&sent, &mut spare);
                    queue.push_back(std::mem::take(&mut spare));
                    if queue.len() <= waiting {
                        continue;
                    }
                    let answered = queue.pop_front().expect("more than none");
                    let start = clock();
                    rig.receive(HOST, black_box(&answered));
                    rig.take(POS, &mut handed);
                    spent += there + clock().duration_since(start);
                    assert_eq!(handed.len(), batch * (request.len() + 2));
                    rig.now.instant = rig.now.instant.after(Duration::from_micros(50));
                    spare = answered;
                    round += 1;
                }
                spent
            });
        });
        let (forwarded, answered) =
            (rig.switch.stats().of(Counter::Forwarded), rig.switch.stats().of(Counter::Answered));
        assert_eq!(forwarded, answered + (batch * queue.len()) as u64);
    }
    group.finish();
}

#[expect(clippy::disallowed_methods, reason = "a benchmark times what it runs")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

fn structures(c: &mut Criterion) {
    let mut pending = Pending::new(Share::of(WorkerId(0), 1), 16_384);
    let window: Vec<u32> = (0..1000).map(|place| pending.reserve(place).expect("room")).collect();
    let mut window = VecDeque::from(window);
    c.bench_function("pending/reserve+settle", |b| {
        b.iter(|| {
            let stan = pending.reserve(black_box(7)).expect("room");
            window.push_back(stan);
            let oldest = window.pop_front().expect("full");
            assert!(pending.settle(oldest, Fate::Answered(0)));
        });
    });
    let mut transactions = Transactions::default();
    let budgets = [Duration::from_millis(500), Duration::from_millis(1500), Duration::from_secs(3)];
    let mut now = Instant::from_ns(1);
    let mut places = VecDeque::new();
    for round in 0..1000 {
        places.push_back(transactions.add(budgets[round % 3], now, |_| ()));
    }
    let mut round = 0;
    c.bench_function("deadlines/add+remove", |b| {
        b.iter(|| {
            now = now.after(Duration::from_micros(1));
            round += 1;
            places.push_back(transactions.add(budgets[round % 3], now, |_| ()));
            transactions.remove(places.pop_front().expect("full"));
            black_box(transactions.next_deadline())
        });
    });
    assert_eq!(transactions.live(), 1000);
    c.bench_function("deadlines/expire", |b| {
        b.iter_batched(
            || (),
            |()| {
                let place = transactions.add(Duration::ZERO, now, |_| ());
                assert_eq!(transactions.due(now), Some(place));
                transactions.remove(place);
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, transaction, structures);
criterion_main!(benches);
